"""The architectures of a step are the better ones of their size."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from weaknas.errors import InputError, check_whole
from weaknas.spaces import Genotypes, SearchSpace
from weaknas.supernets.samplers._base import Lessons, Rewards, Sampler

_POOL = 1000  # random architectures of an epoch
_RIDGE = 1.0  # of standardised decisions


class Attentive(Sampler):
    """Draws by the sandwich rule, and of several architectures of a size the best.

    Multiply-adds are drawn as random architectures have them; of the `candidates` that come
    next to them the one with the largest predicted accuracy is trained, beside the largest
    and the smallest architecture (Wang et al., "AttentiveNAS", CVPR 2021,
    arXiv:2011.09011, section 3: Pareto-aware sampling, BestUp). The prediction here is linear
    in the decisions, from accuracies on minibatches of held-out images after each epoch.

    Parameters
    ----------
    space : SearchSpace
        Whose choices are ordered, with multiply-adds.
    seed : int
    architectures : int
        Of a step, beside the largest and the smallest.
    candidates : int
        Of a size, of which the best is taken.
    lessons : int
        Architectures that are judged after each epoch.

    Raises
    ------
    InputError
        When choices are not ordered, the space knows no multiply-adds, or a number is
        below 1.
    """

    def __init__(
        self,
        space: SearchSpace,
        *,
        seed: int = 0,
        architectures: int = 2,
        candidates: int = 3,
        lessons: int = 20,
    ) -> None:
        if not space.ordered.all():
            raise InputError(
                f"the choices of {space.name!r} have no largest and smallest, which the method"
                " attentive trains; use single-path"
            )
        if "macs" not in space.costs():
            raise InputError(f"the space {space.name!r} knows no multiply-adds of architectures")
        self.architectures = check_whole("architectures", architectures)
        self.candidates = check_whole("candidates", candidates, most=_POOL)
        self.lessons = Lessons(size=check_whole("lessons", lessons), after_epoch=1)
        self._judged: list[tuple[list[list[int]], list[float]]] = []
        self._weights = np.zeros(space.n_variables)
        super().__init__(space, seed=seed)

    def begin(self, epoch: int) -> None:
        """Begin an epoch: random architectures are sorted by their multiply-adds."""
        super().begin(epoch)
        drawn = self.space.sample(_POOL, self._rng)
        self._pool = drawn[np.argsort(self.space.costs()["macs"](drawn), kind="stable")]

    def draw(self, step: int) -> Genotypes:
        """Return the largest architecture, the better ones of some sizes, and the smallest."""
        starts = self._rng.integers(_POOL - self.candidates + 1, size=self.architectures)
        places = starts[:, None] + np.arange(self.candidates)
        best = (self._pool[places] @ self._weights).argmax(axis=1)
        chosen = self._pool[places[np.arange(len(best)), best]]
        largest = (self.space.cardinalities - 1).astype(self.space.genotype_dtype)
        return np.vstack([largest, chosen, np.zeros_like(largest)])

    def audition(self) -> Genotypes:
        """Return random architectures, shape (n, d)."""
        return self.space.sample(self.lessons.size, self._rng)

    def learn(self, genotypes: Genotypes, rewards: Rewards) -> None:
        """Learn from a lesson: how much better each was than the mean of it."""
        relative = np.asarray(rewards) - np.mean(rewards)
        self._judged.append((genotypes.tolist(), relative.tolist()))
        self._fit()

    def _fit(self) -> None:
        rows = np.vstack([np.array(rows) for rows, _ in self._judged]).astype(np.float64)
        values = np.concatenate([values for _, values in self._judged])
        scale = np.maximum(self.space.cardinalities - 1, 1)
        columns = (rows - rows.mean(axis=0)) / scale
        gram = columns.T @ columns + _RIDGE * np.eye(columns.shape[1])
        self._weights = np.linalg.solve(gram, columns.T @ values) / scale

    def describe(self) -> dict[str, Any]:
        """Return the settings."""
        numbers = {"architectures": self.architectures, "candidates": self.candidates}
        return numbers | {"lessons": self.lessons.size}

    def state(self) -> dict[str, Any]:
        """Return what was judged."""
        return {"judged": self._judged}

    def restore(self, saved: Mapping[str, Any]) -> None:
        """Take over what was judged."""
        self._judged = [(list(rows), list(values)) for rows, values in saved["judged"]]
        if self._judged:
            self._fit()
