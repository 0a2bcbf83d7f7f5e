"""The files that pages need: fetched whole and unaltered, served for ever and nothing else."""

import base64
import gzip
import hashlib
import io
import re
import subprocess
import sys
import tarfile
from collections.abc import AsyncIterator, MutableMapping
from pathlib import Path
from typing import Any
from urllib.parse import unquote
from xml.etree import ElementTree as ET

import httpx
import pytest
import structlog
from assets import make
from starlette.applications import Starlette

from messo.pages.assets import Assets

CSS = b"body { color: #17324d }\n" * 20
WOFF2 = b"wOF2 and so on"
OUR_OWN = make.STATIC


@pytest.fixture
def static(tmp_path: Path) -> Path:
    folder = tmp_path / "static"
    (folder / "vendor" / "fonts").mkdir(parents=True)
    (folder / "inbox.css").write_bytes(CSS)
    (folder / "notes.py").write_text("secret = 1")
    (folder / "vendor" / "big.js").write_text("1")
    (folder / "vendor" / "big.js.gz").write_bytes(gzip.compress(b"1"))
    (folder / "vendor" / "sprites.svg").write_text("<svg/>")
    (folder / "vendor" / "fonts" / "a.woff2").write_bytes(WOFF2)
    (folder / "vendor" / make.STAMP).write_text("stamp")
    (tmp_path / "outside.css").write_text("outside")
    return folder


@pytest.fixture
def assets(static: Path) -> Assets:
    return Assets(static)


@pytest.fixture
async def client(assets: Assets) -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(Starlette(routes=assets.routes()))
    async with httpx.AsyncClient(transport=transport, base_url="http://messo") as opened:
        yield opened


async def plain(client: httpx.AsyncClient, path: str, **headers: str) -> httpx.Response:
    return await client.get(path, headers={"accept-encoding": "identity", **headers})


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("inbox.css", "text/css; charset=utf-8"),
        ("vendor/big.js", "text/javascript; charset=utf-8"),
        ("vendor/sprites.svg", "image/svg+xml"),
        ("vendor/fonts/a.woff2", "font/woff2"),
    ],
)
async def test_a_file_comes_with_its_type_and_may_be_kept_for_ever(
    assets: Assets, client: httpx.AsyncClient, static: Path, name: str, kind: str
) -> None:
    answer = await plain(client, assets.url(name))

    assert answer.status_code == 200
    assert answer.content == (static / name).read_bytes()
    assert answer.headers["content-type"] == kind
    assert answer.headers["cache-control"] == "public, max-age=31536000, immutable"
    assert answer.headers["x-content-type-options"] == "nosniff"


def test_the_address_changes_with_any_file_and_not_without(static: Path) -> None:
    before = Assets(static).url("inbox.css")
    assert re.fullmatch(r"/static/[0-9a-f]{8}/inbox\.css", before)
    assert Assets(static).url("inbox.css") == before

    (static / "vendor" / "fonts" / "a.woff2").write_bytes(b"wOF2 anew")

    assert Assets(static).url("inbox.css") != before


async def test_a_page_of_another_version_gets_the_file_without_keeping_it(
    client: httpx.AsyncClient,
) -> None:
    answer = await plain(client, "/static/00000000/inbox.css")

    assert answer.status_code == 200
    assert answer.headers["cache-control"] == "no-cache"


@pytest.mark.parametrize("accepted", ["gzip", "br, gzip;q=0.5", "GZIP", "*", "gzip; q=1.0"])
async def test_text_is_compressed_for_who_takes_it(
    assets: Assets, client: httpx.AsyncClient, accepted: str
) -> None:
    answer = await plain(client, assets.url("inbox.css"), **{"accept-encoding": accepted})

    assert answer.headers["content-encoding"] == "gzip"
    assert answer.headers["vary"] == "Accept-Encoding"
    assert int(answer.headers["content-length"]) < len(CSS)
    assert answer.content == CSS


@pytest.mark.parametrize(
    "accepted", ["", "identity", "br", "gzip;q=0", "gzip; q=0.000", "*;q=0", "gzip;q=0, *"]
)
async def test_text_stays_plain_for_others_and_caches_know_the_difference(
    assets: Assets, client: httpx.AsyncClient, accepted: str
) -> None:
    url = assets.url("inbox.css")
    answer = await plain(client, url, **{"accept-encoding": accepted})
    compressed = await plain(client, url, **{"accept-encoding": "gzip"})

    assert "content-encoding" not in answer.headers
    assert answer.headers["vary"] == "Accept-Encoding"
    assert answer.content == CSS
    assert answer.headers["etag"] != compressed.headers["etag"]


async def test_a_font_is_not_compressed_again(assets: Assets, client: httpx.AsyncClient) -> None:
    url = assets.url("vendor/fonts/a.woff2")
    answer = await plain(client, url, **{"accept-encoding": "gzip"})

    assert "content-encoding" not in answer.headers
    assert "vary" not in answer.headers


async def test_what_the_browser_has_is_not_sent_again(
    assets: Assets, client: httpx.AsyncClient
) -> None:
    url = assets.url("inbox.css")
    tag = (await plain(client, url)).headers["etag"]
    assert re.fullmatch(r'"[^"]+"', tag)

    for known in (tag, f'"other", {tag}', f"W/{tag}", "*"):
        again = await plain(client, url, **{"if-none-match": known})
        assert (again.status_code, again.content) == (304, b"")
        assert again.headers["etag"] == tag
        assert again.headers["vary"] == "Accept-Encoding"
    assert (await plain(client, url, **{"if-none-match": '"other"'})).status_code == 200


@pytest.mark.parametrize(
    "name",
    [
        "",
        "unknown.css",
        "notes.py",
        "vendor",
        "vendor/",
        "vendor/.stamp",
        "vendor/big.js.gz",
        "../outside.css",
        "..%2foutside.css",
        "%2e%2e/outside.css",
        "vendor/../inbox.css",
        "vendor/%2e%2e/inbox.css",
        "..%5coutside.css",
        "/inbox.css",
        "//etc/passwd",
        "inbox.css%00",
        "inbox.css/",
        "INBOX.CSS",
        "%ff",
    ],
)
async def test_nothing_else_can_be_asked_for(assets: Assets, name: str) -> None:
    # Not through the client: it would tidy the path up before it sends it.
    status = await status_of(assets, f"/static/{assets.hash}/{name}")
    assert status == 404


async def status_of(assets: Assets, raw_path: str) -> int:
    sent: list[MutableMapping[str, Any]] = []

    async def receive() -> MutableMapping[str, Any]:
        return {"type": "http.request"}

    async def send(message: MutableMapping[str, Any]) -> None:
        sent.append(message)

    scope = {
        "type": "http",
        "method": "GET",
        "path": unquote(raw_path),
        "raw_path": raw_path.encode(),
        "query_string": b"",
        "headers": [(b"host", b"messo")],
    }
    await Starlette(routes=assets.routes())(scope, receive, send)
    return int(sent[0]["status"])


async def test_the_path_of_a_file_on_the_disk_leads_nowhere(assets: Assets, static: Path) -> None:
    assert await status_of(assets, f"/static/{assets.hash}/{static / 'inbox.css'}") == 404


@pytest.mark.parametrize("wrong", ["0000000", "000000000", "0000000g", "AAAAAAAA", "00000000%0a"])
async def test_a_hash_that_cannot_be_one_is_refused(client: httpx.AsyncClient, wrong: str) -> None:
    assert (await client.get(f"/static/{wrong}/inbox.css")).status_code == 404


async def test_files_are_only_read(assets: Assets, client: httpx.AsyncClient) -> None:
    url = assets.url("inbox.css")
    assert (await client.head(url)).status_code == 200
    assert (await client.post(url)).status_code == 405


def test_a_page_that_names_an_unknown_file_is_a_mistake_of_ours(assets: Assets) -> None:
    with pytest.raises(KeyError):
        assets.url("inbox.cs")
    with pytest.raises(KeyError):
        assets.url("vendor/unknown.css")


def test_without_vendor_the_log_and_the_pages_say_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "inbox.css").write_bytes(CSS)

    with structlog.testing.capture_logs() as lines:
        assets = Assets(tmp_path)

    assert ["bin/assets" in line["event"] for line in lines] == [True]
    assert "bin/assets" in assets.remark
    assert assets.url("vendor/htmx.min.js").endswith("/vendor/htmx.min.js")


def tarball(*members: tuple[str, bytes], links: tuple[tuple[str, str, bytes], ...] = ()) -> bytes:
    """A package as registries serve it; `links` are (name, target, type)."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as archive:
        for name, content in members:
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
        for name, target, kind in links:
            member = tarfile.TarInfo(name)
            member.type, member.linkname = kind, target
            archive.addfile(member)
    return packed.getvalue()


WANTED = {"package/dist/a.css": "a.css", "package/LICENSE": "licences/a.txt"}
WHOLE = tarball(("package/dist/a.css", CSS), ("package/LICENSE", b"free"), ("package/x", b"x"))


def test_only_the_pinned_package_is_taken() -> None:
    make.verify("a", WHOLE, pin(WHOLE))

    tampered = tarball(("package/dist/a.css", CSS + b" "), ("package/LICENSE", b"free"))
    with pytest.raises(make.AssetError) as refused:
        make.verify("a", tampered, pin(WHOLE))
    assert str(refused.value) == "a is not the package that assets/integrity.json pins."


def test_only_the_wanted_files_leave_the_package() -> None:
    assert make.extract("a", WHOLE, WANTED) == {"a.css": CSS, "licences/a.txt": b"free"}


@pytest.mark.parametrize("name", ["../../a.css", "/a.css", "package/../a.css", "./package/x"])
def test_a_name_in_the_package_leads_nowhere(name: str) -> None:
    packed = tarball((name, b"evil"), ("package/dist/a.css", CSS), ("package/LICENSE", b"free"))
    assert make.extract("a", packed, WANTED) == {"a.css": CSS, "licences/a.txt": b"free"}


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.DIRTYPE])
@pytest.mark.parametrize("target", ["../../../etc/passwd", "LICENSE", "package/LICENSE"])
def test_a_link_in_place_of_a_file_is_refused(kind: bytes, target: str) -> None:
    packed = tarball(("package/LICENSE", b"free"), links=(("package/dist/a.css", target, kind),))
    with pytest.raises(make.AssetError, match="not an ordinary file"):
        make.extract("a", packed, WANTED)


@pytest.mark.parametrize("packed", [tarball(("package/LICENSE", b"free")), b"", b"x", WHOLE[:-40]])
def test_a_package_without_what_we_need_is_refused(packed: bytes) -> None:
    with pytest.raises(make.AssetError, match=r"^a\b"):
        make.extract("a", packed, WANTED)


def pin(packed: bytes) -> str:
    return "sha512-" + base64.b64encode(hashlib.sha512(packed).digest()).decode()


A = make.Package("a", "1.0.0", pin(WHOLE), WANTED)


def test_what_was_fetched_replaces_what_was_there(tmp_path: Path) -> None:
    (tmp_path / "vendor").mkdir()
    (tmp_path / "vendor" / "old.css").write_bytes(CSS)
    assert not make.is_current(tmp_path)

    make.make(tmp_path, [A], lambda *_: WHOLE)

    assert make.is_current(tmp_path)
    assert files_in(tmp_path) == [
        "vendor/.stamp",
        "vendor/a.css",
        "vendor/a.css.gz",
        "vendor/licences/a.txt",
    ]
    compressed = (tmp_path / "vendor" / "a.css.gz").read_bytes()
    assert gzip.decompress(compressed) == CSS
    assert compressed[4:8] == bytes(4), "the time of day makes two builds differ"


def test_another_package_leaves_what_is_there(tmp_path: Path) -> None:
    """A fetch that goes wrong neither harms the old folder nor leaves half of a new one."""
    (tmp_path / "vendor").mkdir()
    (tmp_path / "vendor" / "old.css").write_bytes(CSS)
    b = make.Package("b", "1.0.0", pin(b"b"), WANTED)

    with pytest.raises(make.AssetError, match="b is not the package"):
        make.make(tmp_path, [A, b], lambda *_: WHOLE)

    assert files_in(tmp_path) == ["vendor/old.css"]
    assert not make.is_current(tmp_path)


def test_a_maker_that_was_killed_leaves_nothing_that_looks_whole(tmp_path: Path) -> None:
    program = """
import os, sys
from pathlib import Path
from assets import make
from tests.inbox.test_assets import A, WHOLE
fetched = iter([WHOLE])
make.make(Path(sys.argv[1]), [A, A], lambda *_: next(fetched, None) or os.kill(os.getpid(), 9))
"""
    killed = subprocess.run([sys.executable, "-c", program, tmp_path], cwd=make.ROOT, check=False)

    assert killed.returncode == -9
    assert files_in(tmp_path)
    assert not (tmp_path / "vendor").exists()
    assert not Assets(tmp_path).complete
    make.clear_leftovers(tmp_path)
    assert files_in(tmp_path) == []


def files_in(folder: Path) -> list[str]:
    found = [path for path in folder.rglob("*") if path.is_file()]
    return sorted(path.relative_to(folder).as_posix() for path in found)


SPRITE = b"""<svg xmlns="http://www.w3.org/2000/svg"><symbol id="it-a" viewBox="0 0 1 1"><path/></symbol
><symbol id="it-b" viewBox="0 0 2 2"><path/></symbol></svg>""".replace(b"\n", b"")


def test_the_sprite_keeps_the_listed_icons_only() -> None:
    assert make.reduce_sprite(SPRITE, ["it-b"]) == (
        b'<svg xmlns="http://www.w3.org/2000/svg">'
        b'<symbol id="it-b" viewBox="0 0 2 2"><path/></symbol></svg>'
    )


def test_an_icon_that_does_not_exist_is_refused() -> None:
    with pytest.raises(make.AssetError, match="no it-c"):
        make.reduce_sprite(SPRITE, ["it-a", "it-c"])


def test_what_was_fetched_is_what_the_pins_say() -> None:
    assert make.is_current(OUR_OWN), "run bin/assets"
    for files in make.FILES.values():
        for path in files.values():
            assert (OUR_OWN / "vendor" / path).stat().st_size > 0
    for made in (OUR_OWN / "vendor").glob("*.gz"):
        assert gzip.decompress(made.read_bytes()) == made.with_suffix("").read_bytes()


def test_the_fetched_sprite_has_every_icon_of_the_list() -> None:
    sprite = ET.parse(OUR_OWN / "vendor" / "sprites.svg").getroot()  # noqa: S314
    ids = [symbol.get("id") for symbol in sprite]
    assert ids == sorted(set(make.listed_icons()))
    assert {"it-mail", "it-inbox", "it-logout"} <= set(ids)


def test_every_icon_that_a_page_names_is_in_the_list() -> None:
    for path in (OUR_OWN.parent / "templates").rglob("*.html"):
        named = re.findall(r"""\bicon\(["']([a-z-]+)["']""", path.read_text())
        assert {f"it-{name}" for name in named} <= set(make.listed_icons()), path.name


def test_style_sheets_ask_nobody_else() -> None:
    ours = Assets()
    for path in OUR_OWN.rglob("*.css"):
        text = path.read_text()
        assert "@import" not in text
        for address in re.findall(r"url\(\s*[\"']?([^\"')]+)", text):
            if not address.startswith("data:"):
                name = (path.parent / address).relative_to(OUR_OWN).as_posix()
                assert ours.url(name)
