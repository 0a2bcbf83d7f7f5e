"""Buttons of institutions: what they say they do, and the way out to a site that signs people on."""

import html
import re
from dataclasses import replace
from typing import Any

import httpx
import pytest

from messo.base.db import Pool
from messo.inbox.visit import Site
from messo.login import find_session
from messo.sso import launch
from messo.sso.launch import Ticket
from tests.inbox.conftest import LogIn
from tests.inbox.institution import SETTINGS, Institution, detail
from tests.inbox.pages import Browser, FoundForm, Page, check, citizen
from tests.messages.mail import Mail
from tests.sso.test_launch import register
from tests.world import Caller, World

pytestmark = pytest.mark.anyio

SITE = "https://accesso.anna.example"
BODY = "Ciao! La tua pratica è pronta: aprila con il pulsante qui sotto, ci vuole un minuto. " * 2
_REFRESH = re.compile(r'<meta http-equiv="refresh" content="0;url=([^"]*)">')


@pytest.fixture(scope="module")
def settings() -> Any:
    """With institutions' servers on loopback."""
    return SETTINGS


@pytest.fixture(autouse=True)
async def anna_site(pool: Pool, world: World) -> str:
    return await register(pool, world.anna, f"{SITE}/callback")


def front(*buttons: tuple[str, str]) -> str:
    """Front matter with these buttons, each a text and an action."""
    lines = "".join(
        f"  cta_{n}:\n    text: '{text}'\n    action: '{action}'\n"
        for n, (text, action) in enumerate(buttons, 1)
    )
    return f"---\nit:\n{lines}---\n"


def sso(address: str = f"{SITE}/pratica?x=1&y=2") -> str:
    return front(("Apri la pratica", f"iosso://{address}"))


async def write(mail: Mail, caller: Caller, to: Browser, written: str) -> str:
    """A message with these buttons; its address."""
    return f"/messages/{await mail.send(caller, to.fiscal_code, markdown=written + BODY)}"


async def ticket(pool: Pool, site: Site, browser: Browser, client_id: str) -> Ticket | None:
    """What a login of this browser at this client would find."""
    token = browser.cookies[site.web.session_cookie]
    async with pool.transaction() as conn:
        session = await find_session(conn, token, site.limits)
        assert session is not None
        return await launch.take(conn, session.digest, client_id)


def leads_to(answer: httpx.Response, browser: Browser, language: str = "it") -> str:
    """Where the page takes the citizen, by itself and by its link."""
    address = offers(answer, browser, language)
    assert [html.unescape(found) for found in _REFRESH.findall(answer.text)] == [address]
    return address


def offers(answer: httpx.Response, browser: Browser, language: str = "it") -> str:
    """Where the page lets the citizen go."""
    assert answer.status_code == 200, answer.text
    page = check(answer.text, language)
    (address,) = (link for link in page.links if link.startswith("http"))
    assert answer.headers["referrer-policy"] == "no-referrer"
    assert answer.headers["cache-control"] == "no-store"
    assert browser.fiscal_code not in answer.text
    assert "set-cookie" not in answer.headers
    assert "script-src 'self'" in answer.headers["content-security-policy"]
    return address


async def test_a_button_leaves_a_ticket_and_leads_to_the_site(
    pool: Pool, world: World, site: Site, mail: Mail, giulia: Browser, anna_site: str
) -> None:
    path = await write(mail, world.anna, giulia, sso())
    page = await giulia.page(path)
    assert "Ti porta su accesso.anna.example con l'accesso già fatto" in page.text
    answer = await giulia.send(page.form(f"{path}/open"))
    assert leads_to(answer, giulia) == f"{SITE}/pratica?x=1&y=2"
    assert "Comune di Anna" in answer.text
    assert await ticket(pool, site, giulia, anna_site) == Ticket(path.removeprefix("/messages/"))
    assert await ticket(pool, site, giulia, anna_site) is None


async def test_only_pressing_it_leaves_a_ticket(
    pool: Pool, world: World, site: Site, mail: Mail, giulia: Browser, anna_site: str
) -> None:
    path = await write(mail, world.anna, giulia, sso())
    await giulia.page(path)
    assert (await giulia.get(f"{path}/open")).status_code == 404
    assert await ticket(pool, site, giulia, anna_site) is None


async def test_the_ticket_is_of_the_session_that_pressed(
    pool: Pool, world: World, site: Site, mail: Mail, giulia: Browser, browse: LogIn, anna_site: str
) -> None:
    path = await write(mail, world.anna, giulia, sso())
    other = await browse(giulia.fiscal_code)
    await giulia.send((await giulia.page(path)).form(f"{path}/open"))
    assert await ticket(pool, site, other, anna_site) is None
    assert await ticket(pool, site, giulia, anna_site) is not None


async def test_a_site_that_nobody_registered_is_reached_without_a_ticket(
    pool: Pool, world: World, site: Site, mail: Mail, giulia: Browser, anna_site: str
) -> None:
    path = await write(mail, world.bruno, giulia, sso())
    answer = await giulia.send((await giulia.page(path)).form(f"{path}/open"))
    assert offers(answer, giulia).startswith(SITE)
    assert not _REFRESH.search(answer.text), "whoever knows the site goes there by hand"
    assert await ticket(pool, site, giulia, anna_site) is None


async def opened(giulia: Browser, form: FoundForm, **changed: str | None) -> int:
    answer = await giulia.send(form, **changed)
    check(answer.text, "it")
    assert not _REFRESH.search(answer.text) or answer.status_code == 200
    return answer.status_code


@pytest.mark.parametrize("csrf", [None, "", "wrong"])
async def test_without_the_token_nobody_leaves(
    pool: Pool,
    world: World,
    site: Site,
    mail: Mail,
    giulia: Browser,
    anna_site: str,
    csrf: str | None,
) -> None:
    path = await write(mail, world.anna, giulia, sso())
    form = (await giulia.page(path)).form(f"{path}/open")
    assert await opened(giulia, form, csrf=csrf) == 403
    assert await ticket(pool, site, giulia, anna_site) is None


@pytest.mark.parametrize(
    "changed",
    [
        {"address": "https://evil.example/"},
        {"address": f"{SITE}/pratica?x=1&y=3"},
        {"address": f" {SITE}/pratica?x=1&y=2"},
        {"address": "javascript:alert(1)"},
        {"address": ""},
        {"address": None},
        {"seal": ""},
        {"seal": None},
        {"seal": "0" * 64},
        {"seal": "è" * 64},
        {"address": "", "seal": ""},
        {"address": "x" * 60_000},
    ],
)
async def test_a_forged_address_is_refused(
    pool: Pool,
    world: World,
    site: Site,
    mail: Mail,
    giulia: Browser,
    anna_site: str,
    changed: dict[str, str | None],
) -> None:
    path = await write(mail, world.anna, giulia, sso())
    form = (await giulia.page(path)).form(f"{path}/open")
    assert await opened(giulia, form, **changed) == 403
    assert await ticket(pool, site, giulia, anna_site) is None


async def test_a_seal_is_of_one_message_and_one_session(
    pool: Pool, world: World, mail: Mail, giulia: Browser, browse: LogIn
) -> None:
    """An institution cannot have its address opened as if another had written it."""
    mine = await write(mail, world.anna, giulia, sso())
    theirs = await write(mail, world.bruno, giulia, sso("https://evil.example/x"))
    evil = (await giulia.page(theirs)).form(f"{theirs}/open")
    here = (await giulia.page(mine)).form(f"{mine}/open")
    assert await opened(giulia, replace(evil, action=f"{mine}/open")) == 403
    service = f"/services/{world.bruno.id}/open"
    assert await opened(giulia, replace(evil, action=service)) == 403
    other = await browse(giulia.fiscal_code)
    csrf = (await other.page(mine)).form(f"{mine}/open").fields["csrf"]
    assert await opened(other, here, csrf=csrf) == 403
    assert await opened(giulia, here) == 200


async def test_nobody_opens_anothers_message(
    pool: Pool, world: World, site: Site, mail: Mail, giulia: Browser, browse: LogIn, anna_site: str
) -> None:
    path = await write(mail, world.anna, giulia, sso())
    form = (await giulia.page(path)).form(f"{path}/open")
    other = await browse(await citizen(pool, "BTN", 1))
    own = await write(mail, world.anna, other, sso())
    csrf = (await other.page(own)).form(f"{own}/open").fields["csrf"]
    assert await opened(other, form, csrf=csrf) == 404
    assert await ticket(pool, site, other, anna_site) is None
    for strange in ("01J00000000000000000000000", "%00", "'", "x" * 3000, "%ED%A0%80"):
        missing = replace(form, action=f"/messages/{strange}/open")
        assert await opened(other, missing, csrf=csrf) == 404


async def test_who_is_not_logged_in_leaves_for_nowhere(
    client: httpx.AsyncClient, world: World, mail: Mail, giulia: Browser
) -> None:
    path = await write(mail, world.anna, giulia, sso())
    form = (await giulia.page(path)).form(f"{path}/open")
    answer = await client.post(form.action, data=form.fields)
    assert answer.status_code == 401
    assert SITE not in answer.text


async def test_buttons_of_a_text_that_its_institution_serves(
    pool: Pool,
    world: World,
    site: Site,
    mail: Mail,
    hospital: Institution,
    giulia: Browser,
    anna_site: str,
) -> None:
    """Nothing of it is kept, and the form alone brings the address back."""
    hospital.answers["uno"] = detail(markdown=sso(f"{SITE}/referto") + BODY)
    sent = await hospital.send(mail, giulia.fiscal_code, has_attachments=False)
    form = (await giulia.page(f"/messages/{sent}")).form(f"/messages/{sent}/open")
    asked = len(hospital.asked)
    assert await opened(giulia, form, address="https://evil.example/") == 403
    assert leads_to(await giulia.send(form), giulia) == f"{SITE}/referto"
    assert len(hospital.asked) == asked
    assert await ticket(pool, site, giulia, anna_site) == Ticket(sent)


async def put_cta(pool: Pool, caller: Caller, cta: str) -> None:
    async with pool.connection() as conn:
        await conn.raw.execute(
            "UPDATE services.service SET metadata = jsonb_build_object('cta', $1::text) "
            "WHERE id = $2",
            cta,
            caller.id,
        )


async def test_buttons_of_a_service(
    pool: Pool, world: World, site: Site, giulia: Browser, anna_site: str
) -> None:
    await put_cta(pool, world.secure, sso() + "")
    path = f"/services/{world.secure.id}"
    form = (await giulia.page(path)).form(f"{path}/open")
    assert await opened(giulia, form, csrf="") == 403
    assert await opened(giulia, form, address="https://evil.example/") == 403
    unknown = "/services/01J00000000000000000000000/open"
    assert await opened(giulia, replace(form, action=unknown)) == 404
    assert await ticket(pool, site, giulia, anna_site) is None
    assert leads_to(await giulia.send(form), giulia).startswith(f"{SITE}/pratica")
    assert await ticket(pool, site, giulia, anna_site) == Ticket(None)


@pytest.mark.parametrize("cta", ["", "Apri", "---\nit: x\n---", "---\nit: {" * 40])
async def test_a_service_whose_cta_is_none_has_no_buttons(
    pool: Pool, world: World, giulia: Browser, cta: str
) -> None:
    await put_cta(pool, world.secure, cta)
    page = await giulia.get(f"/services/{world.secure.id}")
    check(page.text, "it")
    assert "message-buttons" not in page.text


def tag_of(page: str, text: str) -> str:
    """The last opening tag before a button's text."""
    before = page[: page.index(text)]
    return str(re.findall(r"<(?:a|span|button|form)\b[^>]*>", before)[-1])


async def test_a_link_says_where_it_opens(world: World, mail: Mail, giulia: Browser) -> None:
    buttons = front(
        ("Vai al sito", "iohandledlink://https://xn--pple-43d.example:8443/accesso.gov.it"),
        ("Vai in chiaro", "iohandledlink://http://chiaro.example/x"),
    )
    path = await write(mail, world.anna, giulia, buttons)
    raw = (await giulia.get(path)).text
    for text in ("Vai al sito", "Vai in chiaro"):
        assert 'target="_blank" rel="noopener noreferrer"' in tag_of(raw, text)
    page = check(raw, "it")
    assert "Apre xn--pple-43d.example:8443" in page.text
    assert "Apre chiaro.example. La connessione non è cifrata" in page.text
    assert page.text.count("non è cifrata") == 1
    assert page.text.count("(nuova scheda)") == 2


async def test_a_page_of_ours_opens_in_its_place(world: World, mail: Mail, giulia: Browser) -> None:
    buttons = front(
        ("I servizi", "ioit://SERVICES_HOME"), ("Ufficio", "iohandledlink://mailto:u@a.it")
    )
    path = await write(mail, world.anna, giulia, buttons)
    raw = (await giulia.get(path)).text
    for text, href in (("I servizi</a>", "/services"), ("Ufficio</a>", "mailto:u@a.it")):
        assert f'href="{href}"' in tag_of(raw, text)
        assert "_blank" not in tag_of(raw, text)


async def test_what_cannot_be_pressed_says_why(world: World, mail: Mail, giulia: Browser) -> None:
    buttons = front(
        ("Il portafoglio", "ioit://WALLET_HOME"), ("In chiaro", "iosso://http://rp.example/x")
    )
    path = await write(mail, world.anna, giulia, buttons)
    raw = (await giulia.get(path)).text
    page = check(raw, "it")
    assert [form for form in page.forms if form.action.endswith("/open")] == []
    assert "rp.example" not in raw
    assert "porta a una parte di un'app che qui non ha una pagina" in page.text
    assert "connessione non cifrata. Scrivi all'ente" in page.text
    described = re.findall(r'aria-disabled="true" aria-describedby="([\w-]+)"', raw)
    assert len(described) == 2
    assert set(described) <= set(page.ids)


HOSTILE = [
    ('"><script>alert(1)</script>', f"iosso://{SITE}"),
    ("Apri \u202eetnatropmi\u2066", f"iosso://{SITE}"),
    ("Apri", f'iosso://{SITE}/"><script>alert(1)</script>'),
    ("Apri", f"iosso://{SITE}/;url=https://evil.example"),
    ("Apri", f"iosso://{SITE}/x?a={{{{7*7}}}}%s%(host)s"),
    ("Apri", "iosso://https://accesso.anna.example.evil.example/"),
]


@pytest.mark.parametrize(("text", "action"), HOSTILE)
async def test_hostile_buttons_are_inert(
    world: World, mail: Mail, giulia: Browser, text: str, action: str
) -> None:
    path = await write(mail, world.anna, giulia, front((text, action)))
    raw = (await giulia.get(path)).text
    page = check(raw, "it")
    assert "<script>alert" not in raw
    assert "\u202e" not in raw
    form = page.form(f"{path}/open")
    address = offers(await giulia.send(form), giulia)
    assert address == form.fields["address"]
    assert address.startswith("https://accesso.anna.example")
    assert not set(address) & set(" \"'<>\\")


@pytest.mark.parametrize(
    "action", ["iosso://javascript:alert(1)", "iosso://https://u@a.it", "iohandledlink://data:x"]
)
async def test_a_hostile_address_makes_no_button(
    world: World, mail: Mail, giulia: Browser, action: str
) -> None:
    path = await write(mail, world.anna, giulia, front(("Apri", action)))
    assert "message-buttons" not in (await giulia.get(path)).text


async def test_both_languages(pool: Pool, world: World, mail: Mail, giulia: Browser) -> None:
    path = await write(mail, world.anna, giulia, sso())
    giulia.cookies["messo-language"] = "en"
    page: Page = await giulia.page(path, "en")
    assert "Takes you to accesso.anna.example, already logged in" in page.text
    leads_to(await giulia.send(page.form(f"{path}/open")), giulia, "en")


async def test_before_the_first_steps_nobody_leaves(
    pool: Pool, world: World, browse: LogIn
) -> None:
    browser = await browse(await citizen(pool, "BTN", 2, mode="LEGACY", settings_version=-1))
    page = check((await browser.get("/welcome")).text, "it")
    csrf = next(form.fields["csrf"] for form in page.forms if "csrf" in form.fields)
    answer = await browser.post(f"/services/{world.anna.id}/open", {"csrf": csrf})
    assert (answer.status_code, answer.headers["location"]) == (303, "/welcome")
