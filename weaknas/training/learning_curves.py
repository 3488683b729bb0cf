"""How a training that has begun will end: extrapolation of learning curves, and early stops.

In the spirit of Domhan, Springenberg and Hutter (IJCAI 2015), who fit an ensemble of
parametric curves by sampling. Here a curve is a shape, scaled: of every shape the scale
has a posterior in closed form, and shapes are weighed by their evidence, so that
nothing is sampled. What parametric curves cannot know, e.g. that accuracy rises late
when the learning rate is annealed, is learned from complete curves of the same
protocol, as are all priors, and with them how far off predictions are.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Self, TypeAlias

import numpy as np
import numpy.typing as npt
from scipy.special import logsumexp, ndtr

from weaknas.errors import InputError, check_number, check_whole
from weaknas.training.metrics import AnyMetric

Floats: TypeAlias = npt.NDArray[np.float64]

#: Standard deviations of one measurement of accuracy, a fraction.
_NOISE = np.array([0.002, 0.005, 0.01, 0.02, 0.05])
#: Weight of a measurement, of that of the next: the end of what was seen says most. How
#: much is learned, for each number of epochs that were seen; the first is the default.
_FADINGS = (0.8, 0.95, 0.6, 0.4, 0.2)
_FOLDS = 5
_GROUPS = 3  # shapes that are learned: of curves that rise early, later, late
_MIN_CURVES = 5


class CurveExtrapolation:
    """Predicts the last value of learning curves from their beginnings.

    The model of a curve is y(t) = c - a f(t) + noise, where a shape f falls from 1 at
    epoch 1 to 0 at the last epoch T, so that c is the value sought and a the whole
    gain. Shapes are t^-alpha and exp(-(t / tau)^kappa), rescaled to this range, and
    after `fit` mean shapes of complete curves. c and a have independent normal priors.

    Parameters
    ----------
    epochs : int
        T, the epochs of a full training, at least 2.

    Attributes
    ----------
    n_curves_ : int
        Complete curves that priors were learned from, 0 before `fit`.
    scales_ : ndarray of shape (epochs,)
        By what standard deviations are multiplied, for each number of epochs that were
        seen, so that errors of held-out curves are as large as predicted.

    Raises
    ------
    InputError
        When `epochs` is below 2.
    """

    def __init__(self, epochs: int) -> None:
        if epochs < 2:
            raise InputError(f"a learning curve has at least 2 epochs, not {epochs}")
        self.epochs = epochs
        self.n_curves_ = 0
        self.scales_ = np.ones(epochs)
        self._shapes = _parametric_shapes(epochs)
        # Of fractions about which nothing is known yet: value at the end, and gain.
        self._means, self._variances = np.array([0.7, 0.3]), np.array([0.3, 0.3]) ** 2
        self._log_prior = _uniform(len(self._shapes))
        self._profile = np.ones(epochs)  # of noise over the epochs
        self._fading = np.full(epochs, _FADINGS[0])  # by epochs seen

    def fit(self, curves: npt.ArrayLike) -> Self:
        """Learn priors, shapes and the size of errors from complete curves.

        Parameters
        ----------
        curves : array_like of shape (m, epochs)
            Of trainings by one protocol. From 5 of them on the size of errors is
            learned by cross-validation.

        Raises
        ------
        InputError
            When a curve is not complete, or there is none.
        """
        complete = self._check(curves)
        if not len(complete) or not np.isfinite(complete).all():
            raise InputError(f"fit needs complete curves of {self.epochs} epochs, at least one")
        self._learn(complete)
        self._fading, self.scales_ = np.full(self.epochs, _FADINGS[0]), np.ones(self.epochs)
        if len(complete) >= _MIN_CURVES:
            self._cross_validate(complete)
        return self

    def predict(self, curves: npt.ArrayLike) -> tuple[Floats, Floats]:
        """Return mean and standard deviation of the value measured after the last epoch.

        Parameters
        ----------
        curves : array_like of shape (n, epochs)
            NaN where nothing was measured yet.

        Returns
        -------
        mean, std : ndarray of shape (n,)
        """
        weights, means, deviations = self._mixture(self._check(curves))
        mean = (weights * means).sum(1)
        variance = (weights * (deviations**2 + means**2)).sum(1) - mean**2
        return mean, np.sqrt(np.maximum(variance, 0.0))

    def probability_above(self, curves: npt.ArrayLike, value: float) -> Floats:
        """Return the probability that the last value is above a value, shape (n,)."""
        weights, means, deviations = self._mixture(self._check(curves))
        probabilities: Floats = (weights * ndtr((means - value) / deviations)).sum(1)
        return probabilities

    # -- inside -------------------------------------------------------------------

    def _check(self, curves: npt.ArrayLike) -> Floats:
        rows = np.atleast_2d(np.asarray(curves, dtype=np.float64))
        if rows.ndim != 2 or rows.shape[1] != self.epochs:
            raise InputError(
                f"curves have the shape (n, {self.epochs}), not {np.shape(curves)};"
                " pad what is not measured yet with NaN"
            )
        return rows

    def _learn(self, complete: Floats) -> None:
        self.n_curves_ = len(complete)
        learned = _mean_shapes(complete)
        self._shapes = np.vstack([_parametric_shapes(self.epochs), learned])
        last, gain = complete[:, -1], complete[:, -1] - complete[:, 0]
        # As if one more curve had been seen at a deviation of 0.1: never quite certain.
        self._means = np.array([last.mean(), gain.mean()])
        sums = np.array([((v - v.mean()) ** 2).sum() for v in (last, gain)])
        self._variances = (sums + 0.1**2) / len(complete)
        self._profile = _noise_profile(complete, learned)
        # One step of expectation maximisation: how much each shape and noise explains.
        self._log_prior = _uniform(len(self._shapes))
        weights = np.exp(self._posterior(complete)[0])
        flat = np.exp(_uniform(len(self._shapes)))
        self._log_prior = np.log((weights.sum(0) + flat) / (len(complete) + 1))

    def _cross_validate(self, complete: Floats) -> None:
        """Learn fading and scales for each number of epochs seen, from held-out errors."""
        shape = (len(_FADINGS), self.epochs - 1, len(complete))
        errors, deviations = np.zeros(shape), np.ones(shape)
        folds = np.arange(len(complete)) % min(_FOLDS, len(complete))
        for fold in range(folds.max() + 1):
            model, held = CurveExtrapolation(self.epochs), folds == fold
            model._learn(complete[~held])
            for which, fading in enumerate(_FADINGS):
                model._fading[:] = fading
                for seen in range(1, self.epochs):
                    mean, std = model.predict(_beginnings(complete[held], seen))
                    errors[which, seen - 1, held] = complete[held, -1] - mean
                    deviations[which, seen - 1, held] = std
        squares = (errors / deviations) ** 2
        # As if a few more had come out just as predicted.
        scales = np.sqrt((squares.sum(2) + _MIN_CURVES) / (len(complete) + _MIN_CURVES))
        scaled = deviations * scales[:, :, None]
        surprise = (np.log(scaled) + (errors / scaled) ** 2 / 2).sum(2)
        best, all_seen = surprise.argmin(0), np.arange(self.epochs - 1)
        self._fading[:-1] = np.array(_FADINGS)[best]
        self.scales_[:-1] = scales[best, all_seen]

    def _mixture(self, curves: Floats) -> tuple[Floats, Floats, Floats]:
        """Weights, means and standard deviations of the components, shape (n, k) each."""
        log_weights, means, variances = self._posterior(curves)
        # Around the mean of the mixture everything is stretched.
        scale = self._scale(curves)[:, None]
        weights = np.exp(log_weights)
        centre = (weights * means).sum(1, keepdims=True)
        return weights, centre + scale * (means - centre), scale * np.sqrt(variances)

    def _scale(self, curves: Floats) -> Floats:
        """By what each curve's deviation is multiplied; without any epoch by nothing."""
        seen = np.isfinite(curves).sum(1)
        return np.where(seen > 0, self.scales_[np.maximum(seen, 1) - 1], 1.0)

    def _posterior(self, curves: Floats) -> tuple[Floats, Floats, Floats]:
        """Log weights of shapes and noises; mean and variance of the last measurement.

        Bayesian linear regression on (1, -f(t)) for each of the k pairs, see Bishop,
        Pattern Recognition and Machine Learning, eq. 3.50, 3.51 and 3.86. Each has
        shape (n, k).
        """
        known = np.isfinite(curves)
        seen = known.sum(1)[:, None]
        age = np.maximum(seen - 1 - np.arange(self.epochs), 0)
        w = np.where(known, self._fading[np.maximum(seen, 1) - 1] ** age / self._profile**2, 0.0)
        y = np.where(known, curves, 0.0)
        f = self._shapes.T  # (epochs, shapes)
        total = (w.sum(1)[:, None], (w * y).sum(1)[:, None], (w * y**2).sum(1)[:, None])
        sums = (*total, w @ f, w @ f**2, (w * y) @ f)
        n, sy, yy, s1, s2, sfy = (_each_noise(a, f.shape[1]) / self._noise() ** 2 for a in sums)
        (m_c, m_a), (v_c, v_a) = self._means, self._variances
        # Precision [[p, q], [q, r]] and its product with the mean, (u, v).
        p, q, r = n + 1 / v_c, -s1, s2 + 1 / v_a
        u, v = sy + m_c / v_c, -sfy + m_a / v_a
        determinant = p * r - q**2
        mean = (r * u - q * v) / determinant
        explained = (r * u**2 - 2 * q * u * v + p * v**2) / determinant
        constant = m_c**2 / v_c + m_a**2 / v_a + math.log(v_c * v_a)
        count = (w * self._profile**2).sum(1)[:, None]
        evidence = -0.5 * (
            count * 2 * np.log(self._noise()) + np.log(determinant) + yy - explained + constant
        )
        log_weights = evidence + self._log_prior
        log_weights -= logsumexp(log_weights, axis=1, keepdims=True)
        return log_weights, mean, r / determinant + (self._noise() * self._profile[-1]) ** 2

    def _noise(self) -> Floats:
        return np.tile(_NOISE, len(self._shapes))


class EarlyStop:
    """Says that a training is not worth its remaining epochs.

    Pass it as `stop` to `TrainEvaluator`. A training is ended when the probability
    that it comes out above a target is small.

    Parameters
    ----------
    curves : array_like of shape (m, epochs)
        Complete curves of the same protocol, of earlier trials.
    target : float, optional
        A score; default: the best last one of these curves.
    metric : Metric or MeanMetric, optional
        What the curves are values of, such as `TrainEvaluator.metric`: a training says its scores,
        of which larger is better. Default: they are scores, as accuracies are.
    risk : float
        The probability below which a training is ended.
    earliest : int
        Epochs that every training is given.

    Raises
    ------
    InputError
        When a number is out of range, or the curves are not complete.
    """

    def __init__(
        self,
        curves: npt.ArrayLike,
        *,
        target: float | None = None,
        metric: AnyMetric | None = None,
        risk: float = 0.05,
        earliest: int = 2,
    ) -> None:
        self.risk = check_number("risk", risk, above=0, below=1)
        self.earliest = check_whole("earliest", earliest)
        complete = np.atleast_2d(np.asarray(curves, dtype=np.float64))
        if metric is not None:
            complete = np.vectorize(metric.score, otypes=[np.float64])(complete)
        self.model = CurveExtrapolation(complete.shape[1]).fit(complete)
        best = float(complete[:, -1].max())
        self.target = best if target is None else check_number("target", target)

    def __call__(self, curve: Sequence[float]) -> bool:
        """Whether to end a training with this beginning of a curve of scores."""
        seen, epochs = len(curve), self.model.epochs
        if not self.earliest <= seen < epochs:
            return False
        row = np.full((1, epochs), np.nan)
        row[0, :seen] = curve
        return bool(self.model.probability_above(row, self.target)[0] < self.risk)

    def describe(self) -> dict[str, Any]:
        """Return what decides the stops, as plain JSON types."""
        return {
            "stop": type(self).__name__,
            "target": self.target,
            "risk": self.risk,
            "earliest": self.earliest,
            "epochs": self.model.epochs,
            "curves": self.model.n_curves_,
        }


def _parametric_shapes(epochs: int) -> Floats:
    """Power laws and stretched exponentials from 1 to 0, shape (k, epochs)."""
    t = np.arange(1.0, epochs + 1)
    powers = [t**-alpha for alpha in np.geomspace(0.1, 5.0, 12)]
    exponentials = [
        np.exp(-((t / (epochs * tau)) ** kappa))
        for kappa in (0.5, 1.0, 2.0)
        for tau in np.geomspace(0.03, 3.0, 10)
    ]
    shapes = np.array(powers + exponentials)
    falls = shapes[:, :1] - shapes[:, -1:]
    return np.asarray((shapes - shapes[:, -1:]) / falls)


def _mean_shapes(complete: Floats) -> Floats:
    """Mean shapes of groups of curves, from those that rise early to those that rise late."""
    falling = complete[:, -1:] - complete
    gains = falling[:, 0]
    rising = falling[gains > 0.2 * np.abs(gains).max(initial=0.0)]
    if not len(rising):
        return np.empty((0, complete.shape[1]))
    order = np.argsort((rising / rising[:, :1]).mean(1))
    groups = np.array_split(rising[order], min(_GROUPS, 1 + len(rising) // 4))
    means = np.array([group.mean(0) for group in groups])
    return np.asarray(means / means[:, :1])


def _noise_profile(complete: Floats, shapes: Floats) -> Floats:
    """How far off curves are from the nearest scaled shape, epoch by epoch, around 1.

    While the learning rate is high accuracy jumps, and at its end it hardly moves. Few
    curves say little of that; they are mixed with a flat profile.
    """
    profile = np.ones(complete.shape[1])
    if not len(shapes):
        return profile
    for _ in range(3):  # least squares, weighted by the profile so far
        fits = []
        for shape in shapes:
            design = np.column_stack([np.ones_like(shape), -shape]) / profile[:, None]
            scales = np.linalg.lstsq(design, (complete / profile).T, rcond=None)[0]
            fits.append(complete - (scales[0][:, None] - scales[1][:, None] * shape))
        residuals = np.array(fits)
        nearest = (residuals**2 / profile**2).sum(2).argmin(0)
        squares = residuals[nearest, np.arange(len(complete))] ** 2
        mean = (squares.sum(0) + _MIN_CURVES * squares.mean()) / (len(complete) + _MIN_CURVES)
        profile = np.sqrt(np.maximum(mean, 1e-12))
        profile /= np.exp(np.log(profile).mean())
    return profile


def _uniform(shapes: int) -> Floats:
    """Log probabilities of each shape with each noise, shape (shapes * noises,)."""
    return np.full(shapes * len(_NOISE), -math.log(shapes * len(_NOISE)))


def _each_noise(values: Floats, shapes: int) -> Floats:
    """From a column for each shape, or one for all, to one for each shape and noise."""
    rows = np.broadcast_to(values, (len(values), shapes))
    return np.repeat(rows, len(_NOISE), axis=1)


def _beginnings(curves: Floats, seen: int) -> Floats:
    return np.where(np.arange(curves.shape[1]) < seen, curves, np.nan)
