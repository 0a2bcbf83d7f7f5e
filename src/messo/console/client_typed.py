"""What somebody typed into the form of a site, and what it stands for."""

import re
from dataclasses import dataclass, field
from typing import Any

import msgspec
from msgspec import UNSET

from messo.base.decode import decode
from messo.base.forms import Form, short_text
from messo.base.http import Problem
from messo.console.explained import gettext
from messo.console.refusals_shown import refused
from messo.console.visit import Visit
from messo.sso import client_wire as wire

_MOST_ROWS = 10
_FEWEST_ROWS = 1
_ADDRESS = 1000
_NAME = 100
_KEYS = 32 * 1024
_NAME_LENGTHS = (3, 30)
_settings = msgspec.json.Decoder(wire.SsoSettings)
_REDIRECT = re.compile(r"redirect_uris\[(?P<place>\d+)\]\.(?P<member>uri|display_name\.(?:it|en))")
# Where else a refusal is shown, by the beginning of the place that the API names.
_FIELDS = {
    "post_logout_redirect_uris": "post_logout",
    "token_endpoint_auth_method": "method",
    "jwks": "jwks",
    "id_token_signed_response_alg": "alg",
    "request_protection": "protection",
    "subject_type": "subject",
    "optional_claims": "claims",
    "level": "level",
    "backchannel_logout_uri": "backchannel",
}
_NOT_KEYS = gettext('This is no JWK set: it looks like {"keys": [{"kty": …}]}.')
_NAMES = gettext("A name has 3 to 30 characters.")


@dataclass
class Row:
    """A place where browsers are sent back to. `number`: of its row in the form."""

    number: int
    uri: str = ""
    it: str = ""
    en: str = ""

    @property
    def is_empty(self) -> bool:
        return not (self.uri or self.it or self.en)


@dataclass
class Typed:
    """The fields, with what is recommended where nothing was typed."""

    rows: list[Row] = field(default_factory=lambda: [Row(n) for n in range(_FEWEST_ROWS)])
    environment: str = "live"
    post_logout: str = ""
    method: str = "client_secret_basic"
    jwks: str = ""
    alg: str = "RS256"
    protection: str = "pkce_and_nonce"
    subject: str = "pairwise"
    claims: list[str] = field(default_factory=list)
    level: str = ""
    backchannel: str = ""
    errors: dict[str, str] = field(default_factory=dict)

    @property
    def can_grow(self) -> bool:
        """Whether there may be more places."""
        return len(self.rows) < _MOST_ROWS

    def with_more_rows(self) -> "Typed":
        """The same with room for another place."""
        if self.can_grow:
            self.rows.append(Row(len(self.rows)))
        return self

    def settings(self, visit: Visit) -> wire.SsoSettings | None:
        """What it stands for; None, with `errors`, if something is wrong in itself."""
        keys = self._check(visit)
        if self.errors:
            return None
        body: dict[str, Any] = {
            "redirect_uris": [
                {
                    "uri": row.uri,
                    "display_name": {"it": row.it, **({"en": row.en} if row.en else {})},
                }
                for row in self.filled
            ],
            "post_logout_redirect_uris": self.post_logout.split(),
            "token_endpoint_auth_method": self.method,
            "jwks": keys,
            "id_token_signed_response_alg": self.alg,
            "request_protection": self.protection,
            "subject_type": self.subject,
            "optional_claims": self.claims,
            "level": self.level or None,
            "backchannel_logout_uri": self.backchannel or None,
        }
        try:
            return decode(msgspec.json.encode(body), _settings)
        except Problem as problem:
            self.errors |= errors_of(visit, self, problem)
            return None

    @property
    def filled(self) -> list[Row]:
        """The rows that name a place."""
        return [row for row in self.rows if not row.is_empty]

    def _check(self, visit: Visit) -> object:
        """Note what is missing; the keys, if there are any."""
        texts = visit.texts
        if not self.filled:
            self.errors["uri-0"] = texts.text("Say where browsers are sent back to.")
        least, most = _NAME_LENGTHS
        for row in self.filled:
            if not row.uri:
                self.errors[f"uri-{row.number}"] = texts.text("Give the address, too.")
            if not least <= len(row.it) <= most:
                self.errors[f"it-{row.number}"] = texts.text(_NAMES)
            if row.en and not least <= len(row.en) <= most:
                self.errors[f"en-{row.number}"] = texts.text(_NAMES)
        if not self.jwks:
            return None
        try:
            return msgspec.json.decode(self.jwks)
        except (ValueError, RecursionError):
            self.errors["jwks"] = texts.text(_NOT_KEYS)
            return None


def read(form: Form) -> Typed:
    """As it was sent, bounded."""
    columns = [form.all(name)[:_MOST_ROWS] for name in ("uri", "it", "en")]
    count = max(_FEWEST_ROWS, *(len(column) for column in columns))
    rows = [
        Row(
            number,
            *(
                short_text(column[number] if number < len(column) else "", longest)
                for column, longest in zip(columns, (_ADDRESS, _NAME, _NAME), strict=True)
            ),
        )
        for number in range(count)
    ]
    text: dict[str, Any] = {
        name: short_text(form.get(name), _ADDRESS)
        for name in (
            "environment",
            "method",
            "alg",
            "protection",
            "subject",
            "level",
            "backchannel",
        )
    }
    return Typed(
        rows,
        **text,
        post_logout=form.get("post_logout")[: _MOST_ROWS * _ADDRESS].strip(),
        jwks=form.get("jwks")[:_KEYS].strip(),
        claims=form.all("claims")[:_MOST_ROWS],
    )


def typed_of(client: wire.SsoClient) -> Typed:
    """The form as a client is."""
    rows = [
        Row(
            number,
            one.uri,
            one.display_name.it,
            "" if one.display_name.en is UNSET else one.display_name.en,
        )
        for number, one in enumerate(client.redirect_uris)
    ]
    keys = b"" if client.jwks is None else msgspec.json.encode(client.jwks)
    return Typed(
        rows,
        client.environment,
        "\n".join(client.post_logout_redirect_uris),
        client.token_endpoint_auth_method,
        msgspec.json.format(keys).decode() if keys else "",
        client.id_token_signed_response_alg,
        client.request_protection,
        client.subject_type,
        list(client.optional_claims),
        client.level or "",
        client.backchannel_logout_uri or "",
    )


def errors_of(visit: Visit, typed: Typed, problem: Problem) -> dict[str, str]:
    """Where to say why it was refused. Raises it again if it is about nothing in the form."""
    if problem.field is None:
        raise problem
    place = _REDIRECT.match(problem.field)
    if place and int(place["place"]) < len(typed.filled):
        row = typed.filled[int(place["place"])]
        name = f"{place['member'].rpartition('.')[2]}-{row.number}"
        return {name: refused(visit, problem)}
    name = _FIELDS.get(re.split(r"[.\[]", problem.field)[0], "")
    if name == "jwks" and "private key" in problem.detail:
        typed.jwks = ""  # it is shown to nobody again
    return {name: refused(visit, problem)}
