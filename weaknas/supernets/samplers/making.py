"""Samplers by the name of their method."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

from weaknas.errors import InputError, optional_import, unknown
from weaknas.spaces import SearchSpace
from weaknas.strategies import Strategy
from weaknas.supernets.samplers._base import Sampler
from weaknas.supernets.samplers.attentive import Attentive
from weaknas.supernets.samplers.manas import MANAS, LeastSquaresMANAS
from weaknas.supernets.samplers.searching import Searching
from weaknas.supernets.schedule import SAMPLED

_ASKS = 50  # times that a strategy is asked, by default: a predictor is fitted each time


def make_sampler(
    method: str,
    space: SearchSpace,
    *,
    epochs: int,
    seed: int = 0,
    strategy: Strategy | None = None,
    **settings: Any,
) -> Sampler:
    """Return an untaught sampler.

    Parameters
    ----------
    method : {"attentive", "enas", "memory", "manas", "manas-ls", "weaknas"}
    space : SearchSpace
    epochs : int
        Of the training.
    seed : int
    strategy : Strategy, optional
        Which `weaknas` is to ask, fresh.
    **settings
        Of the sampler; default: as published, see its class.

    Raises
    ------
    InputError
        When the method or a setting is unknown or cannot be used, `weaknas` has no strategy,
        or torch is not installed.
    """
    if method not in SAMPLED:
        raise unknown("sampler", method, SAMPLED)
    build: Callable[..., Sampler]
    if method == "weaknas":
        if strategy is None:
            raise InputError("the sampler 'weaknas' needs a strategy to ask")
        build = Searching
        settings = {"period": max(1, epochs // _ASKS)} | settings
        first: Any = strategy
    else:
        build, first = _builder(method), space
    known = _settings_of(build)
    for name in settings:
        if name not in known:
            raise unknown(f"setting of the sampler {method!r}:", name, known)
    return build(first, seed=seed, **settings)


def _builder(method: str) -> Callable[..., Sampler]:
    if method == "attentive":
        return Attentive
    if method == "manas":
        return MANAS
    if method == "manas-ls":
        return LeastSquaresMANAS
    optional_import("torch", "train")
    from weaknas.supernets.samplers.enas import ENAS, MemoryENAS

    return MemoryENAS if method == "memory" else ENAS


def _settings_of(build: Callable[..., Sampler]) -> list[str]:
    """Return the names of the settings of a class, those handed on to its base too."""
    classes = inspect.getmro(build) if inspect.isclass(build) else ()
    names = []
    for each in classes:
        parameters = inspect.signature(each).parameters.values()
        names += [p.name for p in parameters if p.kind is p.KEYWORD_ONLY and p.name != "seed"]
        if all(p.kind is not p.VAR_KEYWORD for p in parameters):
            break
    return names
