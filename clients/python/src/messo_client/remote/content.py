"""What an institution makes of its two functions."""

from collections.abc import Sequence

from messo_client.remote.asgi import AsgiApplication
from messo_client.remote.calls import run_here
from messo_client.remote.self_test import findings
from messo_client.remote.served import Served
from messo_client.remote.shapes import Asked, AttachmentFunction, DetailFunction
from messo_client.remote.wsgi import WsgiApplication


class RemoteContent:
    """An institution's remote content, to be served by any ASGI or WSGI server.

    `detail` gives a message, or None if there is no such one. `attachment` gives the bytes of one
    of the attachments that `detail` announces, or None. Either may raise `NotReady`. Plain
    functions are called in threads, several at a time; `async` ones are for `asgi` only.

    `keys` are the texts of which the platform sends one in the header named `header`; two of them,
    while one replaces the other. `prefix` is the path above "/messages", such as "/remote", if the
    server does not mount the application there.

    Raises `TypeError` or `ValueError`, which name the argument.
    """

    def __init__(
        self,
        *,
        detail: DetailFunction,
        attachment: AttachmentFunction,
        keys: Sequence[str],
        header: str = "X-API-Key",
        prefix: str = "",
    ) -> None:
        # Each letter of a text would be a key.
        if isinstance(keys, str | bytes):
            raise TypeError("keys: a single text, must be a list of texts")
        self._served = Served(detail, attachment, tuple(keys), header, prefix)

    @property
    def asgi(self) -> AsgiApplication:
        """The ASGI application."""
        return AsgiApplication(self._served)

    @property
    def wsgi(self) -> WsgiApplication:
        """The WSGI application. Raises `TypeError` if one of the functions is `async`."""
        return WsgiApplication(self._served)

    def self_test(self, asked: Asked) -> list[str]:
        """What is wrong with this message as the functions give it, a sentence a fault.

        `asked` names a message that exists, and its recipient. Each sentence begins with the place
        of its fault; an empty list says that all is well. Calls the functions several times.
        """
        return run_here(findings(self._served, asked))
