"""Single-Path NAS on digits: the latency that is asked for, and against random networks.

Superkernels over the skeleton of MobileNetV3 at a quarter of its width, with the latencies
of a published table, at full width:

- trainings with rising weights of the latency: what is derived must become faster;
- the weight that meets a latency half way (on a logarithmic scale) between the fastest and
  the slowest network, found in at most six trainings;
- what was derived there, and random networks of the same latency within 5 %, each trained
  alone.

    python scripts/superkernel.py --quick
    python scripts/superkernel.py --table note10_lut_w1.2.json.gz --table-width 1.2
"""

from __future__ import annotations

from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import torch
from _shared import parser, save, start

from weaknas.errors import InputError
from weaknas.files import data_folders, write_json
from weaknas.laboratory.statistics import bootstrap_interval
from weaknas.spaces import Architecture, Genotypes
from weaknas.spaces.mobilenetv3 import MobileNetV3
from weaknas.supernets.single_path_nas import Derived, derive, meet_latency
from weaknas.training import Dataset, Protocol, get_protocol, load_dataset
from weaknas.training.export import read_card
from weaknas.training.final import train_final

WEIGHTS = (1.0, 10.0, 20.0, 40.0, 100.0)
WIDTH = 0.25
_LARGE = {"kernel": 1, "expansion": 2}  # indices of kernel 5 and expansion 6


def find_table(name: str) -> Path:
    """Return the file of a latency table: a path, or a name in ``mobilenet`` of a data folder."""
    paths = [Path(name), *(folder / "mobilenet" / name for folder in data_folders())]
    found = next((path for path in paths if path.exists()), None)
    if found is None:
        raise InputError(f"no latency table {name}; name its file with --table")
    return found


def as_large(space: MobileNetV3, large: bool) -> Genotypes:
    """Return the slowest or the fastest network that superkernels can become, shape (1, d)."""
    row = [
        2 * large if name.startswith("depth") else large * _LARGE[name.rstrip("0123456789.")]
        for name in space.variables
    ]
    return np.array([row], dtype=np.int16)


def draw(space: MobileNetV3, latency: float, count: int, seed: int) -> list[Architecture]:
    """Return random networks of superkernels' choices, within 5 % of a latency."""
    rng, found = np.random.default_rng(seed), []
    large = as_large(space, True)[0]
    depth = np.array([name.startswith("depth") for name in space.variables])
    for _ in range(1000):
        # Each has a share of large choices of its own, so that all latencies are drawn.
        rows = (rng.random((1000, len(large))) < rng.random((1000, 1))) * large
        rows[:, depth] = rng.binomial(2, rng.random((1000, 1)), (1000, int(depth.sum())))
        near = np.abs(space.latency(rows) / latency - 1) <= 0.05
        found += space.architectures(space.canonicalize(rows[near]))
        if len(found) >= count:
            break
    return found[:count]


def test_alone(
    space: MobileNetV3,
    chosen: Architecture,
    *,
    data: Dataset,
    protocol: Protocol,
    seed: int,
    folder: Path,
) -> float:
    """Return the test accuracy of a network that is trained by itself."""
    done = read_card(folder)
    if done is None:
        alone = protocol.with_options({"skeleton.width": WIDTH})
        done = train_final(space, chosen, data, alone, seed=seed, device="cpu", threads=1)
        write_json(folder / "card.json", done)
    return float(done["test_accuracy"])


def row_of(derived: Derived) -> dict[str, Any]:
    """Return what is kept of a training of superkernels."""
    return {
        "weight": round(derived.weight, 4),
        "latency": round(derived.latency, 3),
        "accuracy": round(derived.accuracy, 4),
        "architecture": derived.architecture.text,
    }


def main() -> None:
    """Run the study and print it."""
    arguments = parser(__doc__ or "")
    arguments.add_argument("--table", default="note10_lut_w1.2.json.gz")
    arguments.add_argument("--table-width", type=float, default=1.2)
    arguments.add_argument("--epochs", type=int, default=5)
    arguments.add_argument("--random", type=int, default=6, help="networks")
    options = arguments.parse_args()
    torch.set_num_threads(1)
    quick = options.quick
    count, epochs = (1, 1) if quick else (options.random, options.epochs)
    work = options.work / ("superkernel-quick" if quick else "superkernel")
    space = MobileNetV3(options.table_width, latency=find_table(options.table))
    protocol = get_protocol("small", channels=None, cells=None, epochs=epochs, weight_decay=3e-5)
    data = load_dataset("digits")
    if quick:
        data, protocol = data.part(0.1), protocol.with_options({"batch_size": 16})

    def run(weight: float) -> Derived:
        weight = float(f"{weight:.6g}")  # as its folder is called
        made = derive(
            space, data, weight, protocol, seed=options.seed, device="cpu", threads=1,
            output=work / f"{weight:.6g}", width=WIDTH,
        )  # fmt: skip
        print(f"weight {weight:8.3f}: {made.latency:6.2f} ms, {made.architecture.text}", flush=True)
        return made

    sweep = [row_of(run(weight)) for weight in (WEIGHTS[-1:] if quick else WEIGHTS)]
    bounds = tuple(float(space.latency(as_large(space, large))[0]) for large in (False, True))
    target = float(np.sqrt(bounds[0] * bounds[1]))
    met = meet_latency(run, target, (bounds[0], bounds[1]), runs=1 if quick else 6)
    chosen = met[-1]
    test = partial(test_alone, space, data=data, protocol=protocol)
    others = draw(space, chosen.latency, count, options.seed)
    random = [
        test(one, seed=options.seed, folder=work / "random" / str(place))
        for place, one in enumerate(others)
    ]
    seeds = range(options.seed, options.seed + (1 if quick else 3))
    own = [test(chosen.architecture, seed=s, folder=work / "derived" / str(s)) for s in seeds]
    low, high = bootstrap_interval(random)
    print(
        f"target {target:.2f} ms, met {chosen.latency:.2f} ms after {len(met)} trainings;"
        f" derived {100 * np.mean(own):.2f} % {[round(100 * one, 2) for one in own]}, {count}"
        f" random {100 * np.mean(random):.2f} % [{100 * low:.2f}, {100 * high:.2f}]"
    )
    save(
        options,
        "superkernel",
        {
            "table": Path(options.table).name,
            "bounds": bounds,
            "protocol": protocol.describe(),
            "sweep": sweep,
            "monotone": all(a["latency"] >= b["latency"] for a, b in pairwise(sweep)),
            "target": target,
            "met": [row_of(one) for one in met],
            "derived": own,
            "random": {
                "tests": random,
                "mean": float(np.mean(random)),
                "ci95": [low, high],
                "architectures": [one.text for one in others],
            },
        },
    )


if __name__ == "__main__":
    start(main)
