"""Which architectures of a supernet are trained when."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from weaknas.errors import InputError, check_whole, unknown
from weaknas.spaces import Genotypes, SearchSpace

#: Ways to train in which a sampler learns what to draw.
SAMPLED = ("enas", "memory", "manas", "manas-ls", "weaknas", "attentive")
METHODS = ("sandwich", "alphanet", "shrinking", "single-path", *SAMPLED)
#: What architectures learn from besides, or instead of, the labels.
TEACHERS = ("labels", "largest", "frozen")


@dataclass(frozen=True)
class Phase:
    """Epochs in which architectures are drawn and taught in one way.

    Parameters
    ----------
    name : str
    epochs : int
    random : int
        Architectures that are drawn in each step.
    extremes : bool
        Train the largest and the smallest architecture in each step, too.
    teacher : {"labels", "largest", "frozen"}
        Nobody; the largest architecture in the same step, whose probabilities replace
        the labels for all others (in-place distillation); or the largest as it was when
        the first phase ended, whose probabilities are learnt beside the labels.
    alpha : bool
        Those others learn by alpha-divergences, not cross-entropy.
    rate : float
        Times the learning rate of the protocol.
    lowest : tuple of int, optional
        Index of the lowest choice of each decision, where not all are drawn.
    sort : tuple of int
        Expansions trained so far, by which channels are sorted before the phase; or none.
    """

    name: str
    epochs: int
    random: int
    extremes: bool = False
    teacher: str = "labels"
    alpha: bool = False
    rate: float = 1.0
    lowest: tuple[int, ...] | None = None
    sort: tuple[int, ...] = ()

    def draw(self, space: SearchSpace, rng: np.random.Generator) -> Genotypes:
        """Return the architectures of one step, shape (n, d), the largest first if it is there."""
        if self.lowest is None:
            drawn = space.sample(self.random, rng)
        else:
            size = (self.random, space.n_variables)
            drawn = rng.integers(self.lowest, space.cardinalities, size=size)
            drawn = drawn.astype(space.genotype_dtype)
        if not self.extremes:
            return drawn
        largest = (space.cardinalities - 1).astype(space.genotype_dtype)
        return np.vstack([largest, drawn, np.zeros_like(largest)])


def make_phases(
    space: SearchSpace, epochs: int, method: str | None = None, random: int = 2
) -> list[Phase]:
    """Return the phases of a training.

    Parameters
    ----------
    space : SearchSpace
    epochs : int
        Of all phases together.
    method : str, optional
        One of `METHODS`.
        The sandwich rule (Yu et al., "BigNAS", ECCV 2020, arXiv:2003.11142, section
        3.1), with alpha-divergences as ``"alphanet"`` (Wang et al., ICML 2021,
        arXiv:2102.07954), with the better ones of a size as ``"attentive"``;
        progressive shrinking (Cai et al., "Once-for-All", ICLR 2020,
        arXiv:1908.09791, section 3.3), the phases in the published proportions; or
        one random architecture a step (Guo et al., ECCV 2020, arXiv:1904.00420, section
        3.2), which in the other methods of `SAMPLED` a sampler draws instead. Default: the
        sandwich rule where choices are ordered, else single paths.
    random : int
        Random architectures in each step of the sandwich rule.

    Raises
    ------
    InputError
        When the method is unknown or not for this space, or there are too few epochs.
    """
    if method is None:
        method = "sandwich" if space.ordered.all() else "single-path"
    if method not in METHODS:
        raise unknown("way to train a supernet", method, METHODS)
    check_whole("random", random)
    if method == "single-path" or (method in SAMPLED and method != "attentive"):
        return [Phase(method, _at_least(epochs, 1), 1)]
    if method in ("sandwich", "alphanet", "attentive"):
        if not space.ordered.all():
            raise InputError(
                f"the choices of {space.name!r} have no largest and smallest, which the"
                " sandwich rule trains; use single-path"
            )
        rule = Phase(method, _at_least(epochs, 1), random, extremes=True, teacher="largest")
        return [replace(rule, alpha=method == "alphanet")]
    stages = getattr(space, "shrinking_stages", None)
    if stages is None:
        raise InputError(f"the space {space.name!r} does not say how it is shrunk progressively")
    stages = stages()
    return [
        Phase(
            stage.name,
            length,
            stage.subnets,
            teacher="frozen" if place else "labels",
            rate=stage.rate,
            lowest=stage.lowest,
            sort=stage.sort,
        )
        for place, (stage, length) in enumerate(
            zip(stages, apportion(epochs, [stage.share for stage in stages]), strict=True)
        )
    ]


def phase_of(phases: Sequence[Phase], epoch: int) -> tuple[Phase, int]:
    """Return the phase of an epoch and the epoch in which it begins.

    Raises
    ------
    IndexError
        When there are fewer epochs.
    """
    start = 0
    for phase in phases:
        if epoch < start + phase.epochs:
            return phase, start
        start += phase.epochs
    raise IndexError(epoch)


def apportion(epochs: int, shares: Sequence[float]) -> list[int]:
    """Divide epochs in proportion, at least one each.

    Raises
    ------
    InputError
        When there are fewer epochs than shares.
    """
    _at_least(epochs, len(shares))
    ends = np.rint(np.cumsum(shares) / np.sum(shares) * epochs).astype(int).tolist()
    for place in range(len(ends)):  # nobody is left without
        ends[place] = max(ends[place], place + 1, ends[place - 1] + 1 if place else 1)
    for place in reversed(range(len(ends))):
        ends[place] = min(ends[place], epochs - (len(ends) - 1 - place))
    return [end - start for start, end in zip([0, *ends[:-1]], ends, strict=True)]


def _at_least(epochs: int, least: int) -> int:
    if epochs < least:
        raise InputError(f"epochs must be at least {least} for this training, not {epochs}")
    return epochs
