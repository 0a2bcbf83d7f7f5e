"""A walk through the console by its links."""

from dataclasses import dataclass, field
from urllib.parse import urlsplit

import httpx
from starlette.routing import Match, Route

from messo.console import site
from tests.console.forms import Form, Page

_VISITS = 4  # of pages of one kind


@dataclass
class Walk:
    """What somebody came across."""

    seen: dict[str, list[str]] = field(default_factory=dict)  # addresses by the page's name
    forms: list[Form] = field(default_factory=list)


def route_of(path: str, method: str) -> Route:
    """The page at this address."""
    for route in site.routes():
        scope = {"type": "http", "path": path, "method": method, "root_path": "", "headers": []}
        if isinstance(route, Route) and route.matches(scope)[0] is Match.FULL:
            return route
    raise AssertionError(path)


async def walk(client: httpx.AsyncClient, start: str) -> Walk:
    """Every kind of page that the links lead to from here, and all its forms."""
    found, open_, done = Walk(), [start], set[str]()
    while open_:
        address = open_.pop()
        parts = urlsplit(address)
        if address in done or not parts.path.startswith(start) or "format=csv" in parts.query:
            continue
        done.add(address)
        name = route_of(parts.path, "GET").name
        visited = found.seen.setdefault(name, [])
        if len(visited) >= _VISITS:
            continue
        visited.append(address)
        answer = await client.get(address)
        assert answer.status_code == 200, (address, answer.status_code)
        page = Page(address, answer.text)
        found.forms += page.forms
        open_ += [link for link in page.links if not urlsplit(link).netloc]
    return found
