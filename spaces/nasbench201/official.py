"""Reading the official files of NAS-Bench-201 and NATS-Bench (topology and size).

All releases hold one record an architecture, with a state for each training
schedule (called ``200`` and ``12`` epochs in NATS-Bench, ``full`` and ``less``
in NAS-Bench-201). A state lists trainings by data set and seed; a training has
its accuracies by epoch, in percent. They differ in how this is wrapped:

- NATS-Bench, one file: a pickle compressed by bz2;
- NATS-Bench, fast: a folder (or its tar archive) of one such pickle an architecture;
- NAS-Bench-201: one file written by ``torch.save``, or an archive folder of them.

One-file releases are unpickled as a whole, which takes many times their size in
memory (tens of gigabytes); the fast folder is read file by file and takes
little, so prefer it where there is a choice.
"""

from __future__ import annotations

import io
import re
import tarfile
from collections.abc import Callable, Iterator
from contextlib import closing
from functools import cache
from pathlib import Path
from typing import IO, Any, NamedTuple, TypeAlias, cast

import numpy as np
import numpy.typing as npt

from weaknas.errors import InputError
from weaknas.spaces.files.pickles import load_container
from weaknas.spaces.files.tables import Columns
from weaknas.spaces.nasbench201.space import NASBench201
from weaknas.spaces.rows import Genotypes

Values: TypeAlias = npt.NDArray[np.floating]
#: Called with what is done and what there is: files of a folder, else bytes.
Progress: TypeAlias = Callable[[int, int], None]

_MEMBER = re.compile(r"(\d{1,6})(-FULL|-SIMPLE)?\.(pickle\.pbz2|pth)")
_CURVE = "_accuracy_curve"


class Dataset(NamedTuple):
    """Where the official files keep the results of one data set.

    Validation accuracy of CIFAR-10 comes from trainings on half of its training
    images, its test accuracy from trainings with the same seed on all of them.
    """

    classes: int
    training: str
    valid: str
    test_training: str
    test: str


DATASETS = {
    "cifar10": Dataset(10, "cifar10-valid", "x-valid", "cifar10", "ori-test"),
    "cifar100": Dataset(100, "cifar100", "x-valid", "cifar100", "x-test"),
    "imagenet16-120": Dataset(120, "ImageNet16-120", "x-valid", "ImageNet16-120", "x-test"),
}


class Layout(NamedTuple):
    """What is particular to the files of one space.

    Parameters
    ----------
    parse : callable
        Architecture string to genotype, shape (d,).
    schedules : dict of str to tuple of str
        Suffix of the columns of a training schedule, ``""`` for the full one, to
        what the schedule is called in the files.
    parameters : callable, optional
        Genotypes, shape (n, d), and number of classes to number of weights, shape (n,).
    """

    parse: Callable[[str], Genotypes]
    schedules: dict[str, tuple[str, ...]]
    parameters: Callable[[Genotypes, int], npt.NDArray[np.int64]] | None = None


TOPOLOGY = Layout(
    NASBench201().parse,
    {"": ("200", "full"), "@12": ("12", "less")},
    lambda genotypes, classes: NASBench201().parameters(genotypes, classes),
)


class _Record(NamedTuple):
    """One architecture as the files have it; `origin` is what errors call it."""

    origin: str
    number: int
    states: dict[str, Any]


class _Row(NamedTuple):
    """One architecture on one data set: values by column, shape (trainings[, epochs])."""

    number: int
    genotype: Genotypes
    values: dict[str, Values]


def read_official(
    path: Path, progress: Progress | None = None, layout: Layout = TOPOLOGY
) -> dict[str, Columns]:
    """Read a release and return the columns of each data set, rows by official index.

    Parameters
    ----------
    path : Path
        A file or folder, see the module.
    progress : callable, optional
        Called with what is done and what there is, in files of a folder, else in bytes.
    layout : Layout
        Default: the topology space, NAS-Bench-201.

    Returns
    -------
    dict of str to dict of str to ndarray
        Columns that the release lacks, and data sets without results, are left out.

    Raises
    ------
    InputError
        When it is none of the known forms, or damaged; the message names the file.
    """
    rows: dict[str, list[_Row]] = {dataset: [] for dataset in DATASETS}
    for record in _records(path, progress or (lambda _done, _total: None)):
        for dataset, row in _read_record(record, layout).items():
            rows[dataset].append(row)
    tables = {}
    for dataset in list(rows):
        ordered = sorted(rows.pop(dataset), key=lambda row: row.number)
        if ordered:
            tables[dataset] = _stack(ordered, DATASETS[dataset].classes, layout)
    if not tables:
        raise InputError(f"{path}: holds no results of {', '.join(DATASETS)}")
    return tables


# -- from files to records ---------------------------------------------------------------


class _WatchedFile(io.FileIO):
    """A file that reports how far it has been read."""

    def __init__(self, path: Path, progress: Progress) -> None:
        super().__init__(path)
        self._size = path.stat().st_size
        self._progress = progress

    def readinto(self, buffer: Any) -> int | None:
        count = super().readinto(buffer)
        self._progress(self.tell(), self._size)
        return count


def _records(path: Path, progress: Progress) -> Iterator[_Record]:
    if path.is_dir():
        yield from _folder_records(path, progress)
    elif not path.is_file():
        raise InputError(f"{path}: no such file or folder")
    else:
        with io.BufferedReader(_WatchedFile(path, progress), 1 << 20) as stream:
            if path.suffix == ".tar":
                yield from _tar_records(cast(IO[bytes], stream), path)
            else:
                yield from _release_records(load_container(stream, str(path)), str(path))


def _folder_records(folder: Path, progress: Progress) -> Iterator[_Record]:
    found = {file: _MEMBER.fullmatch(file.name) for file in sorted(folder.iterdir())}
    members = [(file, int(match[1])) for file, match in found.items() if match]
    if not members:
        raise InputError(
            f"{folder}: holds no files such as 000000.pickle.pbz2 (NATS-Bench, fast folder)"
            " or 000000-FULL.pth (NAS-Bench-201, archive)"
        )
    for done, (file, index) in enumerate(members):
        progress(done, len(members))
        with file.open("rb") as stream:
            yield _Record(str(file), index, load_container(stream, str(file)))
    progress(len(members), len(members))


def _tar_records(stream: IO[bytes], path: Path) -> Iterator[_Record]:
    try:
        with tarfile.open(fileobj=stream, mode="r:") as archive:
            for member in archive:
                match = _MEMBER.fullmatch(Path(member.name).name)
                content = archive.extractfile(member) if match and member.isfile() else None
                if match and content:
                    origin = f"{path}: {member.name}"
                    with closing(content):
                        states = load_container(io.BufferedReader(cast(Any, content)), origin)
                    yield _Record(origin, int(match[1]), states)
    except (tarfile.TarError, OSError, EOFError) as error:
        raise InputError(f"{path}: damaged, or no tar archive ({error})") from error


def _release_records(release: Any, origin: str) -> Iterator[_Record]:
    records = release.get("arch2infos") if isinstance(release, dict) else None
    if not isinstance(records, dict) or not records:
        raise InputError(
            f"{origin}: holds no 'arch2infos', so it is not a benchmark file of NAS-Bench-201"
            " or NATS-Bench (the file meta.pickle.pbz2 alone has no results: name its folder)"
        )
    for index in sorted(records):
        # Taken out, so that the memory of what is done can be used again.
        yield _Record(f"{origin}: architecture {index}", index, records.pop(index))


# -- from records to rows ------------------------------------------------------------------


def _read_record(record: _Record, layout: Layout) -> dict[str, _Row]:
    try:
        states = _states(record.states, layout)
        genotype = layout.parse(next(iter(states.values()))["arch_str"])
        values = {dataset: _measure(states, spec) for dataset, spec in DATASETS.items()}
    except (
        InputError,
        ArithmeticError,
        AttributeError,
        LookupError,
        TypeError,
        ValueError,
    ) as error:
        detail = f"no {error}" if isinstance(error, KeyError) else str(error)
        raise InputError(f"{record.origin}: not the expected layout ({detail})") from error
    return {
        dataset: _Row(record.number, genotype, columns)
        for dataset, columns in values.items()
        if np.isfinite(columns.get("valid_accuracy", np.nan)).any()
    }


def _states(states: dict[str, Any], layout: Layout) -> dict[str, Any]:
    """Return the states by the suffix of their columns."""
    found = {
        suffix: states[name]
        for suffix, names in layout.schedules.items()
        for name in names
        if name in states
    }
    if "" not in found:
        known = ", ".join(name for names in layout.schedules.values() for name in names)
        raise InputError(f"schedules {', '.join(map(str, states))}; those of the space are {known}")
    return found


def _measure(states: dict[str, Any], spec: Dataset) -> dict[str, Values]:
    """Return the values of all schedules of one architecture on one data set, by column."""
    columns: dict[str, Values] = {}
    for suffix, state in states.items():
        measured = _measure_schedule(state["all_results"], spec)
        if not suffix:
            # Curves are most of the table: half the precision is plenty.
            columns |= {k: v.astype(np.float32) for k, v in measured.items() if k.endswith(_CURVE)}
            columns["latency_seconds"] = measured.get("latency_seconds", np.empty(0))
        for split in ("train", "valid", "test") if not suffix else ("valid", "test"):
            if split + _CURVE in measured:
                columns[f"{split}_accuracy{suffix}"] = measured[split + _CURVE][:, -1]
        columns[f"train_seconds{suffix}"] = measured.get("train_seconds", np.empty(0))
    return columns


def _measure_schedule(results: dict[tuple[str, Any], Any], spec: Dataset) -> dict[str, Values]:
    """Return curves, shape (trainings, epochs), and seconds, shape (trainings,), by seed."""
    trainings = _by_seed(results, spec.training)
    tests = _by_seed(results, spec.test_training)
    if not trainings:
        return {}
    curves = [
        (
            _train_curve(training),
            _eval_curve(training, spec.valid),
            _eval_curve(tests.get(seed), spec.test, training["epochs"]),
        )
        for seed, training in trainings.items()
    ]
    train, valid, test = (np.stack(curve) for curve in zip(*curves, strict=True))
    return {
        "train" + _CURVE: train,
        "valid" + _CURVE: valid,
        "test" + _CURVE: test,
        "train_seconds": np.array([_train_seconds(t) for t in trainings.values()]),
        "latency_seconds": np.array([_latency(t) for t in trainings.values()]),
    }


def _by_seed(results: dict[tuple[str, Any], Any], name: str) -> dict[int, dict[str, Any]]:
    found = {int(seed): result for (dataset, seed), result in results.items() if dataset == name}
    return {seed: found[seed] for seed in sorted(found)}


def _train_curve(training: dict[str, Any]) -> Values:
    accuracies = training["train_acc1es"]
    return np.array([accuracies.get(epoch, np.nan) for epoch in range(training["epochs"])], float)


def _eval_curve(training: dict[str, Any] | None, split: str, epochs: int = 0) -> Values:
    if training is None:
        return np.full(epochs, np.nan)
    accuracies = training["eval_acc1es"]
    return np.array([accuracies.get(k, np.nan) for k in _keys(split, training["epochs"])], float)


@cache
def _keys(split: str, epochs: int) -> list[str]:
    return [f"{split}@{epoch}" for epoch in range(epochs)]


def _train_seconds(training: dict[str, Any]) -> float:
    """Return the seconds of all epochs; early files did not measure them."""
    times = training.get("train_times")
    return float(sum(times.values())) if times else np.nan


def _latency(training: dict[str, Any]) -> float:
    """Return the mean seconds of a batch; -1 in the files means unknown."""
    measured = [seconds for seconds in training.get("latency") or () if seconds > 0]
    return float(np.mean(measured)) if measured else np.nan


# -- from rows to columns --------------------------------------------------------------------


def _stack(rows: list[_Row], classes: int, layout: Layout) -> Columns:
    """Return columns; where an architecture has fewer trainings than others there is NaN."""
    genotypes = np.stack([row.genotype for row in rows])
    columns: Columns = {
        "index": np.array([row.number for row in rows], dtype=np.int32),
        "genotype": genotypes,
    }
    if layout.parameters is not None:
        columns["parameters"] = layout.parameters(genotypes, classes)
    for name in dict.fromkeys(name for row in rows for name in row.values):
        stacked = _pad([row.values.pop(name, np.empty(0)) for row in rows])
        # A curve that is known at its end alone says no more than the final accuracy.
        telling = stacked[..., :-1] if name.endswith(_CURVE) else stacked
        if np.isfinite(telling).any():
            columns[name] = stacked
    return columns


def _pad(arrays: list[Values]) -> Values:
    """Stack arrays of different shapes, filled up with NaN; an empty one stands for no values."""
    present = [array for array in arrays if array.size] or arrays
    shape = np.array([array.shape for array in present]).max(axis=0)
    stacked = np.full((len(arrays), *shape), np.nan, dtype=present[0].dtype)
    for row, array in zip(stacked, arrays, strict=True):
        if array.size:
            row[tuple(slice(size) for size in array.shape)] = array
    return stacked
