"""BOHB: Hyperband whose architectures are picked by a density model."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from weaknas.spaces import Genotypes, SearchSpace
from weaknas.strategies._base import Scores
from weaknas.strategies.hyperband import Hyperband

_TOP = 0.15  # share of the observations that the good density is made from
_RANDOM = 1 / 3  # share of architectures drawn from the space
_CANDIDATES = 64  # draws from the good density for each pick
_WIDER = 3.0  # factor of the bandwidth of these draws


class Density:
    """A product of kernels, one a decision, averaged over observations.

    The kernel of a decision of k choices keeps the observed choice with weight
    1 - h and spreads h over the others: evenly where they are categories
    (Aitchison and Aitken 1976), by h^distance where they are ordered (Wang and
    van Ryzin 1981, normalised). h = (k - 1) / k * n^(-1/2), the rate of Li and
    Racine (2003) for discrete data; at n = 1 the even kernel is uniform.

    Parameters
    ----------
    space : SearchSpace
    rows : ndarray of int, shape (n, d)
        The observations.
    """

    def __init__(self, space: SearchSpace, rows: Genotypes) -> None:
        self.rows = rows
        self._ordered, self._counts = space.ordered, space.cardinalities

    def __call__(self, genotypes: Genotypes) -> Scores:
        """Return the density at each genotype, shape (m, d) -> (m,)."""
        product = np.ones((len(genotypes), len(self.rows)))
        for column, values in enumerate(genotypes.T):
            centers, of_row = np.unique(self.rows[:, column], return_inverse=True)
            product *= self._kernel(column, centers)[of_row[None, :], values[:, None]]
        return np.asarray(product.mean(axis=1))

    def sample(self, n: int, rng: np.random.Generator, wider: float = 1.0) -> Genotypes:
        """Draw n genotypes, shape (n, d), with the bandwidths times `wider`."""
        centers = self.rows[rng.integers(len(self.rows), size=n)]
        uniform = rng.random(centers.shape)
        drawn = np.empty_like(centers)
        for column, values in enumerate(centers.T):
            distinct, of_row = np.unique(values, return_inverse=True)
            cumulative = self._kernel(column, distinct, wider).cumsum(axis=1)
            for number, edges in enumerate(cumulative):
                choice = np.searchsorted(edges, uniform[of_row == number, column])
                drawn[of_row == number, column] = np.minimum(choice, len(edges) - 1)  # rounding
        return drawn

    def _kernel(
        self, column: int, centers: Genotypes, wider: float = 1.0
    ) -> npt.NDArray[np.float64]:
        """Weights of the k choices of a decision around choices, shape (m,) -> (m, k)."""
        count = int(self._counts[column])
        uniform = (count - 1) / count
        width = min(uniform, wider * uniform * len(self.rows) ** -0.5)
        distance = np.abs(np.subtract.outer(centers.astype(np.int64), np.arange(count)))
        if self._ordered[column]:
            kernel = width**distance
        else:
            kernel = np.where(distance == 0, 1 - width, width / max(count - 1, 1))
        return np.asarray(kernel / kernel.sum(axis=1, keepdims=True))


class BOHB(Hyperband):
    """Hyperband with a model (Falkner et al., ICML 2018, arXiv:1807.01774, Algorithm 2).

    Architectures of a bracket are picked by the ratio of two kernel densities of the
    highest fidelity that has been told enough: of the best 15 % and of the rest. Of
    64 draws from the first, with three times its bandwidth, the one with the largest
    ratio is picked; one third are random. The constants are the paper's, the
    bandwidths of `Density` ours: the paper's rule would depend on how choices are
    numbered.

    Parameters
    ----------
    space : SearchSpace
    resources : sequence of float, optional
        As of `Hyperband`.
    seed : int
    """

    def _pick(self, n: int) -> Genotypes:
        model = self._model()
        modelled = 0 if model is None else int((self._rng.random(n) >= _RANDOM).sum())
        picked = np.empty((0, self.space.n_variables), dtype=self.space.genotype_dtype)
        if model is not None and modelled:
            picked = self._pick_by(*model, modelled)
        return self._unseen(np.vstack([picked, self._random_unseen(n)]))[:n]

    def _model(self) -> tuple[Density, Density] | None:
        """Densities of the good and of the rest; None before enough is known (Algorithm 2)."""
        least = self.space.n_variables + 1
        for fidelity in reversed(self.fidelities):
            genotypes, scores = self.history.successful_at(fidelity)
            if len(scores) >= least + 2:
                order = np.argsort(-scores, kind="stable")
                good = max(least, int(_TOP * len(order)))  # eq. 3
                rest = max(least, len(order) - good)
                return (
                    Density(self.space, genotypes[order[:good]]),
                    Density(self.space, genotypes[order[-rest:]]),
                )
        return None

    def _pick_by(self, good: Density, rest: Density, n: int) -> Genotypes:
        """Up to n new architectures, each the best by ratio of its own draws."""
        drawn = good.sample(n * _CANDIDATES, self._rng, _WIDER)
        owner = np.repeat(np.arange(n), _CANDIDATES)
        inside = self.space.contains(drawn)
        rows, owner = self.space.canonicalize(drawn[inside]), owner[inside]
        ratio = good(rows) / np.maximum(rest(rows), 1e-32)
        codes = self.space.fingerprint(rows).tolist()
        chosen: dict[int, int] = {}  # fingerprint to row
        served: set[int] = set()
        for index in np.argsort(-ratio, kind="stable").tolist():
            code, slot = codes[index], int(owner[index])
            if slot not in served and code not in chosen and code not in self._seen:
                chosen[code] = index
                served.add(slot)
        return rows[list(chosen.values())]
