"""Remote content: the institution serves texts and attachments itself, when they are read.

    content = RemoteContent(detail=detail, attachment=attachment, keys=["secret"])
    app = content.asgi

`detail` and `attachment` are functions of the institution's; everything else is done here.
"""

from messo_client.remote.content import RemoteContent
from messo_client.remote.shapes import Asked, Attachment, Detail, NotReady, Precondition

__all__ = ["Asked", "Attachment", "Detail", "NotReady", "Precondition", "RemoteContent"]
