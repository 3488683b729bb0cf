"""Run every path that a GPU serves, on the fastest device there is and on the CPU.

What to run first on a new machine: a path that fails says why and the others go on. Printed is
one JSON object: of each path seconds, throughput and peak memory on the device, beside those
of the CPU, which is given less to do. Images are random: accuracies mean nothing here.

    python scripts/on_gpu.py --quick
    python scripts/on_gpu.py
    python scripts/on_gpu.py --device cuda:1 --path train --path torchrun
"""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import torch
from _shared import parser, save, start

from weaknas.errors import InputError, unknown
from weaknas.evaluators.supernet import SupernetEvaluator
from weaknas.evaluators.train import TrainEvaluator
from weaknas.execution import ProcessPool
from weaknas.registry import get_encoder, get_predictor
from weaknas.spaces.mobilenetv3 import MobileNetV3
from weaknas.spaces.nasbench201 import NASBench201
from weaknas.supernets.files import save_supernet
from weaknas.supernets.trainer import DEFAULT, SupernetTrainer
from weaknas.training import Protocol
from weaknas.training.data import Dataset, Images, from_arrays
from weaknas.training.devices import choose_device, choose_precision
from weaknas.training.latency import measure_networks
from weaknas.training.trainer import Trainer

CELLS = NASBench201()
CELL = (
    "|nor_conv_3x3~0|+|nor_conv_3x3~0|nor_conv_3x3~1|"
    "+|skip_connect~0|nor_conv_3x3~1|nor_conv_3x3~2|"
)


@dataclass(frozen=True)
class Size:
    """How much a device is given to do.

    Parameters
    ----------
    images : int
        In the training split; a quarter as many are held out.
    batch : int
        Images of a step.
    channels, cells : int
        Of the skeleton of NAS-Bench-201.
    width : float
        Of MobileNetV3.
    architectures : int
        That a supernet scores, or whose latency is measured.
    graphs : int
        That a predictor of 100 trained ones ranks.
    """

    images: int
    batch: int
    channels: int
    cells: int
    width: float
    architectures: int
    graphs: int


#: Of images, batch, channels, cells, width, architectures and graphs.
QUICK = Size(128, 64, 4, 1, 0.1, 3, 200)
ON_CPU = Size(1024, 128, 16, 1, 0.25, 8, 2000)
FULL = Size(20_000, 256, 16, 5, 1.0, 50, 15_625)
_PATIENCE = 900.0  # seconds
Numbers: TypeAlias = dict[str, Any]


@dataclass(frozen=True)
class Place:
    """Where a path runs: a device, how much it does, and a folder of its own."""

    device: torch.device
    size: Size
    folder: Path

    @property
    def name(self) -> str:
        """Of the device, as the toolkit is told it."""
        return str(self.device)

    def dataset(self) -> Dataset:
        """Return random images of 32 by 32 pixels in ten classes."""
        rng, held = np.random.default_rng(0), self.size.images // 4
        count = self.size.images + 2 * held
        images = Images(
            rng.integers(0, 256, (count, 3, 32, 32), dtype=np.uint8), np.arange(count) % 10
        )
        train, test = np.arange(count - held), np.arange(count - held, count)
        names = [str(label) for label in range(10)]
        return from_arrays("random", images.take(train), images.take(test), names, held)

    def protocol(self, **switches: Any) -> Protocol:
        """Return a protocol of two epochs: the first one warms up."""
        size = self.size
        return Protocol(epochs=2, channels=size.channels, cells=size.cells,
                        batch_size=size.batch, **switches)  # fmt: skip


# -- the paths -----------------------------------------------------------------------------------


def train(place: Place) -> Numbers:
    """Train in single precision."""
    return _train(place, precision="float32")


def train_mixed(place: Place) -> Numbers:
    """Train in the fastest precision of a GPU, of the CPU in bfloat16."""
    chosen = choose_precision("auto", place.device)
    precision = "bfloat16" if chosen is torch.float32 else str(chosen).rpartition(".")[2]
    return _train(place, precision=precision) | {"precision": precision}


def train_compiled(place: Place) -> Numbers:
    """Train with torch.compile, which the first epoch pays for."""
    return _train(place, precision="auto", compile=True)


def _train(place: Place, **switches: Any) -> Numbers:
    data, protocol = place.dataset(), place.protocol(**switches)

    def build() -> Any:
        skeleton = {"channels": protocol.channels, "cells": protocol.cells}
        return CELLS.network(CELL, classes=10, shape=(3, 32, 32), **skeleton)

    trained = Trainer(build, data, protocol, device=place.name).run()
    if trained.status != "ok":
        raise InputError(f"the training is {trained.status}")
    return {
        "seconds_first_epoch": trained.seconds[0],
        "seconds_epoch": trained.seconds[1],
        "images_per_second": len(data.train) / trained.seconds[1],
    }


def several_workers(place: Place) -> Numbers:
    """Train architectures by one process and by two, which share a GPU."""
    rows = CELLS.sample(6, np.random.default_rng(0))
    architectures = CELLS.architectures(rows)
    evaluator = TrainEvaluator(
        CELLS, dataset=place.dataset(), protocol=place.protocol(), device=place.device.type
    )
    found: Numbers = {}
    for count in (1, 2):
        shared = count if place.device.type == "cuda" else None
        with ProcessPool(count, workers_per_gpu=shared) as pool:
            # The first training of each waits until the process has started.
            for part in (architectures[:count], architectures[2:]):
                begin = time.perf_counter()
                calls = [pool.submit(evaluator.evaluate, each, seed=count) for each in part]
                for call in calls:
                    call.result()
                seconds = time.perf_counter() - begin
        found[f"trainings_per_minute_of_{count}"] = 60 * len(part) / seconds
    return found


def supernet(place: Place) -> Numbers:
    """Train a supernet by the sandwich rule, and score architectures with its weights."""
    space, data = MobileNetV3(place.size.width, 32, classes=10), place.dataset()
    protocol = DEFAULT.with_options({"epochs": 2, "batch_size": place.size.batch, "warmup": 1})
    ends: list[float] = [time.perf_counter()]
    training = SupernetTrainer(space, data, protocol, device=place.name)
    trained = training.run(progress=lambda _: ends.append(time.perf_counter()))
    save_supernet(place.folder / "supernet.pt", trained.network, {})
    evaluator = SupernetEvaluator(
        space, checkpoint=place.folder / "supernet.pt", dataset=data, device=place.name,
        calibration=min(2000, len(data.train)),
    )  # fmt: skip
    rows = space.sample(place.size.architectures + 1, np.random.default_rng(0))
    evaluator.scores(rows[:1])
    begin = time.perf_counter()
    evaluator.scores(rows[1:])
    return {
        "seconds_epoch": ends[2] - ends[1],
        "images_per_second": len(data.train) / (ends[2] - ends[1]),
        "architectures_scored_per_second": (len(rows) - 1) / (time.perf_counter() - begin),
    }


def torchrun(place: Place) -> Numbers:
    """Train by one process and by two that average their gradients."""
    found: Numbers = {}
    for count in (1, 2):
        if place.device.type == "cuda" and count > torch.cuda.device_count():
            found[f"processes_{count}"] = {"skipped": "fewer GPUs than processes"}
            continue
        if place.device.type == "mps" and count > 1:
            found[f"processes_{count}"] = {"skipped": "one GPU"}
            continue
        command = [
            sys.executable, "-m", "torch.distributed.run", "--standalone",
            "--nproc-per-node", str(count), "-m", "weaknas", "train", CELLS.name, CELL,
            "--dataset", "digits", "--epochs", "2", "--device", place.device.type, "--json",
            "--protocol", f"small:channels={place.size.channels}:cells={place.size.cells}",
        ]  # fmt: skip
        if place.device.type == "cpu":
            command += ["--threads", str(max(1, (os.cpu_count() or 1) // count))]
        done = subprocess.run(
            command, check=False, capture_output=True, text=True, timeout=_PATIENCE
        )
        if done.returncode != 0:
            raise InputError(f"torchrun with {count} processes: {_last_line(done.stderr)}")
        facts = json.loads(done.stdout.splitlines()[-1])
        found[f"processes_{count}"] = {"seconds_training": facts["seconds"]}
    return found


def _last_line(text: str) -> str:
    lines = [line for line in text.splitlines() if line.strip()]
    return lines[-1].strip() if lines else "no message"


def latency(place: Place) -> Numbers:
    """Measure whole networks, one image and 32 at a time."""
    rows, found = CELLS.sample(place.size.architectures, np.random.default_rng(0)), {}
    for batch in (1, 32):
        timings = measure_networks(
            CELLS, rows, device=place.name, batch_size=batch, rounds=1, repeats=5
        )
        found[f"milliseconds_of_{batch}"] = float(np.median(timings.medians))
        found[f"relative_spread_of_{batch}"] = float(np.median(timings.spreads / timings.medians))
    return found


def graph_predictors(place: Place) -> Numbers:
    """Fit graph predictors to 100 cells and rank others."""
    found: Numbers = {}
    rows = CELLS.sample(100 + place.size.graphs, np.random.default_rng(0))
    graphs = get_encoder("graphs", CELLS).fit_transform(rows)
    scores = np.log(CELLS.macs(rows[:100]) + 1.0)
    for name in ("gcn", "graph-transformer"):
        predictor = get_predictor(name, device=place.name, random_state=0)
        begin = time.perf_counter()
        predictor.fit(graphs[:100], scores)
        fitted = time.perf_counter()
        predictor.predict(graphs[100:])
        found[name] = {
            "seconds_fit": fitted - begin,
            "graphs_per_second": place.size.graphs / (time.perf_counter() - fitted),
        }
    return found


PATHS: dict[str, Callable[[Place], Numbers]] = {
    "train": train,
    "train-mixed": train_mixed,
    "train-compiled": train_compiled,
    "several-workers": several_workers,
    "supernet": supernet,
    "torchrun": torchrun,
    "latency": latency,
    "graph-predictors": graph_predictors,
}


# -- running them --------------------------------------------------------------------------------


def measure(name: str, device: torch.device, size: Size) -> Numbers:
    """Run one path; return what it measured, seconds and memory, or why it failed."""
    with tempfile.TemporaryDirectory() as folder:
        if device.type == "cuda":
            torch.cuda.reset_peak_memory_stats(device)
        begin = time.perf_counter()
        try:
            found = PATHS[name](Place(device, size, Path(folder)))
        except Exception as error:  # whatever it is, it is what is asked for here
            found = {"error": f"{type(error).__name__}: {error}".splitlines()[0]}
        seconds = time.perf_counter() - begin
    return {"seconds": seconds, "peak_megabytes": _peak_megabytes(device), **found}


def _peak_megabytes(device: torch.device) -> float | None:
    """Return the most memory this process had: of a GPU in the path, of the CPU until now."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device) / 1e6
    if device.type == "cpu":
        unit = 1 if sys.platform == "darwin" else 1024
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e6
    return None


def describe(device: torch.device) -> dict[str, Any]:
    """Return what the device is."""
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else device.type
    versions = {"torch": torch.__version__, "cuda": torch.version.cuda}
    return {"device": str(device), "name": name, "cores": os.cpu_count(), **versions}


def rounded(value: Any) -> Any:
    """Return numbers with four digits."""
    if isinstance(value, dict):
        return {key: rounded(each) for key, each in value.items()}
    return float(f"{value:.4g}") if isinstance(value, float) else value


def main() -> None:
    """Run the paths, print them as one JSON object, and keep it."""
    arguments = parser(__doc__ or "")
    arguments.add_argument("--device", help="cuda, cuda:N, mps or cpu; default: the fastest")
    arguments.add_argument("--path", action="append", help=f"of {', '.join(PATHS)}; default: all")
    options = arguments.parse_args()
    for name in options.path or ():
        if name not in PATHS:
            raise unknown("path", name, PATHS)
    device, cpu = choose_device(options.device), torch.device("cpu")
    places = {str(cpu): (cpu, QUICK if options.quick else ON_CPU)}
    if device != cpu:
        places[str(device)] = (device, QUICK if options.quick else FULL)
    content: dict[str, Any] = {"machine": describe(device), "paths": {}}
    for name in options.path or PATHS:
        content["paths"][name] = {}
        for label, (where, size) in places.items():
            print(f"{name} on {label} ...", file=sys.stderr, flush=True)
            content["paths"][name][label] = rounded(measure(name, where, size))
    print(json.dumps(content, indent=1))
    save(options, "on-gpu", content)
    failed = [
        f"{name} on {label}: {found['error']}"
        for name, of_path in content["paths"].items()
        for label, found in of_path.items()
        if "error" in found
    ]
    if failed:
        raise InputError("; ".join(failed))


if __name__ == "__main__":
    start(main)
