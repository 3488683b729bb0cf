"""The tables of NAS-Bench-Graph, from the package ``nas-bench-graph``."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import numpy as np

from weaknas.errors import InputError, MissingDependencyError, install_command, unknown
from weaknas.spaces.files.pickles import PLAIN_AND_NUMBERS, load_restricted
from weaknas.spaces.files.tables import Columns
from weaknas.spaces.graph.space import LINKS, OPERATIONS

DATASETS = (
    "cora",
    "citeseer",
    "pubmed",
    "cs",
    "physics",
    "photo",
    "computers",
    "arxiv",
    "proteins",
)
# Official name, column, unit of the column in that of the file.
_VALUES = (
    ("valid_perf", "valid_accuracy", 100.0),
    ("perf", "test_accuracy", 100.0),
    ("latency", "latency_seconds", 1.0),
    ("para", "parameters", 1e6),
)


def load_table(dataset: str = "cora") -> Columns:
    """Return the results of one data set, each the mean of three trainings.

    Parameters
    ----------
    dataset : str
        One of `DATASETS`.

    Returns
    -------
    dict of str to ndarray
        ``genotype`` (n, 5); ``valid_accuracy`` and ``test_accuracy`` (n,) in percent
        (``proteins``: area under the ROC curve); ``latency_seconds``, ``parameters``.
        26,206 rows, of ``proteins`` 2,021: it was trained with five operations.

    Raises
    ------
    InputError
        When the data set is unknown, the package is not installed or its file damaged.
    """
    if dataset not in DATASETS:
        raise unknown("dataset", dataset, DATASETS)
    path = _folder() / f"{dataset}.bench"
    table = load_restricted(path, PLAIN_AND_NUMBERS)
    try:
        keys = np.array(list(table), dtype=np.int64)
        values = np.array([[row[name] for name, *_ in _VALUES] for row in table.values()], float)
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise InputError(f"{path}: not a table of NAS-Bench-Graph ({error!r})") from error
    genotypes = keys[:, None] // 10 ** np.arange(5)[::-1] % 10
    if (genotypes >= [len(LINKS)] + [len(OPERATIONS)] * 4).any() or len(keys) == 0:
        raise InputError(f"{path}: not a table of NAS-Bench-Graph (a key is no architecture)")
    columns = {name: values[:, i] * unit for i, (_, name, unit) in enumerate(_VALUES)}
    return {"genotype": genotypes.astype(np.int16), **columns}


def _folder() -> Path:
    # The package itself is not imported: nothing of it but its files is needed.
    found = importlib.util.find_spec("nas_bench_graph")
    if found is None or not found.submodule_search_locations:
        raise MissingDependencyError(
            f"nas-bench-graph is not installed; install it with: {install_command('graph')}"
        )
    return Path(found.submodule_search_locations[0]) / "light"
