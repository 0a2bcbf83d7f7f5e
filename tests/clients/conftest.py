"""One institution a test file, served by a real ASGI and by a real WSGI server."""

from collections.abc import Iterator

import httpx
import pytest

from tests.clients.institution import HEADERS, Institution, asgi_server, wsgi_server


@pytest.fixture(scope="module")
def institution() -> Institution:
    return Institution()


@pytest.fixture(scope="module", params=["asgi", "wsgi"])
def url(request: pytest.FixtureRequest, institution: Institution) -> Iterator[str]:
    content = institution.content()
    served = asgi_server(content.asgi) if request.param == "asgi" else wsgi_server(content.wsgi)
    with served as address:
        yield address


@pytest.fixture(scope="module")
def client(url: str) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=url, headers=HEADERS, timeout=30) as opened:
        yield opened
