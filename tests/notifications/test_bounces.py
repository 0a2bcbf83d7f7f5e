"""What a mail that came back does, who may send it, and how it comes in."""

from datetime import datetime, timedelta
from pathlib import Path

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from messo.base import clock
from messo.base.crypto import Secrets, new_secret
from messo.base.db import Pool
from messo.base.http import Router
from messo.base.ids import lowest_id, new_id
from messo.notifications.channels.email import return_path
from messo.notifications.channels.email.bounce_intake import BounceMailbox, BounceRoutes, take
from messo.notifications.channels.email.bounces import LONGEST, Report, read_report, verdict
from messo.notifications.channels.email.suppression import unsuppress
from tests.messages.mail import fill
from tests.notifications import bounced
from tests.notifications.bounced import BOUNDARY, postfix
from tests.world import AUTO

TEMPLATE = "bounces@example.org"
RFC822 = {"Content-Type": "message/rfc822"}


@pytest.fixture(scope="module")
async def decided(pool: Pool) -> str:
    return (await fill(pool, AUTO, 1))[0]


@pytest.fixture
async def message_id(pool: Pool, decided: str) -> str:
    """A message to a citizen none of whose addresses is switched off."""
    async with pool.transaction() as conn:
        await unsuppress(conn, AUTO)
    return decided


async def sent(
    pool: Pool, message_id: str, state: str = "SENT", delivery_id: str | None = None
) -> str:
    """A delivery of that message to an address of its own; its id."""
    delivery_id = delivery_id or new_id()
    async with pool.transaction() as conn:
        await conn.raw.execute(
            "INSERT INTO notifications.delivery VALUES ($1, $2, $3, 'new', 'email', $2, 'FULL', "
            "'it', $4, now(), now() + interval '1 day')",
            conn.bucket(AUTO),
            delivery_id,
            message_id,
            state,
        )
    return delivery_id


async def state_of(pool: Pool, delivery_id: str) -> str:
    async with pool.connection() as conn:
        return str(
            await conn.raw.fetchval(
                "SELECT state FROM notifications.delivery WHERE id = $1", delivery_id
            )
        )


async def suppressions(pool: Pool) -> dict[str, str]:
    """Reason by address, which in these tests is the delivery's id."""
    async with pool.connection() as conn:
        rows = await conn.raw.fetch("SELECT * FROM notifications.suppression")
    assert {(row["bucket"], row["fiscal_code"], row["channel"]) for row in rows} <= {
        (pool.bucket(AUTO), AUTO, "email")
    }
    return {row["address"]: row["reason"] for row in rows}


async def took(
    pool: Pool, secrets: Secrets, raw: bytes, now: datetime | None = None, to: str | None = None
) -> bool:
    async with pool.transaction() as conn:
        return await take(conn, secrets, TEMPLATE, raw, now or clock.now(), to)


def test_a_return_path_names_its_delivery_and_fits_a_mail_address(secrets: Secrets) -> None:
    delivery_id = new_id()
    path = return_path.make(secrets, TEMPLATE, delivery_id)
    assert path.startswith(f"bounces+{delivery_id.lower()}-")
    assert path.endswith("@example.org")
    assert len(path.partition("@")[0]) <= 64
    assert return_path.read(secrets, TEMPLATE, path) == delivery_id
    assert return_path.read(secrets, TEMPLATE, path.upper()) == delivery_id


def test_a_return_path_that_would_be_too_long_is_refused(secrets: Secrets) -> None:
    for template in ("b" * 21 + "@example.org", "", "bounces", "@example.org", "bounces@"):
        with pytest.raises(ValueError):
            return_path.make(secrets, template, new_id())
    assert return_path.make(secrets, "b" * 20 + "@example.org", new_id())


def test_a_return_path_of_somebody_else_is_not_read(secrets: Secrets) -> None:
    path = return_path.make(secrets, TEMPLATE, new_id())
    stranger = Secrets.parse(new_secret())
    others = [
        "",
        "@",
        TEMPLATE,
        path.replace("example.org", "example.com"),
        path.replace("bounces+", "bouncer+"),
        path.replace("-", "-0"),
        path[:40] + ("0" if path[40] != "0" else "1") + path[41:],
        return_path.make(secrets, TEMPLATE, new_id()).partition("-")[0] + "-" + path.split("-")[1],
        return_path.make(stranger, TEMPLATE, new_id()),
        f"bounces+{'z' * 26}-{'0' * 16}@example.org",
    ]
    assert [return_path.read(secrets, TEMPLATE, other) for other in others] == [None] * len(others)
    assert return_path.read(secrets, "", path) is None


def test_reports_of_different_makes_are_read() -> None:
    path = "bounces+x@example.org"
    assert read_report(postfix(path)) == Report((path,), "failed", "5.1.1")
    assert read_report(postfix(path).replace(b"\r\n", b"\n")) == Report((path,), "failed", "5.1.1")
    assert read_report(bounced.exchange(path)) == Report((path,), "failed", "5.1.10")
    assert read_report(postfix(path, "4.4.1", "delayed")) == Report((path,), "delayed", "4.4.1")
    assert read_report(postfix(path, "what?")) == Report((path,), "failed", "")


@pytest.mark.parametrize("text", [bounced.QMAIL, bounced.AWAY, bounced.RECEIPT])
def test_what_is_no_report_is_not_read_as_one(text: str) -> None:
    assert read_report(text.format(path="bounces+x@example.org").encode()) is None


@pytest.mark.parametrize(
    ("status", "action", "word"),
    [
        ("5.1.1", "failed", "gone"),
        ("5.1.2", "failed", "gone"),
        ("5.1.3", "failed", "gone"),
        ("5.1.6", "failed", "gone"),
        ("5.1.10", "failed", "gone"),
        ("5.1.1", "delayed", "none"),
        ("5.1.1", "delivered", "none"),
        ("5.1.7", "failed", "none"),
        ("5.1.11", "failed", "none"),
        ("5.2.2", "failed", "none"),
        ("5.7.1", "failed", "none"),
        ("5.0.0", "failed", "none"),
        ("4.1.1", "failed", "none"),
        ("5.1.1.1", "failed", "none"),
    ],
)
def test_only_an_error_of_the_address_itself_says_that_it_is_gone(
    status: str, action: str, word: str
) -> None:
    report = read_report(postfix("a@b.org", status, action))
    assert report is not None
    assert verdict(report) == word


def test_an_alias_of_which_one_end_is_gone_is_not_gone() -> None:
    report = read_report(bounced.TWO_ENDS.format(path="a@b.org").encode())
    assert report is not None
    assert (report.action, verdict(report)) == ("relayed", "none")


def test_hostile_reports_are_read_in_little_time() -> None:
    """Time that grew with the square of their length would be minutes here."""
    head = f'Content-Type: multipart/report; report-type=delivery-status; boundary="{BOUNDARY}"'
    part = f"\r\n--{BOUNDARY}\r\n"
    hostile = [
        head + '; x="' + ";" * 900_000,
        head + "\r\n\r\n" + part * 40_000,
        head + "\r\n\r\n" + (part + f"{head}\r\n") * 5_000,
        head
        + "\r\n\r\n"
        + part
        + "Content-Type: message/delivery-status\r\n\r\n"
        + "\r\n \t" * 200_000,
        head
        + "\r\n\r\n"
        + part
        + "Content-Type: message/delivery-status\r\n\r\n"
        + "Action:\r\n\r\n" * 80_000,
        "To: " + "(" * 1_000_000,
        "To: a@b.org\r\n" * 80_000,
        "".join(
            f'Content-Type: multipart/mixed; boundary="{n}"\r\n\r\n--{n}\r\n' for n in range(15_000)
        ),
    ]
    began = clock.now()
    for text in hostile:
        assert read_report(text.encode()[:LONGEST]) is None
    assert clock.now() - began < timedelta(seconds=5)


def test_a_mail_of_ten_megabytes_is_not_looked_at() -> None:
    assert read_report(postfix("a@b.org") + b"x" * 10_000_000) is None


@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    st.one_of(
        st.binary(max_size=600),
        st.lists(
            st.sampled_from(
                [
                    b"Content-Type: multipart/report; report-type=delivery-status; boundary=b\r\n",
                    b"Content-Type: message/delivery-status\n",
                    b"Content-Type: multipart/report; report-type*=utf-8''x; boundary*0=\xff\r\n",
                    b"Action: failed\r\n",
                    b"Status: 5.1.1\n",
                    b"To: \xff\xfe@=?utf-8?q?=00?=\r\n",
                    b"\r\n",
                    b"\n",
                    b"--b",
                    b"--b--\n",
                    b"\x00\xff",
                    b" ",
                ]
            ),
            max_size=30,
        ).map(b"".join),
    )
)
def test_no_bytes_make_the_reader_fail(raw: bytes) -> None:
    report = read_report(raw)
    assert report is None or verdict(report) in {"gone", "none"}


async def test_a_bounce_fails_its_delivery_and_switches_the_address_off(
    pool: Pool, secrets: Secrets, message_id: str
) -> None:
    delivery_id, other = await sent(pool, message_id), await sent(pool, message_id)
    path = return_path.make(secrets, TEMPLATE, delivery_id)

    assert await took(pool, secrets, postfix(path))

    assert await state_of(pool, delivery_id) == "FAILED"
    assert await state_of(pool, other) == "SENT"
    assert await suppressions(pool) == {delivery_id: "5.1.1"}


async def test_an_upper_case_return_path_counts_too(
    pool: Pool, secrets: Secrets, message_id: str
) -> None:
    delivery_id = await sent(pool, message_id)
    path = return_path.make(secrets, TEMPLATE, delivery_id).upper()
    assert await took(pool, secrets, bounced.exchange(path))
    assert await suppressions(pool) == {delivery_id: "5.1.10"}


@pytest.mark.parametrize("status", ["5.7.1", "5.2.2", "5.0.0"])
async def test_a_refusal_for_another_reason_leaves_the_address_on(
    pool: Pool, secrets: Secrets, message_id: str, status: str
) -> None:
    delivery_id = await sent(pool, message_id)
    path = return_path.make(secrets, TEMPLATE, delivery_id)
    assert await took(pool, secrets, postfix(path, status))
    assert await state_of(pool, delivery_id) == "FAILED"
    assert await suppressions(pool) == {}


async def test_a_delay_changes_nothing(pool: Pool, secrets: Secrets, message_id: str) -> None:
    delivery_id = await sent(pool, message_id)
    path = return_path.make(secrets, TEMPLATE, delivery_id)
    assert await took(pool, secrets, postfix(path, "5.1.1", "delayed"))
    assert await state_of(pool, delivery_id) == "SENT"
    assert await suppressions(pool) == {}


async def test_a_bounce_that_comes_again_does_not_undo_the_citizens_second_try(
    pool: Pool, secrets: Secrets, message_id: str
) -> None:
    delivery_id = await sent(pool, message_id)
    raw = postfix(return_path.make(secrets, TEMPLATE, delivery_id))
    assert await took(pool, secrets, raw)
    async with pool.transaction() as conn:
        assert await unsuppress(conn, AUTO)
    assert await took(pool, secrets, raw)
    assert await suppressions(pool) == {}


async def test_what_the_citizen_stopped_stays_stopped(
    pool: Pool, secrets: Secrets, message_id: str
) -> None:
    delivery_id = await sent(pool, message_id, "STOPPED")
    await took(pool, secrets, postfix(return_path.make(secrets, TEMPLATE, delivery_id)))
    assert await state_of(pool, delivery_id) == "STOPPED"
    assert await suppressions(pool) == {}


async def test_forged_and_strange_bounces_change_nothing(
    pool: Pool, secrets: Secrets, message_id: str
) -> None:
    delivery_id = await sent(pool, message_id)
    path = return_path.make(secrets, TEMPLATE, delivery_id)
    forged = f"{path.partition('-')[0]}-{'0' * 16}@example.org"
    quoted = bounced.TWO_ENDS.format(path="postmaster@example.com").replace("one@example.net", path)
    for raw in (
        postfix(forged),
        postfix(path.replace("@example.org", "@example.com")),
        postfix("postmaster@example.org"),
        postfix(return_path.make(Secrets.parse(new_secret()), TEMPLATE, delivery_id)),
        postfix(return_path.make(secrets, TEMPLATE, new_id())),
        quoted.encode(),
        bounced.QMAIL.format(path=path).encode(),
        bounced.AWAY.format(path=path).encode(),
        b"",
    ):
        assert not await took(pool, secrets, raw)
    assert not await took(pool, secrets, postfix(path), to="postmaster@example.org")
    assert await state_of(pool, delivery_id) == "SENT"
    assert await suppressions(pool) == {}


async def test_a_bounce_of_a_mail_of_two_weeks_ago_is_a_replay(
    pool: Pool, secrets: Secrets, message_id: str
) -> None:
    now = clock.now()
    old = await sent(pool, message_id, "SENT", lowest_id(now - timedelta(days=14, minutes=1)))
    late = await sent(pool, message_id, "SENT", lowest_id(now - timedelta(days=13, hours=23)))
    for delivery_id, expected in ((old, False), (late, True)):
        path = return_path.make(secrets, TEMPLATE, delivery_id)
        assert await took(pool, secrets, postfix(path), now) is expected
    assert list(await suppressions(pool)) == [late]


async def post(
    routes: BounceRoutes, body: bytes, query: str = "", **headers: str
) -> httpx.Response:
    router = Router(routes.routes())

    async def app(scope: dict[str, object], receive: object, send: object) -> None:
        endpoint = router.find(scope)
        assert endpoint is not None
        await endpoint(scope, receive, send)  # type: ignore[arg-type]

    transport = httpx.ASGITransport(app=app)  # type: ignore[arg-type]
    async with httpx.AsyncClient(transport=transport, base_url="http://messo") as client:
        return await client.post(
            f"/messo/v1/mail-bounces{query}", content=body, headers=RFC822 | headers
        )


async def test_a_mail_server_hands_bounces_over(
    pool: Pool, secrets: Secrets, message_id: str
) -> None:
    routes = BounceRoutes(pool, secrets, TEMPLATE)
    first, second = await sent(pool, message_id), await sent(pool, message_id)
    taken = await post(routes, postfix(return_path.make(secrets, TEMPLATE, first)))
    assert (taken.status_code, taken.content) == (202, b"")
    path = return_path.make(secrets, TEMPLATE, second)
    # The envelope's recipient, with a plus sign that nobody encoded.
    told = await post(routes, postfix("postmaster@example.org"), f"?recipient={path}")
    assert told.status_code == 202
    assert set(await suppressions(pool)) == {first, second}


async def test_a_mail_server_learns_what_is_not_taken(
    pool: Pool, secrets: Secrets, message_id: str
) -> None:
    routes = BounceRoutes(pool, secrets, TEMPLATE)
    path = return_path.make(secrets, TEMPLATE, await sent(pool, message_id))
    unknown = return_path.make(secrets, TEMPLATE, new_id())
    for body in (b"", b"\xff\x00", postfix("a@example.org"), postfix(unknown)):
        refused = await post(routes, body)
        assert (refused.status_code, refused.json()["title"]) == (422, "Not a bounce")
    large = await post(routes, postfix(path) + b"x" * LONGEST)
    assert large.status_code == 413
    wrong = await post(routes, postfix(path), **{"Content-Type": "application/json"})
    assert wrong.status_code == 415
    unset = await post(BounceRoutes(pool, secrets, ""), postfix(path))
    assert unset.status_code == 422
    assert await suppressions(pool) == {}


def maildir(folder: Path) -> Path:
    for name in ("new", "cur", "tmp"):
        (folder / name).mkdir()
    return folder


async def drained(pool: Pool, mailbox: BounceMailbox) -> int:
    """Run until there is no more to do; how often."""
    for times in range(1, 20):
        async with pool.transaction() as conn:
            if not await mailbox.run(conn):
                return times
    raise AssertionError("it never ends")


async def test_a_maildir_is_read_and_what_was_read_is_put_away(
    pool: Pool, secrets: Secrets, message_id: str, tmp_path: Path
) -> None:
    mailbox = BounceMailbox(maildir(tmp_path), secrets, TEMPLATE)
    delivery_id = await sent(pool, message_id)
    path = return_path.make(secrets, TEMPLATE, delivery_id)
    files = {
        "1.a.host": postfix(path),
        "2.b.host": b"\xff" * 1000,
        "3.c.host": postfix("postmaster@example.org"),
        "4.d.host:2,": postfix(path, "5.7.1"),
        "5.e.host": b"x" * (LONGEST + 10),
    }
    for name, raw in files.items():
        (tmp_path / "new" / name).write_bytes(raw)
    (tmp_path / "new" / "folder").mkdir()
    (tmp_path / "new" / ".hidden").write_bytes(b"")
    (tmp_path / "new" / "link").symlink_to(tmp_path / "new" / "1.a.host")

    await drained(pool, mailbox)

    assert await suppressions(pool) == {delivery_id: "5.1.1"}
    left = {path.name for path in (tmp_path / "new").iterdir()}
    assert left == {"folder", ".hidden", "link"}
    put_away = {path.name for path in (tmp_path / "cur").iterdir()}
    assert put_away == {f"{name.partition(':')[0]}:2,S" for name in files}


async def test_a_bounce_is_put_away_only_after_what_it_changed_is_committed(
    pool: Pool, secrets: Secrets, message_id: str, tmp_path: Path
) -> None:
    mailbox = BounceMailbox(maildir(tmp_path), secrets, TEMPLATE)
    delivery_id = await sent(pool, message_id)
    path = return_path.make(secrets, TEMPLATE, delivery_id)
    (tmp_path / "new" / "1.a.host").write_bytes(postfix(path))

    async with pool.connection() as conn:
        undone = conn.raw.transaction()
        await undone.start()
        assert await mailbox.run(conn)
        await undone.rollback()
    assert await state_of(pool, delivery_id) == "SENT"
    assert await drained(pool, mailbox) == 2
    assert await state_of(pool, delivery_id) == "FAILED"
    assert list((tmp_path / "new").iterdir()) == []


async def test_a_full_maildir_is_read_a_hundred_at_a_time(
    pool: Pool, secrets: Secrets, tmp_path: Path
) -> None:
    mailbox = BounceMailbox(maildir(tmp_path), secrets, TEMPLATE)
    for number in range(250):
        (tmp_path / "new" / f"{number}.x").write_bytes(b"Subject: spam\r\n\r\n")
    assert await drained(pool, mailbox) == 3
    assert len(list((tmp_path / "cur").iterdir())) == 250
