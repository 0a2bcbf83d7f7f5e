"""The service worker: the script that shows notices while no page is open.

A browser lets it look after the folder it comes from, so it has an address of its own at the top.
"""

from importlib import resources

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

_SCRIPT = resources.files("messo.inbox").joinpath("service_worker.js").read_bytes()
_HEADERS = {
    "Content-Type": "text/javascript; charset=utf-8",
    "Content-Security-Policy": "default-src 'none'; connect-src 'self'",
    "Cache-Control": "no-cache",
    "X-Content-Type-Options": "nosniff",
    "Cross-Origin-Resource-Policy": "same-origin",
}


def route() -> Route:
    """`/service-worker.js`."""

    async def serve(_: Request) -> Response:
        return Response(_SCRIPT, headers=_HEADERS)

    return Route("/service-worker.js", serve)
