"""Reading the weights in files of ``torch.save``, without torch and without running anything.

Both containers are read: the old sequence of pickles followed by the numbers,
and the zip archive with the numbers beside the pickle. Tensors become arrays of
numpy, or what else is made of them; every size that the file states is checked against
what is there.
"""

from __future__ import annotations

import math
import zipfile
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import IO, Any, NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt

from weaknas.errors import InputError
from weaknas.spaces.files.opcodes import CheckedPickles
from weaknas.spaces.files.packed import check_archive, open_unpacked, reporting
from weaknas.spaces.files.pickles import (
    PLAIN_AND_TENSORS,
    TORCH_MAGIC,
    ZIP,
    AllowList,
    check_protocol,
    load_restricted,
)

Array = npt.NDArray[Any]

#: Bytes of a number, by the name of its type in torch's storages.
WIDTHS = {
    "ComplexDouble": 16,
    "ComplexFloat": 8,
    "Double": 8,
    "Float": 4,
    "Half": 2,
    "BFloat16": 2,
    "Long": 8,
    "Int": 4,
    "Short": 2,
    "Char": 1,
    "Byte": 1,
    "Bool": 1,
}
_DTYPES = {
    "Double": "<f8",
    "Float": "<f4",
    "Half": "<f2",
    "Long": "<i8",
    "Int": "<i4",
    "Short": "<i2",
    "Char": "<i1",
    "Byte": "<u1",
    "Bool": "|b1",
}


class _Storage(NamedTuple):
    """A run of numbers that tensors look into."""

    key: str
    kind: str
    length: int

    @property
    def size(self) -> int:
        return self.length * WIDTHS[self.kind]


class View(NamedTuple):
    """Numbers of a storage that are a tensor: all of them lie within it.

    Parameters
    ----------
    kind : str
        One of `WIDTHS`.
    offset : int
        Of the first number, in numbers.
    shape, strides : tuple of int
        Strides in numbers.
    """

    kind: str
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]


class _Tensor(NamedTuple):
    """What a pickle says of a tensor."""

    storage: _Storage
    view: View


#: Makes a tensor of the bytes of its storage, which may be written to.
Make: TypeAlias = Callable[[bytearray, View], Any]


def read_state_dict(path: str | Path) -> dict[str, Array]:
    """Read the weights of a model.

    Parameters
    ----------
    path : str or Path
        A file that ``torch.save`` wrote of a state dict, or of a mapping with one
        under ``state_dict``.

    Returns
    -------
    dict of str to ndarray

    Raises
    ------
    InputError
        When the file is missing, damaged or of another kind; nothing in it is run.
    """
    content = read_tensors(path)
    if isinstance(content, Mapping) and isinstance(content.get("state_dict"), Mapping):
        content = content["state_dict"]
    if not isinstance(content, Mapping) or not content:
        raise InputError(f"{path}: holds no state dict")
    for name, value in content.items():
        if not isinstance(value, np.ndarray):
            raise InputError(f"{path}: holds no state dict ({str(name)[:60]!r} is no tensor)")
    return {str(name): value for name, value in content.items()}


def make_array(numbers: bytearray, view: View) -> Array:
    """Return a tensor as an array of numpy.

    Raises
    ------
    InputError
        When numpy lacks the type of its numbers.
    """
    if view.kind not in _DTYPES:
        raise InputError(f"numbers of the type {view.kind} are not read")
    dtype = np.dtype(_DTYPES[view.kind])
    if not math.prod(view.shape):
        return np.empty(view.shape, dtype)
    strides = [stride * dtype.itemsize for stride in view.strides]
    return np.ndarray(view.shape, dtype, numbers, view.offset * dtype.itemsize, strides)


def read_tensors(path: str | Path, make: Make = make_array) -> Any:
    """Read any nesting of plain containers; tensors in it become arrays.

    Parameters
    ----------
    path : str or Path
    make : callable
        What becomes of a tensor.

    Raises
    ------
    InputError
        As for `read_state_dict`.
    """
    with reporting(str(path)), open_unpacked(Path(path)) as stream:
        if stream.peek(4).startswith(ZIP):
            return _read_zip(stream, str(path), make)
        return _read_sequence(CheckedPickles(stream), str(path), make)


def _read_sequence(pickles: CheckedPickles, name: str, make: Make) -> Any:
    """Read magic number, protocol, byte order, the object, the keys of storages and their data."""
    if load_restricted(pickles, name=name) != TORCH_MAGIC:
        raise InputError("not written by torch.save")
    check_protocol(load_restricted(pickles, name=name))
    _require_little_endian(load_restricted(pickles, name=name)["little_endian"])
    storages: dict[str, _Storage] = {}
    content = _load(pickles, name, storages)
    data: dict[str, bytearray] = {}
    for key in load_restricted(pickles, name=name):
        storage = storages[key]
        stated = int(np.frombuffer(pickles.take(8), "<i8")[0])
        if stated != storage.length or key in data:
            raise InputError(f"a storage has {stated} numbers, not {storage.length}")
        data[key] = bytearray(pickles.take(storage.size))
    return _Resolution(data.__getitem__, make).resolve(content)


def _read_zip(stream: IO[bytes], name: str, make: Make) -> Any:
    with zipfile.ZipFile(stream) as archive:
        check_archive(archive)
        roots = [m.removesuffix("data.pkl") for m in archive.namelist() if m.endswith("/data.pkl")]
        if len(roots) != 1:
            raise InputError("a zip archive, but not of torch.save (no data.pkl)")
        if f"{roots[0]}byteorder" in archive.namelist():
            _require_little_endian(archive.read(f"{roots[0]}byteorder") == b"little")
        storages: dict[str, _Storage] = {}
        with archive.open(f"{roots[0]}data.pkl") as member:
            content = _load(CheckedPickles(member), name, storages)
        data: dict[str, bytearray] = {}

        def read(key: str) -> bytearray:
            if key not in data:
                member, storage = archive.getinfo(f"{roots[0]}data/{key}"), storages[key]
                if member.file_size != storage.size:
                    raise InputError(f"a storage has {member.file_size} bytes, not {storage.size}")
                data[key] = bytearray(archive.read(member))
            return data[key]

        return _Resolution(read, make).resolve(content)


def _load(pickles: CheckedPickles, name: str, storages: dict[str, _Storage]) -> Any:
    """Read the pickle; the storages that it refers to are noted."""

    def refer(reference: Any) -> _Storage:
        word, kind, key, _device, count, *view = reference
        if word != "storage" or any(part is not None for part in view):
            raise InputError("a reference to other data than storages is not read")
        storage = _Storage(str(key), kind(), int(count))
        if storage.length < 0 or storages.setdefault(storage.key, storage) != storage:
            raise InputError("a storage is described in two ways")
        return storage

    return load_restricted(pickles, _ALLOWED, name=name, outside=refer)


def _rebuild_tensor(
    storage: _Storage, offset: int, shape: tuple[int, ...], strides: tuple[int, ...], *_: Any
) -> _Tensor:
    view = View(storage.kind, int(offset), tuple(map(int, shape)), tuple(map(int, strides)))
    size = math.prod(view.shape)
    steps = [(n - 1) * stride for n, stride in zip(view.shape, view.strides, strict=True)]
    last = view.offset + sum(steps) if size else 0
    least = min(view.offset, *view.shape, *view.strides, 0)
    if least < 0 or size > storage.length or (size and last >= storage.length):
        raise InputError(f"a tensor of shape {view.shape} reaches outside its storage")
    return _Tensor(storage, view)


def _rebuild_parameter(tensor: _Tensor, *_: Any) -> _Tensor:
    return tensor


def _always(kind: str) -> str:
    return kind


_ALLOWED: AllowList = {
    **PLAIN_AND_TENSORS,
    **{f"torch.{kind}Storage": partial(_always, kind) for kind in WIDTHS},
    "torch._utils._rebuild_tensor": _rebuild_tensor,
    "torch._utils._rebuild_tensor_v2": _rebuild_tensor,
    "torch._utils._rebuild_parameter": _rebuild_parameter,
}


class _Resolution:
    """Puts what is made of tensors in their place, at any depth, once for each container."""

    def __init__(self, data: Callable[[str], bytearray], make: Make) -> None:
        self._data, self._make = data, make
        self._done: dict[int, Any] = {}

    def resolve(self, value: Any) -> Any:
        if not isinstance(value, Mapping | list | tuple):
            return value
        if id(value) not in self._done:
            self._done[id(value)] = self._container(value)
        return self._done[id(value)]

    def _container(self, value: Any) -> Any:
        if isinstance(value, _Tensor):
            return self._make(self._data(value.storage.key), value.view)
        if isinstance(value, Mapping):
            return {key: self.resolve(part) for key, part in value.items()}
        parts = [self.resolve(part) for part in value]
        return tuple(parts) if isinstance(value, tuple) else parts


def _require_little_endian(is_little: Any) -> None:
    if not is_little:
        raise InputError("written on a big-endian machine, which is not read")
