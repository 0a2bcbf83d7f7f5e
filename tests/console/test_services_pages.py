"""Services in the console: found, written, reviewed, released and deleted, by whoever may."""

import re

import pytest

from messo.base.db import Pool
from messo.services import manage, payload
from messo.services.permissions import DEFAULT, Permission
from messo.services.services import create_institution, revoke
from tests.conftest import Running
from tests.console.clerk import Clerk, clerk_at
from tests.console.colleague import Colleague
from tests.services import managing
from tests.world import ACTOR, AUTO, SANDBOX, World

pytestmark = pytest.mark.anyio

_VERSION = re.compile(r'name="version" value="([0-9]+)"')
_ID = re.compile(r"/services/([0-9A-Z]{26})")
HOSTILE = "<script>alert(1)</script>\"'>{{ 7*7 }}"


def filled(**changed: str) -> dict[str, str]:
    """The form of a service that a review has nothing to say against."""
    return {
        "name": "Mensa scolastica",
        "description": "Iscrizioni e pagamenti della **mensa**.",
        "topic_id": "6",
        "scope": "LOCAL",
        "email": "mensa@example.org",
        "privacy_url": "https://example.org/privacy",
        **changed,
    }


def version_in(text: str) -> str:
    found = _VERSION.search(text)
    assert found, text
    return found[1]


async def make(clerk: Clerk, **changed: str) -> str:
    """A new draft; its id."""
    answer = await clerk.post("/services/new", **filled(**changed))
    found = _ID.search(answer.headers["location"])
    assert found
    return found[1]


async def act(clerk: Clerk, service: str, what: str, **form: str) -> str:
    """Press a button of a service's page; the page after it."""
    version = await clerk.get(f"/services/{service}")
    return await clerk.follow(f"/services/{service}/{what}", version=version_in(version), **form)


async def test_a_form_says_all_that_is_wrong_and_keeps_what_was_typed(
    colleague: Colleague, pool: Pool, world: World
) -> None:
    clerk = await clerk_at(colleague, pool, world.anna.institution, "editor")
    wrong = filled(
        name="",
        topic_id="99",
        authorized_recipients=f"{AUTO}\nnobody",
        authorized_cidrs="192.0.2.0/99",
        max_allowed_payment_amount="12,345",
        address="Via Roma 1",
        cta="x" * 4001,
    )
    page = (await clerk.post("/services/new", 400, **wrong)).text
    summary = page.split('role="alert"', 1)[1].split("</div>", 1)[0]
    for field in (
        *("name", "topic_id", "authorized_recipients", "authorized_cidrs", "cta"),
        "max_allowed_payment_amount",
    ):
        assert f'href="#{field}"' in summary
        assert f'id="{field}-error"' in page
    for typed in ("Via Roma 1", "nobody", "192.0.2.0/99", "12,345", "mensa@example.org"):
        assert typed in page
    assert summary.count("<li>") == 6
    assert summary.index("#topic_id") < summary.index("#cta") < summary.index("#authorized")
    assert "at least one of e-mail" not in page
    empty = (await clerk.post("/services/new", 400)).text
    assert "Contacts: at least one of e-mail, PEC, telephone and help page" in empty


async def test_what_is_typed_is_what_is_kept_and_what_is_not_shown_stays(
    colleague: Colleague, running: Running, pool: Pool, world: World
) -> None:
    clerk = await clerk_at(colleague, pool, world.anna.institution, "editor")
    api = managing.of(running, world)
    service = await api.make(metadata={"token_name": "kept"})
    page = await clerk.get(f"/services/{service}/edit")
    form = filled(
        name="Mensa e merende",
        description="Uno\r\n\r\ndue",
        department="Ufficio scuola",
        suitable_for_minors="no",
        require_secure_channel="1",
        authorized_recipients=f" {AUTO.lower()} \r\n",
        authorized_cidrs="192.0.2.7\r\n198.51.100.0/24",
        max_allowed_payment_amount="120,5",
        phone="+39 06 1234",
    )
    done = await clerk.follow(f"/services/{service}/edit", version=version_in(page), **form)
    assert "your changes are saved" in done
    found = await api.ask("GET", f"/{service}")
    assert found["name"] == "Mensa e merende"
    assert found["description"] == "Uno\n\ndue"
    assert found["organization"]["department_name"] == "Ufficio scuola"
    assert found["suitable_for_minors"] is False
    assert found["require_secure_channel"] is True
    assert found["authorized_recipients"] == sorted([AUTO, SANDBOX])
    assert found["authorized_cidrs"] == ["192.0.2.7", "198.51.100.0/24"]
    assert found["max_allowed_payment_amount"] == 12050
    assert found["metadata"]["phone"] == "+39 06 1234"
    assert found["metadata"]["token_name"] == "kept"
    again = await clerk.get(f"/services/{service}/edit")
    assert SANDBOX not in again
    for shown in (AUTO, "198.51.100.0/24", 'value="120,50"', "Ufficio scuola"):
        assert shown in again


async def test_somebody_elses_change_is_shown_and_nothing_typed_is_lost(
    colleague: Colleague, running: Running, pool: Pool, world: World
) -> None:
    clerk = await clerk_at(colleague, pool, world.anna.institution, "editor")
    api = managing.of(running, world)
    service = await make(clerk)
    opened = version_in(await clerk.get(f"/services/{service}/edit"))
    other = managing.payload(name="Di qualcun altro")
    await api.ask("PUT", f"/{service}", other)
    typed = filled(name="La mia mensa")
    page = (await clerk.post(f"/services/{service}/edit", 412, version=opened, **typed)).text
    assert "Somebody changed this service while you were writing" in page
    assert 'value="La mia mensa"' in page
    assert "Di qualcun altro</del>" in page
    assert (await api.ask("GET", f"/{service}"))["name"] == "Di qualcun altro"
    await clerk.post(f"/services/{service}/edit", version=version_in(page), **typed)
    assert (await api.ask("GET", f"/{service}"))["name"] == "La mia mensa"
    await api.ask("PUT", f"/{service}/review", {"auto_publish": True}, 204)
    late = (await clerk.post(f"/services/{service}/edit", 412, version="2", **typed)).text
    assert "cannot be changed right now" in late
    assert 'value="La mia mensa"' in late
    assert "Somebody changed it meanwhile" in await clerk.get(f"/services/{service}/edit", 409)


async def test_the_card_and_what_a_review_would_want_follow_the_typing(
    colleague: Colleague, pool: Pool, world: World
) -> None:
    clerk = await clerk_at(colleague, pool, world.anna.institution, "editor")
    service = await make(clerk)
    typed = filled(name="Nidi d'infanzia", privacy_url="", email="no address", shown_in="it")
    for path in ("/services/new/preview", f"/services/{service}/preview"):
        part = (await clerk.post(path, 200, **typed)).text
        assert "<html" not in part.split("<iframe", 1)[0]
        assert "Nidi d&amp;#39;infanzia" in part or "Nidi d&#39;infanzia" in part
        assert "Privacy notice: is missing" in part
        assert "E-mail: must be an e-mail address" in part
        assert 'lang="it"' in part
    shown = (await clerk.post("/services/new", 200, act="show", **typed)).text
    assert 'value="Nidi d&#39;infanzia"' in shown
    assert "Privacy notice: is missing" in shown
    assert 'aria-describedby="email-advice"' in shown
    assert "A review would refuse this: it must be an e-mail address." in shown
    clerk.client.headers["Accept-Language"] = "it"
    part = (await clerk.post("/services/new/preview", 200, **typed)).text
    assert "Informativa privacy: manca" in part
    kept = await clerk.get("/services?q=Nidi")
    assert "Nessun risultato" in kept


async def test_a_service_from_its_draft_to_citizens_and_back(
    colleague: Colleague, pool: Pool, world: World
) -> None:
    clerk = await clerk_at(colleague, pool, world.anna.institution, "editor", "vita")
    service = await make(clerk, name="Vita di un servizio", privacy_url="")
    page = await clerk.get(f"/services/{service}")
    assert "A review would refuse it now" in page
    assert f"/services/{service}/submit" not in page
    edit = await clerk.get(f"/services/{service}/edit")
    page = await clerk.follow(f"/services/{service}/submit", version=version_in(edit))
    assert "The automatic check found something" in page
    assert "Privacy notice: is missing" in page
    edit = await clerk.get(f"/services/{service}/edit")
    await clerk.post(
        f"/services/{service}/edit",
        version=version_in(edit),
        **filled(name="Vita di un servizio"),
    )
    page = await act(clerk, service, "submit", auto_publish="1")
    assert "it is in review" in page
    assert "Citizens do not see it yet." in page
    assert "Submit it once it is complete" not in page
    assert "no longer in review" in await act(clerk, service, "withdraw")
    await act(clerk, service, "submit")
    await managing.reject(pool, service, "Scrivi <b>quando</b> si mangia.")
    page = await clerk.get(f"/services/{service}")
    assert "Scrivi &lt;b&gt;quando&lt;/b&gt; si mangia." in page
    assert "for you</a>" in await clerk.get("/services")
    reader = await clerk_at(colleague, pool, world.anna.institution, "reader")
    assert "for you</a>" not in await reader.get("/services")
    clerk = await clerk_at(colleague, pool, world.anna.institution, "editor", "vita")
    listed = await clerk.get("/services?state=yours")
    assert "Scrivi &lt;b&gt;quando&lt;/b&gt;" in listed
    assert "1 service waits for you" in listed
    edit = await clerk.get(f"/services/{service}/edit")
    await clerk.post(
        f"/services/{service}/edit",
        version=version_in(edit),
        **filled(name="Vita di un servizio", description="Si mangia alle 13."),
    )
    await act(clerk, service, "submit")
    await managing.approve(pool, service)
    assert "Not listed" in await clerk.get(f"/services/{service}")
    assert "citizens see this version" in await act(clerk, service, "release")
    edit = await clerk.get(f"/services/{service}/edit")
    await clerk.post(
        f"/services/{service}/edit",
        version=version_in(edit),
        **filled(name="Vita di un servizio", description="Si mangia alle 12."),
    )
    page = await clerk.get(f"/services/{service}")
    assert "Changes begun" in page
    assert "Si mangia alle 13.</del>" in page
    assert "Si mangia alle 12.</ins>" in page
    await act(clerk, service, "submit")
    await managing.approve(pool, service)
    assert "Waits for release" in await clerk.get("/services?state=yours")
    await act(clerk, service, "release")
    assert "no longer lists it" in await act(clerk, service, "unpublish")
    history = await clerk.get(f"/services/{service}?format=csv")
    for told in (
        '"Draft saved","Clerk editor",""',
        '"Changes requested","The automatic check","Privacy notice: is missing"',
        '"Changes requested","An operator of this installation","Scrivi <b>quando</b>',
        '"Published","Clerk editor",""',
    ):
        assert told in history
    question = await clerk.get(f"/services/{service}/delete")
    kept = await clerk.post(f"/services/{service}/delete", 400, version=version_in(question))
    assert "Tick the box first" in kept.text
    done = await clerk.follow(f"/services/{service}/delete", version=version_in(question), sure="1")
    assert "the service is deleted" in done
    assert "Vita di un servizio" not in done
    assert "Vita di un servizio" in await clerk.get("/services?state=deleted")
    assert "Delete this service" not in await clerk.get(f"/services/{service}")


async def test_a_button_of_an_old_page_changes_nothing(
    colleague: Colleague, pool: Pool, world: World
) -> None:
    clerk = await clerk_at(colleague, pool, world.anna.institution, "editor")
    service = await make(clerk)
    old = version_in(await clerk.get(f"/services/{service}"))
    await clerk.post(f"/services/{service}/edit", version=old, **filled(name="Più nuovo"))
    for what in ("submit", "delete", "withdraw"):
        answer = await clerk.post(f"/services/{service}/{what}", 412, version=old, sure="1")
        assert "Somebody changed it meanwhile" in answer.text
    await clerk.post(f"/services/{service}/submit", 412, version="no number")
    assert "Più nuovo" in await clerk.get(f"/services/{service}")


async def test_the_list_pages_searches_and_saves_as_a_file(
    colleague: Colleague, pool: Pool, world: World
) -> None:
    async with pool.transaction() as conn:
        town = await create_institution(
            conn, ACTOR, "00000000077", "Comune grande", "g@example.org", DEFAULT
        )
        for number in range(51):
            data = payload.Data(name=f"Servizio {number:02}", description="x")
            await manage.create(conn, world.secrets, managing.manager_of(town), data)
        data = payload.Data(name='=HYPERLINK("x")', description="x")
        await manage.create(conn, world.secrets, managing.manager_of(town), data)
    clerk = await clerk_at(colleague, pool, town, "reader", "lettrice")
    first = await clerk.get("/services")
    assert first.count("<tr>") == 51  # with the one of the headings
    link = re.search(r'href="([^"]+)" rel="next"', first)
    assert link
    second = (await clerk.client.get(link[1].replace("&amp;", "&"))).text
    assert "Servizio 48" not in second
    assert "Servizio 49" in second
    assert "Servizio 50" in second
    assert 'rel="first"' in second
    found = await clerk.get("/services?q=servizio%2007")
    assert "Servizio 07" in found
    assert "Servizio 08" not in found
    assert "Nothing found" in await clerk.get("/services?q=%25&state=draft")
    assert "Servizio 00" in await clerk.get("/services?after=%00x&state=nonsense&group=")
    saved = await clerk.get("/services?format=csv&after=x")
    assert saved.count("\r\n") == 53
    assert '"\'=HYPERLINK(""x"")"' in saved
    assert "Your first service" not in first


async def test_what_institutions_wrote_is_text(
    colleague: Colleague, pool: Pool, world: World
) -> None:
    clerk = await clerk_at(colleague, pool, world.anna.institution)
    service = await make(
        clerk, name=HOSTILE, description=HOSTILE, department=HOSTILE, address=HOSTILE, cta=HOSTILE
    )
    pages = [
        await clerk.get(f"/services?q={service}"),
        await clerk.get(f"/services/{service}"),
        await clerk.get(f"/services/{service}/edit"),
        await clerk.get(f"/services/{service}/delete"),
        await clerk.get(f"/services/{service}/keys"),
        await clerk.get(f"/services/{service}/keys/renew?slot=primary"),
    ]
    for page in pages:
        assert "alert(1)" in page
        assert "<script>alert" not in page
        # Within an iframe's srcdoc it is escaped once more.
        assert "&lt;script&gt;alert" not in "".join(re.findall(r'srcdoc="[^"]*"', page))


async def test_who_may_only_read_is_shown_no_button_and_is_refused(
    colleague: Colleague, running: Running, pool: Pool, world: World
) -> None:
    service = await managing.of(running, world).make()
    sender = await clerk_at(colleague, pool, world.anna.institution, "sender")
    page = await sender.get(f"/services/{service}")
    assert f"messages?service={service}" in page
    assert f'action="{sender.home}' not in page
    for hidden in ("/edit", "/delete", "/keys", "/submit"):
        assert f"/services/{service}{hidden}" not in page
    assert "/services/new" not in await sender.get("/services")
    for path in ("/services/new", f"/services/{service}/edit", f"/services/{service}/delete"):
        assert "does not allow this" in await sender.get(path, 403)
        await sender.post(path, 403, version="1", sure="1", **filled())
    for what in ("submit", "withdraw", "release", "unpublish", "group", "preview"):
        await sender.post(f"/services/{service}/{what}", 403, version="1", **filled())
    reader = await clerk_at(colleague, pool, world.anna.institution, "reader")
    assert "messages?service=" not in await reader.get(f"/services/{service}")
    editor = await clerk_at(colleague, pool, world.anna.institution, "editor")
    page = await editor.get(f"/services/{service}")
    assert f"/services/{service}/edit" in page
    assert f"/services/{service}/keys" not in page
    await editor.post(f"/services/{service}/group", 403, group="")


async def test_other_institutions_services_do_not_exist(
    colleague: Colleague, pool: Pool, world: World
) -> None:
    clerk = await clerk_at(colleague, pool, world.bruno.institution)
    for path in ("", "/edit", "/delete", "/keys", "/keys/renew?slot=primary"):
        await clerk.get(f"/services/{world.anna.id}{path}", 404)
    for what in ("edit", "submit", "delete", "release", "group", "preview", "keys/show"):
        await clerk.post(f"/services/{world.anna.id}/{what}", 404, version="1", **filled())
    assert f"/services/{world.anna.id}" not in await clerk.get(f"/services?q={world.anna.id}")
    await clerk.get("/services/%00", 404)


async def test_an_institution_that_may_not_manage_services_only_looks(
    colleague: Colleague, pool: Pool, world: World
) -> None:
    async with pool.transaction() as conn:
        town = await create_institution(
            conn, ACTOR, "00000000078", "Comune fermo", "f@example.org", DEFAULT
        )
        await revoke(conn, ACTOR, town, [Permission.SERVICE_WRITE])
    clerk = await clerk_at(colleague, pool, town)
    page = await clerk.get("/services")
    assert "may not manage its services itself" in page
    assert "/services/new" not in page
    await clerk.get("/services/new", 403)
    await clerk.post("/services/new", 403, **filled())
    await clerk.get("/keys", 403)
