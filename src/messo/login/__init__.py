"""Login by OpenID Connect, and the sessions it opens, in browsers and in client applications.

Owns: login.session, login.code. Others may call what is listed here.

Pages use `LoginFlow` (begin, finish, mint_code, logout_url), `Web` (cookies, open_session, the
token of forms) and the functions about sessions. API routes of other rooms authenticate with
`BearerAuthenticate`. A room whose people are no citizens uses `Flow` with a `Registration` of its
own, and keeps its sessions itself.
"""

from messo.login.bearer import BearerAuthenticate
from messo.login.clients import ClientTarget
from messo.login.device_key import DeviceKey, public_key
from messo.login.fiscal_code import FISCAL_CODE, FiscalCode
from messo.login.flow import PENDING_SECONDS, Demand, Finished, Flow, LoginFlow, local_path
from messo.login.provider import Provider
from messo.login.refusal import LoginError
from messo.login.registration import Registration, citizen_registration, issuer, sandbox_issuer
from messo.login.routes import LoginRoutes
from messo.login.sessions import (
    Identity,
    Limits,
    Session,
    client_limits,
    close_all_sessions,
    close_session,
    close_token,
    erase,
    find_by_digest,
    find_session,
    forget,
    forget_expired,
    hold_session,
    list_sessions,
    open_session,
    put_sessions,
    web_limits,
)
from messo.login.sso_token import make_sso_token, open_sso_token
from messo.login.web import Web, label

__all__ = [
    "FISCAL_CODE",
    "PENDING_SECONDS",
    "BearerAuthenticate",
    "ClientTarget",
    "Demand",
    "DeviceKey",
    "Finished",
    "FiscalCode",
    "Flow",
    "Identity",
    "Limits",
    "LoginError",
    "LoginFlow",
    "LoginRoutes",
    "Provider",
    "Registration",
    "Session",
    "Web",
    "citizen_registration",
    "client_limits",
    "close_all_sessions",
    "close_session",
    "close_token",
    "erase",
    "find_by_digest",
    "find_session",
    "forget",
    "forget_expired",
    "hold_session",
    "issuer",
    "label",
    "list_sessions",
    "local_path",
    "make_sso_token",
    "open_session",
    "open_sso_token",
    "public_key",
    "put_sessions",
    "sandbox_issuer",
    "web_limits",
]
