"""Making a configuration and changing one. Its keys are typed here, and shown by no page again."""

import re
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

import msgspec
from msgspec import UNSET
from starlette.responses import Response
from starlette.routing import Route

from messo.base.forms import Form, short_text
from messo.console.configuration_words import PRECONDITIONS, find
from messo.console.explained import gettext
from messo.console.refusals_shown import english
from messo.console.visit import Afterwards, Visit, institution_page
from messo.content import configurations, wire
from messo.content.advice import try_addresses
from messo.login import FiscalCode
from messo.pages.edge import redirect

_ENVIRONMENTS = ("prod", "test")
_SHORT, _LONG = 200, 10_000
_ADDRESS = 2000
_SECRET = 64 * 1024  # a certificate with its chain
_TYPE = "API_KEY"  # nobody interprets it
_NO_KEY = gettext("Type the key that your server expects.")
_KEY_ELSEWHERE = gettext(
    "Type the key again: the address leads elsewhere, and the key should go only where it is meant to."
)
_MISSING = {
    "name": gettext("Enter a name."),
    "description": gettext("Say what it is for."),
    "has_precondition": gettext("Choose one."),
}


@dataclass
class Typed:
    """A form as somebody filled it in. `values`: to show it again, without secrets."""

    values: dict[str, str] = field(default_factory=dict)
    errors: dict[str, str] = field(default_factory=dict)
    kept: frozenset[str] = frozenset()  # what of before is there and is not shown


def routes() -> list[Route]:
    """`new` comes before what looks like an id."""
    new, change = "/configurations/new", "/configurations/{configuration}/change"
    return [
        institution_page(new, "console.configuration_new", "administer", show_new),
        institution_page(new, "console.configuration_make", "administer", make, ("POST",)),
        institution_page(change, "console.configuration_changing", "administer", show_change),
        institution_page(
            change, "console.configuration_change", "administer", change_it, ("POST",)
        ),
    ]


async def show_new(visit: Visit) -> Response:
    """An empty form."""
    values = {"has_precondition": "NEVER", "prod_header": "X-API-Key", "test_header": "X-API-Key"}
    return _page(visit, Typed(values), "")


async def make(visit: Visit) -> Response | Afterwards:
    """Make it; then see whether there is a server at its addresses."""
    typed, new = _read(visit, None)
    if new is None:
        return _page(visit, typed, "")
    made = await configurations.create(
        visit.conn, visit.site.secrets, visit.access.institution_id, new, None, visit.actor
    )
    return _tried(visit, new, made.configuration_id, "made")


async def show_change(visit: Visit) -> Response:
    """The form as the configuration is, its keys left out."""
    before = await find(visit)
    return _page(visit, Typed(_values(before), kept=_kept(before)), before.configuration_id)


async def change_it(visit: Visit) -> Response | Afterwards:
    """Replace it; a key that was not typed stays as it was."""
    before = await find(visit)
    typed, new = _read(visit, before)
    if new is None:
        return _page(visit, typed, before.configuration_id)
    await configurations.replace(
        visit.conn,
        visit.site.secrets,
        visit.access.institution_id,
        before.configuration_id,
        new,
        visit.actor,
    )
    return _tried(visit, new, before.configuration_id, "changed")


def _tried(
    visit: Visit, new: wire.NewConfiguration, configuration_id: str, done: str
) -> Afterwards:
    """To the page of the configuration, which says at which addresses nobody answers."""

    async def look() -> Response:
        found = await try_addresses(visit.site.outbound, new)
        silent = {one.field.partition("_")[0] for one in found}
        more = f"&silent={','.join(sorted(silent))}" if silent else ""
        return redirect(f"{visit.here}/configurations/{configuration_id}?done={done}{more}")

    return look


def _page(visit: Visit, typed: Typed, configuration_id: str) -> Response:
    texts = visit.texts
    return visit.page(
        "configuration_form.html",
        400 if typed.errors else 200,
        configuration_id=configuration_id,
        values=typed.values,
        errors=typed.errors,
        kept=typed.kept,
        preconditions=[
            (name, texts.text(label), texts.text(sentence))
            for name, (label, sentence) in PRECONDITIONS.items()
        ],
    )


def _read(
    visit: Visit, before: wire.Configuration | None
) -> tuple[Typed, wire.NewConfiguration | None]:
    """What was typed, with what is wrong; and the configuration, if nothing is."""
    form, texts = visit.form, visit.texts
    typed = Typed(_typed_values(form), kept=_kept(before) if before else frozenset())
    for name, text in _MISSING.items():
        if not typed.values[name]:
            typed.errors[name] = texts.text(text)
    if typed.values["has_precondition"] not in PRECONDITIONS:
        typed.errors["has_precondition"] = texts.text("Choose one.")
    body: dict[str, Any] = {
        "name": typed.values["name"],
        "description": typed.values["description"],
        "has_precondition": typed.values["has_precondition"],
        "is_lollipop_enabled": form.ticked("is_lollipop_enabled"),
        "disable_lollipop_for": _fiscal_codes(visit, typed, "disable_lollipop_for"),
    }
    for name in _ENVIRONMENTS:
        environment = _environment(visit, typed, name, _before(before, name))
        if environment is not None:
            body[f"{name}_environment"] = environment
    if "test_environment" in body:
        body["test_environment"]["test_users"] = _fiscal_codes(visit, typed, "test_users")
    if typed.errors:
        return typed, None
    try:
        return typed, msgspec.convert(body, wire.NewConfiguration)
    except msgspec.ValidationError as error:  # a rule that the fields above do not know
        typed.errors[""] = english(str(error))
        return typed, None


def _typed_values(form: Form) -> dict[str, str]:
    values = {
        "name": short_text(form.get("name"), _SHORT),
        "description": short_text(form.get("description"), _LONG),
        "has_precondition": short_text(form.get("has_precondition"), _SHORT),
        "is_lollipop_enabled": "1" if form.ticked("is_lollipop_enabled") else "",
        "disable_lollipop_for": form.get("disable_lollipop_for").strip(),
        "test_users": form.get("test_users").strip(),
    }
    for name in _ENVIRONMENTS:
        values[f"{name}_url"] = short_text(form.get(f"{name}_url"), _ADDRESS)
        values[f"{name}_header"] = short_text(form.get(f"{name}_header"), _SHORT)
        values[f"{name}_drop_cert"] = "1" if form.ticked(f"{name}_drop_cert") else ""
    return values


def _environment(
    visit: Visit, typed: Typed, name: str, before: wire.Environment | None
) -> dict[str, Any] | None:
    """Where a server is, and the key to it; None where no address was typed."""
    url, texts = typed.values[f"{name}_url"], visit.texts
    key = visit.form.get(f"{name}_key")[:_SECRET].strip()
    if not url:
        if key:
            typed.errors[f"{name}_url"] = texts.text("There is a key, but no address.")
        return None
    header = typed.values[f"{name}_header"]
    if not header:
        typed.errors[f"{name}_header"] = texts.text("Say in which header the key travels.")
    same = before is not None and _origin(before.base_url) == _origin(url)
    if not key and before is not None and same:
        key = before.details_authentication.key
    elif not key:
        typed.errors[f"{name}_key"] = texts.text(_NO_KEY if before is None else _KEY_ELSEWHERE)
    proof: dict[str, Any] = {
        "header_key_name": header,
        "key": key,
        "type": before.details_authentication.type if before else _TYPE,
    }
    cert = _certificate(visit, typed, name, before if same else None)
    if cert is not None:
        proof["cert"] = cert
    return {"base_url": url, "details_authentication": proof}


def _certificate(
    visit: Visit, typed: Typed, name: str, before: wire.Environment | None
) -> dict[str, str] | None:
    """All three parts anew, or those of before, unless they are to go."""
    parts = {
        part: visit.form.get(f"{name}_{part}")[:_SECRET].strip()
        for part in ("client_cert", "client_key", "server_ca")
    }
    if any(parts.values()):
        for part, text in parts.items():
            if not text:
                typed.errors[f"{name}_{part}"] = visit.texts.text(
                    "Certificate, key and authority belong together: give all three."
                )
        return parts
    if before is None or typed.values[f"{name}_drop_cert"]:
        return None
    cert = before.details_authentication.cert
    return None if cert is UNSET else msgspec.to_builtins(cert)


def _fiscal_codes(visit: Visit, typed: Typed, name: str) -> list[str]:
    """One on each line, or with commas between them."""
    codes = [code.upper() for code in re.split(r"[\s,;]+", typed.values[name]) if code]
    for code in codes:
        try:
            msgspec.convert(code, FiscalCode)
        except msgspec.ValidationError:
            typed.errors[name] = visit.texts.text(
                "This is no fiscal code: %(code)s", code=code[:40]
            )
            break
    return list(dict.fromkeys(codes))


def _before(before: wire.Configuration | None, name: str) -> wire.Environment | None:
    if before is None:
        return None
    found = before.prod_environment if name == "prod" else before.test_environment
    return found if isinstance(found, wire.Environment) else None


def _origin(url: str) -> tuple[str, str] | None:
    """Scheme, host and port: where a key goes. None for what is no address, equal to nothing."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return None
    return parts.scheme, parts.netloc


def _values(before: wire.Configuration) -> dict[str, str]:
    """As the form shows a configuration."""
    values = {
        "name": before.name,
        "description": before.description,
        "has_precondition": before.has_precondition,
        "is_lollipop_enabled": "1" if before.is_lollipop_enabled else "",
        "disable_lollipop_for": "\n".join(before.disable_lollipop_for),
    }
    for name in _ENVIRONMENTS:
        environment = _before(before, name)
        if environment is not None:
            values[f"{name}_url"] = environment.base_url
            values[f"{name}_header"] = environment.details_authentication.header_key_name
        else:
            values[f"{name}_header"] = "X-API-Key"
    if isinstance(before.test_environment, wire.TestEnvironment):
        values["test_users"] = "\n".join(before.test_environment.test_users)
    return values


def _kept(before: wire.Configuration) -> frozenset[str]:
    """Which keys and certificates are there."""
    found = set()
    for name in _ENVIRONMENTS:
        environment = _before(before, name)
        if environment is not None:
            found.add(f"{name}_key")
            if environment.details_authentication.cert is not UNSET:
                found.add(f"{name}_cert")
    return frozenset(found)
