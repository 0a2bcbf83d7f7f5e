"""A citizen's own data: taken away, erased after days, and every change told in a sentence."""

import asyncio
import io
import json
import zipfile
from datetime import timedelta

import pytest

from messo.base.crypto import Secrets
from messo.base.db import Pool
from messo.base.work import Worker
from messo.pages.languages import ROME
from messo.recipients import DataRequest, ServiceChoice, history, put_choice, state
from messo.recipients.history import Note, note
from tests.conftest import Running
from tests.inbox.conftest import LogIn
from tests.inbox.pages import Browser, FoundForm, citizen
from tests.messages.mail import Mail
from tests.recipients import asked
from tests.recipients.asked import until_idle
from tests.world import World

pytestmark = pytest.mark.anyio


async def wish(pool: Pool, fiscal_code: str, choice: str) -> DataRequest | None:
    async with pool.transaction() as conn:
        return await state(conn, fiscal_code, choice)  # type: ignore[arg-type]


async def set_status(pool: Pool, fiscal_code: str, choice: str, status: str) -> None:
    async with pool.transaction() as conn:
        await conn.raw.execute(
            "UPDATE recipients.data_request SET status = $3 WHERE fiscal_code = $1 AND choice = $2",
            fiscal_code,
            choice,
            status,
        )


async def form_of(browser: Browser, action: str) -> FoundForm:
    return (await browser.page("/data")).form("/data", action=action)


async def test_an_archive_is_asked_for_and_fetched(
    pool: Pool, browse: LogIn, world: World, secrets: Secrets
) -> None:
    fiscal_code = await citizen(pool, "DAT", 1)
    browser = await browse(fiscal_code)
    assert (await browser.get("/data/archive.zip")).status_code == 404

    form = await form_of(browser, "download")
    answers = [await browser.send(form) for _ in range(2)]  # pressed twice is asked once
    assert {answer.headers["location"] for answer in answers} == {"/data?done=asked-1"}
    assert "In preparazione" in (await browser.page("/data?done=asked-1")).text
    assert (await browser.get("/data/archive.zip")).status_code == 404

    await until_idle(pool, asked.worker(secrets))

    page = await browser.page("/data")
    assert "/data/archive.zip" in page.links
    answer = await browser.get("/data/archive.zip")
    assert answer.headers["content-type"] == "application/zip"
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["content-disposition"].startswith('attachment; filename="messo-')
    with zipfile.ZipFile(io.BytesIO(answer.content)) as packed:
        assert packed.testzip() is None
        assert json.loads(packed.read("profile.json"))["fiscal_code"] == fiscal_code

    await browser.send(page.form("/data", action="download"))
    assert (await browser.get("/data/archive.zip")).status_code == 404, "a new one is made"


async def test_the_archive_holds_the_messages_and_only_ones_own(
    pool: Pool,
    running: Running,
    worker: Worker,
    browse: LogIn,
    world: World,
    secrets: Secrets,
) -> None:
    mine, theirs = await citizen(pool, "DAT", 16), await citizen(pool, "DAT", 17)
    mail = Mail(running, worker)
    sent = [
        await mail.post(caller, mine, subject=f"Solo per te, {number}, con tanti saluti")
        for number, caller in enumerate((world.anna, world.bruno))
    ]
    other = await mail.post(world.anna, theirs, subject="Questo è di un'altra persona")
    await mail.settle()
    browser = await browse(mine)
    await browser.send(await form_of(browser, "download"))
    await until_idle(pool, asked.worker(secrets))
    answer = await browser.get("/data/archive.zip")
    assert answer.status_code == 200
    with zipfile.ZipFile(io.BytesIO(answer.content)) as packed:
        assert packed.testzip() is None
        everything = "\n".join(
            name + packed.read(name).decode() for name in packed.namelist() if "." in name
        )
    for number, one in enumerate(sent):
        assert one in everything
        assert f"Solo per te, {number}, con tanti saluti" in everything
    assert "La tua tessera della biblioteca è pronta" in everything
    for hidden in (other, theirs, "altra persona"):
        assert hidden not in everything


async def test_pressed_at_once_on_two_devices_is_asked_once(
    pool: Pool, browse: LogIn, world: World
) -> None:
    fiscal_code = await citizen(pool, "DAT", 18)
    browsers = [await browse(fiscal_code) for _ in range(2)]
    for choice in ("DOWNLOAD", "DELETE"):
        forms = [
            await form_of(one, "download")
            if choice == "DOWNLOAD"
            else (await one.page("/data/delete")).form("/data/delete")
            for one in browsers
        ]
        answers = await asyncio.gather(
            *(one.send(form) for one, form in zip(browsers * 3, forms * 3, strict=True))
        )
        # Whoever comes second is told so, or is led to what was asked already.
        assert {answer.status_code for answer in answers} <= {303, 409}
        assert 303 in {answer.status_code for answer in answers}
        waiting = await wish(pool, fiscal_code, choice)
        assert waiting is not None
        assert (waiting.status, waiting.version) == ("PENDING", 0)


async def test_anothers_archive_is_not_there(
    pool: Pool, browse: LogIn, world: World, secrets: Secrets
) -> None:
    mine, theirs = await citizen(pool, "DAT", 2), await citizen(pool, "DAT", 3)
    owner, other = await browse(theirs), await browse(mine)
    await owner.send(await form_of(owner, "download"))
    await until_idle(pool, asked.worker(secrets))
    assert (await owner.get("/data/archive.zip")).status_code == 200
    assert (await other.get("/data/archive.zip")).status_code == 404
    assert "/data/archive.zip" not in (await other.page("/data")).links


async def test_an_archive_that_is_old_is_not_offered(
    pool: Pool, browse: LogIn, world: World, secrets: Secrets
) -> None:
    fiscal_code = await citizen(pool, "DAT", 4)
    browser = await browse(fiscal_code)
    await browser.send(await form_of(browser, "download"))
    await until_idle(pool, asked.worker(secrets))
    async with pool.transaction() as conn:
        await conn.raw.execute(
            "UPDATE recipients.archive_part SET expires_at = now() WHERE fiscal_code = $1",
            fiscal_code,
        )
        await conn.raw.execute(
            "UPDATE recipients.data_request SET created_at = created_at - interval '7 days' "
            "WHERE fiscal_code = $1",
            fiscal_code,
        )
    page = await browser.page("/data")
    assert "non si può più scaricare" in page.text
    assert "/data/archive.zip" not in page.links
    assert (await browser.get("/data/archive.zip")).status_code == 404


async def test_deleting_is_explained_asked_and_taken_back(
    pool: Pool, browse: LogIn, world: World
) -> None:
    fiscal_code = await citizen(pool, "DAT", 5)
    browser = await browse(fiscal_code)
    question = await browser.page("/data/delete")
    assert "tra 7 giorni" in question.text
    assert await wish(pool, fiscal_code, "DELETE") is None, "asking changes nothing"

    form = question.form("/data/delete")
    answers = [await browser.send(form) for _ in range(2)]
    assert {answer.headers["location"] for answer in answers} == {"/data"}
    waiting = await wish(pool, fiscal_code, "DELETE")
    assert waiting is not None
    assert waiting.status == "PENDING"
    assert round((waiting.due_at - waiting.created_at) / timedelta(days=1), 3) == 7
    page = await browser.page("/data")
    assert "Il tuo profilo sarà cancellato il" in page.text
    assert f"{waiting.due_at.astimezone(ROME):%-d}" in page.text.split("cancellato il", 1)[1][:40]
    assert waiting.due_at.astimezone(ROME).strftime("%H:%M") in page.text
    assert (await browser.get("/data/delete")).headers["location"] == "/data"

    answer = await browser.send(page.form("/data", action="keep"))
    assert answer.headers["location"] == "/data?done=kept-1"
    kept = await wish(pool, fiscal_code, "DELETE")
    assert kept is not None
    assert kept.status == "ABORTED"
    assert "Il tuo profilo resta" in (await browser.page("/data?done=kept-1")).text


async def test_it_can_be_too_late_to_take_back(pool: Pool, browse: LogIn, world: World) -> None:
    fiscal_code = await citizen(pool, "DAT", 6)
    browser = await browse(fiscal_code)
    await browser.send((await browser.page("/data/delete")).form("/data/delete"))
    keep = await form_of(browser, "keep")
    await set_status(pool, fiscal_code, "DELETE", "WIP")
    assert (await browser.send(keep)).status_code == 409
    assert "Stiamo cancellando il tuo profilo" in (await browser.page("/data")).text


@pytest.mark.parametrize("choice", ["DOWNLOAD", "DELETE"])
async def test_what_failed_is_said_and_can_be_asked_again(
    pool: Pool, browse: LogIn, world: World, choice: str
) -> None:
    fiscal_code = await citizen(pool, "DAT", 7 if choice == "DELETE" else 8)
    browser = await browse(fiscal_code)

    async def ask() -> None:
        if choice == "DOWNLOAD":
            await browser.send(await form_of(browser, "download"))
        else:
            await browser.send((await browser.page("/data/delete")).form("/data/delete"))

    await ask()
    await set_status(pool, fiscal_code, choice, "FAILED")
    assert "non è riuscita" in (await browser.page("/data")).text
    await ask()
    again = await wish(pool, fiscal_code, choice)
    assert again is not None
    assert again.status == "PENDING"


@pytest.mark.parametrize("action", ["", "delete", "x" * 10_000, "DOWNLOAD", "\0", "keep"])
async def test_a_strange_wish_is_refused(
    pool: Pool, browse: LogIn, world: World, action: str
) -> None:
    fiscal_code = await citizen(pool, "DAT", 9)
    browser = await browse(fiscal_code)
    answer = await browser.send(await form_of(browser, "download"), action=action)
    assert answer.status_code == (404 if action == "keep" else 400)
    assert await wish(pool, fiscal_code, "DELETE") is None
    assert await wish(pool, fiscal_code, "DOWNLOAD") is None


@pytest.mark.parametrize("csrf", [None, "", "wrong"])
async def test_without_the_token_nothing_is_asked(
    pool: Pool, browse: LogIn, world: World, csrf: str | None
) -> None:
    fiscal_code = await citizen(pool, "DAT", 10)
    browser = await browse(fiscal_code)
    for form in (
        await form_of(browser, "download"),
        (await browser.page("/data/delete")).form("/data/delete"),
    ):
        assert (await browser.send(form, csrf=csrf, other="1")).status_code == 403
    assert await wish(pool, fiscal_code, "DELETE") is None
    assert await wish(pool, fiscal_code, "DOWNLOAD") is None


async def test_a_change_is_a_sentence(pool: Pool, browse: LogIn, world: World) -> None:
    mine, theirs = await citizen(pool, "DAT", 11), await citizen(pool, "DAT", 12)
    async with pool.transaction() as conn:
        await put_choice(conn, mine, world.anna.id, ServiceChoice(False, True, True, False, 0))
    page = await (await browse(mine)).page("/data")
    assert "Hai spento «Anagrafe»: non può scriverti." in page.text
    assert "«Anagrafe» non sa più quando hai letto i suoi messaggi." in page.text
    assert "Anagrafe" not in (await (await browse(theirs)).page("/data")).text


@pytest.mark.parametrize("language", ["it", "en"])
async def test_every_kind_of_change_has_its_sentence(
    pool: Pool, browse: LogIn, world: World, language: str
) -> None:
    fiscal_code = await citizen(pool, "DAT", 13)
    switches = (
        "is_inbox_enabled",
        "is_email_enabled",
        "is_webhook_enabled",
        "can_access_message_read_status",
    )
    values: dict[str, tuple[object, object]] = {
        "accepted_tos_version": (None, 1.5),
        "mode": ("AUTO", "MANUAL"),
        "is_inbox_enabled": (False, True),
        "is_webhook_enabled": (False, True),
        "is_email_enabled": (False, True),
        "email": (None, "<b>ada</b>@example.org"),
        "is_email_validated": (False, True),
        "preferred_languages": (None, ["de_DE"]),
        "reminder_status": (None, "ENABLED"),
        "push_notifications_content_type": (None, "FULL"),
        "blocked": ({}, {"a": ["INBOX"]}),
    }
    notes = [Note("enrolled"), Note("something new", {"something new": (1, 2)})]
    for kind, (old, new) in values.items():
        notes += [Note(kind, {kind: (old, new)}), Note(kind, {kind: (new, old)})]
    for name in switches:
        notes += [
            Note("service", {name: (False, True)}, world.anna.id),
            Note("service", {name: (True, False)}, "01J00000000000000000000000"),
        ]
    async with pool.transaction() as conn:
        await note(conn, fiscal_code, notes)
    browser = await browse(fiscal_code)
    browser.cookies["messo-language"] = language
    page = await browser.page("/data/changes", language)
    assert "<b>ada</b>@example.org" in page.text
    assert "1.5" in page.text
    unknown = {"it": "Hai cambiato un'impostazione.", "en": "You changed a setting."}
    assert page.text.count(unknown[language]) == 1


async def test_changes_are_leafed_through(pool: Pool, browse: LogIn, world: World) -> None:
    fiscal_code = await citizen(pool, "DAT", 14)
    async with pool.transaction() as conn:
        await note(conn, fiscal_code, [Note("enrolled") for _ in range(51)])
        oldest = (await history(conn, fiscal_code, 100))[-1]["id"]
    browser = await browse(fiscal_code)
    assert "/data/changes" in (await browser.page("/data")).links
    page = await browser.page("/data/changes")
    assert page.text.count("primo accesso") == 50
    older = next(link for link in page.links if "before=" in link)
    assert (await browser.page(older)).text.count("primo accesso") == 1
    assert "nulla di più vecchio" in (await browser.page(f"/data/changes?before={oldest}")).text
    for hostile in ("%00", "x" * 3000, "%ED%A0%80", "'"):
        await browser.page(f"/data/changes?before={hostile}")


@pytest.mark.parametrize("language", ["it", "en"])
async def test_both_languages(pool: Pool, browse: LogIn, world: World, language: str) -> None:
    browser = await browse(await citizen(pool, "DAT", 15))
    browser.cookies["messo-language"] = language
    for path in ("/data", "/data/changes", "/data/delete"):
        await browser.page(path, language)
