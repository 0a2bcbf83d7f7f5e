"""The device's proof: given at login, checked with each request, and passed on."""

import base64
import hashlib
import json
from collections.abc import Callable
from typing import Any

import httpx
import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from joserfc import jwt
from joserfc.jwk import OctKey

from messo.base import clock
from messo.login import Identity, client_limits, open_session
from messo.login.device_key import DeviceKey, read_device_key
from tests.conftest import Running
from tests.content.conftest import MakeReader
from tests.content.institution import MESSAGE, PDF, THIRD, Institution, Reader, answer
from tests.world import World

METHOD = "x-pagopa-lollipop-original-method"
URL = "x-pagopa-lollipop-original-url"
ON = {"is_lollipop_enabled": True}


def b64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


class Device:
    """A client application's device with a key. `padded`: writes numbers in standard base64."""

    def __init__(
        self, kind: str = "EC", algorithm: str = "sha256", *, padded: bool = False
    ) -> None:
        def text(number: int, size: int) -> str:
            data = number.to_bytes(size, "big")
            return base64.b64encode(data).decode() if padded else b64(data)

        self.kind = kind
        if kind == "EC":
            self.ec = ec.generate_private_key(ec.SECP256R1())
            numbers = self.ec.public_key().public_numbers()
            self.jwk = {"kty": "EC", "crv": "P-256", "x": text(numbers.x, 32)}
            self.jwk["y"] = text(numbers.y, 32)
        else:
            self.rsa = rsa.generate_private_key(65537, 2048)
            public = self.rsa.public_key().public_numbers()
            self.jwk = {"kty": "RSA", "e": text(public.e, 3), "n": text(public.n, 256)}
        self.header = b64(json.dumps(self.jwk | {"use": "sig"}).encode())
        self.key: DeviceKey = read_device_key(self.header, algorithm)
        self.key_id = self.key.assertion_ref.partition("-")[2]

    def sign(self, data: bytes, *, raw: bool = False) -> bytes:
        if self.kind == "RSA":
            pss = padding.PSS(padding.MGF1(hashes.SHA256()), hashes.SHA256.digest_size)
            return self.rsa.sign(data, pss, hashes.SHA256())
        signed = self.ec.sign(data, ec.ECDSA(hashes.SHA256()))
        if not raw:
            return signed
        return b"".join(number.to_bytes(32, "big") for number in decode_dss_signature(signed))

    def headers(
        self,
        url: str,
        *,
        raw: bool = False,
        created: int | None = None,
        more: dict[str, str] | None = None,
    ) -> dict[str, str]:
        """A signed request; `more` are further headers, signed too."""
        signed = {METHOD: "GET", URL: url, **(more or {})}
        names = " ".join(f'"{name}"' for name in signed)
        when = int(clock.now().timestamp()) if created is None else created
        parameters = f'({names});created={when};nonce="n-1";alg="x";keyid="{self.key_id}"'
        lines = [f'"{name}": {value}' for name, value in signed.items()]
        lines.append(f'"@signature-params": {parameters}')
        value = base64.b64encode(self.sign("\n".join(lines).encode(), raw=raw)).decode()
        return {
            **signed,
            "signature-input": f"sig1={parameters}",
            "signature": f"sig1=:{value}:",
        }


async def with_device(running: Running, reader: Reader, device: Device | None) -> Reader:
    """The same citizen, in a session that knows the device's key."""
    identity = Identity(reader.person.code, "A", "B", "https://www.spid.gov.it/SpidL2")
    async with running.started.pool.transaction() as conn:
        limits = client_limits(running.settings)
        key = device.key if device else None
        token = await open_session(conn, identity, "client", "tests", limits, key)
    person = type(reader.person)(reader.person.code, token, reader.person.client)
    return Reader(person, reader.message_id, reader.configuration_id)


def address(reader: Reader, more: str = "") -> str:
    """Of a client that reaches us under our own name, over https."""
    host = reader.person.client.base_url.netloc.decode()
    return f"https://{host}{THIRD}/{reader.message_id}{more}"


# The key -----------------------------------------------------------------------------------------


def test_the_thumbprint_is_of_the_members_as_they_were_sent() -> None:
    """RFC 7638, section 3.1: the standard's own example."""
    jwk = {
        "kty": "RSA",
        "n": "0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_"
        "BJECPebWKRXjBZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2"
        "QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6W"
        "eZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw",
        "e": "AQAB",
        "alg": "RS256",
        "kid": "2011-04-29",
    }
    key = read_device_key(b64(json.dumps(jwk).encode()), "sha256")
    assert key.assertion_ref == "sha256-NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs"


@pytest.mark.parametrize("algorithm", ["sha256", "sha384", "sha512"])
def test_each_digest_of_the_contract_is_known(algorithm: str) -> None:
    device = Device(padded=True, algorithm=algorithm)
    members = {name: device.jwk[name] for name in ("crv", "kty", "x", "y")}
    digest = hashlib.new(algorithm, json.dumps(members, separators=(",", ":")).encode()).digest()
    assert device.key.assertion_ref == f"{algorithm}-{b64(digest)}"


@pytest.mark.parametrize(
    "jwk",
    [
        None,
        [],
        {},
        {"kty": "EC"},
        {"kty": "EC", "crv": "P-384", "x": "AA", "y": "AA"},
        {"kty": "EC", "crv": "P-256", "x": "AA", "y": "AA"},
        {"kty": "EC", "crv": "P-256", "x": 1, "y": 2},
        {"kty": "RSA", "e": "AQAB", "n": "AQAB"},
        {"kty": "RSA", "e": "AQAB", "n": b64(b"\xff" * 513)},  # too large to look at quickly
        {"kty": "RSA", "e": b64(b"\x01" * 200), "n": b64(b"\xff" * 256)},
        {"kty": "oct", "k": "AAAA"},
        {"kty": "RSA", "e": "à", "n": "AQAB"},
    ],
)
def test_what_is_no_key_is_refused(jwk: Any) -> None:
    with pytest.raises(ValueError):
        read_device_key(b64(json.dumps(jwk).encode()), "sha256")


@pytest.mark.parametrize("text", ["", "à", "{}", "=", "A" * 5000, b64(b"[" * 2000)])
def test_what_is_no_header_is_refused(text: str) -> None:
    with pytest.raises(ValueError):
        read_device_key(text, "sha256")
    with pytest.raises(ValueError):
        read_device_key(Device().header, "md5")


# The proof ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("more", ["", "/precondition", "/attachments/attachments/uno"])
@pytest.mark.parametrize(("kind", "raw"), [("EC", False), ("EC", True), ("RSA", False)])
async def test_a_proof_that_holds_is_passed_on(
    running: Running,
    town: Institution,
    make_reader: MakeReader,
    world: World,
    more: str,
    kind: str,
    raw: bool,
) -> None:
    device = Device(kind, padded=raw)
    reader = await with_device(running, await make_reader(configuration=ON), device)
    if "attachments" in more:
        await reader.get(**device.headers(address(reader)))
    sent = device.headers(address(reader, more), raw=raw)
    read = await reader.get(more, **sent)
    assert read.status_code == 200, read.text
    got = town.headers()
    assert {name: got[name] for name in sent} == sent
    assert got["fiscal_code"] == got["x-pagopa-lollipop-user-id"] == reader.person.code
    assert got["x-pagopa-lollipop-assertion-ref"] == device.key.assertion_ref
    assert got["x-pagopa-lollipop-assertion-type"] == "OIDC"
    assert got["x-pagopa-lollipop-public-key"] == device.header
    key = OctKey.import_key(world.secrets.keyed_digest("content.proof"))
    claims = jwt.decode(got["x-pagopa-lollipop-auth-jwt"], key).claims
    assert claims["assertion_ref"] == device.key.assertion_ref
    assert claims["operation_id"] == "n-1"
    assert claims["exp"] - claims["iat"] == 900


async def test_a_further_header_may_be_signed(
    running: Running, make_reader: MakeReader, town: Institution
) -> None:
    device = Device()
    reader = await with_device(running, await make_reader(configuration=ON), device)
    custom = "x-pagopa-lollipop-custom-tos-challenge"
    sent = device.headers(address(reader), more={custom: "abc"})
    assert (await reader.get(**sent)).status_code == 200
    del sent[custom]
    refused = await reader.get(**sent)
    assert (refused.status_code, refused.json()["field"]) == (400, custom)
    assert len(town.asked) == 1


async def test_who_needs_no_proof_sends_none(
    running: Running, make_reader: MakeReader, town: Institution, world: World
) -> None:
    """Switched off, or not for this citizen: nothing of it is passed on."""
    device = Device()
    off = await with_device(running, await make_reader(), device)
    assert (await off.get(**device.headers(address(off)))).status_code == 200
    assert not any("lollipop" in name or name == "signature" for name in town.headers())


async def test_a_citizen_may_be_exempt(
    running: Running, town: Institution, world: World, worker: Any, citizens: Any
) -> None:
    from tests.content.institution import reader as make

    code = next(citizens)
    exempt = ON | {"disable_lollipop_for": [code]}
    one = await make(running, worker, world, code, town.base_url, configuration=exempt)
    assert (await one.get()).status_code == 200
    assert not any("lollipop" in name for name in town.headers())


Change = Callable[[Device, Reader], dict[str, str]]
CHANGES: dict[str, tuple[int, Change]] = {
    "no headers": (400, lambda _, __: {}),
    "no signature": (400, lambda d, r: _without(d.headers(address(r)), "signature")),
    "no input": (400, lambda d, r: _without(d.headers(address(r)), "signature-input")),
    "no method": (400, lambda d, r: _without(d.headers(address(r)), METHOD)),
    "plain http": (400, lambda d, r: d.headers(address(r).replace("https", "http"))),
    "no base64": (400, lambda d, r: d.headers(address(r)) | {"signature": "sig1=:A:"}),
    "other label": (400, lambda d, r: d.headers(address(r)) | {"signature": "sig2=:AAAA:"}),
    "no list": (400, lambda d, r: d.headers(address(r)) | {"signature-input": "sig1=x"}),
    "another key": (403, lambda _, r: Device().headers(address(r))),
    "forged": (403, lambda d, r: d.headers(address(r)) | {"signature": "sig1=:AAAA:"}),
    "another message": (403, lambda d, _: d.headers(f"https://a.example.org{THIRD}/X")),
    "another host": (403, lambda d, r: d.headers(_elsewhere(address(r)))),
    "a host that is none": (400, lambda d, _: d.headers("https://[x")),
    "a label more": (400, lambda d, r: _with(d.headers(address(r)), "signature", ", sig9=:QUJD:")),
    "a label twice": (400, lambda d, r: _twice(d.headers(address(r)))),
    "another call": (403, lambda d, r: d.headers(address(r, "/precondition"))),
    "a query": (403, lambda d, r: d.headers(address(r, "?a=b"))),
    "old": (403, lambda d, r: d.headers(address(r), created=_ago(301))),
    "to come": (403, lambda d, r: d.headers(address(r), created=_ago(-400))),
    "method changed": (403, lambda d, r: d.headers(address(r)) | {METHOD: "PUT"}),
    "not covered": (403, lambda d, r: _uncovered(d, address(r))),
}


def _elsewhere(url: str) -> str:
    return url.replace("https://", "https://evil.")


def _with(headers: dict[str, str], name: str, more: str) -> dict[str, str]:
    return headers | {name: headers[name] + more}


def _twice(headers: dict[str, str]) -> dict[str, str]:
    return {
        name: f"{value}, {value}" if name.startswith("signature") else value
        for name, value in headers.items()
    }


def _without(headers: dict[str, str], name: str) -> dict[str, str]:
    return {known: value for known, value in headers.items() if known != name}


def _ago(seconds: int) -> int:
    return int(clock.now().timestamp()) - seconds


def _uncovered(device: Device, url: str) -> dict[str, str]:
    """A signature that holds, over the method only."""
    parameters = f'("{METHOD}");created={_ago(0)};keyid="{device.key_id}"'
    text = f'"{METHOD}": GET\n"@signature-params": {parameters}'
    value = base64.b64encode(device.sign(text.encode())).decode()
    return {
        METHOD: "GET",
        URL: url,
        "signature-input": f"sig1={parameters}",
        "signature": f"sig1=:{value}:",
    }


@pytest.mark.parametrize("change", CHANGES)
async def test_a_proof_that_does_not_hold_is_refused_and_nobody_asked(
    running: Running, make_reader: MakeReader, town: Institution, change: str
) -> None:
    device = Device()
    reader = await with_device(running, await make_reader(configuration=ON), device)
    status, headers = CHANGES[change]
    read = await reader.get(**headers(device, reader))
    assert read.status_code == status, read.text
    assert read.headers["content-type"] == "application/problem+json"
    assert town.asked == []


async def test_a_session_without_a_key_is_told_so(
    running: Running, make_reader: MakeReader, town: Institution
) -> None:
    reader = await make_reader(configuration=ON)
    read = await reader.get(**Device().headers(address(reader)))
    assert (read.status_code, "device key" in read.json()["detail"]) == (403, True)
    assert town.asked == []


async def test_the_session_tells_its_reference(running: Running, make_reader: MakeReader) -> None:
    device = Device()
    reader = await with_device(running, await make_reader(), device)
    told = await reader.person.get("/api/auth/v1/session?fields=(lollipopAssertionRef)")
    assert told.json() == {"lollipopAssertionRef": device.key.assertion_ref}
    plain = await make_reader()
    told = await plain.person.get("/api/auth/v1/session?fields=(lollipopAssertionRef)")
    assert told.json() == {}


async def test_an_application_gives_its_key_with_its_code(
    running: Running, client: httpx.AsyncClient
) -> None:
    """What is no key is refused by name, before the code is used up."""
    body = {"code": "x", "code_verifier": "v" * 43, "redirect_uri": "https://a.example.org"}
    for header in ("", "x", b64(b"{}")):
        sent = {"x-pagopa-lollipop-pub-key": header}
        refused = await client.post("/api/auth/v1/token", json=body, headers=sent)
        assert (refused.status_code, refused.json()["field"]) == (
            400,
            "x-pagopa-lollipop-pub-key",
        )


@pytest.fixture
def client(running: Running) -> httpx.AsyncClient:
    return running.client


async def test_a_pdf_needs_its_own_proof(
    running: Running, make_reader: MakeReader, town: Institution
) -> None:
    device = Device()
    reader = await with_device(running, await make_reader(configuration=ON), device)
    sent = device.headers(address(reader))
    assert (await reader.get(**sent)).status_code == 200
    town.serves(f"{MESSAGE}/attachments/uno", answer(PDF))
    refused = await reader.get("/attachments/attachments/uno", **sent)
    assert refused.status_code == 403
