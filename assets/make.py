"""Makes src/messo/pages/static/vendor: what our pages take from the npm registry.

package.json names the packages and versions, assets/integrity.json pins their tarballs, and
assets/icons.txt lists the icons that stay in the sprite. The folder carries a stamp of all of
these: where it matches, nothing happens.
"""

import base64
import fcntl
import hashlib
import json
import os
import re
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

# Modules that only a fetch needs are imported there: the stamp is looked at before every start.

ROOT = Path(__file__).resolve().parent.parent
STATIC = ROOT / "src" / "messo" / "pages" / "static"
STAMP = ".stamp"
TEXT = {".css", ".js", ".svg"}

# For each package: member of its tarball, and where it goes in vendor/.
_FONTS = "package/dist/fonts"
_TITILLIUM = f"{_FONTS}/Titillium_Web/titillium-web-v10-latin-ext_latin"
FILES: Mapping[str, Mapping[str, str]] = {
    "bootstrap-italia": {
        "package/dist/css/bootstrap-italia.min.css": "bootstrap-italia.min.css",
        "package/dist/svg/sprites.svg": "sprites.svg",
        f"{_TITILLIUM}-300.woff2": "fonts/titillium-web-300.woff2",
        f"{_TITILLIUM}-regular.woff2": "fonts/titillium-web-400.woff2",
        f"{_TITILLIUM}-italic.woff2": "fonts/titillium-web-400-italic.woff2",
        f"{_TITILLIUM}-600.woff2": "fonts/titillium-web-600.woff2",
        f"{_TITILLIUM}-700.woff2": "fonts/titillium-web-700.woff2",
        f"{_FONTS}/Roboto_Mono/roboto-mono-v13-latin-ext_latin-regular.woff2": (
            "fonts/roboto-mono-400.woff2"
        ),
        "package/LICENSE": "licences/bootstrap-italia.txt",
        f"{_FONTS}/Titillium_Web/OFL.txt": "licences/titillium-web.txt",
        f"{_FONTS}/Roboto_Mono/LICENSE.txt": "licences/roboto-mono.txt",
    },
    "htmx.org": {
        "package/dist/htmx.min.js": "htmx.min.js",
        "package/LICENSE": "licences/htmx.txt",
    },
}


class Package(NamedTuple):
    """`pin` is the tarball's "sha512-" and base64; `files` maps its members to paths in vendor/."""

    name: str
    version: str
    pin: str
    files: Mapping[str, str]


Fetch = Callable[[Package, Path], bytes]


class AssetError(Exception):
    """Why the files cannot be made, for the person at the terminal."""


def stamp() -> str:
    """Changes with everything that decides what vendor/ holds."""
    here = Path(__file__).resolve()
    parts = [ROOT / "package.json", here.with_name("integrity.json"), icons_file(), here]
    return hashlib.sha256(b"\0".join(part.read_bytes() for part in parts)).hexdigest()


def icons_file() -> Path:
    return Path(__file__).resolve().with_name("icons.txt")


def is_current(static: Path) -> bool:
    try:
        return (static / "vendor" / STAMP).read_text() == stamp()
    except FileNotFoundError:
        return False


def packages() -> list[Package]:
    """The packages of package.json. Raises `AssetError` for one without a pin."""
    versions = json.loads((ROOT / "package.json").read_text())["dependencies"]
    pins = json.loads(Path(__file__).with_name("integrity.json").read_text())
    if unpinned := sorted({f"{name}@{version}" for name, version in versions.items()} - set(pins)):
        raise AssetError(f"assets/integrity.json has no pin for {', '.join(unpinned)}.")
    return [
        Package(name, version, pins[f"{name}@{version}"], FILES[name])
        for name, version in versions.items()
    ]


def make(static: Path, wanted: Iterable[Package], fetch: Fetch) -> None:
    """Puts a new vendor/ into `static`, whole or not at all.

    `fetch(package, folder)` returns the bytes of its tarball and may write in `folder`. Raises
    `AssetError` for a package that cannot be had, is not the pinned one, or lacks a file, and for
    an icon that does not exist.
    """
    from tempfile import TemporaryDirectory

    with TemporaryDirectory(prefix=".vendor-", dir=static) as name:
        work = Path(name)
        # A folder within the temporary one: that is private to us, and vendor/ is for all to read.
        new = work / "vendor"
        new.mkdir()
        for package in wanted:
            tarball = fetch(package, work)
            verify(package.name, tarball, package.pin)
            for path, content in extract(package.name, tarball, package.files).items():
                write(new / path, prepared(path, content))
        (new / STAMP).write_text(stamp())
        old = static / "vendor"
        if old.exists():
            old.rename(work / "old")
        new.rename(old)


def prepared(path: str, content: bytes) -> bytes:
    """A file as we serve it: the sprite with our icons only, style sheets without inline fonts."""
    if path == "sprites.svg":
        return reduce_sprite(content)
    return without_inline_fonts(content) if path.endswith(".css") else content


def without_inline_fonts(css: bytes) -> bytes:
    """The style sheet without fonts in data: addresses, which our policy forbids, and source map.

    Browsers report such a font on every page although nothing uses it.
    """
    css = re.sub(rb"@font-face\{[^}]*src:url\(data:[^}]*\}", b"", css)
    return re.sub(rb"/\*# sourceMappingURL=[^*]*\*/", b"", css)


def verify(package: str, tarball: bytes, pinned: str) -> None:
    """`pinned` is "sha512-" and base64, as registries write it. Raises `AssetError`."""
    digest = base64.b64encode(hashlib.sha512(tarball).digest()).decode()
    if f"sha512-{digest}" != pinned:
        raise AssetError(f"{package} is not the package that assets/integrity.json pins.")


def extract(package: str, tarball: bytes, wanted: Mapping[str, str]) -> dict[str, bytes]:
    """The wanted members' content by their new path; nothing is written.

    Only `wanted` decides where a file goes, so no name in the tarball leads anywhere; links are
    refused because what they point at was not asked for. Raises `AssetError`.
    """
    import io
    import tarfile

    found: dict[str, bytes] = {}
    try:
        with tarfile.open(fileobj=io.BytesIO(tarball), mode="r:gz") as archive:
            for member in archive:
                if member.name in wanted:
                    content = archive.extractfile(member) if member.isreg() else None
                    if content is None:
                        raise AssetError(f"{package}: {member.name} is not an ordinary file.")
                    found[wanted[member.name]] = content.read()
    except (tarfile.TarError, OSError, EOFError) as error:
        raise AssetError(f"{package}: the tarball cannot be read.") from error
    if missing := sorted(set(wanted.values()) - set(found)):
        raise AssetError(f"{package} lacks {', '.join(missing)}.")
    return found


def write(path: Path, content: bytes) -> None:
    """The file, and beside a text its gzip form, which the server sends as it is."""
    import gzip

    path.parent.mkdir(exist_ok=True)
    path.write_bytes(content)
    if path.suffix in TEXT:
        path.with_name(path.name + ".gz").write_bytes(gzip.compress(content, 9, mtime=0))


def listed_icons() -> list[str]:
    lines = (line.strip() for line in icons_file().read_text().splitlines())
    return [line for line in lines if line and not line.startswith("#")]


def reduce_sprite(sprite: bytes, icons: Iterable[str] | None = None) -> bytes:
    """The sprite with the listed icons only, a tenth of its size. `AssetError` for an unknown one."""
    import re

    symbols = dict(re.findall(r'(?s)<symbol id="([^"]+)"(.*?</symbol>)', sprite.decode()))
    wanted = sorted(set(listed_icons() if icons is None else icons))
    if unknown := [icon for icon in wanted if icon not in symbols]:
        raise AssetError(f"assets/icons.txt: Bootstrap Italia has no {', '.join(unknown)}.")
    kept = "".join(f'<symbol id="{icon}"{symbols[icon]}' for icon in wanted)
    return f'<svg xmlns="http://www.w3.org/2000/svg">{kept}</svg>'.encode()


def npm_pack(package: Package, folder: Path) -> bytes:
    """Fetched by npm itself, which knows the user's registry, proxy and certificates."""
    import subprocess

    into = folder / package.name
    into.mkdir()
    wanted = f"{package.name}@{package.version}"
    command = [npm(), "pack", wanted, "--pack-destination", str(into)]
    # npm explains its failures on standard error; names of packed files are of no interest.
    options = ["--ignore-scripts", "--loglevel=error", "--no-update-notifier"]
    done = subprocess.run([*command, *options], cwd=ROOT, stdout=subprocess.DEVNULL, check=False)
    packed = list(into.glob("*.tgz"))
    if done.returncode != 0 or len(packed) != 1:
        raise AssetError(f"npm could not fetch {wanted}.")
    return packed[0].read_bytes()


def npm() -> str:
    """The npm on PATH, or else one installed beside this Python."""
    import shutil
    import subprocess

    beside = str(Path(sys.executable).parent)
    found = shutil.which("npm") or shutil.which("npm", path=beside)
    if found is None:
        tell("There is no npm on PATH: installing one into .venv (once) …")
        requirements = str(ROOT / "requirements-node.txt")
        pip = [sys.executable, "-m", "pip", "install", "-qq", "--disable-pip-version-check"]
        subprocess.run([*pip, "--require-hashes", "-r", requirements], check=False)
        found = shutil.which("npm", path=beside)
    if found is None:
        raise AssetError("npm could not be installed; install Node.js, then run bin/assets again.")
    return found


@contextmanager
def alone(static: Path) -> Iterator[None]:
    """One maker at a time; the lock ends with its process, however that ends."""
    folder = os.open(static, os.O_RDONLY)
    try:
        fcntl.flock(folder, fcntl.LOCK_EX)
        yield
    finally:
        os.close(folder)


def clear_leftovers(static: Path) -> None:
    """What a killed maker left; nobody else is at it, for we hold the lock."""
    import shutil

    for leftover in static.glob(".vendor-*"):
        shutil.rmtree(leftover)


def tell(line: str) -> None:
    sys.stderr.write(line + "\n")


def main() -> int:
    if is_current(STATIC):
        return 0
    with alone(STATIC):
        if is_current(STATIC):
            return 0
        clear_leftovers(STATIC)
        tell("Fetching Bootstrap Italia and htmx for the pages (once) …")
        try:
            make(STATIC, packages(), npm_pack)
        except AssetError as error:
            tell(str(error))
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
