"""Ten measurements of a device: how well all cells of NAS-Bench-201 are ranked on it.

Each of 27 devices is left out in turn, with all batch sizes of its card; the others are
sources. Ten cells are measured on it, and the latencies of all 15,625 are predicted; of each
device 20 draws. Told are the rank correlation and the median relative error, beside a ridge
regression on the same sources and operation counts, with ten random cells and with none
of the sources; on the six target and nine source devices of HELP (Lee et al., NeurIPS 2021,
arXiv:2106.08630), beside what it publishes.

The latencies (HayeonLee/HELP, MIT) are ``nasbench201/latency_27_devices.npz`` of the data
folder: one array a device, a cell a row, in the order of ``arch_str`` in ``nasbench201.npz``.

    WEAKNAS_DATA=... python scripts/latency_devices.py --quick
    WEAKNAS_DATA=... python scripts/latency_devices.py
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from _devices import SPACE, Floats, Table
from _shared import parser, save, start
from scipy.stats import norm

from weaknas.costs import CostModel, Sources
from weaknas.laboratory.statistics import spearman_rho
from weaknas.spaces import Genotypes

Rows = npt.NDArray[np.integer]
#: Chooses rows of cells, given a model without measurements, how many, and a generator.
Chooser = Callable[[CostModel, Genotypes, int, np.random.Generator], Rows]

ABOVE_95 = norm.ppf(0.95)  # deviations to the 95 % limit
POOL = 600  # random cells that measurements are chosen from, in each draw
HELP_SOURCES = (
    "1080ti_1", "1080ti_32", "1080ti_256", "silver_4114", "silver_4210r", "samsung_a50",
    "pixel3", "essential_ph_1", "samsung_s7",
)  # fmt: skip
#: The Spearman correlations that HELP publishes for ten measurements.
HELP_TARGETS = {
    "titan_rtx_256": 0.987, "gold_6226": 0.989, "fpga": 0.985,
    "pixel2": 0.802, "raspi4": 0.890, "eyeriss": 0.940,
}  # fmt: skip


# -- how cells are chosen, and the baseline ------------------------------------------------


def at_random(model: CostModel, cells: Genotypes, n: int, rng: np.random.Generator) -> Rows:
    """Draw cells."""
    return rng.choice(len(cells), n, replace=False)


def by_variance(model: CostModel, cells: Genotypes, n: int, rng: np.random.Generator) -> Rows:
    """Choose of a random pool those that leave least variance."""
    pool = rng.choice(len(cells), POOL, replace=False)
    return pool[model.choose(cells[pool], n)]


class Ridge:
    """Ridge regression on standardised logarithms of sources and operation counts."""

    def __init__(self, cells: Genotypes, sources: Sources | None) -> None:
        counts = (cells[:, :, None] == np.arange(1, 5)).sum(axis=1).astype(float)
        columns = counts if sources is None else np.hstack([sources(cells), counts])
        self._columns = (columns - columns.mean(axis=0)) / columns.std(axis=0)

    def predict(self, chosen: Rows, values: Floats) -> Floats:
        """Return the latencies of all cells from those of the chosen."""
        known, logs = self._columns[chosen], np.log(values)
        middle, level = known.mean(axis=0), logs.mean()
        gram = (known - middle) @ (known - middle).T + np.eye(len(chosen))
        dual = np.linalg.solve(gram, logs - level)
        predicted: Floats = np.exp((self._columns - middle) @ ((known - middle).T @ dual) + level)
        return predicted


# -- the study ---------------------------------------------------------------------------------


def measure(
    table: Table,
    device: str,
    sources: Sequence[str],
    *,
    draws: int,
    count: int = 10,
    choose: Chooser = by_variance,
) -> dict[str, float]:
    """Return means over draws for one device: of the model and of the ridge."""
    known, cells, truth = table.sources(sources), table.cells, table.latencies[device]
    model, ridge, rows = CostModel(SPACE, known), Ridge(cells, known), []
    for draw in range(draws):
        chosen = choose(model, cells, count, np.random.default_rng([draw, 0]))
        mean, deviation = model.fit(cells[chosen], truth[chosen]).predict_log(cells)
        error = np.abs(np.exp(mean) / truth - 1)
        baseline = ridge.predict(chosen, truth[chosen])
        rows.append(
            {
                "spearman": spearman_rho(mean, truth),
                "mape": float(error.mean()),
                "median_error": float(np.median(error)),
                "below_95": float((np.log(truth) <= mean + ABOVE_95 * deviation).mean()),
                "ridge_spearman": spearman_rho(baseline, truth),
                "ridge_mape": float(np.abs(baseline / truth - 1).mean()),
                "ridge_median_error": float(np.median(np.abs(baseline / truth - 1))),
            }
        )
    return {name: float(np.mean([row[name] for row in rows])) for name in rows[0]}


def study(
    table: Table,
    sources_of: Callable[[str], Sequence[str]],
    devices: Sequence[str],
    **options: Any,
) -> dict[str, Any]:
    """Measure every device; return their means and each."""
    found = {name: measure(table, name, sources_of(name), **options) for name in devices}
    means = {
        f"mean_{key}": round(float(np.mean([row[key] for row in found.values()])), 4)
        for key in next(iter(found.values()))
    }
    rounded = {
        name: {key: round(value, 4) for key, value in row.items()} for name, row in found.items()
    }
    return {**means, "devices": rounded}


def main() -> None:
    """Run the study and print what it found."""
    arguments = parser(__doc__ or "")
    arguments.add_argument("--draws", type=int, default=20)
    options = arguments.parse_args()
    table, draws = Table.read(), options.draws
    devices, targets = list(table.latencies), list(HELP_TARGETS)
    if options.quick:
        devices, targets, draws = ["fpga", "titanx_32"], ["fpga"], 2
    of_others: Any = (table, table.others, devices)
    alone: Any = (table, lambda _: (), devices)
    of_help: Any = (table, lambda _: HELP_SOURCES, targets)
    content = {"draws": draws, **_say("ten chosen cells", study(*of_others, draws=draws))}
    parts: dict[str, tuple[Any, dict[str, Any]]] = {
        "random_10": (of_others, {"choose": at_random}),
        "random_15": (of_others, {"choose": at_random, "count": 15}),
        "no_sources": (alone, {}),
        "no_sources_random": (alone, {"choose": at_random}),
        "help": (of_help, {}),
        "help_random": (of_help, {"choose": at_random}),
        "help_no_sources": ((table, lambda _: (), targets), {}),
    }
    for name, (setting, choice) in parts.items():
        content[name] = _say(name, study(*setting, draws=draws, **choice))
    for name in targets:
        found = content["help"]["devices"][name]["spearman"]
        print(f"{name}: {found:.3f} with the sources of HELP, which has {HELP_TARGETS[name]}")
    save(options, "latency-devices", content)


def _say(name: str, part: dict[str, Any]) -> dict[str, Any]:
    print(
        f"{name}: Spearman {part['mean_spearman']:.4f} (ridge {part['mean_ridge_spearman']:.4f}),"
        f" MAPE {part['mean_mape']:.1%} (ridge {part['mean_ridge_mape']:.1%}), median error"
        f" {part['mean_median_error']:.1%} (ridge {part['mean_ridge_median_error']:.1%}),"
        f" {part['mean_below_95']:.1%} below the 95 % limit",
        flush=True,
    )
    return part


if __name__ == "__main__":
    start(main)
