"""Fetches openid-client for the tests, as assets/make.py fetches what pages need: once, and pinned.

package.json names the packages and versions, integrity.json pins their tarballs. What is fetched is
no part of Messo and lies in .venv/.
"""

import io
import json
import re
import shutil
import sys
import tarfile
from pathlib import Path
from tempfile import TemporaryDirectory

from assets.make import ROOT, AssetError, Package, alone, npm_pack, tell, verify

HERE = Path(__file__).resolve().parent
FOLDER = ROOT / ".venv" / "openid-client"
ENTRY = FOLDER / "node_modules" / "openid-client" / "build" / "index.js"
_STAMP = FOLDER / "package.json"
_MEMBER = re.compile(r"package/((?:[\w-][\w.-]*/)*[\w-][\w.-]*\.(?:js|json))", re.ASCII)


def is_current() -> bool:
    """Whether what is there is what package.json names."""
    return _STAMP.exists() and _STAMP.read_bytes() == (HERE / "package.json").read_bytes()


def packages() -> list[Package]:
    """Those of package.json. `AssetError` for one without a pin."""
    versions = json.loads((HERE / "package.json").read_text())["dependencies"]
    pins = json.loads((HERE / "integrity.json").read_text())
    if unpinned := sorted({f"{name}@{version}" for name, version in versions.items()} - set(pins)):
        raise AssetError(f"integrity.json has no pin for {', '.join(unpinned)}.")
    return [
        Package(name, version, pins[f"{name}@{version}"], {}) for name, version in versions.items()
    ]


def unpack(tarball: bytes, into: Path) -> None:
    """The scripts of a package, and what says which of them is which."""
    with tarfile.open(fileobj=io.BytesIO(tarball), mode="r:gz") as archive:
        for member in archive:
            found = _MEMBER.fullmatch(member.name)
            content = archive.extractfile(member) if found and member.isreg() else None
            if found and content:
                path = into / found[1]
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(content.read())


def make() -> None:
    """Puts a new folder in the place of the old one, whole or not at all."""
    with TemporaryDirectory(prefix=".openid-client-", dir=FOLDER.parent) as name:
        new = Path(name) / "new"
        for package in packages():
            tarball = npm_pack(package, Path(name))
            verify(package.name, tarball, package.pin)
            unpack(tarball, new / "node_modules" / package.name)
        shutil.copy(HERE / "package.json", new)
        shutil.rmtree(FOLDER, ignore_errors=True)
        new.rename(FOLDER)


def main() -> int:
    if is_current():
        return 0
    with alone(FOLDER.parent):
        if is_current():
            return 0
        for leftover in FOLDER.parent.glob(".openid-client-*"):  # of one that was killed
            shutil.rmtree(leftover)
        tell("Fetching openid-client for the tests (once) …")
        try:
            make()
        except AssetError as error:
            tell(str(error))
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
