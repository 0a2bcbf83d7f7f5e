"""What the server calls first: which requests are the API's, which are pages', and at which host."""

from urllib.parse import urlsplit

from starlette.applications import Starlette

from messo.base.endpoint import Endpoint, Router
from messo.base.http import Answer, GatewayProblem, Receive, Request, Route, Scope, Send

_API = ("/api/", "/messo/")
_ATTACHMENTS = "/attachments/"
_PREFLIGHT = [
    (b"access-control-allow-origin", b"*"),
    (b"access-control-allow-methods", b"*"),
    (b"access-control-allow-headers", b"*"),
    (b"access-control-max-age", b"86400"),
    (b"content-length", b"0"),
]


class App:
    """The ASGI application: API routes are dispatched before the framework that serves pages."""

    def __init__(self, routes: list[Route], pages: Starlette, attachments_url: str = "") -> None:
        self.router = Router(routes)
        self.attachments_host = host_of(attachments_url).encode()
        self.pages = pages
        self.unknown = Endpoint("unknown", _unknown)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if self.attachments_host and not self._is_at_home(scope):
            await self.unknown(scope, receive, send)
            return
        endpoint = self.router.find(scope)
        if endpoint is not None:
            await endpoint(scope, receive, send)
        elif not scope["path"].startswith(_API):
            await self.pages(scope, receive, send)
        elif scope["method"] == "OPTIONS":
            await send({"type": "http.response.start", "status": 200, "headers": _PREFLIGHT})
            await send({"type": "http.response.body"})
        else:
            await self.unknown(scope, receive, send)

    def _is_at_home(self, scope: Scope) -> bool:
        """Attachments are at their own address, and nothing else is there."""
        host = next((value for name, value in scope["headers"] if name == b"host"), b"")
        apart: bool = host.lower() == self.attachments_host
        return apart is str(scope["path"]).startswith(_ATTACHMENTS)


def host_of(url: str) -> str:
    """What a browser writes into the Host header for this address."""
    parts = urlsplit(url)
    usual = {"https": 443, "http": 80}.get(parts.scheme)
    port = "" if parts.port in (None, usual) else f":{parts.port}"
    return (parts.hostname or "") + port


async def _unknown(_: Request) -> Answer:
    raise GatewayProblem(404, "Resource not found")
