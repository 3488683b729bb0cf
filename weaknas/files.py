"""Writing files that are either whole or absent, and where caches live."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import os
import secrets
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Any

from weaknas.errors import InputError

_NO_ROOM = {errno.ENOSPC, errno.EFBIG, getattr(errno, "EDQUOT", errno.ENOSPC)}


def write_atomically(path: Path, write: Callable[[Path], None]) -> None:
    """Write a file under a temporary name beside its place, then move it there.

    Parameters
    ----------
    path : Path
    write : callable
        Is given the temporary path and writes the file.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    # Not by tempfile, whose files are the user's alone even after the move.
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(6)}")
    try:
        write(temporary)
        with temporary.open("rb+") as file:
            os.fsync(file.fileno())
        os.replace(temporary, path)
        sync_folder(path.parent)
    finally:
        temporary.unlink(missing_ok=True)


def remove_parts(folder: Path, name: str) -> None:
    """Remove the files of a name such as ``"*.parquet"``, and the folder if that was all.

    With them goes what killed processes left of files half written.
    """
    for path in (*folder.glob(name), *folder.glob(f".{name}.*")):
        path.unlink(missing_ok=True)
    with contextlib.suppress(OSError):  # not there, or somebody put something into it
        folder.rmdir()


def prepare_folder(folder: Path) -> None:
    """Make the folder of an output, before the work whose result it is to hold.

    Raises
    ------
    InputError
        When it cannot be made or written to.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"cannot write to {folder}: {error.strerror}") from error
    if not os.access(folder, os.W_OK):
        raise InputError(f"cannot write to {folder}: Permission denied")


def prepare_file(path: Path) -> None:
    """Make the folder of an output file, before the work whose result it is to hold.

    Raises
    ------
    InputError
        When the path is a folder, or its own folder cannot be made or written to.
    """
    if path.is_dir():
        raise InputError(f"cannot write {path}: it is a folder; name a file")
    prepare_folder(path.parent)


@contextlib.contextmanager
def lock(path: Path, name: str | None = None) -> Iterator[None]:
    """Keep other processes away from a file or folder; the lock ends with the process.

    It is a hidden file beside the file, or in the folder, which is gone afterwards;
    what a killed process leaves of it keeps nobody out. File systems without locks
    have none.

    Parameters
    ----------
    path : Path
        A folder, which must be there, or a file, which need not.
    name : str, optional
        What to call it where it is in use; default: the path.

    Raises
    ------
    InputError
        When another process, or another thread, holds it.
    OSError
        When nothing can be written there.
    """
    place = path / ".lock" if path.is_dir() else path.with_name(f".{path.name}.lock")
    with contextlib.ExitStack() as stack:
        while True:
            file = stack.enter_context(place.open("ab"))
            if not _lock_file(file):
                raise InputError(f"{name or path} is in use by another process")
            if _is_at(file, place):
                break
            # Removed between the two steps by the process that held it.
        try:
            yield
        finally:
            with contextlib.suppress(OSError):  # e.g. of Windows, where it is open
                place.unlink()


def _lock_file(file: IO[bytes]) -> bool:
    """Lock an open file, where the system can; tell whether nobody else holds it."""
    try:
        import fcntl
    except ImportError:  # Windows
        return True
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:  # a file system without locks
        return True
    return True


def _is_at(file: IO[bytes], path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(file.fileno()), path.stat())
    except FileNotFoundError:
        return False


def is_disk_full(error: Exception) -> bool:
    """Whether there is no room for a file, on the disk or in what the user may take of it."""
    return isinstance(error, OSError) and error.errno in _NO_ROOM


def sync_folder(folder: Path) -> None:
    """Wait until the names in a folder are on the disk, where the system can."""
    with contextlib.suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def write_json(path: Path, value: Any) -> None:
    """Write plain JSON types, indented."""
    text = json.dumps(value, indent=2) + "\n"
    write_atomically(path, lambda temporary: _write_text(temporary, text))


def checksum(value: Any) -> str:
    """Return a hash of plain JSON types, by which damage is told."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"))
    return hashlib.blake2b(text.encode(), digest_size=8).hexdigest()


def cache_folder() -> Path:
    """Return the folder for converted tables; ``WEAKNAS_CACHE`` overrides the user's cache."""
    override = os.environ.get("WEAKNAS_CACHE")
    if override:
        return Path(override)
    import platformdirs

    return Path(platformdirs.user_cache_dir("weaknas", appauthor=False))


def _write_text(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8")


# -- where imported benchmark tables live ---------------------------------------------


def data_folders() -> list[Path]:
    """Return the folders where imported tables are looked for; the first is written to.

    ``WEAKNAS_DATA``, one folder or several separated like those of ``PATH``,
    replaces the user's data folder.
    """
    override = os.environ.get("WEAKNAS_DATA", "")
    folders = [Path(folder) for folder in override.split(os.pathsep) if folder]
    if folders:
        return folders
    import platformdirs

    return [Path(platformdirs.user_data_dir("weaknas", appauthor=False))]


def differences(old: Any, new: Any, prefix: str = "") -> Iterator[tuple[str, Any, Any]]:
    """Yield name, old and new value of all leaves in which two configurations differ."""
    if isinstance(old, dict) and isinstance(new, dict):
        for key in sorted(set(old) | set(new)):
            yield from differences(old.get(key), new.get(key), f"{prefix}.{key}".lstrip("."))
    elif old != new:
        yield prefix, json.dumps(old), json.dumps(new)
