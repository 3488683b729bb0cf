"""What an evaluator returns, and the contract it keeps."""

from __future__ import annotations

import functools
import hashlib
import inspect
import math
import reprlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt

from weaknas.components import HasName
from weaknas.errors import DeviceLost, FaultyEvaluator, InputError, is_out_of_memory
from weaknas.files import is_disk_full
from weaknas.spaces import Architecture

_LARGEST_SCORE = 1e300  # of which thousands have a sum and a difference


@dataclass(frozen=True, slots=True)
class Evaluation:
    """What one training brought.

    Parameters
    ----------
    score : float
        Larger is better; NaN when the evaluation failed.
    metrics : mapping of str to float
        Whatever else was measured.
    cost : float
        Seconds that were (or, for a table, would have been) paid.
    fidelity : float, optional
        Epochs or data fraction that were given; None stands for all.
    status : str
        ``"ok"`` or why there is no score, e.g. ``"failed"``, ``"invalid"``, ``"timeout"``.
    message : str
        One line for people, empty when all is well.
    """

    score: float
    metrics: Mapping[str, float] = field(default_factory=dict)
    cost: float = 0.0
    fidelity: float | None = None
    status: str = "ok"
    message: str = ""

    @property
    def is_ok(self) -> bool:
        """Whether there is a score."""
        return self.status == "ok"

    @classmethod
    def failure(cls, status: str, message: str, cost: float = 0.0) -> Evaluation:
        """Return the evaluation of an architecture that brought no score."""
        return cls(math.nan, {}, cost, None, status, " ".join(message.split())[:500])


@dataclass(frozen=True)
class Optimum:
    """The best architecture of a table.

    Parameters
    ----------
    architecture : Architecture
    score : float
        Its mean over all trainings.
    fingerprints : ndarray of int64
        All architectures that reach this score.
    """

    architecture: Architecture
    score: float
    fingerprints: npt.NDArray[np.int64]


@runtime_checkable
class Evaluator(Protocol):
    """Turns an architecture into an `Evaluation`.

    An evaluator is deterministic given the architecture, the seed and the
    fidelity; it may be sent to another process.
    """

    def evaluate(
        self, architecture: Architecture, *, seed: int, fidelity: float | None = None
    ) -> Evaluation:
        """Evaluate one architecture."""

    def describe(self) -> dict[str, Any]:
        """Return what distinguishes this evaluator from another, as plain JSON types."""


@runtime_checkable
class Repeatable(Protocol):
    """An evaluator that says whether another training of an architecture differs.

    One that does not say it is never asked twice for the same architecture.
    """

    def trainings(self, architecture: Architecture) -> float:
        """Return how many different trainings there are.

        1 where the score does not depend on the seed, infinity where every seed is
        another training.
        """


@runtime_checkable
class KnowsOptimum(Protocol):
    """An evaluator that knows the truth, for reports: no search ever sees it."""

    def optimum(self, target: str | None = None) -> Optimum:
        """Return the architecture with the best mean score."""

    def true_scores(
        self, genotypes: npt.NDArray[np.integer], target: str | None = None
    ) -> npt.NDArray[np.float64]:
        """Return the mean score over all trainings of genotypes, shape (n, d); shape (n,)."""


@runtime_checkable
class HasTest(Protocol):
    """A benchmark that may have test results, for reports: no search ever sees them."""

    @property
    def test(self) -> str | None:
        """The column of test results, None where there is none."""


@runtime_checkable
class HasFidelities(Protocol):
    """An evaluator that says which fidelities it has below full training."""

    @property
    def fidelities(self) -> Sequence[float]:
        """The lower fidelities."""


@runtime_checkable
class KeepsFiles(Protocol):
    """An evaluator that keeps files of its own beside those of a run."""

    def keep_in(self, output: Path) -> None:
        """Keep them in the folder of a run, unless another folder was named."""


@runtime_checkable
class TrainsWinner(Protocol):
    """An evaluator that can train what a search returns in full, and test it."""

    def train_winner(
        self,
        architecture: Architecture,
        seed: int,
        output: Path | None = None,
        *,
        label: str | None = None,
    ) -> dict[str, Any]:
        """Train, test and export an architecture; return the facts as plain JSON types.

        The label is what the space is called on a command line, with its options.
        """


class FunctionEvaluator:
    """A plain callable as evaluator.

    Parameters
    ----------
    function : callable
        Takes an `Architecture`, returns a float (larger is better) or an `Evaluation`.
        One with a parameter ``seed`` is given the seed of the evaluation, and may be
        called again for the same architecture.

    Raises
    ------
    InputError
        When it cannot be called with an architecture alone.
    """

    def __init__(self, function: Callable[..., float | Evaluation]) -> None:
        self.function = function
        signature = _signature(function)
        self._takes_seed = signature is not None and "seed" in signature.parameters
        if signature is not None:
            _check_callable(function, signature, {"seed": 0} if self._takes_seed else {})

    def trainings(self, architecture: Architecture) -> float:
        """Return infinity where the function takes a seed, else 1."""
        return math.inf if self._takes_seed else 1.0

    def evaluate(
        self, architecture: Architecture, *, seed: int, fidelity: float | None = None
    ) -> Evaluation:
        """Call the function.

        Raises
        ------
        FaultyEvaluator
            When it returns neither a number nor an `Evaluation`.
        """
        given = {"seed": seed} if self._takes_seed else {}
        value = self.function(architecture, **given)
        return value if isinstance(value, Evaluation) else Evaluation(_number(value, "a score"))

    def describe(self) -> dict[str, Any]:
        """Return the name of the function, and what plain values were bound to it."""
        function: Callable[..., Any] = self.function
        bound: Mapping[str, Any] = {}
        if isinstance(function, functools.partial):
            bound = function.keywords
            function = function.func
        named = function if isinstance(function, HasName) else type(function)
        plain = {
            key: value
            for key, value in bound.items()
            if value is None or isinstance(value, str | bool | int | float)
        }
        return {"function": named.__qualname__} | ({"arguments": plain} if plain else {})


def as_evaluator(evaluator: Any) -> Evaluator:
    """Return an evaluator as it is and wrap a callable.

    Raises
    ------
    InputError
        When the value is neither, or no call with an architecture alone.
    """
    if isinstance(evaluator, Evaluator):
        return evaluator
    if callable(evaluator):
        return FunctionEvaluator(evaluator)
    raise InputError(
        f"an evaluator has a method evaluate(architecture, seed=..., fidelity=...) or is a"
        f" callable architecture -> float; {evaluator!r} is neither"
    )


def _signature(function: Callable[..., Any]) -> inspect.Signature | None:
    try:
        return inspect.signature(function)
    except (TypeError, ValueError):  # some that are written in C have none
        return None


def _check_callable(
    function: Callable[..., Any], signature: inspect.Signature, given: Mapping[str, Any]
) -> None:
    try:
        signature.bind(None, **given)
    except TypeError as error:
        name = function.__qualname__ if isinstance(function, HasName) else _short(function)
        raise InputError(
            f"{name}{signature} cannot be called with an architecture alone: {error}"
        ) from None


def evaluation_seed(seed: int, architecture: Architecture, repeat: int = 0) -> int:
    """Return the seed of one training of an architecture in one run.

    It depends on the run's seed, the architecture and the number of trainings
    before alone, so that every strategy that is run with this seed sees the same
    labels for it, in any process and after any restart. Repeats count on from the
    first: a table that shows the training ``seed % n`` of n shows each once before
    any again.
    """
    digest = hashlib.blake2b(
        f"{seed}:{architecture.space}:{architecture.id}".encode(), digest_size=8
    )
    return (int.from_bytes(digest.digest(), "little") >> 1) + repeat


def evaluate_safely(
    evaluator: Evaluator, architecture: Architecture, seed: int, fidelity: float | None = None
) -> Evaluation:
    """Evaluate, and turn an exception or a score that is no number into a failed evaluation.

    Raises
    ------
    FaultyEvaluator
        When what is returned is no evaluation, or has anything but numbers where
        numbers belong.
    OSError
        When the disk is full, which says nothing of the architecture.
    DeviceLost
        When CUDA has failed: then it fails for all that this process does after.
    """
    try:
        return _plain(evaluator.evaluate(architecture, seed=seed, fidelity=fidelity))
    except FaultyEvaluator:
        raise
    except (Exception, SystemExit) as error:  # a script that is imported may end in sys.exit()
        if is_disk_full(error):
            raise
        kind, text = type(error).__name__, str(error)
        if is_out_of_memory(error):
            empty = not text and isinstance(error, MemoryError)
            message = "out of memory" if empty else f"{kind}: {text}"
            return Evaluation.failure("out-of-memory", message)
        # torch's error; this module does not import it.
        if kind == "AcceleratorError" or text.startswith("CUDA error"):
            reason = text.partition("\n")[0]
            raise DeviceLost(
                f"this process can use the GPU no more ({reason}); what was measured is kept,"
                " the same call continues"
            ) from error
        return Evaluation.failure("failed", f"{kind}: {text}")


def _plain(evaluation: Evaluation) -> Evaluation:
    """Return the evaluation in plain numbers that a journal can hold, without a score if failed."""
    if not isinstance(evaluation, Evaluation):
        raise FaultyEvaluator(
            f"the evaluator returned {_short(evaluation)}, where an Evaluation is wanted"
        )
    cost = _number(evaluation.cost, "a cost")
    if not 0 <= cost < math.inf:
        return Evaluation.failure("invalid", f"the cost is {cost}")
    if not evaluation.is_ok:
        return Evaluation.failure(str(evaluation.status), str(evaluation.message), cost)
    score = _number(evaluation.score, "a score")
    if not abs(score) <= _LARGEST_SCORE:
        beyond = f", beyond {_LARGEST_SCORE:g}" if math.isfinite(score) else ""
        return Evaluation.failure("invalid", f"the score is {score}{beyond}", cost)
    if not isinstance(evaluation.metrics, Mapping):
        raise FaultyEvaluator(f"the evaluator returned {_short(evaluation.metrics)} as metrics")
    metrics = {
        str(name): _number(value, f"the metric {name!r}")
        for name, value in evaluation.metrics.items()
    }
    fidelity = evaluation.fidelity
    return replace(
        evaluation,
        score=score,
        metrics={name: value for name, value in metrics.items() if math.isfinite(value)},
        cost=cost,
        fidelity=None if fidelity is None else _number(fidelity, "a fidelity"),
    )


def _number(value: Any, role: str) -> float:
    try:
        if not isinstance(value, str | bytes):
            return float(value)
    except (TypeError, ValueError, OverflowError):
        pass
    except RuntimeError:  # of torch: several numbers, or a device that fails
        if np.ndim(value) == 0:
            raise
    raise FaultyEvaluator(
        f"the evaluator returned {_short(value)} as {role}, which is not a number; one that"
        " cannot be had is NaN or an exception"
    )


def _short(value: object) -> str:
    return " ".join(reprlib.repr(value).split())
