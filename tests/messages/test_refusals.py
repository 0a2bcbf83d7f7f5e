"""What is refused, with which status and title, and which refusal comes first."""

import re
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from ipaddress import ip_network
from itertools import combinations, count
from typing import Any

import httpx
import pytest

from messo.base.crypto import Secrets
from messo.base.db import Pool
from messo.services import keys
from messo.services.permissions import Permission
from messo.services.services import (
    NewService,
    create_institution,
    set_state,
    suspend_institution,
    suspend_service,
)
from messo.settings import Settings
from tests.conftest import Running
from tests.world import (
    ACTOR,
    ALL,
    AUTO,
    MANUAL,
    SANDBOX,
    Caller,
    World,
    add_configuration,
    add_service,
    message,
)

FISCAL_CODE = (
    "^[A-Z]{6}[0-9LMNPQRSTUV]{2}[ABCDEHLMPRST][0-9LMNPQRSTUV]{2}[A-Z][0-9LMNPQRSTUV]{3}[A-Z]$"
)
NOT_ALLOWED = (403, "You are not allowed here")
NO_KEY = {
    "statusCode": 401,
    "message": "Access denied due to missing subscription key. Make sure to include subscription "
    "key when making requests to an API.",
}
BAD_KEY = {
    "statusCode": 401,
    "message": "Access denied due to invalid subscription key. Make sure to provide a valid key "
    "for an active subscription.",
}
UNKNOWN_ULID = "01K5ZJ7M8N9PQRSTVWXYZ01234"
ORGANIZATIONS = count(100)

Sender = Callable[..., Awaitable[Caller]]


@pytest.fixture(scope="module")
def settings() -> Settings:
    """The loopback address is a proxy of ours; 127.0.0.2 is anybody."""
    return Settings(
        rate_limit=100_000, rate_burst=100_000, trusted_proxies=(ip_network("127.0.0.1/32"),)
    )


@pytest.fixture(scope="module")
async def sender(running: Running, pool: Pool, world: World) -> Sender:
    """Makes a service of a new institution with these permissions."""

    async def make(*permissions: str, **service: Any) -> Caller:
        async with pool.transaction() as conn:
            institution = await create_institution(
                conn,
                ACTOR,
                f"{next(ORGANIZATIONS):011}",
                "Comune di Dario",
                "dario@example.org",
                permissions,
            )
            new = NewService("Tributi", **service)
            return await add_service(conn, world.secrets, institution, new)

    return make


@pytest.fixture(scope="module")
async def configuration(pool: Pool, secrets: Secrets) -> Callable[[str], Awaitable[str]]:
    async def make(institution: str) -> str:
        async with pool.transaction() as conn:
            return await add_configuration(conn, secrets, institution)

    return make


async def submit(
    running: Running, caller: Caller, body: dict[str, Any], path: str = "", **headers: str
) -> httpx.Response:
    return await running.client.post(
        f"/api/v1/messages{path}", json=body, headers=caller.headers | headers
    )


def refused(answer: httpx.Response) -> tuple[int, str]:
    """Status and title of a problem document."""
    assert answer.headers["content-type"] == "application/problem+json", answer.text
    document = answer.json()
    assert set(document) - {"field"} == {"title", "status", "detail"}
    assert document["status"] == answer.status_code
    assert document["detail"]
    return answer.status_code, document["title"]


# The key ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("body", [b"", b"{", b"{}"])
async def test_without_a_key_nothing_is_looked_at(running: Running, body: bytes) -> None:
    for headers in ({}, {"Ocp-Apim-Subscription-Key": ""}):
        answer = await running.client.post("/api/v1/messages", content=body, headers=headers)
        assert (answer.status_code, answer.json()) == (401, NO_KEY)
        assert answer.headers["content-type"] == "application/json"


@pytest.mark.parametrize("key", ["x", "0" * 64, "è" * 20, "a" * 20_000, "' OR 1=1 --"])
async def test_a_wrong_key_is_refused_as_the_gateway_does(running: Running, key: str) -> None:
    answer = await running.client.post(
        "/api/v1/messages",
        json=message(),
        headers={b"Ocp-Apim-Subscription-Key": key.encode()},
    )
    assert (answer.status_code, answer.json()) == (401, BAD_KEY)
    assert answer.headers["content-type"] == "application/json"


async def test_both_keys_of_a_service_work(
    running: Running, world: World, pool: Pool, sender: Sender
) -> None:
    caller = await sender(Permission.MESSAGE_WRITE)
    async with pool.connection() as conn:
        pair = await keys.read_pair(conn, world.secrets, caller.id)
    for key in pair.values():
        answer = await submit(running, Caller(caller.id, key, caller.institution), message())
        assert answer.status_code == 201


async def test_a_rotated_key_dies_and_its_twin_lives(
    running: Running, world: World, pool: Pool, sender: Sender
) -> None:
    caller = await sender(Permission.MESSAGE_WRITE)
    async with pool.connection() as conn:
        pair = await keys.read_pair(conn, world.secrets, caller.id)
    async with pool.transaction() as conn:
        new = await keys.rotate(conn, world.secrets, ACTOR, caller.id, "primary")
    await running.started.directory.refresh(0)
    for key, status in ((pair["primary"], 401), (new, 201), (pair["secondary"], 201)):
        answer = await submit(running, Caller(caller.id, key, caller.institution), message())
        assert answer.status_code == status


async def test_a_manage_key_sends_and_reads_nothing(running: Running, world: World) -> None:
    headers = {"Ocp-Apim-Subscription-Key": world.manage_key}
    for method, path in (
        ("POST", "/api/v1/messages"),
        ("POST", f"/api/v1/messages/{AUTO}"),
        ("GET", f"/api/v1/messages/{AUTO}/x"),
        ("POST", "/api/v1/profiles"),
        ("GET", f"/api/v1/profiles/{AUTO}"),
    ):
        answer = await running.client.request(method, path, headers=headers, content=b"{")
        assert refused(answer) == NOT_ALLOWED


# The state of the service ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("state", "recipient", "expected"),
    [
        ("draft", SANDBOX, 201),
        ("draft", MANUAL, 201),
        ("draft", AUTO, (403, "Recipient forbidden")),
        ("approved", AUTO, 201),
        ("published", AUTO, 201),
        ("deleted", AUTO, BAD_KEY),
        ("deleted", SANDBOX, BAD_KEY),
    ],
)
async def test_what_a_service_may_send_in_each_state(
    running: Running,
    pool: Pool,
    sender: Sender,
    state: str,
    recipient: str,
    expected: int | tuple[int, str] | dict[str, Any],
) -> None:
    caller = await sender(
        Permission.MESSAGE_WRITE,
        Permission.LIMITED_PROFILE_READ,
        authorized_recipients=(MANUAL,),
    )
    # What the process has seen of the service must not outlive the change.
    assert (await submit(running, caller, message())).status_code == 201
    async with pool.transaction() as conn:
        await set_state(conn, ACTOR, caller.id, state)
    await running.started.directory.refresh(0)
    sent = await submit(running, caller, message(recipient))
    checked = await running.client.get(f"/api/v1/profiles/{recipient}", headers=caller.headers)
    if expected == 201:
        assert (sent.status_code, checked.status_code) == (201, 200)
    elif isinstance(expected, tuple):
        assert refused(sent) == refused(checked) == expected
    else:
        assert sent.json() == checked.json() == expected


async def test_suspension_kills_the_keys_and_restoring_revives_them(
    running: Running, pool: Pool, sender: Sender
) -> None:
    caller = await sender(Permission.MESSAGE_WRITE)

    async def status() -> int:
        await running.started.directory.refresh(0)
        answer = await submit(running, caller, message())
        if answer.status_code == 401:
            assert answer.json() == BAD_KEY
        return answer.status_code

    assert await status() == 201
    for change, what in (
        (suspend_service, caller.id),
        (suspend_institution, caller.institution),
    ):
        for suspend, expected in ((True, 401), (False, 201)):
            async with pool.transaction() as conn:
                await change(conn, ACTOR, what, suspend=suspend, reason="prova")
            assert await status() == expected


async def test_a_suspended_institution_loses_its_manage_keys(
    running: Running, pool: Pool, world: World, sender: Sender
) -> None:
    caller = await sender(Permission.MESSAGE_WRITE)
    async with pool.transaction() as conn:
        pair = await keys.create_pair(conn, world.secrets, ACTOR, caller.institution, None)
        await suspend_institution(conn, ACTOR, caller.institution, suspend=True, reason="prova")
    answer = await submit(running, Caller("", pair["primary"], ""), message())
    assert (answer.status_code, answer.json()) == (401, BAD_KEY)


# Permissions -----------------------------------------------------------------------------------

ROUTES: list[tuple[str, str, tuple[Permission, ...]]] = [
    ("POST", "/api/v1/messages", (Permission.MESSAGE_WRITE, Permission.LIMITED_MESSAGE_WRITE)),
    (
        "POST",
        f"/api/v1/messages/{AUTO}",
        (Permission.MESSAGE_WRITE, Permission.LIMITED_MESSAGE_WRITE),
    ),
    ("GET", f"/api/v1/messages/{AUTO}/x", (Permission.MESSAGE_READ,)),
    ("POST", "/api/v1/profiles", (Permission.LIMITED_PROFILE_READ,)),
    ("GET", f"/api/v1/profiles/{AUTO}", (Permission.LIMITED_PROFILE_READ,)),
    ("GET", "/messo/v1/messages/x", (Permission.MESSAGE_READ,)),
    ("GET", "/messo/v1/messages?reference=x", (Permission.MESSAGE_READ,)),
]


@pytest.mark.parametrize(("method", "path", "needed"), ROUTES, ids=lambda v: str(v)[:24])
async def test_each_route_needs_its_permission(
    running: Running, sender: Sender, method: str, path: str, needed: tuple[Permission, ...]
) -> None:
    nothing = await sender()
    others = await sender(*(set(ALL) - set(needed)))
    answer = await running.client.request(method, path, headers=nothing.headers, content=b"{")
    assert refused(answer) == (403, "User has no valid scopes")
    answer = await running.client.request(method, path, headers=others.headers, content=b"{")
    assert refused(answer) == NOT_ALLOWED
    assert needed[0] in answer.json()["detail"]
    for permission in needed:
        allowed = await sender(permission)
        answer = await running.client.request(method, path, headers=allowed.headers, content=b"{")
        title = "" if answer.is_success else answer.json()["title"]
        assert title not in {"User has no valid scopes", "You are not allowed here"}


@pytest.mark.parametrize(
    ("permissions", "recipient", "accepted"),
    [
        ((Permission.MESSAGE_WRITE,), AUTO, True),
        ((Permission.MESSAGE_WRITE,), MANUAL, True),
        ((Permission.LIMITED_MESSAGE_WRITE,), MANUAL, True),
        ((Permission.LIMITED_MESSAGE_WRITE,), SANDBOX, True),
        ((Permission.LIMITED_MESSAGE_WRITE,), AUTO, False),
        ((Permission.MESSAGE_WRITE, Permission.LIMITED_MESSAGE_WRITE), AUTO, True),
    ],
)
async def test_only_without_the_full_permission_a_sender_is_limited(
    running: Running,
    sender: Sender,
    permissions: tuple[Permission, ...],
    recipient: str,
    accepted: bool,
) -> None:
    caller = await sender(*permissions, authorized_recipients=(MANUAL,))
    for answer in (
        await submit(running, caller, message(recipient)),
        await submit(running, caller, message(None), f"/{recipient}"),
    ):
        if accepted:
            assert answer.status_code == 201
        else:
            assert refused(answer) == (403, "Recipient forbidden")


# Addresses -------------------------------------------------------------------------------------

LISTED = "198.51.100.0/24"


@pytest.mark.parametrize(
    ("forwarded", "accepted"),
    [
        (["198.51.100.7"], True),
        (["203.0.113.9, 198.51.100.7"], True),
        (["198.51.100.7,127.0.0.1"], True),
        (["198.51.100.7 ,  127.0.0.1"], True),
        (["::ffff:198.51.100.7"], True),
        (["198.51.100.7:50312"], True),
        (["[::ffff:198.51.100.7]:50312"], True),
        (["garbage, 198.51.100.7"], True),
        ([], False),
        ([""], False),
        (["127.0.0.1"], False),
        (["203.0.113.9"], False),
        (["198.51.100.7, 203.0.113.9"], False),
        (["198.51.100.7, garbage"], False),
        (["198.51.100.7, garbage, 127.0.0.1"], False),
        (["198.51.100.7,"], False),
        (["2001:db8::1"], False),
        (["999.51.100.7"], False),
        (["198.51.100.7%eth0"], False),
        # The line that the proxy added itself is the last one.
        (["198.51.100.7", "203.0.113.9"], False),
        (["203.0.113.9", "198.51.100.7"], True),
    ],
)
async def test_behind_a_proxy_of_ours_its_word_counts(
    running: Running, sender: Sender, forwarded: list[str], accepted: bool
) -> None:
    caller = await sender(Permission.MESSAGE_WRITE, authorized_cidrs=(LISTED,))
    headers = [*caller.headers.items(), *(("X-Forwarded-For", line) for line in forwarded)]
    answer = await running.client.post("/api/v1/messages", json=message(), headers=headers)
    if accepted:
        assert answer.status_code == 201, answer.text
    else:
        assert refused(answer) == NOT_ALLOWED
        assert "authorized_cidrs" in answer.json()["detail"]


@pytest.mark.parametrize("forwarded", ["", "garbage", "203.0.113.9", "2001:db8::1", "a,,,b"])
async def test_without_a_list_every_address_will_do(
    running: Running, world: World, forwarded: str
) -> None:
    answer = await submit(running, world.anna, message(), **{"X-Forwarded-For": forwarded})
    assert answer.status_code == 201


@pytest.fixture(scope="module")
async def stranger(running: Running) -> AsyncIterator[httpx.AsyncClient]:
    """A client at 127.0.0.2, which is no proxy of ours."""
    transport = httpx.AsyncHTTPTransport(local_address="127.0.0.2")
    async with httpx.AsyncClient(base_url=running.url, transport=transport) as client:
        yield client


@pytest.mark.parametrize(
    ("listed", "accepted"), [(LISTED, False), ("127.0.0.1", False), ("127.0.0.2", True)]
)
async def test_from_anybody_else_forwarding_headers_mean_nothing(
    stranger: httpx.AsyncClient, sender: Sender, listed: str, accepted: bool
) -> None:
    caller = await sender(Permission.MESSAGE_WRITE, authorized_cidrs=(listed,))
    claims = dict.fromkeys(
        ["X-Forwarded-For", "X-Real-Ip", "X-Client-Ip", "Forwarded", "True-Client-Ip"],
        "198.51.100.7",
    )
    answer = await stranger.post(
        "/api/v1/messages", json=message(), headers=caller.headers | claims
    )
    assert answer.status_code == (201 if accepted else 403)


@pytest.mark.parametrize(("method", "path", "needed"), ROUTES, ids=lambda v: str(v)[:24])
async def test_the_address_comes_right_after_the_key(
    running: Running, sender: Sender, method: str, path: str, needed: tuple[Permission, ...]
) -> None:
    """Before the permission and before the body, on every route."""
    for permissions in ((), needed):
        caller = await sender(*permissions, authorized_cidrs=(LISTED,))
        answer = await running.client.request(method, path, headers=caller.headers, content=b"{")
        assert refused(answer) == NOT_ALLOWED
        assert "authorized_cidrs" in answer.json()["detail"]


# The message -----------------------------------------------------------------------------------


@dataclass
class Case:
    """A message with something wrong, and what its sender lacks."""

    own: str
    others: str
    body: dict[str, Any] = field(default_factory=message)
    path: str = ""

    @property
    def content(self) -> dict[str, Any]:
        content: dict[str, Any] = self.body["content"]
        return content

    def payment(self, **members: Any) -> None:
        plain = {"amount": 1, "notice_number": "302000000000000083"}
        self.content["payment_data"] = self.content.get("payment_data", plain) | members

    def third_party(self, **members: Any) -> None:
        plain = {"id": "42", "configuration_id": self.own}
        self.content["third_party_data"] = self.content.get("third_party_data", plain) | members


def _structure(case: Case) -> None:
    case.content["subject"] = "corto"


def _path(case: Case) -> None:
    case.path = "/AAAAAA00A00A000a"


def _covid(case: Case) -> None:
    case.content["eu_covid_cert"] = {"auth_code": "x"}


def _payee(case: Case) -> None:
    case.payment(payee={"fiscal_code": "01234567890"})


def _advanced(case: Case) -> None:
    case.body["feature_level_type"] = "ADVANCED"


def _third_party(case: Case) -> None:
    case.third_party()


def _both(case: Case) -> None:
    case.path = case.path or f"/{AUTO}"


def _neither(case: Case) -> None:
    case.body.pop("fiscal_code", None)


def _no_configuration(case: Case) -> None:
    case.third_party()
    del case.content["third_party_data"]["configuration_id"]


def _unknown_configuration(case: Case) -> None:
    case.third_party(configuration_id=UNKNOWN_ULID)


def _others_configuration(case: Case) -> None:
    case.third_party(configuration_id=case.others)


def _attachments(case: Case) -> None:
    case.third_party(has_attachments=True)


def _recipient(case: Case) -> None:
    if "fiscal_code" in case.body:
        case.body["fiscal_code"] = MANUAL


def _amount(case: Case) -> None:
    case.payment(amount=101)


@dataclass(frozen=True)
class Refusal:
    """A rule in the contract's order: how to break it, and what is answered."""

    name: str
    breaking: Callable[[Case], None]
    status: int
    title: str
    field: str | None = None
    says: str = ""
    missing: Permission | None = None


ORDER = [
    Refusal("structure", _structure, 400, "Invalid message structure", "content.subject"),
    Refusal(
        "path",
        _path,
        400,
        f'Invalid string that matches the pattern "{FISCAL_CODE}"',
        "fiscal_code",
    ),
    Refusal(
        "covid", _covid, *NOT_ALLOWED, None, "eu_covid", Permission.MESSAGE_WRITE_EU_COVID_CERT
    ),
    Refusal("payee", _payee, *NOT_ALLOWED, None, "payee", Permission.MESSAGE_WRITE_WITH_PAYEE),
    Refusal(
        "advanced", _advanced, *NOT_ALLOWED, None, "ADVANCED", Permission.MESSAGE_WRITE_ADVANCED
    ),
    Refusal(
        "third party",
        _third_party,
        *NOT_ALLOWED,
        None,
        "third_party",
        Permission.THIRD_PARTY_MESSAGE_WRITE,
    ),
    Refusal("both", _both, 400, "Bad parameters", "fiscal_code", "in the path and in the body"),
    Refusal("neither", _neither, 400, "Bad parameters", "fiscal_code", "missing"),
    Refusal(
        "no configuration",
        _no_configuration,
        403,
        "No configuration id for remote content",
        "content.third_party_data.configuration_id",
    ),
    Refusal(
        "unknown configuration",
        _unknown_configuration,
        404,
        "Remote Content Configuration NOT FOUND",
        "content.third_party_data.configuration_id",
    ),
    Refusal(
        "other's configuration",
        _others_configuration,
        404,
        "Remote Content Configuration NOT FOUND",
        "content.third_party_data.configuration_id",
    ),
    Refusal(
        "attachments",
        _attachments,
        403,
        "Attachments call forbidden",
        "content.third_party_data.has_attachments",
    ),
    Refusal("recipient", _recipient, 403, "Recipient forbidden", "fiscal_code"),
    Refusal(
        "amount",
        _amount,
        400,
        "Error while sending payment metadata",
        "content.payment_data.amount",
        "101",
    ),
]
_CONFIGURATIONS = {"no configuration", "unknown configuration", "other's configuration"}


def _exclusive(one: str, two: str) -> bool:
    """Whether one message cannot break both rules."""
    pair = {one, two}
    return (
        pair <= _CONFIGURATIONS
        or pair in ({"both", "neither"}, {"path", "neither"}, {"advanced", "third party"})
        or pair == {"advanced", "attachments"}
    )


PAIRS = [
    (first, second)
    for first, second in combinations(ORDER, 2)
    if not _exclusive(first.name, second.name)
]


@pytest.fixture(scope="module")
async def broken(
    running: Running,
    sender: Sender,
    configuration: Callable[[str], Awaitable[str]],
    world: World,
) -> Callable[..., Awaitable[httpx.Response]]:
    """Sends a message that breaks these rules and no other."""
    callers: dict[frozenset[Permission], tuple[Caller, str]] = {}
    others = await configuration(world.bruno.institution)

    async def send(*rules: Refusal) -> httpx.Response:
        missing = frozenset(rule.missing for rule in rules if rule.missing)
        if missing not in callers:
            may = set(ALL) - {Permission.MESSAGE_WRITE} - missing
            caller = await sender(
                *may, authorized_recipients=(AUTO,), max_allowed_payment_amount=100
            )
            callers[missing] = caller, await configuration(caller.institution)
        caller, own = callers[missing]
        case = Case(own, others)
        names = {rule.name for rule in rules}
        for rule in rules:
            rule.breaking(case)
        if "path" in names and "both" not in names:
            case.body.pop("fiscal_code")
        return await submit(running, caller, case.body, case.path)

    return send


@pytest.mark.parametrize("rule", ORDER, ids=lambda rule: rule.name)
async def test_a_broken_rule_is_refused(
    broken: Callable[..., Awaitable[httpx.Response]], rule: Refusal
) -> None:
    answer = await broken(rule)
    assert refused(answer) == (rule.status, rule.title)
    assert answer.json().get("field") == rule.field
    assert rule.says in answer.json()["detail"]


async def test_with_no_rule_broken_it_is_accepted(
    broken: Callable[..., Awaitable[httpx.Response]],
) -> None:
    assert (await broken()).status_code == 201


@pytest.mark.parametrize(("first", "second"), PAIRS, ids=lambda rule: rule.name.replace(" ", "-"))
async def test_of_two_broken_rules_the_first_is_named(
    broken: Callable[..., Awaitable[httpx.Response]], first: Refusal, second: Refusal
) -> None:
    answer = await broken(first, second)
    assert refused(answer) == (first.status, first.title)
    assert first.says in answer.json()["detail"]


@pytest.mark.parametrize(
    "level", [{}, {"feature_level_type": None}, {"feature_level_type": "STANDARD"}]
)
async def test_the_third_party_gate_is_the_same_for_null_absent_and_standard(
    running: Running,
    sender: Sender,
    configuration: Callable[[str], Awaitable[str]],
    level: dict[str, Any],
) -> None:
    without = await sender(*(set(ALL) - {Permission.THIRD_PARTY_MESSAGE_WRITE}))
    own = await configuration(without.institution)
    third_party = {"id": "42", "configuration_id": own}
    body = message(third_party_data=third_party)
    assert refused(await submit(running, without, body | level)) == NOT_ALLOWED
    # With ADVANCED only the permission for ADVANCED is asked for.
    advanced = body | {"feature_level_type": "ADVANCED"}
    assert (await submit(running, without, advanced)).status_code == 201


async def test_attachments_need_advanced_even_where_third_party_is_allowed(
    running: Running, world: World, configuration: Callable[[str], Awaitable[str]]
) -> None:
    own = await configuration(world.anna.institution)
    body = message(third_party_data={"id": "42", "configuration_id": own, "has_attachments": True})
    for level in ({}, {"feature_level_type": None}, {"feature_level_type": "STANDARD"}):
        assert refused(await submit(running, world.anna, body | level)) == (
            403,
            "Attachments call forbidden",
        )
    advanced = await submit(running, world.anna, body | {"feature_level_type": "ADVANCED"})
    assert advanced.status_code == 201


async def test_a_configuration_is_found_in_any_letter_case(
    running: Running, world: World, configuration: Callable[[str], Awaitable[str]]
) -> None:
    own = await configuration(world.anna.institution)
    for written in (own.lower(), own.upper()):
        body = message(third_party_data={"id": "42", "configuration_id": written})
        assert (await submit(running, world.anna, body)).status_code == 201


@pytest.mark.parametrize(
    ("maximum", "amount", "accepted"),
    [(0, 1, False), (100, 100, True), (100, 101, False), (9_999_999_999, 9_999_999_999, True)],
)
async def test_a_payment_may_reach_the_services_maximum(
    running: Running, sender: Sender, maximum: int, amount: int, accepted: bool
) -> None:
    caller = await sender(Permission.MESSAGE_WRITE, max_allowed_payment_amount=maximum)
    body = message(payment_data={"amount": amount, "notice_number": "302000000000000083"})
    answer = await submit(running, caller, body)
    if accepted:
        assert answer.status_code == 201
    else:
        assert refused(answer) == (400, "Error while sending payment metadata")
        assert f"{amount} cents" in answer.json()["detail"]
        assert f"{maximum} cents" in answer.json()["detail"]


@pytest.mark.parametrize(
    "text",
    [
        "abc",
        "AAAAAA00A00A000",
        "AAAAAA00A00A000AA",
        "aaaaaa00a00a000a",
        "AAAAAA00A00A000A%0A",
        "%00",
    ],
)
async def test_a_path_must_name_a_fiscal_code_on_every_route(
    running: Running, world: World, text: str
) -> None:
    title = f'Invalid string that matches the pattern "{FISCAL_CODE}"'
    for method, path in (
        ("POST", f"/api/v1/messages/{text}"),
        ("GET", f"/api/v1/messages/{text}/x"),
        ("GET", f"/api/v1/profiles/{text}"),
    ):
        body = message(None) if method == "POST" else None
        answer = await running.client.request(method, path, json=body, headers=world.anna.headers)
        assert refused(answer) == (400, title)


async def test_every_answer_has_the_security_headers_and_an_id(
    running: Running, world: World
) -> None:
    answers = [
        await submit(running, world.anna, message()),
        await submit(running, world.anna, {}),
        await running.client.post("/api/v1/messages"),
        await running.client.get("/api/v1/nothing"),
    ]
    assert [answer.status_code for answer in answers] == [201, 400, 401, 404]
    for answer in answers:
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["x-frame-options"] == "DENY"
        assert re.fullmatch("[0-9A-Z]{26}", answer.headers["x-request-id"])
    assert answers[3].json() == {"statusCode": 404, "message": "Resource not found"}


# Legal persons ---------------------------------------------------------------------------------


async def test_nothing_is_asked_of_a_legal_representative(running: Running, world: World) -> None:
    """A natural person gets a message about a legal person's debt; nobody compares the two."""
    body = message(
        payment_data={
            "amount": 100,
            "notice_number": "302000000000000083",
            "payee": {"fiscal_code": "01234567890"},
        }
    )
    body["content"]["markdown"] = (
        "Alla persona che rappresenta la Officina Rossi s.r.l. (partita IVA 01234567890): "
        "la tassa per l'anno 2030 si può pagare da oggi."
    )
    assert (await submit(running, world.anna, body)).status_code == 201


async def test_the_reference_says_that_nothing_is_asked(running: Running) -> None:
    document = (await running.client.get("/docs/openapi.json")).json()
    said = document["paths"]["/api/v1/messages"]["post"]["description"]
    assert "legal representative of a legal person" in said
    assert "nobody checks" in said
