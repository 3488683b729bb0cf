"""Reading files that people give, writing files whole or not at all, and where caches live."""

from __future__ import annotations

import contextlib
import csv
import errno
import glob
import hashlib
import io
import json
import math
import os
import secrets
import shutil
import stat
import tempfile
import time
import tomllib
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Any

from weaknas.errors import MOST_SEED, InputError, listed, shown

#: Bytes of a file of settings or records, and how deep lists and tables in it are nested.
MOST_BYTES = 2**26
MOST_DEEP = 100
#: Bytes of a table of texts.
MOST_TABLE_BYTES = 2**28
_SEPARATORS = ",;\t|"

_TOKEN = 6  # bytes, in hexadecimal, that end the name of a file that is being written
_NO_ROOM = {errno.ENOSPC, errno.EFBIG, getattr(errno, "EDQUOT", errno.ENOSPC)}


# -- files that people give -----------------------------------------------------------------


def check_regular(path: Path, most: int | None = None) -> None:
    """Refuse what is no file that ends: a folder, a device, a pipe, or nothing.

    Parameters
    ----------
    path : Path
    most : int, optional
        Bytes that it may have.

    Raises
    ------
    InputError
        One line with the path and what is wrong.
    """
    try:
        status = path.stat()
    except (FileNotFoundError, NotADirectoryError) as error:
        raise InputError(f"{path}: no such file") from error
    except (OSError, ValueError) as error:  # ValueError: a path with a null byte
        raise unreadable(path, error) from error
    if stat.S_ISDIR(status.st_mode):
        raise InputError(f"{path}: cannot be read (it is a folder)")
    if not stat.S_ISREG(status.st_mode):
        raise InputError(f"{path}: cannot be read (it is no regular file)")
    if most is not None and status.st_size > most:
        raise InputError(
            f"{path}: cannot be read (it has {status.st_size:,} bytes; at most {most:,} are read)"
        )


def read_bytes(path: Path, most: int = MOST_BYTES) -> bytes:
    """Read a file that is not too large.

    Raises
    ------
    InputError
        When it is missing, too large, no regular file or cannot be read.
    """
    check_regular(path, most)
    try:
        return path.read_bytes()
    except OSError as error:
        raise unreadable(path, error) from error


def parse_json(text: str | bytes) -> Any:
    """Parse JSON that another program or a person wrote.

    Raises
    ------
    ValueError
        One line: it is no JSON, in no encoding of text, nested too deeply, or has integers
        of thousands of digits.
    """
    try:
        value = json.loads(text)
        _check_items(value)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
    except ValueError as error:
        raise ValueError(" ".join(str(error).split())) from error
    return value


def read_json(path: Path, most: int = MOST_BYTES) -> Any:
    """Read a JSON file, as programs write them.

    Raises
    ------
    InputError
        As for `read_bytes`, and when it is damaged: no JSON, or nested too deeply.
    """
    content = read_bytes(path, most)
    try:
        return parse_json(content)
    except ValueError as error:
        raise InputError(f"{path} is damaged: {error}") from error


def read_toml(path: Path, most: int = MOST_BYTES) -> dict[str, Any]:
    """Read a TOML file, as people write them.

    Raises
    ------
    InputError
        As for `read_bytes`, and when it is no TOML or nested too deeply.
    """
    content = read_bytes(path, most)
    try:
        value = tomllib.loads(content.decode("utf-8-sig"))  # some editors begin with a mark
        _check_items(value, most=2**63)
    except RecursionError as error:
        raise InputError(f"{path} cannot be read: it is nested too deeply") from error
    except ValueError as error:  # integers of thousands of digits, too
        raise InputError(f"{path} cannot be read: {' '.join(str(error).split())}") from error
    return value


def read_csv(path: Path, most: int = MOST_TABLE_BYTES) -> dict[str, list[str]]:
    """Read a table of texts with the names of the columns in its first line.

    Cells are separated by commas, semicolons, tabs or ``|``, whichever makes the most
    names; blanks around them do not count, empty lines neither.

    Raises
    ------
    InputError
        As for `read_bytes`, and when lines differ in length or names repeat.
    """
    try:
        text = read_bytes(path, most).decode("utf-8-sig")
        first = text.lstrip("\r\n").partition("\n")[0]
        separator = max(_SEPARATORS, key=lambda mark: _width(first, mark))
        lines = csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=True)
        rows = [[cell.strip() for cell in line] for line in lines if line]
    except (csv.Error, UnicodeDecodeError) as error:
        raise unreadable(path, error) from error
    names = rows.pop(0) if rows else []
    for number, row in enumerate(rows, start=2):
        if len(row) != len(names):
            raise InputError(
                f"{path}: row {number} has {len(row)} cells where the first has {len(names)}"
            )
    twice = [name for name, count in Counter(names).items() if count > 1]
    if twice:
        raise InputError(f"{path}: a column name is there twice: {listed(twice)}")
    columns = zip(*rows, strict=True) if rows else ((),) * len(names)
    return {name: list(cells) for name, cells in zip(names, columns, strict=True)}


def _width(line: str, separator: str) -> int:
    try:
        return len(next(csv.reader([line], delimiter=separator), []))
    except csv.Error:  # a cell is too long
        return 0


def unreadable(path: Path, error: Exception) -> InputError:
    """Build the error for a file that cannot be read, in one line."""
    reason = (error.strerror if isinstance(error, OSError) else None) or str(error)
    return InputError(f"{path}: cannot be read ({' '.join(reason.split())})")


def _check_items(value: Any, most: float = math.inf) -> None:
    """Refuse lists and tables that are nested deeply, and integers beyond `most`.

    Without recursion, which has a limit.
    """
    level = [value]
    for _ in range(MOST_DEEP + 1):
        if any(isinstance(item, int) and not -most <= item < most for item in level):
            raise ValueError("an integer has more than 64 bits")
        lists = [item for item in level if isinstance(item, list)]
        tables = [item.values() for item in level if isinstance(item, dict)]
        level = [item for inner in (*lists, *tables) for item in inner]
    if level:
        raise ValueError(f"it is nested more than {MOST_DEEP} deep")


# -- writing ----------------------------------------------------------------------------------


def write_atomically(path: Path, write: Callable[[Path], object]) -> None:
    """Write a file under a temporary name beside its place, then move it there.

    Parameters
    ----------
    path : Path
    write : callable
        Is given the temporary path and writes the file.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    # Not by tempfile, whose files are the user's alone even after the move.
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(_TOKEN)}")
    try:
        write(temporary)
        with temporary.open("rb+") as file:
            os.fsync(file.fileno())
        os.replace(temporary, path)
        sync_folder(path.parent)
    finally:
        temporary.unlink(missing_ok=True)


def remove_leftovers(folder: Path, name: str = "*", age: float = 0.0) -> None:
    """Remove what killed processes left of files half written by `write_atomically`.

    Parameters
    ----------
    folder : Path
    name : str
        Pattern of the names of the files; of those that no other process may be writing.
    age : float
        Seconds since it was last written to, where others may.
    """
    for path in folder.glob(f".{name}.{'[0-9a-f]' * 2 * _TOKEN}"):
        with contextlib.suppress(OSError):  # another process was faster
            if time.time() - path.stat().st_mtime >= age:
                path.unlink()


def remove_parts(folder: Path, name: str) -> None:
    """Remove the files of a name such as ``"*.parquet"``, and the folder if that was all.

    With them goes what killed processes left of files half written.
    """
    remove_leftovers(folder, name)
    for path in folder.glob(name):
        path.unlink(missing_ok=True)
    with contextlib.suppress(OSError):  # not there, or somebody put something into it
        folder.rmdir()


def prepare_folder(folder: str | Path) -> Path:
    """Make the folder of an output, before the work whose result it is to hold.

    Returns
    -------
    Path
        The folder by its absolute path: the work may change the working directory.

    Raises
    ------
    InputError
        When it cannot be made or written to.
    """
    place = Path(folder).absolute()
    try:
        place.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"cannot write to {folder}: {error.strerror}") from error
    if not os.access(place, os.W_OK):
        raise InputError(f"cannot write to {folder}: Permission denied")
    return place


@contextlib.contextmanager
def making_folder(folder: Path) -> Iterator[None]:
    """Make the folder of an output; if nothing comes of it, remove what was made.

    Raises
    ------
    InputError
        When it cannot be made or written to.
    """
    made = [place for place in (folder, *folder.parents) if not place.exists()]
    prepare_folder(folder)
    try:
        yield
    finally:
        with contextlib.suppress(OSError):  # the first that is not empty
            for place in made:
                place.rmdir()


def prepare_file(path: str | Path) -> Path:
    """Make the folder of an output file, before the work whose result it is to hold.

    Returns
    -------
    Path
        The file by its absolute path: the work may change the working directory.

    Raises
    ------
    InputError
        When the path is a folder, or its own folder cannot be made or written to.
    """
    place = Path(path)
    if place.is_dir():
        raise InputError(f"cannot write {path}: it is a folder; name a file")
    return prepare_folder(place.parent) / place.name


@contextlib.contextmanager
def lock(path: Path, name: str | None = None) -> Iterator[None]:
    """Keep other processes away from a file or folder; the lock ends with the process.

    It is a hidden file beside the file, or in the folder, which is gone afterwards;
    what a killed process leaves of it keeps nobody out, and what it left of files half
    written goes. File systems without locks have none.

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
    place = path / ".weaknas.lock" if path.is_dir() else path.with_name(f".{path.name}.lock")
    with contextlib.ExitStack() as stack:
        while True:
            file = stack.enter_context(place.open("ab"))
            if not _lock_file(file):
                raise InputError(f"{name or path} is in use by another process")
            if is_file_at(file, place):
                break
            # Removed between the two steps by the process that held it.
        if path.is_dir():
            remove_leftovers(path)
        else:
            remove_leftovers(path.parent, glob.escape(path.name))
        try:
            yield
        finally:
            with contextlib.suppress(OSError):  # e.g. of Windows, where it is open
                place.unlink()


@contextlib.contextmanager
def temporary_folder(prefix: str) -> Iterator[Path]:
    """Make a folder that goes with the context; those that killed processes left go, too.

    Parameters
    ----------
    prefix : str
        Of its name.
    """
    # Hidden until it is locked: by its name it could be taken for an abandoned one.
    hidden = Path(tempfile.mkdtemp(prefix=f".{prefix}"))
    folder = hidden.with_name(hidden.name.removeprefix("."))
    try:
        with lock(hidden):
            hidden.rename(folder)
            if not _is_free(folder):  # locks are known here
                for other in folder.parent.glob(f"{glob.escape(prefix)}*"):
                    if _is_free(other):
                        shutil.rmtree(other, ignore_errors=True)
            yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _is_free(folder: Path) -> bool:
    try:
        with lock(folder):
            return True
    except (InputError, OSError):  # OSError: it is another user's, or gone
        return False


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


def is_file_at(file: IO[bytes], path: Path) -> bool:
    """Whether an open file is the one that a path names."""
    try:
        return os.path.samestat(os.fstat(file.fileno()), path.stat())
    except FileNotFoundError:
        return False


def is_disk_full(error: BaseException) -> bool:
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


def plain(value: Any, convert: Callable[[Any], Any] | None = None) -> Any:
    """Return a value in plain JSON types.

    Numbers and arrays of numpy become those of Python. NaN and infinities, which JSON
    lacks, become their names: so they are also equal to themselves when a run is continued.

    Parameters
    ----------
    value : object
    convert : callable, optional
        Given what else JSON does not know; default: it is refused.

    Raises
    ------
    InputError
        When there is something that cannot be converted.
    """

    def default(item: Any) -> Any:
        import numpy as np

        if isinstance(item, np.generic | np.ndarray):
            return item.tolist()
        if convert is not None:
            return convert(item)
        raise InputError(
            f"{item!r} is no plain JSON type: describe() returns numbers, texts, lists and"
            " dictionaries"
        )

    return json.loads(json.dumps(value, default=default), parse_constant=str)


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


def misfit(value: Any, form: Any, name: str = "it") -> str:
    """Return what of a value that a file holds is not of a form, or nothing.

    Parameters
    ----------
    value : object
        Plain JSON types.
    form : type, None, list, dict or tuple
        ``int`` stands for a whole number from 0 to 2**63 - 1 and ``float`` for any finite
        number, ``[form]`` for a list, ``{"name": form}`` for a table that has this name
        beside others, ``{str: form}`` for a table of any names, a tuple for one of several.
    name : str
        Of the value, for the message.

    Examples
    --------
    >>> misfit({"runs": [1, "2"]}, {"runs": [int], "seed": (int, None)}, "the design")
    "the design.runs.1 is '2'"
    """
    inner: Iterator[tuple[Any, Any, Any]]
    if isinstance(form, tuple):
        faults = [misfit(value, one, name) for one in form]
        return max(faults, key=len) if all(faults) else ""  # the longest is of what is inside
    if isinstance(form, dict) and isinstance(value, dict):
        names = value if str in form else form
        inner = ((key, value.get(key), form.get(str, form.get(key))) for key in names)
    elif isinstance(form, list) and isinstance(value, list):
        inner = ((number, item, form[0]) for number, item in enumerate(value))
    else:
        return "" if _is_plain(value, form) else f"{name} is {shown(value)}"
    return next(filter(None, (misfit(item, one, f"{name}.{key}") for key, item, one in inner)), "")


def _is_plain(value: Any, form: Any) -> bool:
    if isinstance(value, bool):
        return form is bool
    if form is int:
        return isinstance(value, int) and 0 <= value <= MOST_SEED
    if form is float:
        return isinstance(value, int | float) and abs(value) < math.inf
    return value is None if form is None else isinstance(form, type) and isinstance(value, form)


def differences(old: Any, new: Any, prefix: str = "") -> Iterator[tuple[str, Any, Any]]:
    """Yield name, old and new value of all leaves in which two configurations differ."""
    if isinstance(old, dict) and isinstance(new, dict):
        for key in sorted(set(old) | set(new)):
            yield from differences(old.get(key), new.get(key), f"{prefix}.{key}".lstrip("."))
    elif old != new:
        yield prefix, json.dumps(old), json.dumps(new)
