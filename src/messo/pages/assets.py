"""The static files of the pages, served from memory under one hash for all of them.

`/static/<hash>/inbox.css` may be kept for ever: whatever changes, the hash does. It is one hash for
the whole tree, so that relative addresses within style sheets stay right.
"""

import functools
import gzip
import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from messo.base import log

logger = log.get(__name__)

# What has another ending is not served.
_KINDS = {
    ".css": "text/css; charset=utf-8",
    ".ico": "image/x-icon",
    ".js": "text/javascript; charset=utf-8",
    ".png": "image/png",
    ".svg": "image/svg+xml",
    ".txt": "text/plain; charset=utf-8",
    ".woff2": "font/woff2",
}
_COMPRESSED = {".css", ".js", ".svg"}
_VENDOR = "vendor/"
_HASH = re.compile(r"[0-9a-f]{8}\Z")
_TAG = re.compile(r'"[^"]*"')


@dataclass(frozen=True)
class _File:
    kind: str
    plain: bytes
    gzipped: bytes | None
    digest: str


class Assets:
    """The files below `static/` as they were at start; nothing else can be asked for."""

    def __init__(self, folder: Path | None = None) -> None:
        self._files = dict(_read(folder or Path(str(resources.files(__package__))) / "static"))
        self.hash = _digest(
            "\n".join(f"{name} {self._files[name].digest}" for name in sorted(self._files)).encode()
        )[:8]
        self.complete = any(name.startswith(_VENDOR) for name in self._files)
        if not self.complete:
            logger.warning("pages have no style: run bin/assets, then start again")

    @property
    def remark(self) -> str:
        """For a comment in every page: what is wrong with the static files, or nothing."""
        return "" if self.complete else "Style and scripts are missing: run bin/assets."

    def url(self, name: str) -> str:
        """The address of a file, by its path below `static/`: "vendor/sprites.svg".

        Raises `KeyError` for a file that does not exist, except below `vendor/` where that has not
        been fetched: pages are readable without it.
        """
        if name not in self._files and (self.complete or not name.startswith(_VENDOR)):
            raise KeyError(name)
        return f"/static/{self.hash}/{name}"

    def routes(self) -> list[Route]:
        return [Route("/static/{hash}/{name:path}", self._serve, methods=["GET"])]

    async def _serve(self, request: Request) -> Response:
        file = self._files.get(request.path_params["name"])
        asked = request.path_params["hash"]
        if file is None or not _HASH.match(asked):
            return PlainTextResponse("Not found", 404, {"x-content-type-options": "nosniff"})
        gzipped = file.gzipped is not None and _takes_gzip(request.headers)
        tag = f'"{file.digest[:24]}{"-gzip" if gzipped else ""}"'
        headers = {
            # While an upgrade runs, a page of one version may ask a server of another.
            "cache-control": (
                "public, max-age=31536000, immutable" if asked == self.hash else "no-cache"
            ),
            "cross-origin-resource-policy": "same-origin",
            "etag": tag,
            "x-content-type-options": "nosniff",
        }
        if file.gzipped is not None:
            headers["vary"] = "Accept-Encoding"
        known = request.headers.get("if-none-match", "")
        if known.strip() == "*" or tag in _TAG.findall(known):
            return Response(status_code=304, headers=headers)
        headers["content-type"] = file.kind
        if gzipped:
            headers["content-encoding"] = "gzip"
        return Response(file.gzipped if gzipped else file.plain, headers=headers)


@functools.cache
def ours() -> Assets:
    """The files of this package, read once in a process."""
    return Assets()


def routes() -> list[Route]:
    """The route of our files, for the site."""
    return ours().routes()


def asset_url(name: str) -> str:
    """The address of one of our files, for templates."""
    return ours().url(name)


def _read(folder: Path) -> Mapping[str, _File]:
    files: dict[str, _File] = {}
    for path in folder.rglob("*"):
        name = path.relative_to(folder).as_posix()
        # Hidden: the stamp of bin/assets, and what it has under way.
        if path.suffix not in _KINDS or any(part.startswith(".") for part in name.split("/")):
            continue
        plain = path.read_bytes()
        gzipped = None
        if path.suffix in _COMPRESSED:
            made = path.with_name(path.name + ".gz")  # of the large ones, by bin/assets
            gzipped = made.read_bytes() if made.exists() else gzip.compress(plain, 9, mtime=0)
        files[name] = _File(_KINDS[path.suffix], plain, gzipped, _digest(plain))
    return files


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _takes_gzip(headers: Mapping[str, str]) -> bool:
    """Source: RFC 9110, section 12.5.3."""
    weights: dict[str, str] = {}
    for choice in headers.get("accept-encoding", "").lower().split(","):
        coding, _, parameter = choice.partition(";")
        weights[coding.strip()] = parameter.replace(" ", "").removeprefix("q=")
    weight = weights.get("gzip", weights.get("*", "0"))
    return re.fullmatch(r"0(\.0*)?", weight) is None
