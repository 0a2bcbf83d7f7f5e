"""Every rule of the protocol, under both kinds of servers."""

from collections.abc import Iterator
from urllib.parse import quote, unquote

import httpx
import pytest

from messo_client.remote import Asked, Attachment, Detail, NotReady
from tests.clients.institution import (
    ANNA,
    BRUNO,
    KEY,
    MARKDOWN,
    NEXT_KEY,
    PDF,
    STRANGE,
    Institution,
    letter,
)


def test_a_message_is_served(client: httpx.Client) -> None:
    answer = client.get("/messages/whole")

    assert answer.status_code == 200
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.json() == {
        "details": {"subject": "School meals: your fee", "markdown": MARKDOWN},
        "attachments": [
            {
                "id": "pdf",
                "url": "attachments/pdf",
                "name": "letter.pdf",
                "content_type": "application/pdf",
                "size": len(PDF),
                "category": "DOCUMENT",
            },
            {"id": "bare", "url": "attachments/bare"},
        ],
    }


def test_what_a_message_has_not_is_left_out(client: httpx.Client, institution: Institution) -> None:
    institution.messages["bytes only"] = letter(
        subject=None, markdown=None, attachments=[Attachment("pdf")]
    )

    assert "attachments" not in client.get("/messages/plain").json()
    assert "details" not in client.get("/messages/bytes only").json()


def test_a_precondition_is_served(client: httpx.Client) -> None:
    answer = client.get("/messages/whole/precondition")

    assert answer.json() == {"title": "Before you read", "markdown": "It counts as *delivery*."}
    assert client.get("/messages/plain/precondition").status_code == 404


def test_an_attachment_is_served(client: httpx.Client) -> None:
    answer = client.get("/messages/whole/attachments/pdf")

    assert answer.content == PDF
    assert answer.headers["content-type"] == "application/pdf"
    assert answer.headers["content-length"] == str(len(PDF))
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize("strange", STRANGE)
def test_an_id_may_contain_anything(client: httpx.Client, strange: str) -> None:
    """The announced address leads to the attachment, whatever the ids are."""
    message = f"/messages/{quote(strange, safe='')}"

    answer = client.get(message)
    announced = answer.json()["attachments"][0]["url"]

    assert answer.json()["details"]["subject"] == f"About {strange}"
    # Platforms may write an address anew, and then encode only what they must.
    for address in (announced, quote(unquote(announced))):
        assert client.get(f"{message}/{address}").content == PDF + strange.encode()


def test_a_base_address_may_end_in_a_slash(client: httpx.Client) -> None:
    for path in ("//messages/whole/attachments/pdf", "///messages/whole/attachments/pdf"):
        assert client.get(f"{client.base_url}{path[1:]}").content == PDF


@pytest.mark.parametrize("key", [KEY, NEXT_KEY])
def test_each_of_two_keys_opens(client: httpx.Client, key: str) -> None:
    assert client.get("/messages/plain", headers={"X-API-Key": key}).status_code == 200


@pytest.mark.parametrize("key", ["", "wrong", KEY + "x", KEY[:-1], KEY.upper()])
def test_another_key_opens_nothing(client: httpx.Client, key: str) -> None:
    answer = client.get("/messages/plain", headers={"X-API-Key": key})

    assert answer.status_code == 401
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json() == {
        "title": "Key missing or wrong",
        "status": 401,
        "detail": "The X-API-Key header is missing, or is none of the keys.",
    }


def test_without_a_key_nothing_at_all_is_told(url: str) -> None:
    with httpx.Client(base_url=url) as stranger:
        for method, path in (("GET", "/messages/none"), ("POST", "/"), ("GET", "/elsewhere")):
            assert (stranger.request(method, path)).status_code == 401


def test_a_missing_fiscal_code_is_explained(url: str) -> None:
    with httpx.Client(base_url=url, headers={"X-API-Key": KEY}) as nobody:
        answer = nobody.get("/messages/plain")

    assert answer.status_code == 400
    assert "fiscal_code header is missing" in answer.json()["detail"]
    assert "underscore" in answer.json()["detail"]


@pytest.mark.parametrize("given", [ANNA.lower(), ANNA[:-1], ANNA + "A", "AAAAAA00F00A000A", "è"])
def test_what_is_no_fiscal_code_is_refused(client: httpx.Client, given: str) -> None:
    answer = client.get(
        "/messages/plain",
        headers={b"X-API-Key": KEY.encode(), b"fiscal_code": given.encode("latin-1")},
    )

    assert answer.status_code == 400
    assert "fiscal_code" in answer.json()["detail"]
    assert given not in answer.text


def test_nobody_may_give_two_fiscal_codes(client: httpx.Client) -> None:
    both = [("X-API-Key", KEY), ("fiscal_code", ANNA), ("Fiscal-Code", BRUNO)]

    answer = client.get("/messages/plain", headers=both)

    assert answer.status_code == 400


def test_a_proxy_may_rename_the_header(url: str) -> None:
    with httpx.Client(base_url=url) as proxy:
        answer = proxy.get("/messages/plain", headers={"X-API-Key": KEY, "Fiscal-Code": ANNA})

    assert answer.status_code == 200


@pytest.mark.parametrize("place", ["", "/precondition", "/attachments/pdf"])
def test_only_the_recipient_reads(client: httpx.Client, place: str) -> None:
    answer = client.get(f"/messages/whole{place}", headers={"fiscal_code": BRUNO})

    assert answer.status_code == 403
    assert answer.json()["title"] == "Not the recipient"


def test_a_recipient_may_be_written_in_any_case(
    client: httpx.Client, institution: Institution
) -> None:
    institution.messages["lower"] = letter(recipient=ANNA.lower())

    assert client.get("/messages/lower").status_code == 200


@pytest.mark.parametrize(
    "path",
    [
        "/messages/none",
        "/messages/none/precondition",
        "/messages/whole/attachments/none",
        "/messages/whole/attachments/bare",  # announced, but there are no bytes
        "/messages/plain/attachments/pdf",  # another message's
        "/messages/whole/attachments",
        "/messages/whole/other",
        "/messages/%ff",
        "/messages/",
        "/messages/whole/",
        "/messages//precondition",
        "/messages",
        "/message/whole",
        "/",
    ],
)
def test_what_is_not_there_is_not_found(client: httpx.Client, path: str) -> None:
    answer = client.get(path)

    assert answer.status_code == 404
    assert answer.json()["title"] == "Not found"


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS", "PATCH"])
def test_nothing_but_reading_is_served(client: httpx.Client, method: str) -> None:
    answer = client.request(method, "/messages/plain")

    assert answer.status_code == 405
    assert answer.headers["allow"] == "GET, HEAD"


def test_who_is_not_ready_says_when(client: httpx.Client, institution: Institution) -> None:
    def early(*_: Asked) -> Detail:
        raise NotReady(after_s=7)

    def soon() -> Iterator[bytes]:
        raise NotReady(after_s=0.2)
        yield b""

    institution.messages["early"] = early
    paths = [
        ("/messages/early", "7"),
        (institution.announce("early pdf", early), "7"),
        (institution.announce("early piece", soon), "1"),
    ]
    for path, seconds in paths:
        answer = client.get(path)
        assert answer.status_code == 503
        assert answer.headers["retry-after"] == seconds
        assert answer.headers["content-type"] == "application/problem+json"
