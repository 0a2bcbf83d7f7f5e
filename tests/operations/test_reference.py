"""The API reference page: complete, harmless, and valid where it gives an example."""

import asyncio
import html
import json
import re
import shlex
from html.parser import HTMLParser
from itertools import pairwise
from typing import Annotated, Any, Literal

import msgspec
import pytest
from msgspec import UNSET, Meta, Struct, UnsetType

from messo.base import openapi
from messo.base.http import Answer, Parameter, Request, Route
from messo.login import FiscalCode
from messo.messages import wire
from messo.messages.routes import MessageRoutes
from messo.operations import reference


class Part(Struct):
    """A part, which may hold `parts`."""

    kind: Literal["BIG", "SMALL"]
    inner: "Part | UnsetType" = UNSET
    weight: Annotated[int, Meta(ge=5, le=10_000)] | None = 7


class Parcel(Struct):
    """What is sent."""

    subject: Annotated[str, Meta(min_length=10, max_length=120)]
    owner: FiscalCode
    code: Annotated[str, Meta(pattern=r"^[0-9]{11}\Z", description="Eleven digits.")]
    parts: list[Part]
    nick_name: Annotated[str, Meta(examples=["it's mine"])] | UnsetType = UNSET
    note: Annotated[str, Meta(max_length=77)] | UnsetType = UNSET


class Receipt(Struct):
    receipt_number: int


class Refusal(Struct):
    why: str


async def _serve(_: Request) -> Answer:
    raise NotImplementedError


ROUTES = [
    Route(
        "POST",
        "/parcels/{owner}",
        "sendParcel",
        _serve,
        "Send <script>alert('x')</script> & parcel",
        "Needs `care`.",
        Parcel,
        {
            422: (Refusal, "Not understood."),
            201: (Receipt, "Kept; see `receipt_number`."),
            204: (None, "Nothing to say."),
        },
        (
            Parameter("owner", "path", "Whose it is.", type=FiscalCode),
            Parameter("X-Trace", "header", "For your logs."),
        ),
    ),
    Route(
        "GET",
        "/parcels",
        "findParcels",
        _serve,
        "Find parcels",
        answers={200: (Receipt, "Found."), 503: (Refusal, "Not now.")},
        parameters=(
            Parameter("most", "query", "How many.", True, Annotated[int, Meta(ge=1, le=50)]),
        ),
    ),
]
DOCUMENT = openapi.document(
    ROUTES,
    title="Parcels",
    version="9.8.7",
    about="All about <b>parcels</b>.",
    server="https://parcels.example",
)


class Page(HTMLParser):
    """What a browser would find: elements with their attributes, and the text under them."""

    def __init__(self, source: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str]]] = []
        self.text = ""
        self.feed(source)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, {name: value or "" for name, value in attrs}))

    def handle_data(self, data: str) -> None:
        self.text += data

    def values(self, attribute: str) -> list[str]:
        return [given[attribute] for _, given in self.elements if attribute in given]

    def words(self) -> str:
        return " ".join(self.text.split())


def get(document: dict[str, Any], path: str) -> tuple[int, dict[str, str], str]:
    sent: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": b""}

    async def send(message: Any) -> None:
        sent.append(message)

    async def call() -> None:
        for route in reference.pages(document):
            if route.path == path:
                scope = {"type": "http", "method": "GET", "path": path, "headers": []}
                await route.app(scope, receive, send)

    asyncio.run(call())
    headers = {name.decode(): value.decode() for name, value in sent[0]["headers"]}
    return sent[0]["status"], headers, sent[1]["body"].decode()


def real_document() -> dict[str, Any]:
    nothing: Any = None
    routes = MessageRoutes(*[nothing] * 6).routes()
    return openapi.document(
        routes, title="Messo", version="1", about="All.", server="http://127.0.0.1:8080"
    )


def sections(source: str) -> dict[str, str]:
    """The words of each operation and schema, by its anchor."""
    articles = re.findall(
        r'<article [^>]*aria-labelledby="([^"]+)">(.*?)</article>', source, re.DOTALL
    )
    return {anchor: Page(inner).words() for anchor, inner in articles}


def curls(source: str) -> list[list[str]]:
    """The example commands as a shell would read them."""
    found = re.findall(r"<pre[^>]*><code>(curl .*?)</code></pre>", source, re.DOTALL)
    return [shlex.split(html.unescape(text)) for text in found]


@pytest.mark.parametrize("document", [DOCUMENT, real_document()], ids=["small", "real"])
def test_everything_in_the_document_is_on_the_page(document: dict[str, Any]) -> None:
    status, headers, source = get(document, "/docs")
    shown = sections(source)

    assert (status, headers["content-type"]) == (200, "text/html; charset=utf-8")
    assert document["info"]["title"] in Page(source).words()
    assert document["info"]["description"] in Page(source).words()
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            words = shown[f"operation-{operation['operationId']}"]
            assert f"{method.upper()} {path}" in words
            assert operation["summary"] in words
            assert operation["description"].replace("`", "") in words
            for parameter in operation["parameters"]:
                assert parameter["name"] in words
                assert parameter["description"] in words
            for code, answer in operation["responses"].items():
                assert f"{code} {answer['description'].replace('`', '')}" in words
    for name, schema in document["components"]["schemas"].items():
        words = shown[f"schema-{name}"]
        assert schema.get("description", "").replace("`", "") in words
        for field in schema["properties"]:
            assert field in words


def test_fields_say_type_limits_and_whether_they_are_required() -> None:
    words = sections(get(DOCUMENT, "/docs")[2])["operation-sendParcel"]

    for expected in (
        "JSON: Parcel. What is sent.",
        "subject string required length 10 to 120",
        "code string required Eleven digits. matches ^[0-9]{11}$",
        "parts list of Part required A part, which may hold parts.",
        "kind string required one of BIG, SMALL",
        "weight integer or null 5 to 10,000 default 7",
        "nick_name string for example it's mine",
        "note string length at most 77",
        "owner required string in the path Whose it is.",
        "X-Trace string in the header For your logs.",
        "201 Kept; see receipt_number. Receipt application/json",
        "204 Nothing to say. none",
        "422 Not understood. Refusal application/problem+json",
    ):
        assert expected in words
    assert words.index("201 Kept") < words.index("204 Nothing") < words.index("422 Not")


def test_a_schema_that_holds_itself_is_named_there_and_not_opened_again() -> None:
    words = sections(get(DOCUMENT, "/docs")[2])["operation-sendParcel"]

    assert "inner Part" in words
    assert "Members of inner" not in words


def test_text_of_the_document_cannot_become_markup() -> None:
    source = get(DOCUMENT, "/docs")[2]

    assert "<script" not in source
    assert "<b>" not in source
    assert "Send &lt;script&gt;alert(&#39;x&#39;)&lt;/script&gt; &amp; parcel" in source


@pytest.mark.parametrize("path", ["/docs", "/docs/reference.css"])
def test_headers_let_the_browser_load_our_style_and_nothing_else(path: str) -> None:
    status, headers, _ = get(DOCUMENT, path)

    assert status == 200
    assert headers["content-security-policy"] == (
        "default-src 'none'; style-src 'self'; img-src 'self' data:; base-uri 'none'; "
        "form-action 'none'; frame-ancestors 'none'"
    )
    assert "unsafe-inline" not in headers["content-security-policy"]
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "no-referrer"
    assert headers["cache-control"] == "public, max-age=300"


def test_the_page_needs_no_script_no_inline_style_and_no_third_party() -> None:
    page = Page(get(DOCUMENT, "/docs")[2])
    style = get(DOCUMENT, "/docs/reference.css")

    assert not {"script", "style", "iframe", "img", "form"} & {tag for tag, _ in page.elements}
    names = {name for _, given in page.elements for name in given}
    assert "style" not in names
    assert not [name for name in names if name.startswith("on")]
    for target in page.values("href") + page.values("src"):
        assert re.match(r"#|/docs|data:,", target)
    assert style[1]["content-type"].startswith("text/css")
    assert "url(" not in style[2]
    assert "@import" not in style[2]


@pytest.mark.parametrize("document", [DOCUMENT, real_document()], ids=["small", "real"])
def test_links_lead_somewhere_and_headings_descend_in_order(document: dict[str, Any]) -> None:
    page = Page(get(document, "/docs")[2])
    anchors = page.values("id")
    levels = [int(tag[1]) for tag, _ in page.elements if re.fullmatch(r"h[1-6]", tag)]
    regions = [given["aria-label"] for _, given in page.elements if given.get("role") == "region"]

    assert len(anchors) == len(set(anchors))
    assert {link[1:] for link in page.values("href") if link[0] == "#"} <= set(anchors)
    assert "/docs/openapi.json" in page.values("href")
    assert {"/docs/citizens", "/docs/people"} <= set(page.values("href"))
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after <= before + 1 for before, after in pairwise(levels))
    assert len(regions) == len(set(regions))
    assert all(given.get("tabindex") == "0" for tag, given in page.elements if tag == "pre")
    assert ("html", {"lang": "en"}) in page.elements


def test_examples_are_commands_with_valid_bodies() -> None:
    send, find = curls(get(DOCUMENT, "/docs")[2])

    assert send[:5] == [
        "curl",
        "-i",
        "-X",
        "POST",
        "https://parcels.example/parcels/AAAAAA00A00A000A",
    ]
    assert "Ocp-Apim-Subscription-Key: $MESSO_KEY" in send
    body = json.loads(send[-1])
    assert set(body) == {"subject", "code", "parts", "nick_name"}  # the path says whose it is
    assert body["nick_name"] == "it's mine"
    msgspec.json.decode(msgspec.json.encode({**body, "owner": "AAAAAA00A00A000A"}), type=Parcel)
    assert find[2] == "https://parcels.example/parcels?most=1"


def test_examples_of_the_message_routes_are_accepted_by_their_own_types() -> None:
    commands = {command[4]: command for command in curls(get(real_document(), "/docs")[2])}
    base = "http://127.0.0.1:8080/api/v1"

    there = json.loads(commands[f"{base}/messages"][-1])
    assert there["fiscal_code"] == "AAAAAA00A00A000A"
    in_path = json.loads(commands[f"{base}/messages/AAAAAA00A00A000A"][-1])
    assert "fiscal_code" not in in_path  # never in both
    for body in (there, in_path):
        message = wire.new_message.decode(msgspec.json.encode(body))
        assert 10 <= len(message.content.subject) <= 120
        assert 80 <= len(message.content.markdown) <= 10_000
    wire.recipient.decode(commands[f"{base}/profiles"][-1])
