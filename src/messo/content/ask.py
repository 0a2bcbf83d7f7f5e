"""Requests to institutions' servers: what they carry, and within which bounds they are made.

Each institution has its own places, for texts and for attachments, so that one whose server hangs
takes none of another's; each configuration has its own circuit.
"""

import contextlib
import ssl
from collections.abc import AsyncIterator, Mapping, Sequence

from messo.base.addresses import Network, looking_up_for
from messo.base.outbound import Limits, OpenReply, Outbound, OutboundError
from messo.base.places import Outcome, Places
from messo.content.address import message_url
from messo.content.lookup import Configuration, Environment
from messo.content.problems import of_error, wrong

TEXT = Limits(connect_s=2, total_s=5, answer_bytes=1024 * 1024)
# A slow line is given its time, a dripping one is not: ten seconds, and what 100 kB/s take.
ATTACHMENT = Limits(
    connect_s=2,
    first_byte_s=5,
    total_s=10,
    bytes_per_s=100_000,
    answer_bytes=20 * 1024 * 1024,
)
TEXTS, ATTACHMENTS = 32, 128  # under way at one institution
_IN_ALL = 512  # of each kind
_HOSTS = 10_000
# Ours, and what the client writes about the connection: a key may not take their place.
_RESERVED = frozenset(
    {"fiscal_code", "signature", "signature-input", "user-agent", "accept-encoding"}
)
_RESERVED_BEGINNING = "x-pagopa-lollipop-"


def make_outbound(allowed: Sequence[Network] = (), *, open_s: float = 15) -> Outbound:
    """The client that `Ask` needs: the places are counted here, not by host.

    A server that is not ready yet says 503, and is well all the same. `open_s`: how long one that
    fails is left alone; 0 to try it as often as somebody wants to know.
    """
    return Outbound(
        allowed,
        per_host=_IN_ALL,
        connections=2 * _IN_ALL,
        open_s=open_s,
        longest_s=open_s * 40,
        unable=(502, 504),
    )


def is_reserved(header: str) -> bool:
    """Whether a key may not travel in a header of this name."""
    return header.lower() in _RESERVED or header.lower().startswith(_RESERVED_BEGINNING)


class Ask:
    """Asks institutions' servers. One for each process, so that its bounds hold for all of it."""

    def __init__(self, outbound: Outbound) -> None:
        """`outbound`: a client of its own, with room for all places here."""
        self._outbound = outbound
        self._texts = Places(TEXTS, _IN_ALL, 1, _HOSTS)
        self._attachments = Places(ATTACHMENTS, _IN_ALL, 1, _HOSTS)

    @contextlib.asynccontextmanager
    async def open(
        self,
        configuration: Configuration,
        fiscal_code: str,
        remote_id: str,
        *more: str,
        limits: Limits = TEXT,
        proof: Mapping[str, str] | None = None,
    ) -> AsyncIterator[OpenReply]:
        """GET `{base_url}/messages/{id}` and what follows it, for this citizen.

        `more`: percent-encoded segments. `proof`: headers of the device's proof. Raises
        `NotServedProblem`, also from reading what is answered.
        """
        environment = configuration.environment(fiscal_code)
        if environment is None:
            raise wrong("The institution has not said where its server is.")
        places = self._attachments if limits is ATTACHMENT else self._texts
        try:
            place = await places.enter((configuration.institution_id, "", 0), limits.wait_s)
            outcome: Outcome = "neither"
            try:
                async with (
                    looking_up_for(configuration.institution_id),
                    self._outbound.open(
                        "GET",
                        message_url(environment.base_url, remote_id, *more),
                        headers=_headers(environment, fiscal_code, proof or {}),
                        limits=limits,
                        place=environment.place,
                        tls=_tls(environment),
                    ) as reply,
                ):
                    outcome = "answered"
                    place.answered()
                    yield reply
            finally:
                place.leave(outcome)
        except OutboundError as error:
            raise of_error(error) from None


def _headers(
    environment: Environment, fiscal_code: str, proof: Mapping[str, str]
) -> dict[str, str]:
    if is_reserved(environment.header):
        raise wrong(f"A key cannot travel in the header {environment.header}.")
    return {environment.header: environment.key, **proof, "fiscal_code": fiscal_code}


def _tls(environment: Environment) -> ssl.SSLContext | None:
    try:
        return environment.tls
    except ValueError:
        raise wrong("The certificate for the institution's server cannot be used.") from None
