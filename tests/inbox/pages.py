"""A browser for tests: it keeps cookies, reads forms out of pages, and sends them."""

import re
from dataclasses import dataclass, field
from html.parser import HTMLParser
from typing import Any
from urllib.parse import urlsplit

import httpx

from messo.base.db import Pool
from messo.inbox.visit import Site
from messo.login import Identity, find_session
from messo.recipients import Profile, create_profiles
from messo.sandbox.fiscal_codes import make

LEVEL = "https://www.spid.gov.it/SpidL2"
_VOID = {"area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "wbr"}


@dataclass
class FoundForm:
    """A form as a browser would send it, were its first button pressed."""

    action: str
    method: str
    fields: dict[str, str] = field(default_factory=dict)


class Page(HTMLParser):
    """What a test wants to know of a page; a page that is not sound fails while it is read."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.forms: list[FoundForm] = []
        self.links: list[str] = []
        self.ids: list[str] = []
        self.labels: set[str] = set()
        self.fields: list[str] = []
        self.inline: list[str] = []
        self.headings: list[str] = []
        self.language = ""
        self.text = ""
        self._open: list[str] = []
        self._form: FoundForm | None = None
        self.feed(html)
        self.close()
        assert not self._open, f"never closed: {self._open}"
        self.text = re.sub(r"\s+", " ", self.text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        if tag not in _VOID:
            self._open.append(tag)
        self.inline += [f"{tag} {name}" for name in given if name == "style" or name[:2] == "on"]
        if tag in {"script", "style"} and "src" not in given:
            self.inline.append(tag)
        if given.get("href", "").lower().startswith("javascript"):
            self.inline.append(given["href"])
        if "id" in given:
            self.ids.append(given["id"])
        if tag == "html":
            self.language = given.get("lang", "")
        if tag == "a":
            self.links.append(given.get("href", ""))
        if tag == "label":
            self.labels.add(given.get("for", ""))
        if tag in {"h1", "h2", "h3", "h4"}:
            self.headings.append(tag)
        if tag == "form":
            self._form = FoundForm(given.get("action", ""), given.get("method", "get"))
            self.forms.append(self._form)
        if self._form is not None and "name" in given:
            kind = given.get("type", "")
            sent = kind not in {"radio", "checkbox"} or "checked" in given
            if sent and "disabled" not in given and tag in {"input", "button"}:
                self._form.fields.setdefault(given["name"], given.get("value", ""))
            if tag == "input" and kind != "hidden" and "aria-label" not in given:
                self.fields.append(given.get("id", ""))

    def handle_endtag(self, tag: str) -> None:
        if tag in _VOID:
            return
        assert self._open, f"</{tag}> closes nothing"
        assert self._open[-1] == tag, f"</{tag}> closes <{self._open[-1]}>"
        self._open.pop()
        if tag == "form":
            self._form = None

    def handle_data(self, data: str) -> None:
        self.text += data

    def form(self, to: str, **having: str) -> FoundForm:
        """The form that goes to `to` and has these fields."""
        found = [
            form
            for form in self.forms
            if form.action == to and having.items() <= form.fields.items()
        ]
        assert found, f"no form to {to}: {[form.action for form in self.forms]}"
        return found[0]


def check(html: str, language: str) -> Page:
    """A page that holds what every page promises; read, to ask for more."""
    page = Page(html)
    assert page.inline == []
    assert page.language == language
    assert len(page.ids) == len(set(page.ids)), "an id twice"
    assert page.headings[:1] == ["h1"]
    assert page.headings.count("h1") == 1
    for field_id in page.fields:
        assert field_id in page.labels, f"no label for {field_id}"
    for form in page.forms:
        if form.method == "post" and form.action != "/language":
            assert form.fields.get("csrf"), f"no token in the form to {form.action}"
    return page


@dataclass
class Browser:
    """One citizen's browser, logged in."""

    client: httpx.AsyncClient
    cookies: dict[str, str]
    fiscal_code: str
    session_id: str
    paths: dict[str, str] = field(default_factory=dict)  # of cookies that are not for all

    async def get(self, path: str, **headers: str) -> httpx.Response:
        return await self._ask("GET", path, headers)

    async def head(self, path: str) -> httpx.Response:
        return await self._ask("HEAD", path, {})

    async def page(self, path: str, language: str = "it", status: int = 200) -> Page:
        answer = await self.get(path)
        assert answer.status_code == status, answer.status_code
        return check(answer.text, language)

    async def post(self, path: str, fields: dict[str, str], **headers: str) -> httpx.Response:
        return await self._ask("POST", path, headers, data=fields)

    async def send(self, form: FoundForm, **fields: str | None) -> httpx.Response:
        """Send a form of a page, with fields filled in; None: one is not ticked."""
        values = {**form.fields, **fields}
        given = {name: value for name, value in values.items() if value is not None}
        if form.method == "get":
            return await self._ask("GET", form.action, {}, params=given)
        return await self.post(form.action, given)

    async def _ask(
        self, method: str, path: str, headers: dict[str, str], **more: Any
    ) -> httpx.Response:
        cookie = "; ".join(
            f"{name}={value}"
            for name, value in self.cookies.items()
            if (urlsplit(path).path or "/").startswith(self.paths.get(name, "/"))
        )
        answer = await self.client.request(
            method, path, headers={**headers, "Cookie": cookie, "Accept-Language": "it"}, **more
        )
        self.client.cookies.clear()  # it is shared with other citizens' browsers
        return answer


async def citizen(pool: Pool, stem: str, number: int, **more: Any) -> str:
    """A new one, through with the first steps; the fiscal code. `stem`: three letters."""
    values: dict[str, Any] = {
        "mode": "AUTO",
        "settings_version": 0,
        "is_inbox_enabled": True,
        "is_webhook_enabled": True,
        "accepted_tos_version": 1.0,
        **more,
    }
    fiscal_code = make(f"TST{stem}80A01Y{number:03}")
    async with pool.transaction() as conn:
        await create_profiles(conn, [Profile(fiscal_code, **values)])
    return fiscal_code


async def log_in(
    pool: Pool,
    site: Site,
    client: httpx.AsyncClient,
    fiscal_code: str,
    agent: str = "Firefox Linux",
) -> Browser:
    """A browser with a session of this citizen, as the end of a login leaves it."""
    identity = Identity(fiscal_code, "Ada", "Prova", LEVEL)
    async with pool.transaction() as conn:
        token = await site.web.open_session(conn, identity, agent, None)
        session = await find_session(conn, token, site.limits)
    assert session is not None
    return Browser(client, {site.web.session_cookie: token}, fiscal_code, session.id)
