"""What is wrong at the institution, or in a request: told to nobody, and never a crash."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from messo_client.remote import Asked, Detail
from tests.clients.institution import ANNA, BRUNO, KEY, MARKDOWN, Institution, letter

SECRET = "a debt of 12 euro"
TEXT = st.text(max_size=12)
PART = st.one_of(
    TEXT.map(lambda text: quote(text, safe="")),
    st.binary(max_size=6).map(lambda raw: quote(raw, safe="")),
    st.sampled_from(["messages", "whole", "attachments", "precondition", "pdf", "", ".", "%"]),
)
VALUE = st.one_of(
    st.sampled_from([KEY, ANNA, BRUNO, ""]),
    st.text(st.characters(min_codepoint=33, max_codepoint=255, exclude_categories=["Cc"])),
).map(lambda text: text.encode("latin-1"))
NAME = st.sampled_from([b"X-API-Key", b"x_api_key", b"fiscal_code", b"Fiscal-Code", b"range"])


class TaxOfficeError(Exception):
    pass


def fail(*_: Asked) -> Any:
    raise TaxOfficeError(f"{SECRET} of {ANNA}")


def fail_at_once() -> Iterator[bytes]:
    fail()
    yield b""


def test_a_fault_of_theirs_tells_nothing_personal(
    client: httpx.Client, institution: Institution, caplog: pytest.LogCaptureFixture
) -> None:
    """Not to the platform, and not to the log, which names the kind and the place."""
    institution.messages["faulty"] = fail
    paths = [
        "/messages/faulty",
        institution.announce("faulty pdf", fail),
        institution.announce("faulty piece", fail_at_once),
    ]
    for path in paths:
        caplog.clear()
        answer = client.get(path)
        assert answer.status_code == 500
        assert answer.json() == {
            "title": "Internal error",
            "status": 500,
            "detail": "The request could not be answered.",
        }
        [record] = [each for each in caplog.records if each.name == "messo_client.remote"]
        assert "TaxOfficeError" in record.getMessage()
        assert "test_remote_faults.py" in record.getMessage()
        assert record.exc_info is None
        assert SECRET not in caplog.text
        assert ANNA not in caplog.text


@pytest.mark.parametrize(
    "wrong",
    [
        {"recipient": ANNA},
        letter(subject="\ud800 half of a pair"),
        letter(recipient=None),
        letter(attachments=[{"id": "pdf"}]),
    ],
    ids=["mapping", "surrogate", "no recipient", "no attachments"],
)
def test_what_is_no_message_is_a_fault(
    client: httpx.Client, institution: Institution, wrong: Any
) -> None:
    institution.messages["wrong"] = wrong

    assert client.get("/messages/wrong").status_code == 500


@pytest.mark.parametrize("wrong", ["text", 5, ["text"], object(), Path("/nowhere/at/all.pdf")])
def test_what_are_no_bytes_is_a_fault(
    client: httpx.Client, institution: Institution, wrong: Any
) -> None:
    answer = client.get(institution.announce("wrong", wrong))

    assert answer.status_code == 500


def test_a_stray_stop_iteration_hangs_nothing(
    client: httpx.Client, institution: Institution
) -> None:
    """Futures cannot carry it out of a thread."""

    def stop(*_: Asked) -> Detail:
        raise StopIteration

    institution.messages["stop"] = stop

    assert client.get("/messages/stop").status_code == 500


@settings(max_examples=200, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    st.lists(PART, max_size=6),
    st.lists(st.tuples(NAME, VALUE), max_size=4),
    st.booleans(),
    st.sampled_from(["GET", "HEAD", "POST"]),
)
def test_no_path_and_no_header_is_a_fault(
    client: httpx.Client,
    parts: list[str],
    headers: list[tuple[bytes, bytes]],
    known: bool,
    method: str,
) -> None:
    usual = [(b"X-API-Key", KEY.encode()), (b"fiscal_code", ANNA.encode())] if known else []
    target = f"/messages/{'/'.join(parts)}" if known else f"/{'/'.join(parts)}"
    url = client.base_url.copy_with(raw_path=target.encode())
    request = httpx.Request(method, url, headers=[*usual, *headers])

    answer = client.send(request)

    assert answer.status_code in {200, 400, 401, 403, 404, 405}


@pytest.mark.parametrize(
    ("wrong", "error"),
    [
        ({"keys": []}, ValueError),
        ({"keys": "secret"}, TypeError),
        ({"keys": [""]}, ValueError),
        ({"keys": ["good", " bad"]}, ValueError),
        ({"keys": ["è"]}, ValueError),
        ({"keys": [b"bytes"]}, TypeError),
        ({"header": "two words"}, ValueError),
        ({"header": "Fiscal-Code"}, ValueError),
        ({"prefix": "remote"}, ValueError),
        ({"detail": None}, TypeError),
        ({"attachment": b"%PDF"}, TypeError),
    ],
)
def test_what_cannot_work_is_refused_at_once(
    institution: Institution, wrong: dict[str, Any], error: type[Exception]
) -> None:
    [name] = wrong

    with pytest.raises(error, match=rf"^{name}"):
        institution.content(**wrong)


def test_nothing_personal_is_in_what_a_log_would_print(institution: Institution) -> None:
    shown = f"{Asked('plain', ANNA)} {letter()} {institution.content()}"

    assert "plain" in shown
    for secret in (ANNA, MARKDOWN, KEY):
        assert secret not in shown
