"""Reading other people's pickles without running what they ask for.

A pickle is a program: the plain reader of Python imports and calls whatever the
file names. The reader here knows a short list of names and refuses all others,
and even those stand for harmless constructors of its own.
"""

from __future__ import annotations

import bz2
import io
import pickle
import zipfile
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import MappingProxyType
from typing import IO, Any, TypeAlias

import numpy as np

from weaknas.errors import InputError

#: ``"module.name"`` as a pickle spells it, to what is called in its place.
AllowList: TypeAlias = Mapping[str, Callable[..., Any]]

TORCH_MAGIC = 0x1950A86A20F9469CFC6C
TORCH_PROTOCOL = 1001


class Opaque:
    """Stands for an object that is never needed, such as the weights in a results file."""

    def __new__(cls, *_args: Any, **_options: Any) -> Opaque:
        """Take any arguments."""
        return super().__new__(cls)

    def __init__(self, *_args: Any, **_options: Any) -> None:
        pass

    def __setstate__(self, state: Any) -> None:
        pass


class _Dtype:
    """What a pickle says of a numpy type: its code and its byte order."""

    def __init__(self, code: str, *_flags: Any) -> None:
        self.code = code
        self.order = "="

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        self.order = state[1]


def _scalar(dtype: _Dtype, data: bytes) -> Any:
    numpy_dtype = np.dtype(dtype.order.replace("|", "") + dtype.code)
    if numpy_dtype.kind not in "biuf":
        raise InputError(f"a numpy value of type {numpy_dtype} is not read")
    return np.frombuffer(data, numpy_dtype, count=1)[0].item()


def _encode(text: str, encoding: str) -> bytes:
    # Pickles of protocol 2 and below write bytes as text in latin-1.
    if encoding != "latin1":
        raise InputError(f"bytes written as {encoding!r} are not read")
    return text.encode("latin1")


#: Containers of the standard library.
PLAIN: AllowList = MappingProxyType(
    {
        "collections.OrderedDict": OrderedDict,
        "builtins.set": set,
        "builtins.frozenset": frozenset,
        "__builtin__.set": set,
        "__builtin__.frozenset": frozenset,
    }
)

#: Containers, and single numpy numbers, which become numbers of Python.
PLAIN_AND_NUMBERS: AllowList = MappingProxyType(
    {
        **PLAIN,
        "numpy.core.multiarray.scalar": _scalar,
        "numpy._core.multiarray.scalar": _scalar,
        "numpy.dtype": _Dtype,
        "_codecs.encode": _encode,
    }
)

_NUMBERS = ("Double", "Float", "Half", "BFloat16", "Long", "Int", "Short", "Char", "Byte", "Bool")

#: The same, and tensors of torch, which become `Opaque`.
PLAIN_AND_TENSORS: AllowList = MappingProxyType(
    {
        **PLAIN_AND_NUMBERS,
        **{f"torch.{name}Storage": Opaque for name in _NUMBERS},
        "torch.storage.UntypedStorage": Opaque,
        "torch.storage.TypedStorage": Opaque,
        "torch.storage._load_from_bytes": Opaque,
        "torch._utils._rebuild_tensor": Opaque,
        "torch._utils._rebuild_tensor_v2": Opaque,
        "torch._utils._rebuild_parameter": Opaque,
        "torch.Size": Opaque,
        "torch.device": Opaque,
    }
)


class _RestrictedUnpickler(pickle.Unpickler):
    """Knows the allowed names only, and hands references to outside data on."""

    def __init__(
        self,
        stream: IO[bytes],
        name: str,
        allow: AllowList,
        outside: Callable[[Any], Any],
        encoding: str,
    ) -> None:
        super().__init__(stream, encoding=encoding)
        self._name = name
        self._allow = allow
        self._outside = outside

    def find_class(self, module: str, name: str) -> Any:
        try:
            return self._allow[f"{module}.{name}"]
        except KeyError:
            raise InputError(
                f"{self._name}: the pickle asks for {module}.{name}, which is not allowed;"
                " nothing was run"
            ) from None

    def persistent_load(self, pid: Any) -> Any:
        return self._outside(pid)


def load_restricted(
    file: Path | IO[bytes],
    allow: AllowList = PLAIN,
    *,
    name: str | None = None,
    outside: Callable[[Any], Any] = Opaque,
    encoding: str = "ASCII",
) -> Any:
    """Read one pickle, refusing every global name that is not allowed.

    Parameters
    ----------
    file : Path or binary stream
        A stream is left behind the pickle, so that a following one can be read.
    allow : mapping of str to callable
        ``"module.name"`` to what is called in its place.
    name : str, optional
        How errors call the file; default: its own name.
    outside : callable
        Called with what a reference to data outside the pickle says.
    encoding : str
        Of the strings that Python 2 wrote; ``"latin1"`` reads bytes among them.

    Raises
    ------
    InputError
        When a name is refused, or the file is missing or no whole pickle.
    """
    name = name or str(file if isinstance(file, Path) else getattr(file, "name", "pickle"))
    with reporting(name):
        if not isinstance(file, Path):
            return _RestrictedUnpickler(file, name, allow, outside, encoding).load()
        with file.open("rb") as stream:
            return _RestrictedUnpickler(stream, name, allow, outside, encoding).load()


def load_container(stream: io.BufferedReader[Any], name: str) -> Any:
    """Read a pickle of results: bare, compressed by bz2, or written by ``torch.save``.

    Both containers of torch are read, without torch: the old sequence of pickles
    and the zip archive. Tensors become `Opaque`.

    Parameters
    ----------
    stream : buffered binary stream
    name : str
        How errors call the file.

    Raises
    ------
    InputError
        As for `load_restricted`.
    """
    with reporting(name):
        head = stream.peek(4)
        if head.startswith(b"BZh"):
            # The pickle reader is fast on streams that it can peek into.
            stream = io.BufferedReader(bz2.BZ2File(stream), 1 << 20)
        elif head.startswith(b"PK\3\4"):
            return _load_zip(stream, name)
        first = load_restricted(stream, PLAIN_AND_TENSORS, name=name)
        return first if first != TORCH_MAGIC else _load_sequence(stream, name)


def _load_sequence(stream: IO[bytes], name: str) -> Any:
    """Read what follows the magic number: protocol, byte order, the object; then come weights."""
    protocol = load_restricted(stream, name=name)
    if protocol != TORCH_PROTOCOL:
        raise InputError(f"{name}: torch.save protocol {protocol!r} is not known")
    load_restricted(stream, name=name)
    return load_restricted(stream, PLAIN_AND_TENSORS, name=name)


def _load_zip(stream: IO[bytes], name: str) -> Any:
    with zipfile.ZipFile(stream) as archive:
        members = [m for m in archive.namelist() if m.split("/")[-1] == "data.pkl"]
        if len(members) != 1:
            raise InputError(f"{name}: a zip archive, but not of torch.save (no data.pkl)")
        with archive.open(members[0]) as member:
            return load_restricted(member, PLAIN_AND_TENSORS, name=name)


@contextmanager
def reporting(name: str) -> Iterator[None]:
    """Turn whatever reading a bad file raises into an error that names it."""
    try:
        yield
    except InputError as error:
        if str(error).startswith(name):
            raise
        raise InputError(f"{name}: {error}") from error
    except FileNotFoundError as error:
        raise InputError(f"{name}: no such file") from error
    except MemoryError as error:
        raise InputError(f"{name}: not enough memory to read it") from error
    except Exception as error:
        # A damaged pickle may raise nearly anything; Python's documentation says so.
        detail = " ".join(str(error).split()) or type(error).__name__
        raise InputError(f"{name}: damaged, or not of a known format ({detail})") from error
