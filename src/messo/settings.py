"""Every setting, once: typed, documented, read from the environment as MESSO_<NAME>."""

import os
from collections.abc import Mapping
from dataclasses import Field, dataclass, field, fields
from ipaddress import IPv4Network, IPv6Network, ip_network
from pathlib import Path
from typing import Any, Self

Network = IPv4Network | IPv6Network


class SettingError(Exception):
    """A setting cannot be read; the message names it and says what it takes."""


class RefusedError(Exception):
    """This process must not start like this; the message says what to change."""


def _setting(default: Any, about: str) -> Any:  # noqa: ANN401  the type is the field's
    return field(default=default, metadata={"about": about})


@dataclass(frozen=True)
class Settings:
    """What an operator may decide. `docs/reference/settings.md` is made from this class."""

    data: Path = _setting(
        Path("var"), "Folder of the embedded database, logs, sandbox files and generated secrets."
    )
    host: str = _setting("127.0.0.1", "Address the public port listens on.")
    port: int = _setting(8480, "Public port: institutions' API, pages, reference.")
    ops_port: int = _setting(
        8481,
        "Operations port, on loopback: /metrics and /health with detail. "
        "A worker uses the next one.",
    )
    ops_host: str = _setting("127.0.0.1", "Address the operations port listens on.")
    database_url: str = _setting(
        "", "PostgreSQL 15 or newer. Empty: `messo up` starts the embedded one."
    )
    database_port: int = _setting(8483, "Loopback port of the embedded PostgreSQL.")
    buckets: int = _setting(
        1, "Buckets of a database created now: 1, or 256 to 1024 for a cluster. Never changes."
    )
    secrets: str = _setting(
        "",
        "Installation secrets, newest first: id:base64 of 32 bytes, separated by commas. "
        "Never drop the last: keyed hashes are made with it.",
    )
    public_url: str = _setting(
        "http://127.0.0.1:8480", "Address under which people and institutions reach this server."
    )
    trusted_proxies: tuple[Network, ...] = _setting(
        (), "Networks whose X-Forwarded-For is believed, separated by commas."
    )
    outbound_networks: tuple[Network, ...] = _setting(
        (),
        "Networks that are not public and that Messo may call all the same, separated by commas: "
        "an identity provider or an institution's server in your own network.",
    )
    attachments_url: str = _setting(
        "",
        "Another address of this server, https://attachments.example.org, from which browsers get "
        "attachments, so that none of them shares an origin with the inbox. Empty: from the inbox.",
    )
    contact: str = _setting(
        "",
        "E-mail address of whoever runs this installation: push services write there when "
        "something is wrong. Empty: the address in MESSO_MAIL_FROM.",
    )
    mail_server: str = _setting(
        "",
        "SMTP server for copies and confirmations: smtp://user:password@host:587 (STARTTLS) or "
        "smtps://user:password@host:465. Empty: no mail is sent; a sandbox has its own.",
    )
    mail_from: str = _setting("Messo <no-reply@localhost>", "Whom mails come from: Name <address>.")
    mail_return_path: str = _setting(
        "",
        "Address that bounces come back to; each mail gets a signed one, address+sign@domain, "
        "so that domain must deliver those too. Empty: the address in MESSO_MAIL_FROM, unsigned.",
    )
    mail_bounces: str = _setting(
        "", "Maildir that bounces are delivered to, read by the worker. Empty: none is read."
    )
    mail_connections: int = _setting(4, "Connections to the SMTP server, per worker process.")
    mail_domain_minute: int = _setting(
        600, "Mails a minute to one destination domain, per worker process."
    )
    mail_excluded_services: tuple[str, ...] = _setting(
        (), "Ids of services whose messages are never copied by mail, separated by commas."
    )
    sandbox_mail_port: int = _setting(8485, "Loopback port of the sandbox's own SMTP server.")
    pool_size: int = _setting(10, "Database connections for requests, per server process.")
    accept_connections: int = _setting(2, "Connections that commit accepted messages, per process.")
    accept_queue: int = _setting(10_000, "Messages that may wait for their commit before 503.")
    rate_limit: int = _setting(500, "Requests a second allowed per key and process.")
    rate_burst: int = _setting(1000, "Requests a key may make at once before the rate applies.")
    body_limit: int = _setting(256 * 1024, "Largest request body, bytes.")
    body_seconds: int = _setting(10, "Time a client has to send its whole body.")
    check_notice_numbers: bool = _setting(
        True, "Refuse payment notice numbers whose check digits are wrong."
    )
    payment_node_url: str = _setting(
        "",
        "pagoPA's eCommerce payment-requests service, up to /v1, of production or of UAT: notices "
        "are asked for there. Empty: none is asked; a sandbox has its own.",
    )
    payment_node_key: str = _setting("", "Our subscription key at the payment node.")
    payment_node_minute: int = _setting(
        600, "Questions a minute to the payment node that nobody waits for, per worker process."
    )
    payment_node_test_url: str = _setting(
        "", "What citizens' clients ask with test=true; in a sandbox only, production ignores it."
    )
    payment_node_test_key: str = _setting("", "Our subscription key there.")
    payment_events_key: str = _setting(
        "",
        "What whoever pushes payment events to /messo/v1/payment-events says as Authorization: "
        "Bearer …; 16 characters at least. Empty: nobody may.",
    )
    checkout_url: str = _setting(
        "",
        "Where citizens pay, with {rpt_id}, {notice_number}, {payee_fiscal_code}, {amount} (euro "
        "cents) and {return_url} where those belong. Empty: there is no button to pay.",
    )
    reminders_from: int = _setting(8, "Hour of Rome's day from which reminders are sent.")
    reminders_until: int = _setting(20, "Hour of Rome's day until which reminders are sent.")
    guard_recipients: int = _setting(
        1000, "Mass guard: recipients of one content within a day below which nothing is held."
    )
    guard_share: float = _setting(
        0.10, "Mass guard: share of the enrolled citizens that one content may reach in a day."
    )
    guard_reports_share: float = _setting(
        0.01,
        "Share of a service's messages reported as not meant for their recipient above which "
        "`messo guard reports` marks it.",
    )
    sandbox_fiscal_code: str = _setting(
        "AAAAAA00A00A000A", "Recipient that every new service may write to, restricted or not."
    )
    service_max_amount: int = _setting(
        1_000_000, "Largest payment, euro cents, that a service may ask for once it is approved."
    )
    login_issuer: str = _setting(
        "",
        "Issuer of the OpenID Connect provider that citizens log in with (a proxy for SPID and "
        "CIE). Empty: nobody can log in; a sandbox has its own.",
    )
    login_client_id: str = _setting("messo", "Our client id at that provider.")
    login_client_secret: str = _setting("", "Our client secret at that provider.")
    login_scope: str = _setting("openid profile", "Scopes asked for at login, with spaces.")
    login_claim: str = _setting(
        "",
        "Claim that carries the fiscal code, with or without TINIT-. Empty: fiscal_code, "
        "fiscalNumber or https://attributes.eid.gov.it/fiscal_number, whichever is there.",
    )
    login_levels: tuple[str, ...] = _setting(
        ("https://www.spid.gov.it/SpidL2", "https://www.spid.gov.it/SpidL3"),
        "Levels of assurance (acr) that are enough, the lowest first.",
    )
    staff_issuer: str = _setting(
        "",
        "Issuer of the OpenID Connect provider that institutions' people and operators log in "
        "with. Empty: none of them can log in; a sandbox has its own.",
    )
    staff_client_id: str = _setting("messo-staff", "Our client id at that provider.")
    staff_client_secret: str = _setting("", "Our client secret at that provider.")
    staff_scope: str = _setting(
        "openid profile email", "Scopes asked for when people of institutions log in, with spaces."
    )
    staff_claim: str = _setting(
        "preferred_username",
        "Claim that names a person for good at that provider, and that `messo operator add` takes: "
        "no two people may ever have the same, and nobody may change their own. With email, "
        "email_verified must be true, and it counts in lower case.",
    )
    session_idle_minutes: int = _setting(30, "A browser's session ends when unused for so long.")
    session_hours: int = _setting(12, "A browser's session ends after so long in any case.")
    client_session_days: int = _setting(
        30, "A client application's session ends after so long, used or not."
    )
    client_redirects: tuple[str, ...] = _setting(
        (),
        "Addresses to which a citizen's client application may be sent back with a login code.",
    )
    terms_version: int = _setting(1, "Version of the terms of service that citizens accept.")
    terms_url: str = _setting("", "Where your terms of service are. Empty: a page of ours.")
    privacy_url: str = _setting("", "Where your privacy notice is. Empty: a page of ours.")
    erasure_days: int = _setting(
        7,
        "Days between a citizen's wish to be erased and its execution; until then they can stop it.",
    )
    archive_days: int = _setting(7, "How long a citizen can fetch the archive of their data, days.")
    worker_batch: int = _setting(1000, "Work items claimed in one transaction.")
    worker_tasks: int = _setting(1, "Batches a worker process has under way at once.")
    keep_idempotency_hours: int = _setting(
        48, "How long an Idempotency-Key is remembered (24 h at least)."
    )
    log_level: str = _setting("info", "debug, info, warning or error.")
    sandbox: bool = _setting(
        False, "Serve a sandbox world. `messo up` sets it; production refuses sandbox parts."
    )

    @classmethod
    def read(cls, environment: Mapping[str, str] = os.environ, **given: Any) -> Self:  # noqa: ANN401
        """Settings from the environment; `given` wins. `SettingError` names what is wrong."""
        known = {variable(f): f for f in fields(cls)}
        values: dict[str, Any] = dict(given)
        for name, text in environment.items():
            if name in known and known[name].name not in given and text != "":
                values[known[name].name] = _read(known[name], text)
        for name in _POSITIVE:
            if name in values and values[name] < 1:
                raise SettingError(f"MESSO_{name.upper()} must be 1 or more")
        for name in ("port", "ops_port", "database_port", "sandbox_mail_port"):
            if name in values and not 0 < values[name] < 65_535:  # noqa: PLR2004  and one more
                raise SettingError(f"MESSO_{name.upper()} must be 1 to 65534")
        made = cls(**values)
        _check_payments(made)
        return made


_POSITIVE = (
    *("pool_size", "accept_connections", "accept_queue", "rate_limit", "rate_burst"),
    *("body_limit", "body_seconds", "guard_recipients", "worker_batch", "worker_tasks"),
    *("session_idle_minutes", "session_hours", "client_session_days", "archive_days"),
    *("terms_version", "mail_connections", "mail_domain_minute"),
    "payment_node_minute",
)


def _check_payments(settings: Settings) -> None:
    earliest, latest = 8, 20  # what citizens are promised
    if not earliest <= settings.reminders_from < settings.reminders_until <= latest:
        raise SettingError(
            f"MESSO_REMINDERS_FROM and MESSO_REMINDERS_UNTIL lie between {earliest} and {latest}"
        )
    key = settings.payment_events_key
    if key and (len(key) < 16 or not key.isascii()):  # noqa: PLR2004  said in its text
        raise SettingError("MESSO_PAYMENT_EVENTS_KEY must be at least 16 characters of ASCII")
    try:
        settings.checkout_url.format(
            rpt_id="", notice_number="", payee_fiscal_code="", amount="", return_url=""
        )
    except (ValueError, LookupError, AttributeError):
        raise SettingError(
            "MESSO_CHECKOUT_URL has braces around something else than rpt_id, notice_number, "
            "payee_fiscal_code, amount or return_url"
        ) from None


def variable(setting: "Field[Any]") -> str:
    """The environment variable of a setting."""
    return f"MESSO_{setting.name.upper()}"


def _read(setting: "Field[Any]", text: str) -> object:
    reader = _READERS[str(setting.type if isinstance(setting.type, str) else _name(setting.type))]
    try:
        return reader(text.strip())
    except ValueError as error:
        raise SettingError(f"{variable(setting)} is not usable: {error}") from None


def _name(kind: object) -> str:
    return kind.__name__ if isinstance(kind, type) and "[" not in str(kind) else str(kind)


def _boolean(text: str) -> bool:
    if text.lower() in {"1", "true", "yes", "on"}:
        return True
    if text.lower() in {"0", "false", "no", "off"}:
        return False
    raise ValueError(f"{text!r} is neither true nor false")


def _words(text: str) -> list[str]:
    return [word.strip() for word in text.split(",") if word.strip()]


_READERS: dict[str, Any] = {
    "str": str,
    "int": int,
    "float": float,
    "bool": _boolean,
    "Path": Path,
    str(tuple[str, ...]): lambda text: tuple(_words(text)),
    str(tuple[Network, ...]): lambda text: tuple(ip_network(word) for word in _words(text)),
}
