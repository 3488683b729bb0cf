"""The methods that learn weights of operations, as data: stages, choices, rates."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
import numpy.typing as npt

from weaknas.errors import unknown
from weaknas.supernets.schedule import apportion

Weights = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]

#: Operations that are alike, the representative of each group first. One that is in no group
#: is a group of its own (Li et al., "StacNAS", 2019, arXiv:1909.11926).
GROUPS = (
    ("nor_conv_3x3", "nor_conv_1x1"),
    ("max_pool_3x3", "avg_pool_3x3"),
    ("sep_conv_3x3", "sep_conv_5x5"),
    ("dil_conv_3x3", "dil_conv_5x5"),
)
_PUBLISHED_OPERATIONS = 8  # of an edge, by which the numbers of operations kept are scaled
_DECAY = 0.2


@dataclass(frozen=True)
class Stage:
    """Epochs with a network of their own, whose weights start anew.

    Parameters
    ----------
    epochs : int
        As published; a training divides its own number in these proportions.
    cells : int, optional
        Normal cells in each third of the network, where the space lets depth grow.
    choices : {"all", "strongest", "representatives", "members"}
        All operations; the `keep` strongest of the stage before; one of each group; all
        of the group that was the strongest in the stage before.
    keep : int, optional
        Of eight operations; of another number the same share.
    rest : int
        Of the published epochs the first in which the weights of operations rest.
    dropout : float
        Behind identities, at the beginning.
    """

    epochs: int
    cells: int | None = None
    choices: str = "all"
    keep: int | None = None
    rest: int = 0
    dropout: float = 0.0

    def resting(self, epochs: int) -> int:
        """Return how many of so many epochs the weights of operations rest."""
        return round(self.rest * epochs / self.epochs)

    def dropout_at(self, epoch: int, epochs: int) -> float:
        """Return the dropout behind identities in an epoch of the stage, from 0 on.

        It falls linearly while the weights of operations rest and exponentially
        afterwards, as in the authors' code of P-DARTS.
        """
        rest = self.resting(epochs)
        if epoch < rest:
            return self.dropout * (epochs - epoch - 1) / epochs
        return self.dropout * math.exp(-_DECAY * (epoch - rest) * self.epochs / epochs)


@dataclass(frozen=True)
class Method:
    """How weights of operations are learnt.

    Parameters
    ----------
    order : {0, 1, 2}
        Of the gradient of the weights of operations; 0: all weigh the same, always.
    stages : tuple of Stage
    alpha_rate : float
        Learning rate of their logarithms, by Adam with betas .5 and .999, decay 1e-3.
    one_level : bool
        Learn them from the images that the network learns from, which are all, rather
        than from another half.
    batch_size : int
    gradient_clipping : float
    lowest_rate : float
        Share of the learning rate that the cosine ends at.
    skips : int, optional
        Skip connections that the first kind of cell may have; default: any number.
    without : tuple of str
        Operations that are not chosen in the end where there is another.
    """

    order: int
    stages: tuple[Stage, ...]
    alpha_rate: float = 3e-4
    one_level: bool = False
    batch_size: int = 64
    gradient_clipping: float = 5.0
    lowest_rate: float = 0.04  # .025 to .001
    skips: int | None = None
    without: tuple[str, ...] = ()

    @property
    def epochs(self) -> int:
        """Of all stages, as published."""
        return sum(stage.epochs for stage in self.stages)

    def lengths(self, epochs: int) -> list[int]:
        """Divide epochs among the stages in the published proportions.

        Raises
        ------
        InputError
            When there are fewer epochs than stages.
        """
        return apportion(epochs, [stage.epochs for stage in self.stages])


#: Methods by name.
MIXED_METHODS: Mapping[str, Method] = MappingProxyType(
    {
        # Liu, Simonyan and Yang, ICLR 2019, arXiv:1806.09055, and the authors' code.
        "darts": Method(1, (Stage(50),)),
        "darts-2": Method(2, (Stage(50),)),
        # Wang et al., "Rethinking architecture selection in differentiable NAS", ICLR
        # 2021, arXiv:2108.04392, section 4: weights of operations that are never learnt.
        "blank": Method(0, (Stage(50),)),
        # Chen et al., ICCV 2019, arXiv:1904.12760, sections 3.2, 3.3 and 4.1.
        "p-darts": Method(
            1,
            (
                Stage(25, cells=1, rest=10),
                Stage(25, cells=3, choices="strongest", keep=5, rest=10, dropout=0.4),
                Stage(25, cells=5, choices="strongest", keep=3, rest=10, dropout=0.7),
            ),
            alpha_rate=6e-4,
            batch_size=96,
            lowest_rate=0.0,
            skips=2,
            without=("none",),
        ),
        # Li et al., 2019, arXiv:1909.11926: 14, then 20 cells.
        "stacnas": Method(
            1,
            (
                Stage(80, cells=4, choices="representatives"),
                Stage(80, cells=6, choices="members"),
            ),
            one_level=True,
            gradient_clipping=3.0,
        ),
    }
)


def get_method(name: str) -> Method:
    """Return a method by name.

    Raises
    ------
    InputError
        When it is unknown, with the closest match.
    """
    if name not in MIXED_METHODS:
        raise unknown("way to train a mixed supernet", name, MIXED_METHODS)
    return MIXED_METHODS[name]


def narrow(
    stage: Stage,
    operations: Sequence[str],
    choosable: Mask,
    nodes: Sequence[Sequence[int]],
    weights: Weights,
    inputs: int = 2,
) -> Mask:
    """Return what each edge chooses among in a stage.

    Where groups are given up for their members each node keeps its strongest inputs, too:
    groups of one and of two operations do not compare afterwards.

    Parameters
    ----------
    stage : Stage
    operations : sequence of str
    choosable : ndarray of bool, shape (operations,)
        Whether an architecture can have each.
    nodes : sequence of sequence of int
        The edges into each node that keeps some.
    weights : ndarray, shape (edges, operations)
        At the end of the stage before; zero where an operation took no part.
    inputs : int
        That it keeps.

    Returns
    -------
    ndarray of bool, shape (edges, operations)
    """
    if stage.choices == "all":
        return np.ones(weights.shape, dtype=bool)
    if stage.choices == "strongest":
        assert stage.keep is not None
        count = max(1, round(len(operations) * stage.keep / _PUBLISHED_OPERATIONS))
        rank = np.argsort(np.argsort(-weights, axis=1, kind="stable"), axis=1)
        return np.asarray(rank < count)
    groups = group(operations)
    if stage.choices == "representatives":
        others = {name for members in GROUPS for name in members[1:]}
        first = np.array([name not in others for name in operations])
        return np.tile(first & choosable, (len(weights), 1))
    winners = weights.argmax(axis=1)
    mask = np.array(groups)[None] == np.array(groups)[winners][:, None]
    return np.asarray(mask & keep_inputs(weights.max(axis=1), nodes, inputs)[:, None])


def group(operations: Sequence[str]) -> list[int]:
    """Return the number of the group of each operation."""
    names = [next((g for g in GROUPS if name in g), (name,)) for name in operations]
    return [names.index(name) for name in names]


def keep_inputs(strengths: Weights, nodes: Sequence[Sequence[int]], inputs: int = 2) -> Mask:
    """Return which edges stay: of those into each node the strongest `inputs`; shape (edges,)."""
    kept = np.ones(len(strengths), dtype=bool)
    for edges in nodes:
        order = np.argsort(-strengths[list(edges)], kind="stable")
        kept[np.array(edges)[order[inputs:]]] = False
    return kept
