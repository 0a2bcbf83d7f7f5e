"""Logout that a site asks for: read strictly, and nobody is sent where that site has not registered.

OpenID Connect RP-Initiated Logout 1.0.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import urlencode

from messo.base.db import Connection
from messo.sso.addresses import refusal
from messo.sso.clients import Client, find_client
from messo.sso.hints import Proof, read_hint

PATH = "/sso/end-session"
# `ui_locales` and `logout_hint` are ignored: the citizen's own choice counts, and who it is we know.
PARAMETERS = ("client_id", "post_logout_redirect_uri", "state", "id_token_hint")
_STATE = re.compile(r"[\x20-\x7e]{0,1000}\Z")  # RFC 6749, appendix A.5


@dataclass(frozen=True)
class Ending:
    """What was asked for. Without `client` nobody said who asks; without `uri` there is no way back."""

    client: Client | None
    uri: str | None
    state: str | None

    @property
    def back(self) -> str | None:
        """Where the browser goes when all is done, with the site's state (section 3)."""
        if self.uri is None or self.state is None:
            return self.uri
        return f"{self.uri}{'&' if '?' in self.uri else '?'}{urlencode({'state': self.state})}"

    @property
    def fields(self) -> dict[str, str]:
        """The parameters that ask for the same, and name no citizen."""
        given = {
            "client_id": self.client.id if self.client else None,
            "post_logout_redirect_uri": self.uri,
            "state": self.state,
        }
        return {name: value for name, value in given.items() if value is not None}

    @property
    def address(self) -> str:
        """Our page that asks the citizen."""
        return f"{PATH}?{urlencode(self.fields)}" if self.fields else PATH


def parameters(given: Sequence[tuple[str, str]]) -> dict[str, str]:
    """Those that count, the empty ones left out (RFC 6749, section 3.1).

    `Problem` 400 if one comes twice: who read the first and who read the last would disagree.
    """
    counted = [(name, value) for name, value in given if name in PARAMETERS and value]
    values = dict(counted)
    if len(values) < len(counted):
        twice = next(name for name in values if [n for n, _ in counted].count(name) > 1)
        raise refusal(twice, "is given more than once")
    return values


def audience(proof: Proof, hint: str) -> str:
    """For whom we issued an ID token, however long ago (section 4). `Problem` 400 if we did not."""
    found = read_hint(proof, hint)
    if found is None:
        raise refusal("id_token_hint", "is not an ID token that was issued here")
    return found.audience


async def read(
    conn: Connection, values: Mapping[str, str], hinted: str | None, *, in_url: bool
) -> Ending:
    """What these parameters ask for. `hinted`: the audience of the hint, where there is one.

    `Problem` 400 with the field for what cannot be followed: then nobody is redirected (section 4).
    """
    client_id = values.get("client_id", hinted)
    if hinted is not None and client_id != hinted:
        raise refusal("id_token_hint", "was issued for another client_id")
    client = await find_client(conn, client_id) if client_id is not None else None
    if client is None and client_id is not None:
        raise refusal("client_id", "is not one that is registered here")
    if client is not None and in_url and hinted and client.subject_type != "pairwise":
        raise refusal(
            "id_token_hint",
            "names a citizen and must not stand in an address: send client_id instead, "
            "or send it by POST",
        )
    uri = values.get("post_logout_redirect_uri")
    if uri is not None and client is None:
        raise refusal("client_id", "is missing: without it there is no way back")
    if uri is not None and client is not None and uri not in client.post_logout_redirect_uris:
        raise refusal(
            "post_logout_redirect_uri", "must be exactly one that is registered for this client"
        )
    state = values.get("state")
    if state is not None and not _STATE.match(state):
        raise refusal("state", "may have up to 1000 visible ASCII characters")
    return Ending(client, uri, state if uri is not None else None)
