"""Sums of measured blocks against whole networks of MobileNetV3 on this CPU, and their correction.

A table of blocks is measured, then twelve whole networks, from which a model learns how they
differ from the sums of their blocks, and as many random others, on which both are judged.
Short passes, many times: the least median counts, where other work disturbs some of them.

    python scripts/latency_blocks.py --quick
    python scripts/latency_blocks.py
"""

from __future__ import annotations

from typing import Any

import numpy as np
from _shared import parser, save, start

from weaknas.costs import CostModel
from weaknas.laboratory.statistics import spearman_rho
from weaknas.spaces.mobilenetv3 import MobileNetV3
from weaknas.training.latency import measure_networks, measure_table


def main() -> None:
    """Measure and print the errors."""
    arguments = parser(__doc__ or "")
    arguments.add_argument("--width", type=float, default=0.5)
    arguments.add_argument("--resolution", type=int, default=96)
    arguments.add_argument("--networks", type=int, default=12)
    options = arguments.parse_args()
    how: dict[str, Any] = {"device": "cpu", "threads": 1, "rounds": 10, "repeats": 3}
    if options.quick:
        options.width, options.resolution, options.networks = 0.1, 16, 4
        how |= {"rounds": 1, "repeats": 2}
    space = MobileNetV3(options.width, options.resolution)
    table = measure_table(space, **how)
    priced = MobileNetV3(options.width, options.resolution, latency=table)
    rng = np.random.default_rng(options.seed)
    model = CostModel(priced)
    chosen, others = model.propose(options.networks, rng), priced.sample(options.networks, rng)
    both = measure_networks(space, np.vstack([chosen, others]), **how).medians
    model.fit(chosen, both[: options.networks])
    truth = both[options.networks :]
    low, high = model.interval(others, 0.9)
    content: dict[str, Any] = {
        "width": options.width,
        "resolution": options.resolution,
        "networks": options.networks,
        "inside_90": round(float(((low <= truth) & (truth <= high)).mean()), 4),
    }
    for name, predicted in (("sum_of_blocks", priced.latency(others)), ("model", model(others))):
        content[name] = {
            "median_error": round(float(np.median(np.abs(predicted / truth - 1))), 4),
            "median_ratio": round(float(np.median(truth / predicted)), 4),
            "spearman": round(spearman_rho(predicted, truth), 4),
        }
        print(f"{name}: {content[name]}")
    save(options, "latency-blocks", content)


if __name__ == "__main__":
    start(main)
