"""A site that signs citizens on, with Authlib and Starlette.

pip install authlib httpx itsdangerous starlette uvicorn
ISSUER=… CLIENT_ID=… CLIENT_SECRET=… python authlib_site.py
"""

import html
import os
import secrets
from typing import Any
from urllib.parse import parse_qsl

import uvicorn
from authlib.common.errors import AuthlibBaseError
from authlib.integrations.starlette_client import OAuth
from httpx import HTTPError
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.sessions import SessionMiddleware
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import Route

ISSUER, ID, SECRET = (os.environ[name] for name in ("ISSUER", "CLIENT_ID", "CLIENT_SECRET"))
PORT = int(os.environ.get("PORT", "8001"))
SITE = f"http://127.0.0.1:{PORT}"  # in earnest your public address, with https
EVENT = "http://schemas.openid.net/event/backchannel-logout"
# In earnest in your database or cache: a logout that Messo tells us of has to find them.
SESSIONS: dict[str, dict[str, Any]] = {}

oauth = OAuth()
messo = oauth.register(
    "messo",
    client_id=ID,
    client_secret=SECRET,
    server_metadata_url=f"{ISSUER}/.well-known/openid-configuration",
    client_kwargs={"scope": "openid profile email", "code_challenge_method": "S256"},
)


async def login(request: Request) -> Response:
    """Off to Messo at once, with a state, a nonce and a challenge that Authlib makes."""
    return await messo.authorize_redirect(request, f"{SITE}/callback")


async def callback(request: Request) -> Response:
    """The browser is back. Authlib compares the state and checks the ID token."""
    try:
        if request.query_params.get("iss") != ISSUER:  # Authlib leaves this to us
            raise ValueError("an answer of somebody else")
        token = await messo.authorize_access_token(request)
        who = await messo.userinfo(token=token)
        if who["sub"] != token["userinfo"]["sub"]:  # and this
            raise ValueError("an answer about somebody else")
    except (AuthlibBaseError, HTTPError, JoseError, LookupError, ValueError):
        return page(f"Not logged in: {request.query_params.get('error', 'begin anew')}", 400)
    request.session["id"] = name = secrets.token_urlsafe(32)
    SESSIONS[name] = {**token["userinfo"], **who}
    return RedirectResponse("/", 303)


async def home(request: Request) -> Response:
    who = SESSIONS.get(request.session.get("id", ""))
    if who is None:
        return page("Nobody is logged in")
    return page(f"Hello, {who.get('given_name', '')} {who.get('family_name', '')}")


async def logout(request: Request) -> Response:
    """In earnest by POST, from a form with a token of yours."""
    SESSIONS.pop(request.session.pop("id", ""), None)
    return await messo.logout_redirect(request, f"{SITE}/", client_id=ID)


async def backchannel_logout(request: Request) -> Response:
    """Messo tells us that a citizen has logged out there."""
    try:
        [(_, logout_token)] = parse_qsl((await request.body()).decode())
        keys = KeySet.import_key_set(await messo.fetch_jwk_set(force=True))
        token = jwt.decode(logout_token, keys, algorithms=["RS256"])
        ended = token.claims
        jwt.JWTClaimsRegistry(
            leeway=60,
            iss={"essential": True, "value": ISSUER},
            aud={"essential": True, "value": ID},
            exp={"essential": True},
        ).validate(ended)
        if token.header["typ"] != "logout+jwt" or EVENT not in ended["events"] or "nonce" in ended:
            raise ValueError("a token of another kind")
    except (HTTPError, JoseError, LookupError, ValueError):
        return page("", 400)
    for name, who in list(SESSIONS.items()):
        if who["sub"] == ended["sub"] and ended.get("sid", who["sid"]) == who["sid"]:
            SESSIONS.pop(name, None)
    return page("")


def page(text: str, status: int = 200) -> Response:
    body = f"<!doctype html><title>Site</title><h1>{html.escape(text)}</h1>"
    return HTMLResponse(body, status, {"Cache-Control": "no-store"})


routes = [
    *(Route("/", home), Route("/login", login), Route("/callback", callback)),
    *(Route("/logout", logout), Route("/backchannel-logout", backchannel_logout, methods=["POST"])),
]
session = Middleware(  # in earnest also https_only=True
    SessionMiddleware,
    session_cookie="authlib",
    secret_key=secrets.token_hex(),  # in earnest one that outlives the process
)
app = Starlette(routes=routes, middleware=[session])

if __name__ == "__main__":
    uvicorn.run(app, host="127.0.0.1", port=PORT)
