"""The search space of once-for-all on ImageNet (Cai et al., ICLR 2020, arXiv:1908.09791)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from weaknas.errors import (
    MOST_AT_ONCE,
    InputError,
    check_list,
    check_number,
    check_whole,
    optional_import,
)
from weaknas.spaces._base import CostFunction, SearchSpace
from weaknas.spaces.architecture import ArchitectureLike
from weaknas.spaces.mobilenetv3 import moves
from weaknas.spaces.mobilenetv3.coding import decision_values, decode, encode
from weaknas.spaces.mobilenetv3.costs import (
    CostTable,
    count_macs,
    count_parameters,
    count_peak_values,
)
from weaknas.spaces.mobilenetv3.latency import LatencyTable
from weaknas.spaces.mobilenetv3.shrinking import ShrinkingStage, shrinking_stages
from weaknas.spaces.mobilenetv3.skeleton import (
    CHANNELS_IN,
    CLASSES,
    DEPTHS,
    EXPANSIONS,
    KERNELS,
    LAYERS_PER_UNIT,
    UNITS,
    Skeleton,
    check_strides,
    strides_for,
)
from weaknas.spaces.mobilenetv3.text import read_mapping, read_text, write_text
from weaknas.spaces.rows import Genotypes

if TYPE_CHECKING:
    from torch.nn import Module

    from weaknas.spaces.mobilenetv3.superkernel import Choice, SuperkernelNetwork
    from weaknas.spaces.mobilenetv3.supernet import Supernet

_LAYER_NAMES = [f"{u}.{p}" for u in range(1, UNITS + 1) for p in range(1, LAYERS_PER_UNIT + 1)]
_RESOLUTIONS = range(8, 1025)
_SMALLEST_WIDTH, _LARGEST_WIDTH = 0.1, 4.0


class MobileNetV3(SearchSpace):
    """MobileNets of five units with 2 to 4 layers; kernel 3, 5, 7 and expansion 3, 4, 6 each.

    A genotype has 45 values, five depths, 20 kernels and 20 expansions, and one
    more where the resolution is searched; all are indices into increasing
    values. In the canonical form the choices of layers that are not there are 0.

    Parameters
    ----------
    width : float
        Multiplier of all channels, 0.1 to 4; supernets of 1.0 and 1.2 are published.
    resolution : int
        Height and width of the input, in pixels; below 64 the first strides are
        dropped (`weaknas.spaces.mobilenetv3.skeleton.strides_for`).
    resolutions : sequence of int, optional
        Increasing; search the resolution among these instead.
    classes, channels : int
        Number of classes, and of channels of an image, in what the costs count.
    strides : sequence of int, optional
        Six strides, 1 or 2, of the stem and the units, instead of those by the (smallest)
        resolution.
    latency : LatencyTable or path, optional
        Adds the cost ``latency``.

    Raises
    ------
    InputError
        When a value is not allowed, or the latency table is missing, damaged or
        lacks a block of this space.
    """

    name = "mobilenetv3"

    def __init__(
        self,
        width: float = 1.0,
        resolution: int = 224,
        resolutions: Sequence[int] | None = None,
        latency: LatencyTable | str | Path | None = None,
        *,
        classes: int = CLASSES,
        channels: int = CHANNELS_IN,
        strides: Sequence[int] | None = None,
    ) -> None:
        self.width = check_number("width", width, least=_SMALLEST_WIDTH, most=_LARGEST_WIDTH)
        self.classes = check_whole("classes", classes, most=MOST_AT_ONCE)
        self.channels = check_whole("channels", channels, most=MOST_AT_ONCE)
        self.resolutions = _check_resolutions(resolutions or (resolution,))
        self.strides = check_strides(strides or strides_for(self.resolutions[0]))
        searched = len(self.resolutions) > 1
        self.variables = (
            *(f"depth{unit}" for unit in range(1, UNITS + 1)),
            *(f"kernel{name}" for name in _LAYER_NAMES),
            *(f"expansion{name}" for name in _LAYER_NAMES),
            *(["resolution"] if searched else []),
        )
        self.choices = decision_values(self.resolutions)
        self.cardinalities = np.array([len(values) for values in self.choices])
        self.ordered = np.ones(len(self.choices), dtype=bool)
        self.skeletons = [
            Skeleton(
                self.width, r, classes=self.classes, channels=self.channels, strides=self.strides
            )
            for r in self.resolutions
        ]
        self._macs = CostTable(dict.fromkeys(self.skeletons, count_macs))
        self._parameters = CostTable(dict.fromkeys(self.skeletons, count_parameters))
        self._peak = CostTable(dict.fromkeys(self.skeletons, count_peak_values), "max")
        if latency is not None and not isinstance(latency, LatencyTable):
            latency = LatencyTable.read(str(latency))
        self.latency_table = latency
        self._latency = latency.tabulate(self.skeletons) if latency else None

    @property
    def value_names(self) -> list[list[str]]:
        """Values of each decision."""
        return [list(map(str, values)) for values in self.choices]

    def describe(self) -> dict[str, Any]:
        """Return name, size, network around the choices and latency table as plain JSON types."""
        description = super().describe() | {
            "width": self.width,
            "resolutions": list(self.resolutions),
            "classes": self.classes,
            "channels": self.channels,
            "strides": list(self.strides),
        }
        if self.latency_table is not None:
            description["latency"] = self.latency_table.name
        return description

    @property
    def n_architectures(self) -> int:
        """Exact number of different architectures: 7,371^5, times the resolutions.

        `size` counts genotypes, among them those that differ in layers that are
        not there only.
        """
        pairs = len(KERNELS) * len(EXPANSIONS)
        return int(sum(pairs**depth for depth in DEPTHS) ** UNITS * len(self.resolutions))

    # -- the space --------------------------------------------------------------------

    def canonicalize(self, genotypes: npt.NDArray[np.integer]) -> Genotypes:
        """Set the choices of layers that are not there to index 0."""
        rows = np.asarray(genotypes)
        return (rows * moves.decisions_present(rows)).astype(np.int16)

    def sample(self, n: int, rng: np.random.Generator) -> Genotypes:
        """Draw depths, kernels, expansions and resolution uniformly, as once-for-all does.

        Uniform over genotypes, that is: a unit has 2, 3 or 4 layers with equal
        chance, although far more architectures have 4.
        """
        rows = rng.integers(len(DEPTHS), size=(n, moves.CHOICES), dtype=np.int16)
        if self.n_variables == moves.CHOICES:
            return rows
        resolution = rng.integers(len(self.resolutions), size=(n, 1), dtype=np.int16)
        return np.hstack([rows, resolution])

    def mutate(self, genotypes: npt.NDArray[np.integer], rng: np.random.Generator) -> Genotypes:
        """Change one decision that matters; layers that this adds get random choices."""
        return self.canonicalize(moves.mutate(genotypes, self.cardinalities, rng))

    def crossover(
        self,
        first: npt.NDArray[np.integer],
        second: npt.NDArray[np.integer],
        rng: np.random.Generator,
    ) -> Genotypes:
        """Take each decision from either parent, but from one that has the layer."""
        return self.canonicalize(moves.crossover(first, second, rng))

    def neighbors(self, genotype: npt.NDArray[np.integer]) -> Genotypes:
        """Return all architectures that one changed decision can lead to, shape (m, d).

        A unit that grows by one layer gives nine of them and by two layers 81, one
        for each way the new layers can be; so being neighbours is mutual.
        """
        return self.canonicalize(moves.neighbors(genotype, self.cardinalities))

    # -- what an architecture costs -----------------------------------------------------

    def costs(self) -> dict[str, CostFunction]:
        """Return ``macs``, ``params``, ``memory`` and, with a table, ``latency``."""
        costs: dict[str, CostFunction] = {
            "macs": self.macs,
            "params": self.parameters,
            "memory": self.activation_memory,
        }
        return costs | ({"latency": self.latency} if self._latency else {})

    def macs(self, genotypes: npt.NDArray[np.integer]) -> npt.NDArray[np.int64]:
        """Return the multiply-adds of one image through each network, shape (n,)."""
        return self._look_up(self._macs, genotypes)

    def parameters(self, genotypes: npt.NDArray[np.integer]) -> npt.NDArray[np.int64]:
        """Return the number of weights of each network, shape (n,)."""
        return self._look_up(self._parameters, genotypes)

    def activation_memory(
        self, genotypes: npt.NDArray[np.integer], bytes_per_value: int = 4
    ) -> npt.NDArray[np.int64]:
        """Return the peak of activations in bytes for one image, shape (n,).

        See `weaknas.spaces.mobilenetv3.costs.count_peak_values` for what is held at once.
        """
        return self._look_up(self._peak, genotypes) * bytes_per_value

    def latency(self, genotypes: npt.NDArray[np.integer]) -> npt.NDArray[np.float64]:
        """Return the sum of the latencies of all blocks, shape (n,), in the unit of the table.

        Raises
        ------
        InputError
            When the space has no latency table.
        """
        if self._latency is None:
            raise InputError("the space has no latency table; give one: MobileNetV3(latency=path)")
        return self._look_up(self._latency, genotypes)

    def _look_up(self, table: CostTable, genotypes: npt.NDArray[np.integer]) -> npt.NDArray[Any]:
        rows = np.asarray(genotypes)
        kernels, expansions = rows[:, moves.KERNEL_COLUMNS], rows[:, moves.EXPANSION_COLUMNS]
        codes = (1 + len(EXPANSIONS) * kernels + expansions) * moves.layers_present(rows)
        return table(codes, moves.resolution_index(rows))

    # -- networks -------------------------------------------------------------------------

    @property
    def reads(self) -> str:
        """What networks are given: images."""
        return "images"

    @property
    def small_network(self) -> dict[str, Any]:
        """A quarter of the channels."""
        return {"width": 0.25}

    def network(
        self,
        architecture: ArchitectureLike,
        *,
        classes: int = 10,
        shape: tuple[int, ...] = (3, 32, 32),
        **skeleton: Any,
    ) -> Module:
        """Return the torch module of one architecture, untrained.

        Parameters
        ----------
        architecture : Architecture, str or one genotype
        classes : int
            Size of the classifier.
        shape : tuple of int
            Channels, height and width of an image; with strides by their size.
        **skeleton
            ``width`` (default: that of the space), ``strides`` (default: those of the
            space for images of its resolutions, for others by their size) and
            ``dropout`` before the classifier (0.1).

        Raises
        ------
        InputError
            When a value cannot be used or torch is not installed.
        """
        optional_import("torch", "train")
        from weaknas.spaces.mobilenetv3.building import build_network

        strides = self.strides if shape[-1] in self.resolutions else strides_for(shape[-1])
        options = {"width": self.width, "strides": strides, **skeleton}
        choices = decode(self.genotypes([architecture])[0], self.resolutions)
        return build_network(choices, classes, shape, options)

    def supernet(
        self,
        *,
        classes: int | None = None,
        shape: tuple[int, ...] | None = None,
        **skeleton: Any,
    ) -> Supernet:
        """Return the elastic supernet, untrained; every architecture is a part of it.

        Parameters
        ----------
        classes, shape, **skeleton
            As for `network`; default: those of the space, with the largest resolution.

        Raises
        ------
        InputError
            When a value cannot be used or torch is not installed.
        """
        optional_import("torch", "train")
        from weaknas.spaces.mobilenetv3.building import build_supernet

        size = self.resolutions[-1]
        images = (self.channels, size, size) if shape is None else shape
        options = {"width": self.width, "strides": self.strides, **skeleton}
        return build_supernet(self, self.resolutions, classes or self.classes, images, options)

    def superkernel(
        self,
        *,
        weight: float = 0.0,
        warmup: int = 0,
        search_squeeze: bool = False,
        classes: int | None = None,
        shape: tuple[int, ...] | None = None,
        **skeleton: Any,
    ) -> SuperkernelNetwork:
        """Return the network of Single-Path NAS, untrained: its training chooses its blocks.

        Parameters
        ----------
        weight : float
            Of the logarithm of the latency in the loss.
        warmup : int
            Steps in which the latency does not count.
        search_squeeze : bool
            Choose for each block whether it has squeeze-and-excitation. The latency table
            must have both; what is chosen is no architecture of this space, then.
        classes, shape, **skeleton
            As for `supernet`; latencies are of this space whatever is trained.

        Raises
        ------
        InputError
            When the space has no latency table, the table lacks a block, the resolution
            is searched, or torch is not installed.
        """
        if self.latency_table is None or len(self.skeletons) > 1:
            raise InputError(
                "superkernels need a latency table and one resolution:"
                " MobileNetV3(resolution=224, latency=path)"
            )
        optional_import("torch", "train")
        from weaknas.spaces.mobilenetv3.building import build_superkernel

        (measured,) = self.skeletons
        images = (self.channels, self.resolutions[0], self.resolutions[0])
        strides = self.strides if shape is None else strides_for(shape[-1])
        return build_superkernel(
            measured,
            self.latency_table,
            classes or self.classes,
            shape or images,
            {"width": self.width, "strides": strides, **skeleton},
            weight=weight,
            warmup=warmup,
            search_squeeze=search_squeeze,
        )

    def read_choices(self, chosen: Sequence[Choice]) -> Genotypes:
        """Return the genotype, shape (d,), of what superkernels choose at the 20 places.

        Whether there is squeeze-and-excitation is no decision of this space.
        """
        from weaknas.spaces.mobilenetv3.superkernel import to_choices

        return encode(to_choices(chosen, self.resolutions[0]), self.resolutions)

    def inherited_modules(
        self, parent: ArchitectureLike, child: ArchitectureLike
    ) -> Mapping[str, str | None]:
        """Return the blocks of a parent's network for those of a child's, by their places."""
        old, new = (
            {f"{layer}": f"blocks.{place}" for place, layer in enumerate(layers, start=1)}
            for layers in (
                np.flatnonzero(moves.layers_present(self.genotypes([one]))[0]).tolist()
                for one in (parent, child)
            )
        )
        return {name: old.get(layer) for layer, name in new.items()}

    def shrinking_stages(self) -> list[ShrinkingStage]:
        """Return the stages of once-for-all's progressive shrinking."""
        return shrinking_stages(self.cardinalities)

    # -- for people -----------------------------------------------------------------------

    def format(self, genotype: npt.NDArray[np.integer]) -> str:
        """Return e.g. ``k33-533-75-3335-55_e44-334-66-4466-33_r224``.

        The kernels, then the expansions of the layers there are, by unit, and the
        resolution.
        """
        return write_text(decode(genotype, self.resolutions))

    def parse(self, text: str) -> Genotypes:
        """Read the string form, or OFA's ``{"ks", "e", "d", "r"}`` as JSON or digits.

        Digits are ``ks,e,d,r``, one for each of the 20 layers, as in result tables.
        The resolution may be left out where it is not searched.

        Raises
        ------
        InputError
            When the form is wrong or a value is not in this space.
        """
        return encode(read_text(text), self.resolutions)

    def from_ofa(self, choices: Mapping[str, Any]) -> Genotypes:
        """Return the genotype, shape (d,), of OFA's ``{"ks", "e", "d", "r"}``.

        Raises
        ------
        InputError
            When a key is missing or a value is not in this space.
        """
        return encode(read_mapping(choices), self.resolutions)

    def decode(self, architecture: ArchitectureLike) -> dict[str, list[int]]:
        """Return OFA's ``{"ks", "e", "d", "r"}``: 20, 20, 5 values and one.

        ``ks`` and ``e`` are 0 where there is no layer.

        Raises
        ------
        InputError
            When the value is no architecture of this space.
        """
        genotype = self.genotypes([architecture])[0]
        kernels, expansions, depths, resolution = decode(genotype, self.resolutions)
        assert resolution is not None
        return {"ks": list(kernels), "e": list(expansions), "d": list(depths), "r": [resolution]}

    def _genotype(self, value: Any) -> Any:
        return self.from_ofa(value) if isinstance(value, Mapping) else super()._genotype(value)


def _check_resolutions(resolutions: Sequence[int]) -> tuple[int, ...]:
    check_list("resolutions", resolutions)
    for resolution in resolutions:
        if resolution not in _RESOLUTIONS:
            raise InputError(
                f"resolution {resolution!r} is not a whole number of {_RESOLUTIONS.start} to"
                f" {_RESOLUTIONS.stop - 1} pixels"
            )
    if list(resolutions) != sorted(set(resolutions)):
        raise InputError(f"resolutions increase; {list(resolutions)} do not")
    return tuple(int(resolution) for resolution in resolutions)
