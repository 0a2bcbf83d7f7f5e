"""Fixtures of the acceptance tests: each file has an installation of its own."""

from collections.abc import Iterator

import pytest

from tests.acceptance.installed import Site, open_site


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """PostgreSQL, schema and cast; servers and workers are started by the tests."""
    opened = open_site(tmp_path_factory.mktemp("site"))
    yield opened
    opened.close()
