"""Latency as the sum over measured blocks, in the table formats of once-for-all."""

from __future__ import annotations

import gzip
import json
import math
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from weaknas.errors import InputError, unknown
from weaknas.files import write_atomically
from weaknas.spaces.files.packed import open_unpacked, reporting
from weaknas.spaces.mobilenetv3.costs import CostTable, PartCost
from weaknas.spaces.mobilenetv3.skeleton import EXPANSIONS, KERNELS, LAYERS, Block, Part, Skeleton


class Format(NamedTuple):
    """How a table names the parts of the network.

    Parameters
    ----------
    block : str
        Name of an inverted residual block.
    expansion : {"channels_mid", "expansion"}
        What stands for its width.
    hard_swish : bool
        Whether its activation is named.
    layers : dict of str to str
        The other parts that are in the table.
    """

    block: str
    expansion: str
    hard_swish: bool
    layers: dict[str, str]

    def key(self, part: Part) -> str | None:
        """Return how a part is called, None where the table does not have it."""
        if isinstance(part, Block):
            fields = {
                "input": _shape(part.size_in, part.channels_in),
                "output": _shape(part.size_out, part.channels_out),
                "expand": part._asdict()[self.expansion],
                "kernel": part.kernel,
                "stride": part.stride,
                "idskip": int(part.shortcut),
                "se": int(part.squeeze),
            } | ({"hs": int(part.hard_swish)} if self.hard_swish else {})
            return "-".join([self.block, *(f"{name}:{value}" for name, value in fields.items())])
        template = self.layers.get(part.name)
        return template and template.format(
            input=_shape(part.size_in, part.channels_in),
            output=_shape(part.size_out, part.channels_out),
            channels_in=part.channels_in,
            channels_out=part.channels_out,
        )


#: ``phone`` is that of the published phone tables, ``desktop`` that of the desktop CPUs.
FORMATS = {
    "phone": Format(
        "expanded_conv",
        "channels_mid",
        True,
        {
            "stem": "Conv-input:{input}-output:{output}",
            "final_expand": "Conv_1-input:{input}-output:{output}",
            "pool": "AvgPool2D-input:{input}-output:{output}",
            "feature_mix": "Conv_2-input:{input}-output:{output}",
            "classifier": "Logits-input:{input}-output:{channels_out}",
        },
    ),
    "desktop": Format(
        "MBConv",
        "expansion",
        False,
        {
            "stem": "first_conv-input:{input}-output:{output}",
            "final_expand": "final_expand_layer-input:{input}-output:{output}",
            "feature_mix": "feature_mix_layer-input:{input}-output:{output}",
            "classifier": "classifier-input:{channels_in}-output:{channels_out}",
        },
    ),
}


class LatencyTable:
    """Measured latency of the parts of networks.

    Parameters
    ----------
    blocks : mapping of int or None to mapping of str to float
        For each resolution of the network, or once under None for all of them,
        the latency of each part by its key. The published tables are in
        milliseconds.
    format : {"phone", "desktop"}
        How keys are written.
    name : str
        How errors and records call the table.

    Raises
    ------
    InputError
        When the format is unknown or a latency is no positive number.
    """

    def __init__(
        self,
        blocks: Mapping[int | None, Mapping[str, float]],
        format: str = "phone",
        name: str = "latency table",
    ) -> None:
        if format not in FORMATS:
            raise unknown("format of latency tables", format, FORMATS)
        self.blocks = {resolution: dict(part) for resolution, part in blocks.items()}
        self.format, self.name = format, name
        for part in self.blocks.values():
            for key, value in part.items():
                if not (math.isfinite(value) and value >= 0):
                    raise InputError(f"{name}: the latency of {key} is {value}")

    @classmethod
    def read(cls, path: str | Path) -> LatencyTable:
        """Read a JSON file, perhaps compressed by gzip.

        It maps keys to latencies, or resolutions to such mappings. A latency is a
        number, or as in the files of once-for-all an object with a ``mean``. The
        format is told by the keys.

        Raises
        ------
        InputError
            When the file is missing, damaged or of another layout.
        """
        path = Path(path)
        content = _read_json(path)
        try:
            nested = all(str(key).isdecimal() for key in content)
            tables = {int(r): part for r, part in content.items()} if nested else {None: content}
            blocks = {
                r: {str(key): _mean(value) for key, value in part.items()}
                for r, part in tables.items()
            }
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise InputError(f"{path}: no table of latencies by block ({error!r})") from error
        return cls(blocks, _recognize(blocks.values(), path), path.name)

    def write(self, path: str | Path) -> None:
        """Write the table as JSON that `read` reads, compressed where the name ends in .gz."""
        path = Path(path)
        content: Any = {str(r): part for r, part in self.blocks.items()}
        data = json.dumps(self.blocks.get(None, content), indent=1).encode()
        if path.suffix == ".gz":
            data = gzip.compress(data, mtime=0)
        write_atomically(path, lambda temporary: _write(temporary, data))

    def tabulate(self, skeletons: Iterable[Skeleton]) -> CostTable:
        """Return the latency of every block at every place.

        Raises
        ------
        InputError
            When the table lacks a resolution or a block; the message names it.
        """
        return CostTable({skeleton: self.part_cost(skeleton) for skeleton in skeletons})

    def part_cost(self, skeleton: Skeleton) -> PartCost:
        """Return what gives the latency of a part of the networks of one width and resolution.

        Raises
        ------
        InputError
            When the table lacks the resolution or a block; of what is returned, when it
            is asked for another block that the table lacks.
        """
        resolution = None if None in self.blocks else skeleton.resolution
        if resolution not in self.blocks:
            raise unknown(f"resolution of {self.name}", resolution, self.blocks)
        blocks = self.blocks[resolution]
        missing = [key for key in required_parts(skeleton, self.format) if key not in blocks]
        if missing:
            raise InputError(
                f"{self.name} lacks {len(missing)} blocks of the networks of width"
                f" {skeleton.width:g} at resolution {skeleton.resolution}, the first being"
                f" {missing[0]}"
            )
        key_of = FORMATS[self.format].key

        def latency(part: Part) -> float:
            key = key_of(part)
            if key and key not in blocks:
                raise InputError(f"{self.name} lacks the block {key}")
            return blocks[key] if key else 0.0

        return latency


def required_parts(skeleton: Skeleton, format: str = "phone") -> dict[str, Part]:
    """Return all that a table must have for one width and resolution, by key: what to measure."""
    blocks = [
        skeleton.block(layer, kernel, expansion)
        for layer in range(LAYERS)
        for kernel in KERNELS
        for expansion in EXPANSIONS
    ]
    keyed = {FORMATS[format].key(part): part for part in (*skeleton.fixed, *blocks)}
    return {key: part for key, part in keyed.items() if key}


def _shape(size: int, channels: int) -> str:
    return f"{size}x{size}x{channels}"


def _read_json(path: Path) -> Any:
    with reporting(str(path)), open_unpacked(path) as file:
        return json.load(file)


def _mean(value: Any) -> float:
    return float(value["mean"] if isinstance(value, Mapping) else value)


def _recognize(tables: Iterable[Mapping[str, float]], path: Path) -> str:
    kinds = {key.partition("-")[0] for table in tables for key in table}
    for name, form in FORMATS.items():
        if form.block in kinds:
            return name
    blocks = " or ".join(form.block for form in FORMATS.values())
    raise InputError(f"{path}: no table of latencies by block (no keys {blocks})")


def _write(path: Path, data: bytes) -> None:
    path.write_bytes(data)
