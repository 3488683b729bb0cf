"""Reading the weights in files of ``torch.save``, without torch and without running anything.

Both containers are read: the old sequence of pickles followed by the numbers,
and the zip archive with the numbers beside the pickle. Tensors become arrays of
numpy; every size that the file states is checked against what is there.
"""

from __future__ import annotations

import io
import math
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import IO, Any, NamedTuple

import numpy as np
import numpy.typing as npt

from weaknas.errors import InputError
from weaknas.spaces.files.pickles import (
    PLAIN_AND_TENSORS,
    TORCH_MAGIC,
    TORCH_PROTOCOL,
    AllowList,
    load_restricted,
    reporting,
)

Array = npt.NDArray[Any]

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
    dtype: np.dtype[Any]
    length: int


class _Tensor(NamedTuple):
    """What a pickle says of a tensor."""

    storage: _Storage
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]


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
        When the file is missing, damaged or holds no state dict, or asks for
        anything but plain containers and tensors.
    """
    content = read_tensors(path)
    if isinstance(content, Mapping) and isinstance(content.get("state_dict"), Mapping):
        content = content["state_dict"]
    if not isinstance(content, Mapping) or not content:
        raise InputError(f"{path}: holds no state dict")
    for name, value in content.items():
        if not isinstance(value, np.ndarray):
            raise InputError(f"{path}: holds no state dict ({name!r} is no tensor)")
    return {str(name): value for name, value in content.items()}


def read_tensors(path: str | Path) -> Any:
    """Read any nesting of plain containers; tensors in it become arrays.

    Raises
    ------
    InputError
        As for `read_state_dict`.
    """
    with reporting(str(path)), Path(path).open("rb") as stream:
        is_zip = stream.read(4) == b"PK\3\4"
        stream.seek(0)
        return _read_zip(stream, str(path)) if is_zip else _read_sequence(stream, str(path))


def _read_sequence(stream: io.BufferedReader, name: str) -> Any:
    """Read magic number, protocol, byte order, the object, the keys of storages and their data."""
    if load_restricted(stream, name=name) != TORCH_MAGIC:
        raise InputError("not written by torch.save")
    protocol = load_restricted(stream, name=name)
    if protocol != TORCH_PROTOCOL:
        raise InputError(f"torch.save protocol {protocol!r} is not known")
    _require_little_endian(load_restricted(stream, name=name)["little_endian"])
    storages: dict[str, _Storage] = {}
    content = _load(stream, name, storages)
    data = {}
    for key in load_restricted(stream, name=name):
        storage = storages[key]
        stated = int(np.frombuffer(_read(stream, 8), "<i8")[0])
        if stated != storage.length:
            raise InputError(f"the storage {key} has {stated} numbers, not {storage.length}")
        data[key] = _read(stream, storage.length * storage.dtype.itemsize)
    return _resolve(content, data.__getitem__)


def _read_zip(stream: IO[bytes], name: str) -> Any:
    with zipfile.ZipFile(stream) as archive:
        roots = [m.removesuffix("data.pkl") for m in archive.namelist() if m.endswith("/data.pkl")]
        if len(roots) != 1:
            raise InputError("a zip archive, but not of torch.save (no data.pkl)")
        if f"{roots[0]}byteorder" in archive.namelist():
            _require_little_endian(archive.read(f"{roots[0]}byteorder") == b"little")
        storages: dict[str, _Storage] = {}
        with archive.open(f"{roots[0]}data.pkl") as member:
            content = _load(member, name, storages)

        def data(key: str) -> bytes:
            member, storage = archive.getinfo(f"{roots[0]}data/{key}"), storages[key]
            size = storage.length * storage.dtype.itemsize
            if member.file_size != size:
                raise InputError(f"the storage {key} has {member.file_size} bytes, not {size}")
            return archive.read(member)

        return _resolve(content, data)


def _load(stream: IO[bytes], name: str, storages: dict[str, _Storage]) -> Any:
    """Read the pickle; the storages that it refers to are noted."""

    def refer(reference: Any) -> _Storage:
        kind, make_dtype, key, _device, count, *view = reference
        if kind != "storage" or any(part is not None for part in view):
            raise InputError(f"a reference {reference!r} is not read")
        storage = _Storage(str(key), make_dtype(), int(count))
        if storage.length < 0 or storages.setdefault(storage.key, storage) != storage:
            raise InputError(f"the storage {key} is described in two ways")
        return storage

    return load_restricted(stream, _ALLOWED, name=name, outside=refer)


def _dtype_maker(code: str) -> Callable[[], np.dtype[Any]]:
    return lambda: np.dtype(code)


def _rebuild_tensor(
    storage: _Storage, offset: int, shape: tuple[int, ...], strides: tuple[int, ...], *_: Any
) -> _Tensor:
    return _Tensor(storage, offset, tuple(shape), tuple(strides))


def _rebuild_parameter(tensor: _Tensor, *_: Any) -> _Tensor:
    return tensor


_ALLOWED: AllowList = {
    **PLAIN_AND_TENSORS,
    **{f"torch.{name}Storage": _dtype_maker(code) for name, code in _DTYPES.items()},
    "torch._utils._rebuild_tensor": _rebuild_tensor,
    "torch._utils._rebuild_tensor_v2": _rebuild_tensor,
    "torch._utils._rebuild_parameter": _rebuild_parameter,
}


def _resolve(content: Any, data: Callable[[str], bytes]) -> Any:
    """Put arrays in the place of tensors, at any depth."""
    if isinstance(content, _Tensor):
        return _array(content, data(content.storage.key))
    if isinstance(content, Mapping):
        return {key: _resolve(value, data) for key, value in content.items()}
    if isinstance(content, list | tuple):
        return [_resolve(value, data) for value in content]
    return content


def _array(tensor: _Tensor, data: bytes) -> Array:
    numbers = np.frombuffer(data, tensor.storage.dtype)
    size = math.prod(tensor.shape)
    steps = [(n - 1) * stride for n, stride in zip(tensor.shape, tensor.strides, strict=True)]
    last = tensor.offset + sum(steps) if size else 0
    least = min(tensor.offset, *tensor.shape, *tensor.strides, 0)
    if least < 0 or size > len(numbers) or (size and last >= len(numbers)):
        raise InputError(f"a tensor of shape {tensor.shape} reaches outside its storage")
    if size == 0:
        return np.empty(tensor.shape, numbers.dtype)
    view = np.lib.stride_tricks.as_strided(
        numbers[tensor.offset :],
        tensor.shape,
        [stride * numbers.itemsize for stride in tensor.strides],
        writeable=False,
    )
    return view.copy()


def _require_little_endian(is_little: Any) -> None:
    if not is_little:
        raise InputError("written on a big-endian machine, which is not read")


def _read(stream: IO[bytes], size: int) -> bytes:
    data = stream.read(size)
    if len(data) != size:
        raise InputError(f"ends early: {size} bytes were to come, there are {len(data)}")
    return data
