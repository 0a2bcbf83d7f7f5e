"""What services say of themselves, and how operators write it."""

import json
from io import BytesIO
from typing import Any

import pytest
from PIL import Image

from messo.base.db import Pool
from messo.base.ids import new_id
from messo.sandbox import logos
from messo.sandbox.descriptions import described
from messo.sandbox.world import INSTITUTIONS
from messo.services import catalog, contacts
from messo.services.services import (
    NewService,
    NotAcceptedError,
    create_service,
    describe_service,
    set_state,
)
from messo.services.topics import BY_ID
from tests.services.offers import institution
from tests.world import ACTOR, SANDBOX, World


async def test_describing_touches_what_is_named_and_counts_and_is_audited(pool: Pool) -> None:
    _, _, (service,) = await institution(
        pool,
        "Comune di Ivrea",
        NewService("Uno", description="Prima", metadata={"phone": "+39 000 111"}),
    )
    async with pool.transaction() as conn:
        await describe_service(conn, ACTOR, service, None, {"email": "a@example.org"})
        first = await catalog.read_service(conn, service)
        await describe_service(conn, ACTOR, service, "", {"phone": ""})
        second = await catalog.read_service(conn, service)
        detail = await conn.raw.fetch(
            "SELECT detail FROM operations.audit WHERE action = 'service.describe' "
            "AND subject = $1 ORDER BY id",
            service,
        )
    assert first is not None
    assert second is not None
    assert (first.description, first.metadata["phone"], first.metadata["email"]) == (
        "Prima",
        "+39 000 111",
        "a@example.org",
    )
    assert (second.description, second.metadata["phone"], second.metadata["email"]) == (
        "",
        "",
        "a@example.org",
    )
    assert (first.version, second.version) == (1, 2)
    assert [json.loads(row["detail"])["members"] for row in detail] == [
        ["email"],
        ["phone", "description"],
    ]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("colour", "red"),
        ("web_url", "javascript:alert(1)"),
        ("web_url", "//example.org"),
        ("web_url", "https://"),
        ("web_url", "https://example.org/ x"),
        ("web_url", 'https://example.org/"x'),
        ("web_url", "https://example.org/" + "x" * 500),
        ("privacy_url", "ftp://example.org"),
        ("email", "nobody"),
        ("email", "a@b.example.org?subject=x\n"),
        ("pec", "<a@example.org>"),
        ("email", "a?bcc=b@example.org"),
        ("email", "a%0d%0abcc:b@example.org"),
        ("email", "a&b@example.org"),
        ("email", "a#b@example.org"),
        ("pec", "\u202ea@example.org"),
        ("web_url", "https://example.org/\udcff"),
        ("address", "Via Roma \udcff"),
        ("phone", "call me"),
        ("address", "one\ntwo"),
        ("address", "x" * 301),
        ("scope", "GLOBAL"),
        ("scope", "LOCAL\n"),
        ("cta", "x\x00"),
    ],
)
async def test_a_contact_of_the_wrong_form_is_refused(
    pool: Pool, world: World, name: str, value: str
) -> None:
    new = NewService("Uno", metadata={name: value})
    async with pool.connection() as conn:
        with pytest.raises(NotAcceptedError, match=name):
            await describe_service(conn, ACTOR, world.anna.id, None, {name: value})
        with pytest.raises(NotAcceptedError, match=name):
            await create_service(conn, ACTOR, world.anna.institution, new, SANDBOX)
        for text in ("x" * 10_001, "\x00", "\udcff"):
            with pytest.raises(NotAcceptedError, match="description"):
                await describe_service(conn, ACTOR, world.anna.id, text, {})


async def test_a_deleted_or_unknown_service_is_not_described(pool: Pool) -> None:
    _, _, (service,) = await institution(pool, "Comune di Lodi", NewService("Uno"))
    async with pool.transaction() as conn:
        await set_state(conn, ACTOR, service, "deleted")
        for one in (service, new_id()):
            with pytest.raises(NotAcceptedError, match=one):
                await describe_service(conn, ACTOR, one, "x", {})


def test_every_service_of_the_sandbox_describes_itself() -> None:
    for one in INSTITUTIONS:
        for service in one.services.values():
            told = described(service)
            assert len(told.description) > 40
            assert told.topic_id in BY_ID
            assert {"email", "privacy_url"} <= told.metadata.keys()
            for name, value in told.metadata.items():
                assert contacts.refusal(name, value) is None, name
                if name != "phone":
                    assert "example.org" in value or name in {"scope", "address"}


@pytest.mark.parametrize("owner", INSTITUTIONS, ids=lambda one: str(one.name))
def test_everybody_in_the_sandbox_has_a_small_logo(owner: Any) -> None:
    for name in (owner.name, *(one.name for one in owner.services.values())):
        png = logos.draw(name)
        assert len(png) < 4000
        with Image.open(BytesIO(png)) as image:
            assert (image.format, image.size) == ("PNG", (240, 240))
