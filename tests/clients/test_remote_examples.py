"""The examples run as a newcomer would run them, and the package needs nothing else."""

import ast
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import httpx
import pytest

from tests.clients.institution import ANNA, BRUNO, until
from tests.conftest import free_port

CLIENT = Path(__file__).parents[2] / "clients" / "python"
EXAMPLES = CLIENT / "examples"
LETTER = (EXAMPLES / "letter.pdf").read_bytes()
KEY = "a key of the test"


class Example(NamedTuple):
    name: str
    path: str  # where its remote content is


APPS = [Example("asgi_app", ""), Example("flask_app", "/remote"), Example("django_app", "/remote")]


@pytest.fixture(scope="module", params=APPS, ids=lambda each: each.name)
def example(request: pytest.FixtureRequest) -> Example:
    chosen: Example = request.param
    return chosen


@pytest.fixture(scope="module")
def client(example: Example) -> Iterator[httpx.Client]:
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    settings = os.environ | {"PORT": str(port), "REMOTE_CONTENT_KEY": KEY}
    headers = {"X-API-Key": KEY, "fiscal_code": ANNA}
    with (
        subprocess.Popen(
            [sys.executable, "-B", f"{example.name}.py"],
            cwd=EXAMPLES,
            env=settings,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        ) as running,
        httpx.Client(base_url=url + example.path, headers=headers, timeout=30) as opened,
    ):
        try:
            until(lambda: running.poll() is not None or answers(opened), f"{example.name} answers")
            yield opened
        finally:
            running.terminate()


def answers(client: httpx.Client) -> bool:
    try:
        client.get("/")
    except httpx.ConnectError:
        return False
    return True


def test_it_serves_a_message_with_a_pdf(client: httpx.Client) -> None:
    message = client.get("/messages/letter-1")
    [announced] = message.json()["attachments"]
    pdf = client.get(f"/messages/letter-1/{announced['url']}")

    assert message.json()["details"]["subject"] == "School meals: your fee"
    assert pdf.content == LETTER
    assert pdf.headers["content-type"] == "application/pdf"


def test_it_refuses_as_it_should(client: httpx.Client) -> None:
    path = "/messages/letter-1"

    assert client.get(path, headers={"X-API-Key": "wrong"}).status_code == 401
    assert client.get(path, headers={"fiscal_code": "nobody"}).status_code == 400
    assert client.get(path, headers={"fiscal_code": BRUNO}).status_code == 403
    assert client.get("/messages/letter-2").status_code == 404
    assert client.post(path).status_code == 405


def test_it_passes_the_self_test(example: Example) -> None:
    done = subprocess.run(
        [
            *(sys.executable, "-B", "-m", "messo_client.remote"),
            *(f"{example.name}:content", "letter-1", ANNA),
        ],
        cwd=EXAMPLES,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )

    assert done.stdout == "No fault found.\n", done.stderr
    assert done.returncode == 0


def test_it_is_short(example: Example) -> None:
    assert len((EXAMPLES / f"{example.name}.py").read_text().splitlines()) <= 60


@pytest.mark.parametrize("path", sorted(CLIENT.glob("src/**/*.py")), ids=lambda path: path.stem)
def test_the_package_needs_only_the_standard_library(path: Path) -> None:
    for node in ast.walk(ast.parse(path.read_text())):
        modules = [each.name for each in node.names] if isinstance(node, ast.Import) else []
        if isinstance(node, ast.ImportFrom):
            modules = [node.module or ""]
        for module in modules:
            assert module.split(".")[0] in sys.stdlib_module_names | {"messo_client"}
