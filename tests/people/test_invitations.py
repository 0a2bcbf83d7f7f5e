"""Invitations: the mail, the link, who becomes what, and tokens that are worth nothing."""

import re
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import pytest

from messo.base import clock
from messo.base.crypto import Secrets
from messo.base.db import Connection, Pool
from messo.base.ids import new_id
from messo.base.outward import Sending
from messo.notifications import Letters, letters
from messo.people import invitations
from messo.people.invitations import MOST_OPEN, Inviter
from messo.people.sessions import Person
from messo.services.services import suspend_institution
from messo.settings import Settings
from tests.notifications.post_office import PostOffice, Taken, opened
from tests.people.acting import URL, Acting, Actor, acting, at_once
from tests.world import ACTOR, World

SETTINGS = Settings(mail_from="Messo <no-reply@example.org>", public_url=URL)


@pytest.fixture(scope="module")
async def office() -> AsyncIterator[PostOffice]:
    async with opened() as office:
        yield office


@pytest.fixture
async def staff(pool: Pool, secrets: Secrets) -> AsyncIterator[Acting]:
    """With a mail server."""
    async with acting(pool, secrets, Letters(secrets).queue_invitation) as made:
        yield made


@pytest.fixture
async def unmailed(pool: Pool, secrets: Secrets) -> AsyncIterator[Acting]:
    """Without one."""
    async with acting(pool, secrets) as made:
        yield made


@pytest.fixture
async def home(pool: Pool, world: World) -> str:
    async with pool.transaction() as conn:
        await conn.raw.execute("DELETE FROM people.member")
        await conn.raw.execute("DELETE FROM people.invitation")
        await conn.raw.execute("DELETE FROM work.item")
    return world.bruno.institution


@contextmanager
def later(monkeypatch: pytest.MonkeyPatch, by: timedelta) -> Iterator[None]:
    with monkeypatch.context() as patch:
        then = clock.now() + by
        patch.setattr(clock, "now", lambda: then)
        yield


async def invite(
    staff: Acting, who: Actor, home: str, email: str, role: str = "editor"
) -> dict[str, Any]:
    body = {"email": email, "role": role}
    answer = await staff.ask(who, "POST", f"/institutions/{home}/invitations", body)
    assert answer.status_code == 201, answer.text
    made: dict[str, Any] = answer.json()
    return made


async def token_for(staff: Acting, who: Actor, home: str, role: str = "editor") -> str:
    made = await invite(staff, who, home, f"{new_id().lower()}@example.org", role)
    assert made["sent"] is False
    return str(made["link"]).removeprefix(f"{URL}/console/invitation?token=")


async def accept(staff: Acting, who: Actor, token: str) -> Any:
    return await staff.ask(who, "POST", "/invitations/acceptance", {"token": token})


async def mailed(office: PostOffice, staff: Acting, to: str) -> Taken:
    step = letters.step(office.mailer, staff.secrets, SETTINGS)
    await Sending(step, staff.pool, staff.pool.buckets).once()
    (taken,) = office.to(to)
    return taken


async def test_the_link_in_the_mail_makes_a_member(
    staff: Acting, office: PostOffice, home: str
) -> None:
    operator = await staff.person(operator=True)
    made = await invite(staff, operator, home, "Prima.Admin@example.org", "admin")
    assert (made["sent"], "link" in made) == (True, False)
    listed = await staff.ask(operator, "GET", f"/institutions/{home}/invitations")
    assert [(one["id"], one["email"], one["role"]) for one in listed.json()["items"]] == [
        (made["id"], "Prima.Admin@example.org", "admin")
    ]

    taken = await mailed(office, staff, "Prima.Admin@example.org")
    assert taken.mail["Subject"] == "Il tuo invito su Messo · Your invitation to Messo"
    found = None
    for kind in ("plain", "html"):
        text = taken.text(kind)
        found = re.search(rf"{re.escape(URL)}/console/invitation\?token=([\w-]{{43}})", text)
        assert found, text
        for words in (
            operator.name,
            "ti invita",
            "Comune di Bruno",
            "potrai gestire tutto, anche le persone e le chiavi",
            "you will be able to manage everything, people and keys too",
            "7 giorni",
            "7 days",
        ):
            assert words in text
    assert found

    chief = await staff.person()
    answer = await accept(staff, chief, found[1])
    assert answer.status_code == 200
    assert (answer.json()["institution_id"], answer.json()["role"]) == (home, "admin")
    people = (await staff.ask(chief, "GET", f"/institutions/{home}/people")).json()["items"]
    assert [(one["name"], one["email"], one["role"]) for one in people] == [
        (chief.name, chief.email, "admin")
    ]
    again = await accept(staff, chief, found[1])
    assert again.status_code == 404

    entries = await staff.audit(made["id"], answer.json()["member_id"])
    assert [action for action, _, _ in entries] == [
        "invitation.create",
        "member.add",
        "invitation.accept",
    ]
    assert entries[0][1].startswith("operator:")
    assert entries[1][1] == f"invitation:{made['id']}"
    for personal in ("prima", operator.login, operator.name, chief.login, chief.email, found[1]):
        assert personal not in str(entries).lower()


async def test_what_is_stored_cannot_be_followed(unmailed: Acting, home: str, pool: Pool) -> None:
    chief = await unmailed.person(home)
    token = await token_for(unmailed, chief, home)
    async with pool.connection() as conn:
        rows = await conn.raw.fetch("SELECT * FROM people.invitation")
        audit = await conn.raw.fetch("SELECT * FROM operations.audit")
    assert token not in str([*rows, *audit])
    assert token.encode() not in bytes(rows[0]["token_digest"])


async def test_all_that_is_worth_nothing_is_one_and_the_same(
    unmailed: Acting, home: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    chief, invited = await unmailed.person(home), await unmailed.person()
    path = f"/institutions/{home}/invitations"

    used = await token_for(unmailed, chief, home)
    await accept(unmailed, await unmailed.person(), used)
    withdrawn = await token_for(unmailed, chief, home)
    one = (await unmailed.ask(chief, "GET", path)).json()["items"][-1]["id"]
    assert (await unmailed.ask(chief, "DELETE", f"{path}/{one}")).status_code == 204
    entry = (await unmailed.audit(one))[-1]
    assert entry[:2] == ("invitation.withdraw", f"member:{chief.id}")
    gone = await unmailed.ask(chief, "DELETE", f"{path}/{one}")
    never = await unmailed.ask(chief, "DELETE", f"{path}/{new_id()}")
    assert (gone.status_code, gone.text) == (404, never.text)
    replaced = (await invite(unmailed, chief, home, "due@example.org"))["link"][-43:]
    with later(monkeypatch, timedelta(minutes=16)):
        newest = (await invite(unmailed, chief, home, "DUE@example.org", "reader"))["link"][-43:]
    expired = await token_for(unmailed, chief, home)
    told = set()
    for token in (used, withdrawn, replaced, "x", expired.swapcase()):
        answer = await accept(unmailed, invited, token)
        told.add((answer.status_code, answer.text))
    with later(monkeypatch, timedelta(days=7)):
        answer = await accept(unmailed, await unmailed.person(), expired)
        told.add((answer.status_code, answer.text))
        async with unmailed.pool.connection() as conn:
            assert await invitations.look(conn, expired) is None
            assert len(await invitations.list_open(conn, home)) == 1  # the newest, a while on
    assert len(told) == 1, told
    assert next(iter(told))[0] == 404
    assert (await accept(unmailed, invited, newest)).json()["role"] == "reader"


async def test_of_two_who_accept_at_once_one_wins(unmailed: Acting, home: str) -> None:
    chief = await unmailed.person(home)
    token = await token_for(unmailed, chief, home)
    people = [await unmailed.person() for _ in range(3)]
    asked = (accept(unmailed, one, token) for one in people)
    answers = await at_once(unmailed.pool, home, *asked)
    assert sorted(answer.status_code for answer in answers) == [200, 404, 404]
    listed = await unmailed.ask(chief, "GET", f"/institutions/{home}/people")
    assert len(listed.json()["items"]) == 2


async def test_an_invitation_withdrawn_in_the_same_moment_is_not_accepted(
    unmailed: Acting, home: str
) -> None:
    chief = await unmailed.person(home)
    made = await invite(unmailed, chief, home, "tardi@example.org")

    async def withdraw(conn: Connection) -> None:
        await invitations.withdraw(conn, ACTOR, home, made["id"])

    asked = accept(unmailed, await unmailed.person(), made["link"][-43:])
    (answer,) = await at_once(unmailed.pool, home, asked, meanwhile=withdraw)
    assert answer.status_code == 404


async def test_a_member_gets_the_role_of_the_invitation(unmailed: Acting, home: str) -> None:
    chief, sender = await unmailed.person(home), await unmailed.person(home, "sender")
    raised = await accept(unmailed, sender, await token_for(unmailed, chief, home, "editor"))
    assert (raised.json()["member_id"], raised.json()["role"]) == (sender.id, "editor")
    action, actor, detail = (await unmailed.audit(sender.id))[-1]
    assert (action, actor.split(":")[0]) == ("member.role", "invitation")
    assert '"before": "sender"' in detail

    down = await token_for(unmailed, chief, home, "reader")
    refused = await accept(unmailed, chief, down)
    assert (refused.status_code, refused.json()["title"]) == (409, "Last admin")
    assert (await accept(unmailed, sender, down)).json()["role"] == "reader"  # it stayed open


async def test_an_invitation_waits_while_its_institution_is_suspended(
    unmailed: Acting, home: str
) -> None:
    chief, invited = await unmailed.person(home), await unmailed.person()
    token = await token_for(unmailed, chief, home)
    for suspend, status in ((True, 409), (False, 200)):
        async with unmailed.pool.transaction() as conn:
            await suspend_institution(conn, ACTOR, home, suspend=suspend, reason="prova")
        assert (await accept(unmailed, invited, token)).status_code == status


@pytest.mark.parametrize(
    ("method", "body", "status"), [("PUT", {"role": "reader"}, 200), ("DELETE", None, 204)]
)
async def test_the_invitations_of_an_admin_end_with_them(
    unmailed: Acting, home: str, method: str, body: Any, status: int
) -> None:
    """Else they would come back by a link they made before."""
    chief, other = await unmailed.person(home), await unmailed.person(home)
    back, theirs = [await token_for(unmailed, one, home, "admin") for one in (other, chief)]
    one = f"/institutions/{home}/people/{other.id}"
    assert (await unmailed.ask(chief, method, one, body)).status_code == status
    assert (await accept(unmailed, other, back)).status_code == 404
    assert (await accept(unmailed, other, theirs)).status_code == 200


@pytest.mark.parametrize(
    "email",
    [
        "a@example.org\r\nBcc: b@example.org",
        "a@example.org\n",
        " a@example.org",
        "a@example",
        "a b@example.org",
        "<a@example.org>",
        "a@example.org,b@example.org",
        "è@example.org",
        "a@exämple.org",
        f"{'a' * 300}@example.org",
        f"a@{'b' * 60}.{'c' * 60}.{'d' * 60}.{'e' * 60}.{'f' * 60}.org",
        "",
        "a@\u202eexample.org",
        7,
        None,
    ],
)
async def test_what_is_no_address_is_refused_by_name(
    staff: Acting, home: str, pool: Pool, email: Any
) -> None:
    chief = await staff.person(home)
    body = {"email": email, "role": "reader"}
    answer = await staff.ask(chief, "POST", f"/institutions/{home}/invitations", body)
    assert (answer.status_code, answer.json()["field"]) == (400, "email")
    async with pool.connection() as conn:
        assert await conn.raw.fetchval("SELECT count(*) FROM people.invitation") == 0
        assert await conn.raw.fetchval("SELECT count(*) FROM work.item") == 0


async def test_names_of_strangers_stay_text_on_one_line(
    staff: Acting, office: PostOffice, home: str, world: World, pool: Pool
) -> None:
    name = "Eva\r\nBcc: x@example.org\r\n\r\n<b>\u202e" + "x" * 300
    async with pool.transaction() as conn:
        await conn.raw.execute(
            "UPDATE services.institution SET name = $2 WHERE id = $1", home, f"Ente {name}"
        )
        sender = Letters(staff.secrets).queue_invitation
        inviter = Inviter(ACTOR, name)
        await invitations.invite(
            conn, staff.secrets, inviter, home, "hostile@example.org", "reader", sender
        )
    taken = await mailed(office, staff, "hostile@example.org")
    assert taken.mail["Bcc"] is None
    assert "<b>" not in taken.text("html")
    assert "\u202e" not in taken.text("plain")
    assert "Eva Bcc: x@example.org <b>xxx" in taken.text("plain")
    assert "x" * 150 not in taken.text("plain")
    async with pool.transaction() as conn:
        await conn.raw.execute(
            "UPDATE services.institution SET name = 'Comune di Bruno' WHERE id = $1", home
        )
        await invitations.invite(
            conn, staff.secrets, Inviter(ACTOR, ""), home, "nobody@example.org", "sender", sender
        )
    for kind in ("plain", "html"):
        text = (await mailed(office, staff, "nobody@example.org")).text(kind)
        assert "Ti invitiamo" in text
        assert "scrivere ai cittadini e vedere i messaggi inviati" in text


async def test_nobody_sends_mail_to_the_whole_world(
    unmailed: Acting, home: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    chief = await unmailed.person(home)
    path = f"/institutions/{home}/invitations"
    made = await invite(unmailed, chief, home, "uno@example.org")
    body = {"email": "UNO@example.org", "role": "reader"}
    again = await unmailed.ask(chief, "POST", path, body)
    assert (again.status_code, again.headers["retry-after"]) == (429, "900")
    with later(monkeypatch, timedelta(minutes=14, seconds=50)):
        assert (await unmailed.ask(chief, "POST", path, body)).status_code == 429
    async with unmailed.pool.transaction() as conn:
        await conn.raw.execute(
            "INSERT INTO people.invitation SELECT id || n, institution_id, n || email, role, "
            "token_digest || n::text::bytea, invited_by, created_at, expires_at "
            "FROM people.invitation, generate_series(1, $1) AS n",
            MOST_OPEN - 1,
        )
    assert (await unmailed.ask(chief, "DELETE", f"{path}/{made['id']}")).status_code == 204
    more = {"email": "altro@example.org", "role": "reader"}
    full = await unmailed.ask(chief, "POST", path, more)
    assert (full.status_code, full.json()["title"]) == (409, "Too many invitations")
    async with unmailed.pool.transaction() as conn:
        assert not await invitations.forget_invitations(conn)
        assert await conn.raw.fetchval("SELECT count(*) FROM people.invitation") == MOST_OPEN
    with later(monkeypatch, timedelta(minutes=61)):
        chief = await unmailed.person(home)  # the login of before was idle too long
        assert (await unmailed.ask(chief, "POST", path, more)).status_code == 201
    with later(monkeypatch, timedelta(days=7, hours=1, seconds=1)):
        async with unmailed.pool.transaction() as conn:
            await invitations.forget_invitations(conn)
            kept = await conn.raw.fetch("SELECT email FROM people.invitation")
    assert [row["email"] for row in kept] == ["altro@example.org"]


async def test_looking_changes_nothing(unmailed: Acting, home: str) -> None:
    chief = await unmailed.person(home)
    token = await token_for(unmailed, chief, home)
    async with unmailed.pool.transaction() as conn:
        for _ in range(2):
            seen = await invitations.look(conn, token)
            assert seen is not None
            assert await invitations.look(conn, "\ud800\x00") is None
            assert (seen.institution_name, seen.role) == ("Comune di Bruno", "editor")
            assert seen.expires_at - clock.now() > timedelta(days=6, hours=23)
        member = await invitations.accept(conn, token, Person("someone", "A", "", b""))
    assert (member.institution_id, member.role) == (home, "editor")
