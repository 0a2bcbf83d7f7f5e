"""From an authorization request to its answer: log in first, ask the citizen, or go back at once.

OpenID Connect Core 1.0, sections 3.1.2.3 to 3.1.2.6.
"""

import hashlib
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Self

from messo.base.crypto import Secrets
from messo.base.db import Connection
from messo.login import Demand, Session, hold_session
from messo.recipients.profile import lock_profile
from messo.settings import Settings
from messo.sso import access, codes, consents, discovery, launch
from messo.sso.authorize import Asked, RefusedError
from messo.sso.claims import asked_for, is_optional, subject
from messo.sso.clients import Claim, Client, Redirect, find_client
from messo.sso.codes import Grant
from messo.sso.consents import Consent
from messo.sso.refusals import Error

_CLOCKS_DIFFER = timedelta(seconds=60)  # ours and the identity provider's


@dataclass(frozen=True)
class Citizen:
    """Who is there, and the e-mail address that could be handed over, with whether it is verified."""

    session: Session
    email: tuple[str, bool] | None

    @property
    def fiscal_code(self) -> str:
        return self.session.fiscal_code


@dataclass(frozen=True)
class Back:
    """The browser goes back to the site, to this address."""

    address: str


@dataclass(frozen=True)
class LogIn:
    """Nobody is logged in, or not as the site needs it."""

    demand: Demand


@dataclass(frozen=True)
class Question:
    """What the citizen has to decide. `optional`: what they may refuse and still go on.

    `has_changed`: since it was shown, so that an answer is to another question.
    """

    asked: Asked
    client: Client
    place: Redirect
    claims: tuple[Claim, ...]
    optional: frozenset[Claim]
    remembered: Consent | None
    has_changed: bool = False

    @property
    def is_decided(self) -> bool:
        """Whether the citizen has answered all of this before and wanted it to be remembered."""
        known, required = self.remembered, set(self.claims) - self.optional
        return (
            known is not None
            and known.covers(self.claims)
            and known.agreed.issuperset(required)
            and "consent" not in self.asked.prompt
        )

    @property
    def terms(self) -> str:
        """What an answer is good for: the client may be changed while the citizen reads."""
        shown = (self.claims, sorted(self.optional), self.client.subject_type, self.place)
        return hashlib.sha256(repr(shown).encode()).hexdigest()[:32]


class Answered:
    """The citizen has answered this question: there is nothing to ask any more."""


Step = Back | LogIn | Question | Answered


@dataclass(frozen=True)
class Provider:
    """What decisions need of the installation. `levels`: of logins here, the lowest first."""

    secrets: Secrets
    issuer: str
    levels: Sequence[str]

    @classmethod
    def of(cls, settings: Settings, secrets: Secrets) -> Self:
        """As this installation is set."""
        return cls(secrets, discovery.issuer(settings.public_url), settings.login_levels)

    async def next_step(self, conn: Connection, asked: Asked, citizen: Citizen | None) -> Step:
        """What has to happen now. `RefusedError` if the client is not registered any more.

        Where it is the question, the access has begun.
        """
        if citizen is None:
            client, _ = await _registered(conn, asked)
            return self._to_login(asked, Demand(self._enough(client, asked), fresh=False))
        step = await self.question(conn, asked, citizen)
        if not isinstance(step, Question):
            return step
        ticket = await launch.take(conn, citizen.session.digest, step.client.id)
        is_silent = ticket is not None and step.is_decided
        if not is_silent and "none" in asked.prompt:
            return self._back(asked, "consent_required", "The citizen must be asked.")
        has_begun = await access.begin(
            conn,
            citizen.fiscal_code,
            citizen.session.id,
            asked,
            step.client,
            step.claims,
            step.terms,
            ticket.message_id if ticket else None,
        )
        if not has_begun:
            return Answered()
        if step.remembered is not None and is_silent:
            address = await self._hand_over(conn, step, citizen, step.remembered.agreed)
            return Back(address) if address else step
        return step

    async def question(self, conn: Connection, asked: Asked, citizen: Citizen) -> Step:
        """What this citizen has to decide, if they may: nothing is written."""
        client, place = await _registered(conn, asked)
        # Whoever changes anything of a citizen: an erasure or a withdrawal at the same moment waits,
        # or has been, and then there is nobody or nothing remembered.
        if await lock_profile(conn, citizen.fiscal_code) is None:
            return self._to_login(asked, Demand(self._enough(client, asked), fresh=True))
        enough = self._enough(client, asked)
        demand = _missing(asked, citizen.session, enough)
        if demand is not None and citizen.session.created_at >= _moment(asked.made_at):
            # The citizen has just logged in for this: once more would not change it.
            return self._unmet(asked)
        if demand is not None:
            return self._to_login(asked, demand)
        if asked.named is not None and asked.named != subject(
            self.secrets, client, citizen.fiscal_code
        ):
            return self._back(
                asked, "login_required", "Somebody else is logged in than id_token_hint names."
            )
        if not client.admits(citizen.fiscal_code):
            return self._back(asked, "access_denied", "This client is for tests only.")
        claims = asked_for(client, asked.scopes, has_email=citizen.email is not None)
        optional = frozenset(claim for claim in claims if is_optional(client, claim))
        known = await consents.remembered(conn, citizen.fiscal_code, client)
        found = Question(asked, client, place, claims, optional, known)
        shown = await access.shown_terms(conn, citizen.fiscal_code, asked.id)
        return replace(found, has_changed=shown not in (None, found.terms))

    async def agree(
        self,
        conn: Connection,
        question: Question,
        citizen: Citizen,
        ticked: Collection[str],
        *,
        remember: bool,
    ) -> str | None:
        """Where the browser takes the code to; None if this question was answered before.

        `ticked`: the optional data that the citizen agrees to; the others go without saying.
        """
        agreed = (set(question.claims) - question.optional) | (question.optional & set(ticked))
        address = await self._hand_over(conn, question, citizen, agreed)
        if address is None:
            return None
        if remember:
            await consents.remember(
                conn, citizen.fiscal_code, question.client, question.claims, agreed
            )
        else:
            await consents.forget(conn, citizen.fiscal_code, question.client.id)
        return address

    async def refuse(self, conn: Connection, question: Question, citizen: Citizen) -> str | None:
        """Where the browser goes back to with nothing; None if this was answered before."""
        asked = question.asked
        if not await access.settle(conn, citizen.fiscal_code, asked.id, "refused", ()):
            return None
        return asked.refusal(self.issuer, "access_denied", "The citizen refused.")

    async def _hand_over(
        self, conn: Connection, question: Question, citizen: Citizen, agreed: Collection[str]
    ) -> str | None:
        asked, session = question.asked, citizen.session
        claims = [claim for claim in question.claims if claim in agreed]
        if not await hold_session(conn, session.digest):
            return None
        if not await access.settle(conn, citizen.fiscal_code, asked.id, "granted", claims):
            return None
        email = citizen.email if "email" in claims else None
        grant = Grant(
            access_id=asked.id,
            fiscal_code=citizen.fiscal_code,
            sub=subject(self.secrets, question.client, citizen.fiscal_code),
            name=session.identity.name,
            family_name=session.identity.family_name,
            claims=list(claims),
            scopes=asked.scopes,
            redirect_uri=asked.redirect_uri,
            acr=session.identity.level,
            auth_time=int(session.authenticated_at.timestamp()),
            session_id=session.id,
            email=email[0] if email else None,
            email_verified=bool(email and email[1]),
            nonce=asked.nonce,
            challenge=asked.challenge,
        )
        code = await codes.mint(conn, self.secrets, question.client.id, grant)
        return asked.answer(self.issuer, code=code)

    def _to_login(self, asked: Asked, demand: Demand) -> Back | LogIn:
        if not demand.levels:
            return self._unmet(asked)
        if "none" in asked.prompt:
            return self._back(asked, "login_required", "A login is needed.")
        return LogIn(demand)

    def _unmet(self, asked: Asked) -> Back:
        said = "The login is not of the level or not as recent as asked for."
        return self._back(asked, "unmet_authentication_requirements", said)

    def _back(self, asked: Asked, error: Error, said: str) -> Back:
        return Back(asked.refusal(self.issuer, error, said))

    def _enough(self, client: Client, asked: Asked) -> tuple[str, ...]:
        """The levels that satisfy both what the client registered and what it asks for now.

        As with SPID each is a minimum. What we do not know is passed over: acr_values are wishes
        (section 3.1.2.1). A client's own level is none: where logins here do not have it any more,
        nothing is enough.
        """
        known = [self.levels.index(one) for one in asked.acr_values if one in self.levels]
        lowest = min(known, default=0)
        if client.level is not None:
            if client.level not in self.levels:
                return ()
            lowest = max(lowest, self.levels.index(client.level))
        return tuple(self.levels[lowest:])


async def _registered(conn: Connection, asked: Asked) -> tuple[Client, Redirect]:
    client = await find_client(conn, asked.client_id)
    place = client.redirect(asked.redirect_uri) if client else None
    if client is None or place is None:
        raise RefusedError(
            "invalid_client", "This client or its address is not registered any more."
        )
    return client, place


def _missing(asked: Asked, session: Session, enough: tuple[str, ...]) -> Demand | None:
    """The login that is needed on top of this one, if any."""
    fresh = not _is_recent(asked, session)
    return Demand(enough, fresh) if fresh or session.identity.level not in enough else None


def _is_recent(asked: Asked, session: Session) -> bool:
    """Whether the login is as recent as the request demands."""
    made_at = _moment(asked.made_at)
    is_new = session.created_at >= made_at
    # Of a login for this request only the provider's clock is in doubt.
    since = made_at - (_CLOCKS_DIFFER if is_new else timedelta())
    if {"login", "select_account"}.intersection(asked.prompt):
        return is_new and session.authenticated_at >= since
    age = timedelta(seconds=asked.max_age) if asked.max_age is not None else None
    return age is None or session.authenticated_at >= since - age


def _moment(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)
