"""Which of many labels a Gaussian process is conditioned on, so that its cost stays bounded."""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from weaknas.predictors.labels import Floats, Joint, Repeats

Indices: TypeAlias = npt.NDArray[np.int64]

#: Labels from which on a part is left out: all n cost n^3, and n^2 a candidate.
LARGEST = 400


class ActiveLabels:
    """All labels as long as they are few, else the best and a random part of the rest.

    A subset of data (Quinonero-Candela and Rasmussen, JMLR 2005, sec. 4), chosen anew whenever
    the hyperparameters are fitted: half of it are the best labels, around which a search goes
    on, the others keep what is known of the rest of the space. Labels that come
    until then are added to it.

    Parameters
    ----------
    growth : float
        By how much the labels grow until the hyperparameters are fitted again.
    largest : int, optional
        Labels from which on a part is left out; None: never.

    Attributes
    ----------
    indices : ndarray of int, shape (k,)
        Of the labels that are active, ascending.
    """

    def __init__(self, growth: float, largest: int | None = LARGEST) -> None:
        self._growth, self._largest = growth, largest
        self._count = self._fitted_to = 0
        self.indices: Indices = np.empty(0, dtype=np.int64)
        self._chosen = self.indices

    def update(self, targets: Floats, repeats: Repeats | None) -> bool:
        """Take the labels that there are now, shape (n,), in the order in which they came.

        Returns
        -------
        bool
            Whether the hyperparameters are to be fitted anew.
        """
        n, freedom = len(targets), 0 if repeats is None else repeats.freedom
        if n < self._count:  # others than before
            self._chosen, self._count = self._chosen[:0], 0
        self.indices = np.concatenate([self._chosen, np.arange(self._count, n)])
        weight = len(self.indices) + freedom
        largest = self._largest or n
        is_full = len(self.indices) > self._growth * largest
        if weight < self._growth * self._fitted_to and not is_full:
            return False
        self.indices = np.arange(n)
        if n > largest:
            order = np.argsort(-targets, kind="stable")
            best, rest = np.split(order, [largest // 2])
            drawn = np.random.default_rng(n).permutation(rest)[: largest - len(best)]
            self.indices = np.sort(np.concatenate([best, drawn]))
        self._chosen, self._count = self.indices, n
        self._fitted_to = len(self.indices) + freedom
        return True

    def of(self, repeats: Repeats | None) -> Repeats | None:
        """Return what repeats tell of the active labels."""
        if repeats is None:
            return None
        counts, errors = repeats.counts[self.indices], repeats.errors[self.indices]
        return repeats._replace(counts=counts, errors=errors)

    def others(self, count: int) -> Indices:
        """Return the indices of those of so many labels that are not active."""
        left_out = np.ones(count, dtype=bool)
        left_out[self.indices] = False
        return np.flatnonzero(left_out)

    def spread(self, joint: Joint, others: Indices) -> Joint:
        """Return scores in the order of the labels.

        Parameters
        ----------
        joint : Joint
            Of the active labels, then of what features tell of the others, then of candidates.
        others : ndarray of int
        """
        if len(others) == 0:
            return joint
        known = len(self.indices)
        covariance = joint.covariance.copy()
        places = known + np.arange(len(others))
        covariance[places, places] += joint.particular
        count = known + len(others)
        order = np.concatenate(
            [
                np.argsort(np.concatenate([self.indices, others])),
                np.arange(count, len(joint.mean)),
            ]
        )
        return joint._replace(mean=joint.mean[order], covariance=covariance[np.ix_(order, order)])
