"""Where a training runs and in which precision."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

import numpy as np
import torch

from weaknas.errors import InputError, check_whole

# Compute capability from which a GPU has fast units for a type: Volta, Ampere.
_FLOAT16, _BFLOAT16 = (7, 0), (8, 0)
# Modules draw from the global generator of torch, which the threads of a process share.
_ONE_AT_A_TIME = threading.RLock()


def choose_device(name: str | None = None) -> torch.device:
    """Return the device of this name, or the fastest there is: CUDA, Apple's, the CPU.

    Under ``torchrun`` each process of a host takes the GPU of its local rank.

    Raises
    ------
    InputError
        When the name is none of a device, or there is no such device here.
    """
    if name is None:
        name = "cuda" if torch.cuda.is_available() else "cpu"
        if name == "cpu" and torch.backends.mps.is_available():
            name = "mps"
    device = read_device(name)
    if device.type == "cuda":
        count = torch.cuda.device_count() if torch.cuda.is_available() else 0
        index = int(os.environ.get("LOCAL_RANK", "0")) if device.index is None else device.index
        if index >= count:
            raise InputError(f"there is no device cuda:{index}; torch sees {count} CUDA devices")
        return torch.device("cuda", index)
    if device.type == "mps" and not torch.backends.mps.is_available():
        raise InputError("there is no device mps; torch does not see an Apple GPU")
    return device


def read_device(name: str) -> torch.device:
    """Return the device of this name, which may be one of another host.

    Raises
    ------
    InputError
        When the name is none of a device.
    """
    try:
        return torch.device(name)
    except (RuntimeError, TypeError) as error:
        raise InputError(f"unknown device {name!r} (allowed: cuda, cuda:N, mps, cpu)") from error


def choose_precision(precision: str, device: torch.device) -> torch.dtype:
    """Return the type that convolutions and products are computed in.

    Parameters
    ----------
    precision : str
        ``"auto"``: bfloat16 on CUDA from compute capability 8.0, float16 from 7.0,
        float32 elsewhere, or the type that is named.
    device : torch.device
    """
    if precision != "auto":
        dtype: torch.dtype = getattr(torch, precision)
        return dtype
    if device.type != "cuda":
        return torch.float32
    capability = torch.cuda.get_device_capability(device)
    if capability >= _BFLOAT16:
        return torch.bfloat16
    return torch.float16 if capability >= _FLOAT16 else torch.float32


def autocast(device: torch.device, dtype: torch.dtype) -> AbstractContextManager[Any]:
    """Return the context in which convolutions and products are computed in this type."""
    return nullcontext() if dtype is torch.float32 else torch.autocast(device.type, dtype)


def torch_seed(seed: int, *place: int) -> int:
    """Return the seed of torch's generator at a place of a training, e.g. an epoch and a rank."""
    words = np.random.SeedSequence([seed, *place]).generate_state(1, np.uint64)
    return int(words[0] >> np.uint64(1))


@contextmanager
def own_randomness(device: torch.device) -> Iterator[None]:
    """Leave the global generators of torch, which modules draw from, as they were found."""
    with torch.random.fork_rng([device] if device.type == "cuda" else []):
        # Apple's generator has no index, which is why torch does not fork it.
        state = torch.mps.get_rng_state() if device.type == "mps" else None
        try:
            yield
        finally:
            if state is not None:
                torch.mps.set_rng_state(state)


@contextmanager
def arithmetic(deterministic: bool, threads: int | None) -> Iterator[None]:
    """Set how torch computes, and set it back.

    Parameters
    ----------
    deterministic : bool
        Use operations with the same result every time, and raise where there is none.
    threads : int, optional
        Threads of the CPU; None: as they are set. Sums in another number of threads
        may be rounded otherwise.

    Raises
    ------
    InputError
        When `threads` is no whole number from 1 on.
    """
    if threads is not None:
        check_whole("threads", threads)
    before = torch.get_num_threads()
    was = torch.are_deterministic_algorithms_enabled()
    benchmark = torch.backends.cudnn.benchmark
    try:
        if threads is not None:
            torch.set_num_threads(threads)
        if deterministic:
            os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
            torch.use_deterministic_algorithms(True)
        torch.backends.cudnn.benchmark = not deterministic
        yield
    finally:
        torch.set_num_threads(before)
        torch.use_deterministic_algorithms(was)
        torch.backends.cudnn.benchmark = benchmark


@contextmanager
def session(device: torch.device, deterministic: bool, threads: int | None) -> Iterator[None]:
    """Train: the only training of this process, with its own arithmetic and random numbers.

    Parameters
    ----------
    device : torch.device
    deterministic, threads
        See `arithmetic`.

    Raises
    ------
    InputError
        When `threads` is no whole number from 1 on.
    """
    with _ONE_AT_A_TIME, arithmetic(deterministic, threads), own_randomness(device):
        yield
