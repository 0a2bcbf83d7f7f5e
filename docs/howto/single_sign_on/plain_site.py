"""A site that signs citizens on, without a framework: standard library and joserfc.

pip install joserfc
ISSUER=… CLIENT_ID=… CLIENT_SECRET=… python plain_site.py
"""

import base64
import hashlib
import json
import os
import secrets
import time
from http.cookies import SimpleCookie
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit
from urllib.request import Request, urlopen

from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet

ISSUER, ID, SECRET = (os.environ[name] for name in ("ISSUER", "CLIENT_ID", "CLIENT_SECRET"))
PORT = int(os.environ.get("PORT", "8001"))
SITE = f"http://127.0.0.1:{PORT}"  # in earnest your public address, with https
EVENT = "http://schemas.openid.net/event/backchannel-logout"
WRONG = (LookupError, OSError, TypeError, ValueError, JoseError)
PENDING: dict[str, tuple[str, str]] = {}  # by state: nonce and verifier; in earnest in a cache
SESSIONS: dict[str, dict[str, Any]] = {}  # by cookie: who it is; in earnest in your database


def ask(url: str, body: bytes | None = None, **headers: str) -> Any:
    with urlopen(Request(url, body, headers), timeout=10) as answer:
        return json.load(answer)


ABOUT = ask(f"{ISSUER}/.well-known/openid-configuration")


def verified(token: str, kind: str) -> dict[str, Any]:
    """The claims of a token that is signed by Messo, meant for us, still good, and of this kind."""
    found = jwt.decode(token, KeySet.import_key_set(ask(ABOUT["jwks_uri"])), algorithms=["RS256"])
    claims = found.claims
    is_ours = claims["iss"] == ISSUER and claims["aud"] == ID and found.header["typ"] == kind
    if not is_ours or claims["exp"] < time.time() - 60:
        raise ValueError("a token of or for somebody else, or of another kind")
    return claims


def person(given: dict[str, str], cookie: str) -> dict[str, Any]:
    """Who has come back with these parameters. An error for anybody who cannot be believed."""
    nonce, verifier = PENDING.pop(cookie)  # a login that began in this browser, and once
    if given["state"] != cookie or given["iss"] != ISSUER:
        raise ValueError("an answer to somebody else's question, or of somebody else")
    form = {"grant_type": "authorization_code", "code": given["code"], "code_verifier": verifier}
    form["redirect_uri"] = f"{SITE}/callback"
    basic = "Basic " + base64.b64encode(f"{ID}:{SECRET}".encode()).decode()
    tokens = ask(ABOUT["token_endpoint"], urlencode(form).encode(), Authorization=basic)
    claims = verified(tokens["id_token"], "JWT")
    who = ask(ABOUT["userinfo_endpoint"], Authorization=f"Bearer {tokens['access_token']}")
    if claims["nonce"] != nonce or who["sub"] != claims["sub"]:
        raise ValueError("an answer about somebody else")
    return {**who, "sid": claims["sid"], "level": claims["acr"]}


class Site(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        url, sent = urlsplit(self.path), SimpleCookie(self.headers["Cookie"])
        given, cookie = dict(parse_qsl(url.query)), sent["plain"].value if "plain" in sent else ""
        if url.path == "/login":
            state, nonce, verifier = (secrets.token_urlsafe(32) for _ in range(3))
            PENDING[state] = (nonce, verifier)
            digest = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest())
            query = {"client_id": ID, "redirect_uri": f"{SITE}/callback", "response_type": "code"}
            query |= {"scope": "openid profile email", "state": state, "nonce": nonce}
            query["code_challenge"] = digest.rstrip(b"=").decode()
            query["code_challenge_method"] = "S256"
            where = f"{ABOUT['authorization_endpoint']}?{urlencode(query)}"
            self.answer(303, go=where, cookie=state)
        elif url.path == "/callback":
            try:
                SESSIONS[name := secrets.token_urlsafe(32)] = person(given, cookie)
                self.answer(303, go="/", cookie=name)
            except WRONG:
                self.answer(400, f"Not logged in: {given.get('error', 'begin anew')}")
        elif url.path == "/logout":  # in earnest by POST, from a form with a token of yours
            SESSIONS.pop(cookie, None)
            query = {"client_id": ID, "post_logout_redirect_uri": f"{SITE}/"}
            self.answer(303, go=f"{ABOUT['end_session_endpoint']}?{urlencode(query)}")
        else:
            who = SESSIONS.get(cookie, {})
            name = " ".join(who[part] for part in ("given_name", "family_name") if part in who)
            self.answer(200, f"Hello, {name}" if who else "Nobody is logged in")

    def do_POST(self) -> None:  # /backchannel-logout: a citizen has logged out at Messo
        try:
            body = self.rfile.read(min(int(self.headers["Content-Length"]), 16_384)).decode()
            ended = verified(dict(parse_qsl(body))["logout_token"], "logout+jwt")
            is_one = EVENT in ended["events"] and "nonce" not in ended
            for name, who in list(SESSIONS.items()) if is_one else ():
                if who["sub"] == ended["sub"] and ended.get("sid", who["sid"]) == who["sid"]:
                    SESSIONS.pop(name, None)
            self.answer(200 if is_one else 400)
        except WRONG:
            self.answer(400)

    def answer(self, status: int, text: str = "", go: str = "", cookie: str = "") -> None:
        self.send_response(status)
        self.send_header("Content-Type", "text/plain; charset=utf-8")
        self.send_header("Cache-Control", "no-store")
        if go:  # in earnest the cookie is also Secure
            self.send_header("Location", go)
            self.send_header("Set-Cookie", f"plain={cookie}; Path=/; HttpOnly; SameSite=Lax")
        self.end_headers()
        self.wfile.write(text.encode())


print(f"Listening on {SITE}", flush=True)
ThreadingHTTPServer(("127.0.0.1", PORT), Site).serve_forever()
