"""Citizens who sign on to a site, as a process of its own: five requests each, one after another.

`python -m bench.login_load` reads a JSON specification on standard input and prints a JSON result.
Each connection is one citizen's browser and the site's server at once: /sso/authorize, the page that
asks, the citizen's answer, the token, the data. With `idle` the five go to a page that does nothing.
"""

import asyncio
import json
import re
import sys
import time
from base64 import b64encode
from typing import Any
from urllib.parse import quote, urlencode

import uvloop

_COOKIE = re.compile(rb"set-cookie: ([^=]+)=([^;]*);", re.IGNORECASE)
_LOCATION = re.compile(rb"location: ([^\r]*)", re.IGNORECASE)
_LENGTH = re.compile(rb"content-length: *([0-9]+)", re.IGNORECASE)
_CODE = re.compile(r"[?&]code=([^&]+)")
_VERIFIER = "v" * 43
_CHALLENGE = "7w_YNF9DSfIdPf_pRjSq646_kPr-2-o9NAl16JGghdM"  # of that


class Browser:
    """One kept connection and one citizen's cookie."""

    def __init__(self, spec: dict[str, Any], citizen: dict[str, str]) -> None:
        self.spec = spec
        self.citizen = citizen

    async def connect(self) -> None:
        self.reader, self.writer = await asyncio.open_connection("127.0.0.1", self.spec["port"])

    async def ask(
        self, method: str, path: str, headers: str = "", body: str = ""
    ) -> tuple[int, bytes, bytes]:
        kind = "Content-Type: application/x-www-form-urlencoded\r\n" if body else ""
        self.writer.write(
            f"{method} {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n{headers}{kind}"
            f"Content-Length: {len(body)}\r\n\r\n{body}".encode()
        )
        head = await self.reader.readuntil(b"\r\n\r\n")
        found = _LENGTH.search(head)
        content = await self.reader.readexactly(int(found[1])) if found else b""
        return int(head[9:12]), head, content

    async def sign_on(self) -> None:
        client, cookie = self.spec["client"], self.citizen["cookie"]
        asked = urlencode(
            {
                "client_id": client["id"],
                "redirect_uri": client["redirect_uri"],
                "response_type": "code",
                "scope": "openid profile",
                "state": "s" * 43,
                "nonce": "n" * 43,
                "code_challenge": _CHALLENGE,
                "code_challenge_method": "S256",
            }
        )
        session = f"Cookie: {cookie}\r\n"
        _, head, _ = await self.ask("GET", f"/sso/authorize?{asked}", session)
        page = _found(_LOCATION, head).decode()
        name, value = _found(_COOKIE, head, 1).decode(), _found(_COOKIE, head, 2).decode()
        both = f"Cookie: {cookie}; {name}={value}\r\n"
        status, _, _ = await self.ask("GET", page, both)
        _must(status == 200, "question")
        answer = f"csrf={self.citizen['csrf']}&action=agree"
        _, head, _ = await self.ask("POST", page, both, answer)
        code = _CODE.search(_found(_LOCATION, head).decode())
        _must(code is not None, "code")
        known = b64encode(f"{quote(client['id'])}:{quote(client['secret'])}".encode()).decode()
        form = urlencode(
            {
                "grant_type": "authorization_code",
                "code": code[1] if code else "",
                "redirect_uri": client["redirect_uri"],
                "code_verifier": _VERIFIER,
            }
        )
        status, _, body = await self.ask(
            "POST", "/sso/token", f"Authorization: Basic {known}\r\n", form
        )
        _must(status == 200, "token")
        token = json.loads(body)["access_token"]
        status, _, _ = await self.ask("GET", "/sso/userinfo", f"Authorization: Bearer {token}\r\n")
        _must(status == 200, "userinfo")

    async def do_nothing(self) -> None:
        for _ in range(5):
            await self.ask("GET", "/health/live")


def _found(pattern: re.Pattern[bytes], head: bytes, group: int = 1) -> bytes:
    match = pattern.search(head)
    _must(match is not None, head[:60].decode())
    assert match is not None
    return bytes(match[group])


def _must(holds: bool, what: str) -> None:
    if not holds:
        raise RuntimeError(f"no {what}")


async def run(spec: dict[str, Any]) -> dict[str, Any]:
    took: list[float] = []
    end = time.perf_counter() + spec["seconds"]

    async def one(browser: Browser) -> None:
        await browser.connect()
        while time.perf_counter() < end:
            began = time.perf_counter()
            await (browser.do_nothing() if spec["idle"] else browser.sign_on())
            took.append(time.perf_counter() - began)

    began = time.perf_counter()
    await asyncio.gather(*(one(Browser(spec, citizen)) for citizen in spec["citizens"]))
    elapsed = time.perf_counter() - began
    ordered = sorted(took)
    return {
        "per_second": len(ordered) / elapsed,
        "p50_ms": ordered[len(ordered) // 2] * 1000,
        "p99_ms": ordered[int(len(ordered) * 0.99)] * 1000,
    }


if __name__ == "__main__":
    print(json.dumps(uvloop.run(run(json.load(sys.stdin)))))
