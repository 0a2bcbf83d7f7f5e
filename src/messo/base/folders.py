"""Files and folders that nobody else may read, and that survive a power cut."""

import contextlib
import os
import stat
from pathlib import Path

from messo.base.processes import Account


def write_private(path: Path, text: str) -> None:
    descriptor = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(text + "\n")
        file.flush()
        os.fsync(file.fileno())


def read_lines(path: Path) -> list[str]:
    """Return the lines of a small file; none when it does not exist."""
    try:
        return [line.strip() for line in path.read_text(errors="replace").splitlines()]
    except FileNotFoundError:
        return []


def give(path: Path, account: Account | None) -> None:
    if account is not None:
        os.chown(path, account.uid, account.gid, follow_symlinks=False)


def sync_folder(folder: Path) -> None:
    """Make a rename in that folder survive a power cut."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def make_private_folder(wanted: Path, account: Account | None) -> Path:
    """Make a folder that only `account` may enter, and return its path.

    Where somebody else has put something called `wanted` first, the name gets a number behind.
    """
    owner = account or Account(os.geteuid(), os.getegid())
    for path in (wanted, *(wanted.with_name(f"{wanted.name}-{n}") for n in range(1, 100))):
        if make_folder(path, owner, 0o700):
            return path
    raise PermissionError(f"Somebody else holds {wanted} and 99 more names: remove those folders.")


def make_root_folder(path: Path) -> None:
    if not make_folder(path, Account(0, 0), 0o755):
        raise PermissionError(f"{path} does not belong to root")


def make_folder(path: Path, owner: Account, mode: int) -> bool:
    """Refuse (False) what is a link, not a folder, or neither `owner`'s nor ours."""
    with contextlib.suppress(FileExistsError):
        path.mkdir(mode=0o700)
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    except OSError:
        return False
    try:
        if os.fstat(descriptor).st_uid not in (owner.uid, os.geteuid()):
            return False
        if os.geteuid() == 0:
            os.fchown(descriptor, owner.uid, owner.gid)
        os.fchmod(descriptor, mode)
    finally:
        os.close(descriptor)
    return True


def is_root_owned(folder: Path) -> bool:
    try:
        seen = folder.lstat()
    except FileNotFoundError:
        return False
    return stat.S_ISDIR(seen.st_mode) and seen.st_uid == 0
