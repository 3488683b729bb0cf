"""Reading other people's pickles without running what they ask for.

A pickle is a program: the plain reader of Python imports and calls whatever the
file names. The reader here knows a short list of names and refuses all others,
and even those stand for harmless constructors of its own, which may make no more than
the size of a pickle lets expect.
"""

from __future__ import annotations

import io
import pickle
import re
import zipfile
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sized
from pathlib import Path
from types import MappingProxyType
from typing import IO, Any, TypeAlias

import numpy as np

from weaknas.errors import InputError
from weaknas.spaces.files.opcodes import CheckedPickles
from weaknas.spaces.files.packed import (
    check_archive,
    check_size,
    open_unpacked,
    reporting,
    unpacked,
)

#: ``"module.name"`` as a pickle spells it, to what is called in its place.
AllowList: TypeAlias = Mapping[str, Callable[..., Any]]

TORCH_MAGIC = 0x1950A86A20F9469CFC6C
TORCH_PROTOCOL = 1001
ZIP = b"PK\3\4"
_ORDERS = ("<", ">", "=", "|")


class Opaque:
    """Stands for an object that is never needed, such as the weights in a results file."""

    def __new__(cls, *_args: Any, **_options: Any) -> Opaque:
        """Take any arguments."""
        return super().__new__(cls)

    def __init__(self, *_args: Any, **_options: Any) -> None:
        pass

    def __setstate__(self, state: Any) -> None:
        pass


class _Dict(OrderedDict[Any, Any]):
    """Takes no attributes, such as those of torch's state dicts."""

    def __setstate__(self, state: Any) -> None:
        pass


class _Dtype:
    """What a pickle says of a numpy type: its code and its byte order."""

    def __init__(self, code: str, *_flags: Any) -> None:
        if not re.fullmatch("[a-zA-Z][0-9]{1,2}", code):
            raise InputError("a type of numpy that is not read")
        self.code = code
        self.order = "="

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        if state[1] not in _ORDERS:
            raise InputError("a type of numpy that is not read")
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


def _no_bytes() -> bytes:
    return b""  # so pickles of protocol 2 and below write it


#: Containers of the standard library.
PLAIN: AllowList = MappingProxyType(
    {
        "collections.OrderedDict": _Dict,
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
        "__builtin__.bytes": _no_bytes,
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


class _Made:
    """Calls an allowed name, as long as what is made of a pickle is not too much."""

    __slots__ = ("_make", "_pickles")

    def __init__(self, make: Callable[..., Any], pickles: _RestrictedUnpickler) -> None:
        self._make, self._pickles = make, pickles

    def __call__(self, *args: Any) -> Any:
        self._pickles.charge(sum(len(arg) for arg in args if isinstance(arg, Sized)))
        return self._make(*args)

    def __setstate__(self, state: Any) -> None:
        raise InputError("the pickle changes what it calls")


class _RestrictedUnpickler(pickle.Unpickler):
    """Knows the allowed names only, and hands references to outside data on."""

    def __init__(
        self,
        pickles: CheckedPickles,
        allow: AllowList,
        outside: Callable[[Any], Any],
        encoding: str,
    ) -> None:
        super().__init__(pickles.next(), encoding=encoding)
        self._pickles, self._made = pickles, 0
        self._allow = allow
        self._outside = outside

    def charge(self, size: int) -> None:
        """Count what is copied, be it the same again and again."""
        self._made += size
        check_size(self._made, self._pickles.passed)

    def find_class(self, module: str, name: str) -> Any:
        try:
            return _Made(self._allow[f"{module}.{name}"], self)
        except KeyError:
            asked = f"{module}.{name}"[:100]
            raise InputError(
                f"the pickle asks for {asked}, which is not allowed; nothing was run"
            ) from None

    def persistent_load(self, pid: Any) -> Any:
        return self._outside(pid)


def load_restricted(
    file: Path | CheckedPickles,
    allow: AllowList = PLAIN,
    *,
    name: str | None = None,
    outside: Callable[[Any], Any] = Opaque,
    encoding: str = "ASCII",
) -> Any:
    """Read one pickle, refusing every global name that is not allowed.

    Parameters
    ----------
    file : Path or CheckedPickles
        The latter is left behind the pickle, so that a following one can be read.
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
        When a name is refused, the pickle asks for more memory or time than its size
        lets expect, or the file is missing or no whole pickle.
    """
    with reporting(name or (str(file) if isinstance(file, Path) else "pickle")):
        if isinstance(file, Path):
            with open_unpacked(file) as stream:
                return _RestrictedUnpickler(CheckedPickles(stream), allow, outside, encoding).load()
        return _RestrictedUnpickler(file, allow, outside, encoding).load()


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
        if stream.peek(4).startswith(ZIP):
            return _load_zip(stream, name)
        pickles = CheckedPickles(unpacked(stream))
        first = load_restricted(pickles, PLAIN_AND_TENSORS, name=name)
        return first if first != TORCH_MAGIC else _load_sequence(pickles, name)


def _load_sequence(pickles: CheckedPickles, name: str) -> Any:
    """Read what follows the magic number: protocol, byte order, the object; then come weights."""
    check_protocol(load_restricted(pickles, name=name))
    load_restricted(pickles, name=name)
    return load_restricted(pickles, PLAIN_AND_TENSORS, name=name)


def check_protocol(protocol: Any) -> None:
    """Refuse another protocol of ``torch.save`` than the known one.

    Raises
    ------
    InputError
        When it is another one.
    """
    if protocol != TORCH_PROTOCOL:
        # Of a value of another type the text may be endless.
        shown = protocol if isinstance(protocol, int) else f"of type {type(protocol).__name__}"
        raise InputError(f"torch.save protocol {shown} is not known")


def _load_zip(stream: IO[bytes], name: str) -> Any:
    with zipfile.ZipFile(stream) as archive:
        check_archive(archive)
        members = [m for m in archive.namelist() if m.split("/")[-1] == "data.pkl"]
        if len(members) != 1:
            raise InputError(f"{name}: a zip archive, but not of torch.save (no data.pkl)")
        with archive.open(members[0]) as member:
            return load_restricted(CheckedPickles(member), PLAIN_AND_TENSORS, name=name)
