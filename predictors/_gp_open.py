"""A Gaussian process for candidates that come and go."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from weaknas.predictors._gp_active import LARGEST, ActiveLabels
from weaknas.predictors._gp_fit import fit_hyperparameters
from weaknas.predictors._gp_kernel import Hyperparameters, Kernel, Scaling
from weaknas.predictors._gp_posterior import Posterior
from weaknas.predictors.labels import Floats, Joint, Repeats
from weaknas.predictors.open_model import OpenModel


class OpenGaussianProcess(OpenModel):
    """`GaussianProcess` with features scaled by a sample of the space, once for all rounds.

    A search closes in on a region where distances are short; scaled by its own
    data, it would take them for typical and forget what it learnt of the rest.
    The hyperparameters are fitted again whenever the data have grown by a tenth.

    Parameters
    ----------
    reference : ndarray of float32, shape (n, f)
        Features of a sample of the space.
    groups, trend, additive, sources, max_iter : optional
        See `GaussianProcess`.
    dtype : type
        Precision of predictions; single is twice as fast.
    largest : int, optional
        See `ActiveLabels`.
    """

    _GROWTH = 1.1

    def __init__(
        self,
        reference: Any,
        *,
        groups: Sequence[Any] | None = None,
        trend: Sequence[int] | None = None,
        additive: bool = False,
        sources: Sequence[int] | None = None,
        max_iter: int = 15,
        dtype: type[np.floating[Any]] = np.float32,
        largest: int | None = LARGEST,
    ) -> None:
        self._scaling = Scaling(
            np.asarray(reference, dtype=np.float32),
            groups=groups,
            trend=trend,
            additive=additive,
            sources=sources,
            dtype=dtype,
        )
        self._max_iter, self._active = max_iter, ActiveLabels(self._GROWTH, largest)
        self._hyper: Hyperparameters

    @property
    def hyperparameters(self) -> Hyperparameters:
        """For scaled features and standardised targets."""
        return self._hyper

    def fit(self, features: Any, targets: Floats, repeats: Repeats | None = None) -> None:
        """Condition on features, shape (n, f), with targets, means of so many trainings."""
        must_fit = self._active.update(targets, repeats)
        self._points, active = self._scaling(features), self._active.indices
        points, targets, repeats = self._points[active], targets[active], self._active.of(repeats)
        if must_fit:
            self._hyper = fit_hyperparameters(
                points,
                targets,
                scaling=self._scaling,
                start=Hyperparameters.typical(len(self._scaling.blocks)),
                max_iter=self._max_iter,
                repeats=repeats,
            ).mode
        self._posterior = Posterior(Kernel(self._hyper, self._scaling))
        self._posterior.append(points, errors=None if repeats is None else repeats.errors)
        self._posterior.learn(targets)

    def condition(self, features: Any) -> None:
        """Take features for queried: means stay, deviations shrink."""
        if len(features):
            self._posterior.append(self._scaling(features))

    def predict(self, features: Any) -> tuple[Floats, Floats]:
        """Return mean and standard deviation of the noise-free score, each shape (m,)."""
        posterior, points = self._posterior, self._scaling(features)
        whitened = posterior.whiten(points)
        variance = posterior.kernel.variance(points) - np.einsum("ij,ij->j", whitened, whitened)
        return posterior.mean(whitened), posterior.std(variance)

    def joint(self, errors: Floats, features: Any) -> Joint:
        """Return the scores behind the labels, together with those of features."""
        others = self._active.others(len(errors))
        points = np.concatenate([self._points[others], self._scaling(features)])
        active = errors[self._active.indices]
        joint = self._posterior.joint(active, points, self._posterior.whiten(points))
        return self._active.spread(joint, others)

    def covariance(self, features: Any) -> tuple[Floats, float]:
        """Return the covariance of features, shape (m, m), and the noise of one training."""
        points = self._scaling(features)
        return self._posterior.covariance(points, self._posterior.whiten(points))
