"""What networks are compared by: of scikit-learn, of torch's outputs batch by batch, or yours."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from numbers import Real
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
import numpy.typing as npt

from weaknas import registry
from weaknas.components import HasName
from weaknas.errors import FaultyEvaluator, InputError, unknown
from weaknas.training.data import IGNORED, TASKS

if TYPE_CHECKING:
    from torch import Tensor

#: Labels and outputs of a whole split to a number.
Measure: TypeAlias = Callable[[npt.NDArray[Any], npt.NDArray[Any]], float]


@dataclass(frozen=True, eq=False)
class Metric:
    """A number for a network on a whole split.

    Parameters
    ----------
    name : str
    measure : callable
        Is given the labels as the split has them and the outputs: of classification the
        probabilities, shape (n, classes), of a regression the values, (n, values).
    maximize : bool
        Whether larger is better; if not, the score is the negated value.
    tasks : tuple of str
        See `weaknas.training.data.TASKS`.
    """

    name: str
    measure: Measure
    maximize: bool = True
    tasks: tuple[str, ...] = ("classification", "regression")

    def __post_init__(self) -> None:
        object.__setattr__(self, "__doc__", self.measure.__doc__)

    def score(self, value: float) -> float:
        """Return the score of a value: larger is better."""
        return value if self.maximize else -value

    def value(self, labels: npt.NDArray[Any], outputs: npt.NDArray[Any]) -> float:
        """Return the number; NaN where outputs are not all finite.

        Raises
        ------
        FaultyEvaluator
            When the arrays do not go with the metric, or it fails, or returns no number.
        """
        if not np.isfinite(outputs).all():
            return math.nan
        shapes = f"labels of shape {labels.shape} and outputs of shape {outputs.shape}"
        try:
            value = self.measure(labels, outputs)
        except InputError as error:
            raise FaultyEvaluator(f"the metric {self.name!r}, given {shapes}: {error}") from error
        except Exception as error:
            reason = " ".join(str(error).split())[:200]
            raise FaultyEvaluator(
                f"the metric {self.name!r} failed, given {shapes}: {type(error).__name__}: {reason}"
            ) from error
        if isinstance(value, np.ndarray) and value.size == 1:
            value = value.item()
        if not isinstance(value, Real):
            raise FaultyEvaluator(
                f"the metric {self.name!r} returned a {type(value).__name__}, not a number"
            )
        return float(value)


@dataclass(frozen=True, eq=False)
class MeanMetric:
    """A mean over what is asked of a network, summed batch by batch on its device.

    Parameters
    ----------
    name : str
    totals : callable
        Labels and outputs of a batch, tensors, to a tensor of two: a sum, and of how many.
    maximize : bool
        Whether larger is better; if not, the score is the negated value.
    tasks : tuple of str
    exponential : bool
        The value is the exponential of the mean, and its score made of the mean itself.
    """

    name: str
    totals: Callable[[Tensor, Tensor], Tensor]
    maximize: bool = True
    tasks: tuple[str, ...] = TASKS
    exponential: bool = False

    def __post_init__(self) -> None:
        object.__setattr__(self, "__doc__", self.totals.__doc__)

    def score(self, value: float) -> float:
        """Return the score of a value: larger is better; NaN of NaN."""
        number = value
        if self.exponential and not math.isnan(value):
            number = math.log(value) if value > 0 else -math.inf
        return number if self.maximize else -number

    def finish(self, total: float, count: float) -> float:
        """Return the value of a sum over so many."""
        if not self.exponential:
            return total / count
        try:
            return math.exp(total / count)
        except OverflowError:
            return math.inf


AnyMetric: TypeAlias = Metric | MeanMetric


def _accuracy(labels: Tensor, outputs: Tensor) -> Tensor:
    """Share of labels that have the largest output."""
    counted = (labels != IGNORED).sum()
    right = (outputs.argmax(1) == labels).sum().float()
    # Of numbers that are none no one is the largest.
    return _pair(right.masked_fill(outputs.isnan().any(), math.nan), counted)


def _perplexity(labels: Tensor, outputs: Tensor) -> Tensor:
    """Exponential of the mean negative log-probability of tokens; smaller is better."""
    asked = labels != IGNORED
    told = outputs.float().log_softmax(1).gather(1, labels.clamp(min=0).unsqueeze(1)).squeeze(1)
    return _pair(-(told * asked).sum(), asked.sum())


def _mse(labels: Tensor, outputs: Tensor) -> Tensor:
    """Mean squared error; smaller is better."""
    _check_values(labels, outputs)
    errors = (outputs.float() - labels) ** 2
    return _pair(errors.sum(), errors.new_tensor(errors.numel()))


def _mae(labels: Tensor, outputs: Tensor) -> Tensor:
    """Mean absolute error; smaller is better."""
    _check_values(labels, outputs)
    errors = (outputs.float() - labels).abs()
    return _pair(errors.sum(), errors.new_tensor(errors.numel()))


def _pair(total: Tensor, count: Tensor) -> Tensor:
    import torch

    return torch.stack([total, count.to(total.dtype)])


def _check_values(labels: Tensor, outputs: Tensor) -> None:
    if labels.shape != outputs.shape:
        raise FaultyEvaluator(
            f"the network returns the shape {tuple(outputs.shape)} for labels of the shape"
            f" {tuple(labels.shape)}; of a regression they are the same"
        )


def _balanced_accuracy(labels: npt.NDArray[Any], outputs: npt.NDArray[Any]) -> float:
    """Mean over the classes of the share of each that is found."""
    from sklearn.metrics import balanced_accuracy_score

    return float(balanced_accuracy_score(labels, outputs.argmax(axis=1)))


def _f1(labels: npt.NDArray[Any], outputs: npt.NDArray[Any]) -> float:
    """Mean over the classes of the harmonic mean of precision and recall."""
    from sklearn.metrics import f1_score

    found = outputs.argmax(axis=1)
    return float(f1_score(labels, found, average="macro", zero_division=0))


def _auc(labels: npt.NDArray[Any], outputs: npt.NDArray[Any]) -> float:
    """Area under the curve of true and false positives, mean of each class against the rest."""
    from sklearn.metrics import roc_auc_score

    classes = outputs.shape[1]
    absent = sorted(set(range(classes)) - set(labels.tolist()))
    if absent:
        raise InputError(f"the class {absent[0]} is not among the labels, and all are needed")
    if classes == 2:
        return float(roc_auc_score(labels, outputs[:, 1]))
    # Probabilities of 32 bits do not sum to 1 as exactly as is asked for.
    exact = outputs.astype(np.float64)
    exact /= exact.sum(axis=1, keepdims=True)
    return float(roc_auc_score(labels, exact, multi_class="ovr"))


_CLASSES = ("classification",)
ACCURACY = MeanMetric("accuracy", _accuracy, tasks=("classification", "language"))
PERPLEXITY = MeanMetric("perplexity", _perplexity, False, ("language",), exponential=True)
MSE = MeanMetric("mse", _mse, False, ("regression",))
MAE = MeanMetric("mae", _mae, False, ("regression",))
BALANCED_ACCURACY = Metric("balanced-accuracy", _balanced_accuracy, tasks=_CLASSES)
F1 = Metric("f1", _f1, tasks=_CLASSES)
AUC = Metric("auc", _auc, tasks=_CLASSES)

#: The metric of each task unless something else is said.
OWN = {"classification": ACCURACY, "regression": MSE, "language": PERPLEXITY}


def get_metric(value: object = "auto", task: str = "classification") -> AnyMetric:
    """Return a metric for a task.

    Parameters
    ----------
    value : str, Metric, MeanMetric or callable
        A name, ``"auto"`` for the task's own, ``module:attribute``, or a function of labels
        and outputs, larger being better; of what is smaller is better make a `Metric`.
    task : str
        See `weaknas.training.data.TASKS`.

    Raises
    ------
    InputError
        When the name is unknown, or the metric is not for this task.
    """
    name = OWN[task] if value == "auto" else value
    found: Any = name
    if isinstance(name, str):
        if registry.is_own(name):
            found = registry.load_own(name)
        else:
            if name not in registry.METRICS.names():
                raise unknown("metric", name, registry.METRICS.names())
            found = registry.METRICS.load(name)
    if not isinstance(found, Metric | MeanMetric):
        if not callable(found):
            raise InputError(
                f"{name} is a {type(found).__name__}, not a metric: a function of labels and"
                " outputs, or weaknas.training.metrics.Metric"
            )
        called = found if isinstance(found, HasName) else type(found)
        found = Metric(called.__qualname__, found)
    if task not in found.tasks:
        fitting = [other for other in OWN if other in found.tasks]
        raise InputError(
            f"the metric {found.name!r} is for {' and '.join(fitting)}, and the data set is for"
            f" {task}"
        )
    return found
