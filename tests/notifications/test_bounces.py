"""What a mail that came back does, who may send it, and how it comes in."""

import time
from datetime import datetime, timedelta
from ipaddress import ip_network
from pathlib import Path

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from messo.base import clock
from messo.base.crypto import Secrets, new_secret
from messo.base.db import Pool
from messo.base.endpoint import Router
from messo.base.ids import lowest_id, new_id
from messo.base.limits import RateLimit
from messo.notifications.channels.email import return_path
from messo.notifications.channels.email.bounce_intake import (
    BounceMailbox,
    BounceRoutes,
    read_bounce,
    take,
)
from messo.notifications.channels.email.bounces import (
    LONGEST,
    Report,
    read_report,
    sent_to,
    verdict,
)
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
    assert read_report(postfix(path)) == Report("failed", "5.1.1")
    assert read_report(postfix(path).replace(b"\r\n", b"\n")) == Report("failed", "5.1.1")
    assert read_report(bounced.exchange(path)) == Report("failed", "5.1.10")
    assert read_report(postfix(path, "4.4.1", "delayed")) == Report("delayed", "4.4.1")
    assert read_report(postfix(path, "what?")) == Report("failed", "")


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


HEAD = f'Content-Type: multipart/report; report-type=delivery-status; boundary="{BOUNDARY}"'
PART = f"\r\n--{BOUNDARY}\r\n"
STATUS = f"{HEAD}\r\n\r\n{PART}Content-Type: message/delivery-status\r\n\r\n"
HOSTILE = {
    "parameters": HEAD + '; x="' + ";" * 900_000,
    "parts": HEAD + "\r\n\r\n" + PART * 40_000,
    "parts of parts": HEAD + "\r\n\r\n" + (PART + f"{HEAD}\r\n") * 5_000,
    "parts of parameters": HEAD + "\r\n\r\n" + (PART + HEAD + ";" * 9_000 + "\r\n\r\n") * 100,
    "parts of headers": HEAD + "\r\n\r\n" + (PART + "a:\n" * 30_000 + "\r\n") * 10,
    "nearly parts": HEAD + "\r\n\r\n" + f"\n--{BOUNDARY[:-1]}" * 40_000,
    "blank lines": STATUS + "\r\n \t" * 200_000,
    "addresses": STATUS + "Action:\r\n\r\n" * 80_000,
    "fields of an address": STATUS + "a:\n" * 300_000,
    "folded fields": STATUS + ("Action:\n " + "\n " * 8_000 + "\n\n") * 50,
    "headers": "a:\n" * 330_000,
    "a long field": "To: " + "(" * 1_000_000,
    "a folded field": "To:" + "\n " * 300_000,
    "the same field": "To: a@b.org\r\n" * 80_000,
    "mails in mails": "".join(
        f'Content-Type: multipart/mixed; boundary="{n}"\r\n\r\n--{n}\r\n' for n in range(15_000)
    ),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_report_is_read_in_little_time_even_if_it_names_a_mail_of_ours(
    secrets: Secrets, name: str
) -> None:
    """The event loop stands still meanwhile. The best of five, for the machine has other work."""
    now = clock.now()
    path = return_path.make(secrets, TEMPLATE, new_id())
    raw = f"To: {path}\r\n{HOSTILE[name]}".encode()[:LONGEST]
    seconds = []
    for _ in range(5):
        began = time.perf_counter()
        assert read_bounce(secrets, TEMPLATE, raw, now) is None
        assert read_bounce(secrets, TEMPLATE, raw, now, path) is None
        seconds.append((time.perf_counter() - began) / 2)
    assert min(seconds) < 0.02


@pytest.mark.parametrize("name", HOSTILE)
def test_a_report_to_nobody_of_ours_is_not_read_at_all(secrets: Secrets, name: str) -> None:
    """Nor is one to hundreds of forged addresses."""
    forged = [return_path.make(Secrets.parse(new_secret()), TEMPLATE, new_id()) for _ in range(230)]
    raws = [HOSTILE[name].encode()[:LONGEST], f"To: {', '.join(forged)}\n{HOSTILE[name]}".encode()]
    seconds = []
    for _ in range(5):
        began = time.perf_counter()
        for raw in raws:
            assert read_bounce(secrets, TEMPLATE, raw, clock.now()) is None
        seconds.append((time.perf_counter() - began) / 2)
    assert min(seconds) < 0.005


def test_a_return_path_is_found_in_the_first_headers_only(secrets: Secrets) -> None:
    delivery_id = new_id()
    path = return_path.make(secrets, TEMPLATE, delivery_id)
    forged = return_path.make(Secrets.parse(new_secret()), TEMPLATE, delivery_id)

    def found(headers: str) -> str | None:
        return return_path.find(secrets, TEMPLATE, sent_to(headers.encode()))

    for headers in (
        f"To: {path}",
        f"TO : <{path}>\r\n\r\n",
        f"Subject: x\r\nTo: A B <a@b.org>,\r\n\t{path.upper()}\r\nX: y\r\n",
        f"Delivered-To: a@b.org\nEnvelope-To: {path};\n",
        f"Original-Recipient: rfc822;{path}",
        f"To: {forged}\nX-Original-To: {path}",
    ):
        assert found(headers) == delivery_id
    for headers in (
        "",
        path,
        f"To: a@b.org\r\n\r\nTo: {path}",
        f"To: a@b.org\n \t\nTo: {path}",
        f"\nTo: {path}",
        f"From: {path}\nSubject: {path}\nX-To: {path}\nTo-Day: {path}",
        f"To: {forged}",
        f"To: a{path}",
        f"To: a.{path}",
        f"To: {path}.com",
        f"To: {path.replace('bounces', 'bounceſ')}",
        "X: " + "x" * 16_384 + f"\nTo: {path}",
        f"To: {', '.join([forged] * 20)}, {path}",
    ):
        assert found(headers) is None


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


def routes_of(
    pool: Pool, secrets: Secrets, *, template: str = TEMPLATE, burst: int = 100
) -> BounceRoutes:
    return BounceRoutes(pool, secrets, template, RateLimit(1, burst), [ip_network("10.0.0.0/8")])


async def post(
    routes: BounceRoutes, body: bytes, query: str = "", **headers: str
) -> httpx.Response:
    router = Router(routes.routes())

    async def app(scope: dict[str, object], receive: object, send: object) -> None:
        endpoint = router.find(scope)
        assert endpoint is not None
        await endpoint(scope, receive, send)  # type: ignore[arg-type]

    transport = httpx.ASGITransport(app=app, client=("10.0.0.1", 1))  # type: ignore[arg-type]
    async with httpx.AsyncClient(transport=transport, base_url="http://messo") as client:
        return await client.post(
            f"/messo/v1/mail-bounces{query}", content=body, headers=RFC822 | headers
        )


async def test_a_mail_server_hands_bounces_over(
    pool: Pool, secrets: Secrets, message_id: str
) -> None:
    routes = routes_of(pool, secrets)
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
    routes = routes_of(pool, secrets)
    path = return_path.make(secrets, TEMPLATE, await sent(pool, message_id))
    unknown = return_path.make(secrets, TEMPLATE, new_id())
    for body in (b"", b"\xff\x00", postfix("a@example.org"), postfix(unknown)):
        refused = await post(routes, body)
        assert (refused.status_code, refused.json()["title"]) == (422, "Not a bounce")
    large = await post(routes, postfix(path) + b"x" * LONGEST)
    assert large.status_code == 413
    wrong = await post(routes, postfix(path), **{"Content-Type": "application/json"})
    assert wrong.status_code == 415
    unset = await post(routes_of(pool, secrets, template=""), postfix(path))
    assert unset.status_code == 422
    assert await suppressions(pool) == {}


async def test_each_client_may_hand_over_so_many_bounces(pool: Pool, secrets: Secrets) -> None:
    """They are told by the address that a trusted proxy saw."""
    routes = routes_of(pool, secrets, burst=2)
    one, other = {"X-Forwarded-For": "192.0.2.1"}, {"X-Forwarded-For": "192.0.2.2"}
    statuses = [(await post(routes, b"", **one)).status_code for _ in range(3)]
    assert statuses == [422, 422, 429]
    refused = await post(routes, b"", **one)
    assert refused.json()["title"] == "Too many requests"
    assert int(refused.headers["retry-after"]) >= 1
    assert (await post(routes, b"", **other)).status_code == 422


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
