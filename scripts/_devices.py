"""The latencies of all cells of NAS-Bench-201 on 27 devices."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from weaknas.costs import Sources
from weaknas.errors import InputError
from weaknas.spaces import Genotypes
from weaknas.spaces.nasbench201 import NASBench201

Floats = npt.NDArray[np.float64]

FILES = "nasbench201/nasbench201.npz", "nasbench201/latency_27_devices.npz"
SPACE = NASBench201()


@dataclass(frozen=True)
class Table:
    """All cells, shape (n, 6), and their latencies on each device, shapes (n,)."""

    cells: Genotypes
    latencies: Mapping[str, Floats]

    @classmethod
    def read(cls) -> Table:
        """Read it from the data folder."""
        folder = Path(os.environ.get("WEAKNAS_DATA", "data"))
        for name in FILES:
            if not (folder / name).exists():
                raise InputError(f"{folder / name}: no such file; WEAKNAS_DATA names its folder")
        cells, devices = (np.load(folder / name, allow_pickle=False) for name in FILES)
        with cells, devices:
            latencies = {name: devices[name].astype(float) for name in devices.files}
            return cls(SPACE.genotypes(cells["ops"]), latencies)

    def others(self, device: str) -> list[str]:
        """Return the devices that are no batch size of the same card."""
        return [name for name in self.latencies if card_of(name) != card_of(device)]

    def sources(self, names: Sequence[str]) -> Sources | None:
        """Return these devices as sources; none, if there are none."""
        known = {name: self.latencies[name] for name in names}
        return Sources(SPACE, self.cells, known) if known else None


def card_of(device: str) -> str:
    """Return the device without the batch size, where one is in its name."""
    return re.sub(r"(?<!ph)_(1|32|256)$", "", device)
