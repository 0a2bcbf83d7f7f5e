"""Logos over HTTP: who may send one for what, and how everybody sees it."""

import io
from contextlib import ExitStack
from dataclasses import dataclass

import httpx
import pytest
from PIL import Image

from messo.base.crypto import Secrets
from messo.base.db import Pool
from messo.base.http import Problem
from messo.base.ids import new_id
from messo.services import keys, logos, services
from messo.services.logo_routes import BODY_LIMIT, _Places
from messo.services.services import NewService
from tests.conftest import Running
from tests.services.png_files import in_base64, solid
from tests.world import ACTOR, Caller, World, add_service

RED, BLUE = b"\xff\0\0\xff", b"\0\0\xff\xff"


def logo(colour: bytes = RED) -> bytes:
    return body(solid(400, 200, colour))


def body(file: bytes) -> bytes:
    return f'{{"logo":"{in_base64(file)}"}}'.encode()


@dataclass(frozen=True)
class Sending:
    """Sends logos, with manage keys and with services' keys."""

    client: httpx.AsyncClient
    world: World
    others_manage_key: str

    async def for_service(
        self, service: str, key: str = "", content: bytes = b""
    ) -> httpx.Response:
        return await self.client.put(
            f"/api/v1/manage/services/{service}/logo",
            headers=headers(key or self.world.manage_key),
            content=content or logo(),
        )

    async def for_institution(
        self, fiscal_code: str, caller: Caller, content: bytes = b""
    ) -> httpx.Response:
        return await self.client.put(
            f"/api/v1/organizations/{fiscal_code}/logo",
            headers=headers(caller.key),
            content=content or logo(),
        )

    async def seen(self, path: str, **headers: str) -> httpx.Response:
        return await self.client.get(path, headers=headers)


@pytest.fixture(scope="module")
async def sending(running: Running, pool: Pool, world: World, secrets: Secrets) -> Sending:
    async with pool.transaction() as conn:
        pair = await keys.create_pair(conn, secrets, ACTOR, world.bruno.institution, None)
    return Sending(running.client, world, pair["primary"])


def headers(key: str) -> dict[str, str]:
    return {"Ocp-Apim-Subscription-Key": key, "Content-Type": "application/json"}


def colour_of(answer: httpx.Response) -> tuple[int, ...]:
    image = Image.open(io.BytesIO(answer.content), formats=["PNG"])
    assert image.size == (300, 150)
    pixel = image.convert("RGBA").getpixel((0, 0))
    assert isinstance(pixel, tuple)
    return pixel


async def test_a_services_logo_is_kept_and_seen_by_everybody(sending: Sending, pool: Pool) -> None:
    service = sending.world.anna.id
    path = logos.service_address(service)
    assert path == f"/logos/services/{service.lower()}.png"
    assert (await sending.seen(path)).status_code == 404
    put = await sending.for_service(service)
    assert (put.status_code, put.content) == (204, b"")

    answer = await sending.seen(path)
    assert answer.status_code == 200
    assert colour_of(answer) == tuple(RED)
    assert answer.headers["content-type"] == "image/png"
    assert answer.headers["cache-control"] == "public, max-age=3600"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers.get_list("cross-origin-resource-policy") == ["cross-origin"]

    assert (await sending.for_service(service, content=logo(BLUE))).status_code == 204
    again = await sending.seen(path)
    assert colour_of(again) == tuple(BLUE)
    assert again.headers["etag"] != answer.headers["etag"]
    async with pool.connection() as conn:
        versions = await logos.versions(conn, [service, sending.world.draft.id, "x"])
    assert list(versions) == [service]
    assert again.headers["etag"].startswith(f'"{versions[service]}')
    busted = logos.service_address(service, versions[service])
    assert (await sending.seen(busted)).content == again.content


async def test_a_logo_that_one_has_is_not_sent_again(sending: Sending) -> None:
    service = sending.world.special.id
    await sending.for_service(service)
    path = logos.service_address(service)
    tag = (await sending.seen(path)).headers["etag"]
    for known in (tag, f"W/{tag}", f'"x", {tag}', "*"):
        answer = await sending.seen(path, **{"If-None-Match": known})
        assert (answer.status_code, answer.content, answer.headers["etag"]) == (304, b"", tag)
        assert "content-length" not in answer.headers
        assert answer.headers["cache-control"] == "public, max-age=3600"
    assert (await sending.seen(path, **{"If-None-Match": '"x"'})).status_code == 200

    whole = await sending.seen(path)
    head = await sending.client.head(path)
    assert (head.status_code, head.content) == (200, b"")
    assert head.headers["content-length"] == str(len(whole.content))
    assert (await sending.seen(path)).content == whole.content  # the connection is as it was


async def test_another_institutions_service_is_one_that_does_not_exist(sending: Sending) -> None:
    service, unknown = sending.world.anna.id, new_id()
    await sending.for_service(service)
    answers = [
        await sending.for_service(one, sending.others_manage_key, content=logo(BLUE))
        for one in (service, unknown)
    ]
    assert [answer.status_code for answer in answers] == [404, 404]
    assert answers[0].text.replace(service, unknown) == answers[1].text
    assert colour_of(await sending.seen(logos.service_address(service))) == tuple(RED)
    assert (await sending.for_service("%00")).status_code == 404


async def test_only_a_manage_key_is_taken_and_of_the_services_group(
    sending: Sending, pool: Pool, secrets: Secrets
) -> None:
    service = sending.world.anna.id
    assert (await sending.for_service(service, "x" * 43)).status_code == 401
    refused = await sending.for_service(service, sending.world.anna.key)
    assert (refused.status_code, refused.json()["title"]) == (403, "You are not allowed here")

    made = await sending.client.post(
        "/messo/v1/groups", headers=headers(sending.world.manage_key), json={"name": "Altri"}
    )
    async with pool.connection() as conn:
        pair = await keys.read_pair(conn, secrets, made.json()["id"])
    refused = await sending.for_service(service, pair["primary"])
    assert (refused.status_code, refused.json()["title"]) == (403, "User has no valid scopes")


async def test_a_deleted_services_logo_is_gone(
    sending: Sending, pool: Pool, secrets: Secrets
) -> None:
    async with pool.transaction() as conn:
        made = await add_service(
            conn, secrets, sending.world.anna.institution, NewService("Effimero")
        )
    assert (await sending.for_service(made.id)).status_code == 204
    path = logos.service_address(made.id)
    async with pool.transaction() as conn:
        await services.suspend_service(conn, ACTOR, made.id, suspend=True, reason="test")
    assert (await sending.seen(path)).status_code == 200
    async with pool.transaction() as conn:
        await services.set_state(conn, ACTOR, made.id, "deleted")
    answer = await sending.seen(path)
    assert answer.status_code == 404
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.headers["cache-control"] == "public, max-age=60"
    assert (await sending.for_service(made.id)).status_code == 404


async def test_an_institutions_logo_is_sent_with_a_services_key(sending: Sending) -> None:
    path = logos.institution_address("00000000002")
    assert path == "/logos/organizations/2.png"
    assert (await sending.seen(path)).status_code == 404
    put = await sending.for_institution("00000000002", sending.world.bruno)
    assert (put.status_code, put.content) == (202, b"")
    assert colour_of(await sending.seen(path)) == tuple(RED)


async def test_another_institutions_fiscal_code_says_nothing_of_it(sending: Sending) -> None:
    known, unknown = [
        await sending.for_institution(code, sending.world.anna)
        for code in ("00000000003", "99999999999")
    ]
    assert (known.status_code, known.json()["title"]) == (403, "You are not allowed here")
    assert known.json() == unknown.json()
    assert (await sending.seen("/logos/organizations/3.png")).status_code == 404


@pytest.mark.parametrize("code", ["1", "0000000000A", "000000000001", "٠٠٠٠٠٠٠٠٠٠١"])
async def test_a_fiscal_code_has_eleven_digits(sending: Sending, code: str) -> None:
    refused = await sending.for_institution(code, sending.world.anna)
    assert refused.status_code == 400
    assert refused.json()["field"] == "organization_fiscal_code"


async def test_an_institution_without_the_permission_is_refused(sending: Sending) -> None:
    refused = await sending.for_institution("00000000003", sending.world.limited)
    assert (refused.status_code, refused.json()["title"]) == (403, "You are not allowed here")
    assert "ApiServiceWrite" in refused.json()["detail"]


@pytest.mark.parametrize("sent", ["{}", '{"logo": ""}', '{"logo": 7}', '{"logo": null}', "[]", "x"])
async def test_a_body_without_a_logo_is_refused(sending: Sending, sent: str) -> None:
    content = sent.encode()
    service = await sending.for_service(sending.world.anna.id, content=content)
    institution = await sending.for_institution("00000000001", sending.world.anna, content=content)
    for refused in (service, institution):
        assert (refused.status_code, refused.json()["title"]) == (400, "Invalid Exact<Logo>")


async def test_what_is_no_png_is_refused_and_the_logo_stays(sending: Sending) -> None:
    service = sending.world.secure.id
    await sending.for_service(service)
    sent = body(b'<svg onload="alert(1)"/>')
    refused = await sending.for_service(service, content=sent)
    assert refused.status_code == 400
    assert refused.json() == {
        "title": "Image not valid",
        "status": 400,
        "detail": "Fail decoding provided image, the reason is: it is an SVG; a logo is a PNG, "
        "in base64",
        "field": "logo",
    }
    refused = await sending.for_institution("00000000001", sending.world.anna, content=sent)
    assert (refused.status_code, refused.json()["field"]) == (400, "logo")
    assert colour_of(await sending.seen(logos.service_address(service))) == tuple(RED)
    assert (await sending.seen("/logos/organizations/1.png")).status_code == 404


async def test_a_body_may_have_two_megabytes(sending: Sending) -> None:
    service = sending.world.anna.id
    most = logo()[:-2].ljust(BODY_LIMIT - 2, b"=") + b'"}'
    assert (await sending.for_service(service, content=most)).status_code == 204
    assert (await sending.for_service(service, content=most + b" ")).status_code == 413


def test_two_logos_of_one_institution_and_eight_in_all_are_under_way() -> None:
    places = _Places()
    with ExitStack() as under_way:
        for number in range(3):
            for _ in "12":
                under_way.enter_context(places.take(f"institution {number}"))
        assert is_full(places, "institution 0")
        for number in (3, 4):
            under_way.enter_context(places.take(f"institution {number}"))
        assert is_full(places, "institution 5")
    with pytest.raises(ZeroDivisionError), places.take("institution 0"):
        raise ZeroDivisionError
    assert not places.taken  # nobody is counted for ever, however it went


def is_full(places: _Places, institution: str) -> bool:
    """Whether it is told to come back; `places` are as before."""
    before = dict(places.taken)
    with pytest.raises(Problem) as refused, places.take(institution):
        return False
    assert dict(places.taken) == before
    return refused.value.status == 503 and dict(refused.value.headers)[b"retry-after"].isdigit()


@pytest.mark.parametrize(
    "path",
    [
        "services/x.png",
        "services/01arz3ndektsv4rrffq69g5fav.png",
        "services/01ARZ3NDEKTSV4RRFFQ69G5FAV.png",
        "services/%00.png",
        "organizations/00000000002.png",
        "organizations/0.png",
        "organizations/999999999999.png",
        "organizations/٢.png",
        "organizations/2.svg",
        "organizations/2.png%0A",
    ],
)
async def test_there_is_no_other_logo(sending: Sending, path: str) -> None:
    answer = await sending.seen(f"/logos/{path}")
    assert answer.status_code == 404
    assert answer.headers["content-type"] == "application/problem+json"


async def test_each_logo_is_in_the_audit_log(sending: Sending, pool: Pool) -> None:
    """Who sent it and which it is, by its digest: what the address is versioned with."""
    world = sending.world
    await sending.for_service(world.draft.id)
    await sending.for_institution("00000000001", world.anna)
    async with pool.connection() as conn:
        versions = await logos.versions(conn, [world.draft.id, world.anna.institution])
        for subject, action, actor in (
            (world.draft.id, "service.logo", f"institution:{world.anna.institution}"),
            (world.anna.institution, "institution.logo", f"service:{world.anna.id}"),
        ):
            [(said, detail)] = await conn.raw.fetch(
                "SELECT actor, detail ->> 'sha256' FROM operations.audit "
                "WHERE subject = $1 AND action = $2",
                subject,
                action,
            )
            assert said == actor
            assert detail.startswith(versions[subject])
