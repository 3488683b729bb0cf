"""Transformers (Vaswani et al., NeurIPS 2017, arXiv:1706.03762) that predict the next token."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from weaknas.errors import InputError, check_list, check_whole, unknown
from weaknas.spaces.cells.costs import Counts
from weaknas.spaces.choices import ChoiceSpace
from weaknas.spaces.language import LanguageSkeleton, LanguageSpace

if TYPE_CHECKING:
    from torch.nn import Module

POSITIONS = ("none", "sinusoidal", "learned", "rotary")
_OF_LAYER = ("heads", "head_width", "ratio")


class Transformer(LanguageSpace[LanguageSkeleton], ChoiceSpace):
    """Decoders with norms before attention and MLP, GELU, and no biases in between.

    Decided are the number of layers; of each, or of all alike, the number of heads, the width
    of a head and that of the MLP as a multiple of the embedding's; and how places are told:
    not at all, by sines (Vaswani et al., section 3.5), by learned vectors, or by rotated
    queries and keys (Su et al., 2021, arXiv:2104.09864). The width of the embedding is a
    setting of the network. Decisions of a layer exist where there are as many layers.

    Parameters
    ----------
    depth, heads, head_width, ratio : sequence of int
        What there is to choose from, in increasing order; a head's width is even.
    positions : sequence of str
        Of ``"none"``, ``"sinusoidal"``, ``"learned"``, ``"rotary"``.
    shared : bool
        All layers are alike.

    Raises
    ------
    InputError
        When a value cannot be used.

    Examples
    --------
    >>> space = Transformer(shared=True)
    >>> space.decode("depth=2,positions=rotary,heads=4,head_width=16,ratio=2")["heads"]
    4
    """

    skeleton = LanguageSkeleton

    def __init__(
        self,
        depth: Sequence[int] = (1, 2, 3, 4),
        heads: Sequence[int] = (1, 2, 4, 8),
        head_width: Sequence[int] = (8, 16, 32),
        ratio: Sequence[int] = (1, 2, 4),
        positions: Sequence[str] = POSITIONS,
        shared: bool = False,
    ) -> None:
        numbers = {"depth": depth, "heads": heads, "head_width": head_width, "ratio": ratio}
        for what, values in numbers.items():
            check_list(what, values)
            for value in values:
                check_whole(what, value, most=1024)
            if not values or list(values) != sorted(values):
                raise InputError(f"{what} must be in increasing order, not {list(values)}")
        for width in head_width:
            if width % 2:
                raise InputError(f"head_width must be even, for rotary positions, not {width}")
        check_list("positions", positions)
        for position in positions:
            if position not in POSITIONS:
                raise unknown("position encoding", position, POSITIONS)
        self.shared = bool(shared)
        layers = [""] if self.shared else [str(layer) for layer in range(1, max(depth) + 1)]
        choices: dict[str, Sequence[Any]] = {"depth": list(depth), "positions": list(positions)}
        conditions: dict[str, dict[str, Any]] = {}
        for layer in layers:
            for what in _OF_LAYER:
                choices[f"{what}{layer}"] = list(numbers[what])
                deep = [number for number in depth if layer and number >= int(layer)]
                if layer and len(deep) < len(depth):
                    conditions[f"{what}{layer}"] = {"depth": deep}
        ChoiceSpace.__init__(self, choices, "transformer", conditions)

    @property
    def has_graphs(self) -> bool:
        """Whether `graphs` is offered: no."""
        return False

    def layers(self, genotypes: npt.NDArray[np.integer]) -> npt.NDArray[np.int64]:
        """Return heads, head width and ratio of each layer; shape (n, most layers, 3).

        Zeros where there is no such layer.

        Parameters
        ----------
        genotypes : ndarray of int, shape (n, d)
        """
        rows = self.canonicalize(genotypes)
        values = np.stack(
            [
                np.array(self.choices[column])[rows[:, column]]
                for column in range(self.n_variables)
                if self.variables[column] != "positions"
            ],
            axis=1,
        )
        most = int(max(self.choices[0]))
        told = (values.shape[1] - 1) // len(_OF_LAYER)
        decided = values[:, 1:].reshape(len(rows), told, len(_OF_LAYER))
        decided = np.broadcast_to(decided, (len(rows), most, 3)) if self.shared else decided
        exists = np.arange(most) < values[:, :1]
        layers: npt.NDArray[np.int64] = np.where(exists[:, :, None], decided, 0).astype(np.int64)
        return layers

    def positions(self, genotypes: npt.NDArray[np.integer]) -> list[str]:
        """Return the position encoding of each genotype, shape (n, d)."""
        return [str(self.choices[1][row[1]]) for row in np.asarray(genotypes)]

    # -- the network ----------------------------------------------------------------

    def _parameters(self, genotypes: npt.NDArray[np.integer], skeleton: LanguageSkeleton) -> Counts:
        layers, width = self.layers(genotypes), skeleton.width
        learned = np.array([name == "learned" for name in self.positions(genotypes)])
        # Two norms a layer and the last one, with scale and shift each.
        norms = 2 * width * (2 * (layers[:, :, 0] > 0).sum(axis=1) + 1)
        embedding = skeleton.classes * (width + 1) + learned * skeleton.length * width
        return np.asarray(_matrices(layers, width) + norms + embedding)

    def _macs(self, genotypes: npt.NDArray[np.integer], skeleton: LanguageSkeleton) -> Counts:
        layers, length = self.layers(genotypes), skeleton.length
        # Queries by keys and attention by values, at all pairs of places.
        pairs = 2 * length**2 * (layers[:, :, 0] * layers[:, :, 1]).sum(axis=1)
        last = length * skeleton.classes * skeleton.width
        return np.asarray(length * _matrices(layers, skeleton.width) + pairs + last)

    def _network(self, genotype: npt.NDArray[np.integer], skeleton: LanguageSkeleton) -> Module:
        from weaknas.spaces.transformer.network import Network

        layers = self.layers(genotype[None])[0]
        return Network(
            layers[layers[:, 0] > 0].tolist(), self.positions(genotype[None])[0], skeleton
        )


def _matrices(layers: npt.NDArray[np.int64], width: int) -> Counts:
    """Numbers in the matrices of all layers: query, key, value, output, and two of the MLP."""
    heads, head_width, ratio = np.moveaxis(layers, 2, 0)
    numbers: Counts = (4 * width * heads * head_width + 2 * ratio * width**2).sum(axis=1)
    return numbers
