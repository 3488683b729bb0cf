"""Predictor-based, progressive neural architecture search.

The names below are imported when first used, so that ``import weaknas`` is quick.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from weaknas.version import __version__

_HOME = {
    "Architecture": "weaknas.spaces",
    "ChoiceSpace": "weaknas.spaces",
    "SearchSpace": "weaknas.spaces",
    "Evaluation": "weaknas.evaluators",
    "TabularBenchmark": "weaknas.evaluators",
    "InputError": "weaknas.errors",
    "Result": "weaknas.runs.runner",
    "Strategy": "weaknas.strategies",
    "Trial": "weaknas.runs.trials",
    "WeakNAS": "weaknas.search.strategy",
    "WeakNASSampler": "weaknas.optuna_bridge.sampler",
    "get_benchmark": "weaknas.registry",
    "get_evaluator": "weaknas.registry",
    "get_encoder": "weaknas.registry",
    "get_predictor": "weaknas.registry",
    "get_space": "weaknas.registry",
    "get_strategy": "weaknas.registry",
    "list_benchmarks": "weaknas.registry",
    "list_evaluators": "weaknas.registry",
    "list_encoders": "weaknas.registry",
    "list_predictors": "weaknas.registry",
    "list_spaces": "weaknas.registry",
    "list_strategies": "weaknas.registry",
    "choose": "weaknas.spaces.traced",
    "number": "weaknas.spaces.traced",
    "repeat": "weaknas.spaces.traced",
    "trace": "weaknas.spaces.traced",
    "run": "weaknas.runs.runner",
}

__all__ = ["__version__", *_HOME]  # noqa: PLE0604

if TYPE_CHECKING:
    from weaknas.errors import InputError as InputError
    from weaknas.evaluators import Evaluation as Evaluation
    from weaknas.evaluators import TabularBenchmark as TabularBenchmark
    from weaknas.optuna_bridge.sampler import WeakNASSampler as WeakNASSampler
    from weaknas.registry import get_benchmark as get_benchmark
    from weaknas.registry import get_encoder as get_encoder
    from weaknas.registry import get_evaluator as get_evaluator
    from weaknas.registry import get_predictor as get_predictor
    from weaknas.registry import get_space as get_space
    from weaknas.registry import get_strategy as get_strategy
    from weaknas.registry import list_benchmarks as list_benchmarks
    from weaknas.registry import list_encoders as list_encoders
    from weaknas.registry import list_evaluators as list_evaluators
    from weaknas.registry import list_predictors as list_predictors
    from weaknas.registry import list_spaces as list_spaces
    from weaknas.registry import list_strategies as list_strategies
    from weaknas.runs.runner import Result as Result
    from weaknas.runs.runner import run as run
    from weaknas.runs.trials import Trial as Trial
    from weaknas.search.strategy import WeakNAS as WeakNAS
    from weaknas.spaces import Architecture as Architecture
    from weaknas.spaces import ChoiceSpace as ChoiceSpace
    from weaknas.spaces import SearchSpace as SearchSpace
    from weaknas.spaces.traced import choose as choose
    from weaknas.spaces.traced import number as number
    from weaknas.spaces.traced import repeat as repeat
    from weaknas.spaces.traced import trace as trace
    from weaknas.strategies import Strategy as Strategy


def __getattr__(name: str) -> Any:
    if name in _HOME:
        return getattr(importlib.import_module(_HOME[name]), name)
    raise AttributeError(f"module 'weaknas' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
