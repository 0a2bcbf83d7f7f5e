"""Fetches the npm packages that tests run, as assets/make.py fetches what pages need: once, pinned.

A folder's package.json names packages and versions, its integrity.json pins their tarballs. What
is fetched is no part of Messo, lies in .venv/, and no script of its is run. `python -m tests.npm`
fetches all.
"""

import io
import json
import re
import shutil
import sys
import tarfile
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from assets.make import ROOT, AssetError, Package, alone, npm_pack, tell, verify

_TESTS = Path(__file__).resolve().parent
_MEMBER = re.compile(r"package/((?:[\w-][\w.-]*/)*[\w-][\w.-]*\.(?:js|json))", re.ASCII)


@dataclass(frozen=True)
class Packages:
    """Those of one package.json. `name`: what people call them. `source`: where package.json is."""

    name: str
    source: Path

    @property
    def folder(self) -> Path:
        return ROOT / ".venv" / self.name

    @property
    def modules(self) -> Path:
        """The folder that has them as Node looks for them."""
        return self.folder / "node_modules"

    def is_current(self) -> bool:
        """Whether what is there is what package.json names."""
        stamp = self.folder / "package.json"
        return stamp.exists() and stamp.read_bytes() == (self.source / "package.json").read_bytes()

    def wanted(self) -> list[Package]:
        """Raises `AssetError` for one without a pin."""
        versions = json.loads((self.source / "package.json").read_text())["dependencies"]
        pins = json.loads((self.source / "integrity.json").read_text())
        if unpinned := sorted({f"{name}@{given}" for name, given in versions.items()} - set(pins)):
            raise AssetError(f"integrity.json has no pin for {', '.join(unpinned)}.")
        return [
            Package(name, given, pins[f"{name}@{given}"], {}) for name, given in versions.items()
        ]

    def make(self) -> None:
        """Puts a new folder in the place of the old one, whole or not at all."""
        with TemporaryDirectory(prefix=f".{self.name}-", dir=self.folder.parent) as name:
            new = Path(name) / "new"
            for package in self.wanted():
                # npm_pack makes the folder of the name; the one of its scope is ours to make.
                (Path(name) / package.name).parent.mkdir(exist_ok=True)
                tarball = npm_pack(package, Path(name))
                verify(package.name, tarball, package.pin)
                unpack(tarball, new / "node_modules" / package.name)
            shutil.copy(self.source / "package.json", new)
            shutil.rmtree(self.folder, ignore_errors=True)
            new.rename(self.folder)

    def fetch(self) -> None:
        """Nothing if they are there. Raises `AssetError`."""
        if self.is_current():
            return
        with alone(self.folder.parent):
            if self.is_current():
                return
            for leftover in self.folder.parent.glob(f".{self.name}-*"):  # of one that was killed
                shutil.rmtree(leftover)
            tell(f"Fetching {self.name} for the tests (once) …")
            self.make()


OPENID_CLIENT = Packages("openid-client", _TESTS / "sso" / "openid_client")
REFERENCE_SDK = Packages("reference-sdk", _TESTS / "services" / "sdk")


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


def node() -> str:
    """The Node on PATH, or else the one installed beside this Python, as npm is."""
    beside = str(Path(sys.executable).parent)
    return shutil.which("node") or shutil.which("node", path=beside) or "node"


def main() -> int:
    try:
        for packages in (OPENID_CLIENT, REFERENCE_SDK):
            packages.fetch()
    except AssetError as error:
        tell(str(error))
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
