"""Weights of torch modules from files, with errors that say what does not fit."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from weaknas.errors import InputError, optional_import
from weaknas.spaces.files.packed import open_unpacked, reporting
from weaknas.spaces.files.torch_files import View, read_tensors

_COUNTER = "num_batches_tracked"  # of batch norms; old files lack it, and nothing depends on it
_PREFIX = "module."  # of files saved from torch's data-parallel wrappers
_DTYPES = {
    "ComplexDouble": torch.complex128,
    "ComplexFloat": torch.complex64,
    "Double": torch.float64,
    "Float": torch.float32,
    "Half": torch.float16,
    "BFloat16": torch.bfloat16,
    "Long": torch.int64,
    "Int": torch.int32,
    "Short": torch.int16,
    "Char": torch.int8,
    "Byte": torch.uint8,
    "Bool": torch.bool,
}


def read_checkpoint(path: str | Path) -> dict[str, Tensor]:
    """Return the state dict in a file, on the CPU; nothing in it is run.

    Parameters
    ----------
    path : str or Path
        Of safetensors where its name ends so, else of ``torch.save``.

    Raises
    ------
    InputError
        When the file is missing or damaged, or holds no state dict.
    """
    content = _load_safetensors(Path(path)) if _is_safetensors(path) else load_plain(path)
    if isinstance(content, Mapping) and isinstance(content.get("state_dict"), Mapping):
        content = content["state_dict"]
    if not isinstance(content, Mapping) or not content:
        raise InputError(f"{path}: holds no state dict")
    for name, tensor in content.items():
        if not isinstance(name, str) or not isinstance(tensor, Tensor):
            kind = type(tensor).__name__
            raise InputError(f"{path}: no state dict, {str(name)[:60]!r} is a {kind}")
    return {name.removeprefix(_PREFIX): tensor for name, tensor in content.items()}


def load_plain(path: str | Path) -> Any:
    """Return what a file of ``torch.save`` holds: plain containers and tensors, on the CPU.

    Raises
    ------
    InputError
        When the file is missing or damaged, or asks for anything else.
    """
    return read_tensors(path, _make_tensor)


def _is_safetensors(path: str | Path) -> bool:
    return Path(path).suffix == ".safetensors"


def _load_safetensors(path: Path) -> dict[str, Tensor]:
    load = optional_import("safetensors.torch", "train").load
    with reporting(str(path)), open_unpacked(path) as file:
        state: dict[str, Tensor] = load(file.read())
    return state


def _make_tensor(numbers: bytearray, view: View) -> Tensor:
    dtype = _DTYPES[view.kind]
    if not math.prod(view.shape):
        return torch.empty(view.shape, dtype=dtype)
    return torch.frombuffer(numbers, dtype=dtype).as_strided(view.shape, view.strides, view.offset)


def load_weights(
    module: nn.Module, state: Mapping[str, Tensor], path: str | Path, network: str
) -> None:
    """Copy weights into a module.

    Parameters
    ----------
    module : Module
    state : mapping of str to Tensor
    path : str or Path
        Where they are from, for errors.
    network : str
        What the module is called in errors.

    Raises
    ------
    InputError
        When an entry is missing, too much or of another shape (the first is
        named), or has values that are no numbers. Nothing is copied then.
    """
    expected = module.state_dict()
    for name, tensor in expected.items():
        shape = tuple(tensor.shape)
        if name not in state and not name.endswith(_COUNTER):
            raise InputError(f"{path}: not {network}, {name!r} of shape {shape} is missing")
        if name in state and tuple(state[name].shape) != shape:
            raise InputError(
                f"{path}: not {network}, {name!r} has the shape {tuple(state[name].shape)},"
                f" not {shape}"
            )
        if name in state and not state[name].isfinite().all():
            raise InputError(f"{path}: damaged, {name!r} has values that are no numbers")
    for name, tensor in state.items():
        if name not in expected:
            raise InputError(
                f"{path}: not {network}, {name!r} of shape {tuple(tensor.shape)} is too much"
            )
    module.load_state_dict(expected | dict(state))
