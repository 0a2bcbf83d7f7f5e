"""Every command of an operator and of a developer, against a running installation."""

import re
import subprocess
from pathlib import Path

import httpx
import pytest

from messo.base.crypto import Secrets
from messo.sandbox import fiscal_codes
from tests.acceptance.installed import Server, Site, in_database, must_refuse, run, wait_until
from tests.world import AUTO, MANUAL, STRANGER, Caller, message

pytestmark = pytest.mark.acceptance

NOBODY = "01ARZ3NDEKTSV4RRFFQ69G5FAV"  # an id that nothing has
TEXT = (
    "Ciao! Il documento che hai chiesto allo sportello è pronto: puoi ritirarlo quando vuoi, "
    "anche il sabato mattina."
)


@pytest.fixture(scope="module")
def server(site: Site) -> Server:
    site.work()
    return site.serve()


def ok(told: "subprocess.CompletedProcess[str]") -> str:
    assert told.returncode == 0, (told.stdout, told.stderr)
    assert told.stderr == ""
    return told.stdout


def found(pattern: str, text: str) -> str:
    match = re.search(pattern, text)
    assert match, text
    return match[1]


def audited(site: Site, action: str, subject: str) -> str:
    """The detail of the newest such entry; it names who gave the command."""
    rows = site.rows(
        "SELECT actor, detail::text AS detail FROM operations.audit "
        "WHERE action = $1 AND subject = $2 ORDER BY id DESC",
        action,
        subject,
    )
    assert rows, f"{action} of {subject} is not in the audit log"
    assert rows[0]["actor"].startswith("cli:")
    return str(rows[0]["detail"])


def answers(server: Server, key: str) -> int:
    """What a question with this key is answered."""
    return httpx.get(
        f"{server.url}/api/v1/profiles/{AUTO}", headers={"Ocp-Apim-Subscription-Key": key}
    ).status_code


def soon(server: Server, key: str, status: int) -> None:
    wait_until(lambda: answers(server, key) == status, f"the key is answered {status}", seconds=5)


@pytest.fixture(scope="module")
def institution(site: Site, server: Server) -> str:
    told = ok(site.run("institution", "create", "01234567890", "Comune di Dora", "d@example.org"))
    assert len(found(r"primary\)\s+(\S+)", told)) == 43
    assert len(found(r"secondary\)\s+(\S+)", told)) == 43
    created = found(r"Institution (\w{26})", told)
    audited(site, "institution.create", created)
    audited(site, "key.create", created)
    return created


@pytest.fixture(scope="module")
def service(site: Site, institution: str) -> Caller:
    told = ok(
        site.run(
            *("service", "create", institution, "Mensa scolastica", "--department", "Scuola"),
            *("--category", "STANDARD", "--state", "published", "--max-amount", "5000"),
            *("--recipient", AUTO, "--cidr", "127.0.0.0/8", "--secure"),
        )
    )
    created = found(r"Service (\w{26})", told)
    audited(site, "service.create", created)
    audited(site, "key.create", created)
    kept = site.rows("SELECT * FROM services.service WHERE id = $1", created)[0]
    assert kept["department"] == "Scuola"
    assert kept["max_allowed_payment_amount"] == 5000
    assert kept["authorized_cidrs"] == ["127.0.0.0/8"]
    assert AUTO in kept["authorized_recipients"]
    assert kept["require_secure_channels"] is True
    return Caller(created, found(r"primary key\s+(\S+)", told), institution)


def test_an_institution_can_be_listed(site: Site, institution: str, service: Caller) -> None:
    line = next(
        line for line in ok(site.run("institution", "list")).splitlines() if institution in line
    )
    assert line.split() == [institution, "01234567890", "Comune", "di", "Dora", "1", "active"]


def test_a_new_service_can_ask_at_once(server: Server, service: Caller) -> None:
    soon(server, service.key, 200)


def test_permissions_are_given_and_taken(
    site: Site, server: Server, institution: str, service: Caller
) -> None:
    ok(site.run("institution", "revoke", institution, "ApiLimitedProfileRead"))
    assert "ApiLimitedProfileRead" in audited(site, "institution.revoke", institution)
    soon(server, service.key, 403)
    ok(site.run("institution", "grant", institution, "ApiLimitedProfileRead"))
    assert "ApiLimitedProfileRead" in audited(site, "institution.grant", institution)
    soon(server, service.key, 200)
    ok(site.run("service", "grant", service.id, "ApiMessageReadAdvanced"))
    assert "ApiMessageReadAdvanced" in audited(site, "institution.grant", institution)


def test_an_institution_is_suspended_and_restored(
    site: Site, server: Server, institution: str, service: Caller
) -> None:
    ok(site.run("institution", "suspend", institution, "--reason", "contract ended"))
    assert "contract ended" in audited(site, "institution.suspend", institution)
    soon(server, service.key, 401)
    told = ok(site.run("institution", "list"))
    assert "suspended" in next(line for line in told.splitlines() if institution in line)
    ok(site.run("institution", "restore", institution, "--reason", "renewed"))
    assert "renewed" in audited(site, "institution.restore", institution)
    soon(server, service.key, 200)


def test_a_service_is_suspended_restored_and_moved(
    site: Site, server: Server, service: Caller
) -> None:
    ok(site.run("service", "suspend", service.id, "--reason", "key leaked"))
    assert "key leaked" in audited(site, "service.suspend", service.id)
    soon(server, service.key, 401)
    told = ok(site.run("service", "list", service.institution))
    assert "published, suspended" in told
    ok(site.run("service", "restore", service.id, "--reason", "rotated"))
    assert "rotated" in audited(site, "service.restore", service.id)
    soon(server, service.key, 200)
    ok(site.run("service", "state", service.id, "approved"))
    assert "approved" in audited(site, "service.state", service.id)
    lines = ok(site.run("service", "list")).splitlines()
    assert "approved" in next(line for line in lines if service.id in line)
    soon(server, service.key, 200)


def test_keys_are_shown_and_replaced(site: Site, server: Server, service: Caller) -> None:
    shown = ok(site.run("service", "keys", service.id))
    assert found(r"primary\s+(\S+)", shown) == service.key
    second = found(r"secondary\s+(\S+)", shown)
    rotated = ok(site.run("service", "keys", service.id, "--rotate", "secondary"))
    assert found(r"primary\s+(\S+)", rotated) == service.key
    fresh = found(r"secondary\s+(\S+)", rotated)
    assert fresh != second
    assert "secondary" in audited(site, "key.rotate", service.id)
    soon(server, second, 401)
    soon(server, fresh, 200)


def test_a_citizen_is_enrolled_and_shown(site: Site) -> None:
    code = fiscal_codes.make("TSTCMD80A01Y050")
    assert "Enrolled." in ok(site.run("citizen", "create", code, "--mode", "MANUAL"))
    assert "already" in ok(site.run("citizen", "create", code))
    hashed = Secrets.parse(site.secret_text).keyed_hash(code)
    audited(site, "citizen.create", hashed)
    shown = ok(site.run("citizen", "show", code))
    assert re.search(r"mode\s+MANUAL", shown)
    assert re.search(r"is_inbox_enabled\s+True", shown)


def test_a_citizen_is_erased_and_requests_are_counted(site: Site) -> None:
    code = fiscal_codes.make("TSTCMD80A01Y051")
    ok(site.run("citizen", "create", code))
    assert site.run("citizen", "erase", code).returncode == 1  # nobody confirms
    assert code in ok(site.run("citizen", "show", code))
    assert "Erased." in ok(site.run("citizen", "erase", code, "--yes"))
    audited(site, "citizen.erase", Secrets.parse(site.secret_text).keyed_hash(code))
    must_refuse(site.run("citizen", "show", code), "nobody")
    must_refuse(site.run("citizen", "erase", code, "--yes"), "being erased")
    shown = ok(site.run("citizen", "requests"))
    assert re.search(r"DELETE\s+WIP\s+1", shown)
    assert code not in shown


def test_operators_come_and_go(site: Site) -> None:
    assert "Added." in ok(site.run("operator", "add", "carla.operatrice"))
    assert "already" in ok(site.run("operator", "add", "carla.operatrice"))
    audited(site, "operator.add", "carla.operatrice")
    assert "carla.operatrice" in ok(site.run("operator", "list"))
    assert "Removed." in ok(site.run("operator", "remove", "carla.operatrice"))
    audited(site, "operator.remove", "carla.operatrice")
    assert "no such operator" in ok(site.run("operator", "remove", "carla.operatrice"))
    assert "carla.operatrice" not in ok(site.run("operator", "list"))


def test_the_audit_log_is_shown_and_its_seals_verified(site: Site, institution: str) -> None:
    shown = ok(site.run("operator", "audit", "--limit", "500"))
    assert "institution.create" in shown
    assert institution in shown
    wait_until(
        lambda: site.value("SELECT count(*) FROM operations.audit WHERE seal IS NULL") == 0,
        "the worker has sealed every entry",
    )
    assert "Every seal holds." in ok(site.run("operator", "audit", "--verify"))
    change = "UPDATE operations.audit SET actor = {} WHERE action = 'institution.create'"
    try:
        site.execute(change.format("actor || 'x'"))
        told = site.run("operator", "audit", "--verify")
        assert told.returncode == 1
        assert "does not match its entries" in told.stdout
        assert "Traceback" not in told.stderr
    finally:
        site.execute(change.format("left(actor, -1)"))
    assert "Every seal holds." in ok(site.run("operator", "audit", "--verify"))


def test_the_guard_shows_what_it_holds_and_lets_past(site: Site, server: Server) -> None:
    strict = site.serve("serve-strict", MESSO_GUARD_RECIPIENTS="40", MESSO_GUARD_SHARE="0.0001")
    who = site.world.bruno
    with site.client(strict) as client:

        def send(place: int) -> int:
            body = message(fiscal_codes.many(300)[place], subject="Festa in piazza per tutti")
            return client.post("/api/v1/messages", json=body, headers=who.headers).status_code

        first_refused = next((n for n in range(299) if send(n) == 403), None)
        assert first_refused is not None
        held = ok(site.run("guard", "list"))
        assert who.institution in held
        assert "Comune di Bruno" in held
        told = ok(site.run("guard", "allow", who.institution, "--reason", "flood", "--hours", "2"))
        assert "Allowed until" in told
        assert "flood" in audited(site, "guard.allow", who.institution)
        wait_until(lambda: send(299) == 201, "the institution is let past", seconds=5)
    assert "flood" in ok(site.run("guard", "list"))
    strict.kill()


def test_failed_messages_are_replayed(site: Site, server: Server) -> None:
    who = site.world.anna
    with site.client(server) as client:
        sent = client.post("/api/v1/messages", json=message(), headers=who.headers).json()["id"]
        site.wait_decided()
        site.execute(
            "UPDATE messages.message SET status = 'FAILED', decided_at = NULL "
            f"WHERE id = '{sent}'; "
            f"DELETE FROM events.log WHERE message_id = '{sent}' AND kind = 'processed'; "
            f"DELETE FROM events.published WHERE message_id = '{sent}' AND kind = 'processed'"
        )
        assert "1 messages queued again" in ok(site.run("replay"))
        site.wait_decided()
        life = client.get(f"/messo/v1/messages/{sent}", headers=who.headers).json()
    assert life["status"] == "PROCESSED"
    audited(site, "messages.replay", "messages.process")
    assert "0 messages queued again" in ok(site.run("replay"))


def test_the_doctor_finds_nothing_wrong(site: Site) -> None:
    told = ok(site.run("doctor"))
    for check in ("secrets", "disk", "PostgreSQL", "fsync", "clock", "migrations"):
        assert re.search(rf"ok\s+{check}", told), told


def test_the_doctor_says_what_is_wrong(site: Site) -> None:
    told = site.run("doctor", MESSO_DATABASE_URL="postgresql://messo@127.0.0.1:1/messo")
    assert told.returncode == 1
    assert re.search(r"bad\s+database\s+cannot connect", told.stdout)
    assert told.stderr == ""
    told = site.run("doctor", MESSO_SECRETS="", MESSO_DATA="/nonexistent")
    assert told.returncode == 1
    assert "MESSO_SECRETS is empty" in told.stdout
    told = site.run("doctor", MESSO_DATABASE_URL=site.database("doctors"))
    assert told.returncode == 1
    assert "messo migrate" in told.stdout


def test_the_doctor_makes_a_secret(site: Site) -> None:
    first, second = ok(site.run("doctor", "--new-secret")), ok(site.run("doctor", "--new-secret"))
    assert first != second
    assert len(Secrets.parse(first.strip()).keys) == 1


def test_the_schema_is_migrated_once(site: Site) -> None:
    url = site.database("migrated_by_command")
    assert re.search(
        r"[1-9]\d* migrations applied", ok(site.run("migrate", MESSO_DATABASE_URL=url))
    )
    assert "0 migrations applied" in ok(site.run("migrate", MESSO_DATABASE_URL=url))
    # What was done is remembered, in the database itself.
    count = "SELECT count(*) FROM base.migration"
    assert in_database(url, lambda conn: conn.raw.fetchval(count)) >= 1


def test_the_first_half_of_a_migration_is_enough_to_serve(site: Site) -> None:
    url = site.database("migrated_before")
    ok(site.run("migrate", "--pre", MESSO_DATABASE_URL=url))
    ok(site.run("institution", "list", MESSO_DATABASE_URL=url))


def test_the_schema_can_be_written_down(site: Site, tmp_path: Path) -> None:
    ok(site.run("migrate", "--dump", str(tmp_path / "schema.sql")))
    text = (tmp_path / "schema.sql").read_text()
    assert "CREATE TABLE messages.message" in text


def test_a_developer_sends_checks_and_follows_a_message(site: Site, server: Server) -> None:
    at = ("--url", server.url, "--key", site.world.anna.key)
    sending = ("send", AUTO, "--subject", "Documento pronto", "--markdown", TEXT)
    sent = ok(site.run(*sending, "--reference", "pratica-7", "--idempotency-key", "7", *at)).strip()
    again = ok(site.run(*sending, "--idempotency-key", "7", *at)).strip()
    assert sent == again
    site.wait_decided()
    told = ok(site.run("status", sent, *at))
    assert "PROCESSED" in told
    assert [line.split()[1] for line in told.splitlines()[1:]] == ["accepted", "processed"]

    assert "may write" in ok(site.run("check", AUTO, *at))
    environment = {"MESSO_URL": server.url, "MESSO_KEY": site.world.bruno.key}
    assert "may not write" in ok(site.run("check", MANUAL, **environment))
    typed = ("send", AUTO, "--subject", "Documento pronto", "--markdown", "-", *at)
    told = ok(run(*typed, environment=site.environment(), stdin=TEXT))
    assert re.fullmatch(r"\w{26}\n", told)

    stranger = ok(
        site.run("send", STRANGER, "--subject", "Documento pronto", "--markdown", TEXT, *at)
    )
    site.wait_decided()
    told = ok(site.run("status", stranger.strip(), *at))
    assert "REJECTED" in told
    assert "USER_NOT_FOUND" in told


MISTAKES = [
    ("11 digits", ["institution", "create", "123", "Comune", "c@example.org"]),
    ("e-mail", ["institution", "create", "01234567899", "Comune", "nowhere"]),
    ("exists already", ["institution", "create", "00000000001", "Comune", "c@example.org"]),
    ("unknown permission", ["institution", "grant", "{institution}", "ApiEverything"]),
    ("unknown permission", ["institution", "revoke", "{institution}", "ApiEverything"]),
    (NOBODY, ["institution", "grant", NOBODY, "ApiInfoRead"]),
    (NOBODY, ["institution", "suspend", NOBODY, "--reason", "x"]),
    (NOBODY, ["service", "create", NOBODY, "Mensa"]),
    ("SPECIAL", ["service", "create", "{institution}", "Mensa", "--category", "LARGE"]),
    ("published", ["service", "create", "{institution}", "Mensa", "--state", "closed"]),
    ("IPv4", ["service", "create", "{institution}", "Mensa", "--cidr", "300.1.1.1/8"]),
    ("euro cents", ["service", "create", "{institution}", "Mensa", "--max-amount", "10000000000"]),
    (NOBODY, ["service", "suspend", NOBODY, "--reason", "x"]),
    (NOBODY, ["service", "restore", NOBODY, "--reason", "x"]),
    (NOBODY, ["service", "state", NOBODY, "draft"]),
    ("published", ["service", "state", "{service}", "closed"]),
    (NOBODY, ["service", "keys", NOBODY]),
    ("third", ["service", "keys", "{service}", "--rotate", "third"]),
    (NOBODY, ["service", "grant", NOBODY, "ApiInfoRead"]),
    ("AUTO", ["citizen", "create", AUTO, "--mode", "LEGACY"]),
    ("fiscal", ["citizen", "create", "ROSSI"]),
    ("nobody", ["citizen", "show", STRANGER]),
    (NOBODY, ["guard", "allow", NOBODY, "--reason", "x"]),
    ("401", ["check", AUTO, "--url", "{url}", "--key", "wrong"]),
    (
        "400",
        ["send", AUTO, "--subject", "x", "--markdown", "y", "--url", "{url}", "--key", "{key}"],
    ),
    ("404", ["status", NOBODY, "--url", "{url}", "--key", "{key}"]),
    ("does not answer", ["status", NOBODY, "--url", "http://127.0.0.1:1", "--key", "x"]),
    ("--key", ["status", NOBODY]),
]


@pytest.mark.parametrize(("words", "arguments"), MISTAKES, ids=lambda it: "-".join(it)[:50])
def test_a_mistake_is_one_line(
    site: Site, server: Server, words: str, arguments: list[str]
) -> None:
    anna = site.world.anna
    given = {"institution": anna.institution, "service": anna.id, "key": anna.key}
    filled = [argument.format(url=server.url, **given) for argument in arguments]
    before = site.value("SELECT count(*) FROM operations.audit")
    must_refuse(site.run(*filled), words)
    assert site.value("SELECT count(*) FROM operations.audit") == before


@pytest.mark.parametrize(
    "arguments",
    [["institution", "list"], ["operator", "audit"], ["replay"], ["guard", "list"], ["migrate"]],
    ids="-".join,
)
def test_a_command_without_database_says_so(site: Site, arguments: list[str]) -> None:
    must_refuse(
        site.run(*arguments, MESSO_DATABASE_URL="", MESSO_DATA="/nonexistent"), "MESSO_DATABASE_URL"
    )
    nowhere = "postgresql://messo@127.0.0.1:1/messo"
    must_refuse(site.run(*arguments, MESSO_DATABASE_URL=nowhere), "database")


def test_a_command_on_an_empty_database_says_so(site: Site) -> None:
    url = site.database("empty_for_commands")
    for arguments in (["institution", "list"], ["replay"]):
        must_refuse(site.run(*arguments, MESSO_DATABASE_URL=url), "messo migrate")
