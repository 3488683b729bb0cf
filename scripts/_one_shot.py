"""What the studies of shared weights share: supernets of small cells, and cells out of them.

Everything is kept in a folder and made once, so that studies share what they have in common
and continue where they were cut short.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass, replace
from functools import cache
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
from _shared import DATASETS, SPACE

import weaknas
from weaknas.evaluators.supernet import SupernetEvaluator
from weaknas.evaluators.train import TrainEvaluator
from weaknas.files import write_json
from weaknas.spaces.nasbench201 import NASBench201
from weaknas.supernets.building import build_supernet
from weaknas.supernets.files import save_supernet
from weaknas.supernets.mixed.derive import Derivation
from weaknas.supernets.mixed.schedule import get_method
from weaknas.supernets.mixed.trainer import MixedTrainer, MixedTraining, default_protocol
from weaknas.supernets.samplers.making import make_sampler
from weaknas.supernets.trainer import DEFAULT, SupernetTrainer
from weaknas.training import Dataset, load_dataset
from weaknas.training.checkpoints import Checkpoint
from weaknas.training.data import Images
from weaknas.training.devices import choose_device

CELLS = NASBench201()
_LESSONS = 5  # of controllers after an epoch, which has 7 steps on digits; published: 30 after 390
_CALIBRATION = 300  # images that batch norms of a cell that is cut out are recalibrated on


@dataclass(frozen=True)
class Setting:
    """How small everything is.

    Parameters
    ----------
    dataset : str
    images, held : int, optional
        Of training and of validation, the first; default: all, and as many as of training.
    size : int, optional
        Height and width that images are averaged down to; default: as they are.
    channels : int
        Of the first stage; a stage has one cell.
    epochs : int
        Of a mixed supernet, of all its stages together.
    learning_rate, alpha_rate : float
        Of weights and of the weights of operations.
    tuning : int
        Epochs between decisions of a derivation.
    evaluations : int
        Of a search by WeakNAS with shared weights.
    uniform_epochs : int
        Of a single-path supernet.
    trainings : int
        Of a search by WeakNAS that trains every cell alone.
    training_epochs : int
        Of each of these.
    """

    dataset: str = "digits"
    images: int | None = None
    held: int | None = None
    size: int | None = None
    channels: int = 4
    epochs: int = 24
    learning_rate: float = 0.1
    alpha_rate: float = 0.01
    tuning: int = 1
    evaluations: int = 30
    uniform_epochs: int = 100
    trainings: int = 20
    training_epochs: int = 8

    @property
    def skeleton(self) -> dict[str, Any]:
        """Options of the network around the cells."""
        return {"channels": self.channels, "cells": 1}


#: By data set. On Fashion-MNIST the learning rate is the published one; that of the weights of
#: operations was chosen by one training with seed 100, which collapsed.
SETTINGS = {
    "digits": Setting(),
    "fashion-mnist": Setting(
        dataset="fashion-mnist",
        images=2560,
        held=400,
        size=7,
        epochs=32,
        learning_rate=0.025,
        alpha_rate=0.003,
        uniform_epochs=35,
        training_epochs=3,
    ),
}
#: What --quick runs instead.
QUICK = Setting(
    images=128,
    channels=2,
    epochs=3,
    tuning=0,
    evaluations=3,
    uniform_epochs=1,
    trainings=2,
    training_epochs=1,
)


def reduced(data: Dataset, setting: Setting) -> Dataset:
    """Return the first images of a data set, averaged down, as a setting has them."""
    counts = {"train": setting.images, "validation": setting.held or setting.images}
    splits: dict[str, Any] = {
        name: split if count is None else split.take(np.arange(min(count, len(split))))
        for name, count in counts.items()
        for split in [getattr(data, name)]
    }
    if setting.size is not None:
        splits = {name: shrunk(split, setting.size) for name, split in splits.items()}
        # Nothing is tested on images.
        splits |= {"test": splits["validation"], "shape": splits["train"].shape}
    return replace(data, **splits)


def shrunk(split: Images, size: int) -> Images:
    """Return images whose squares of pixels have become their mean."""
    count, channels, height, width = split.pixels.shape
    squares = (count, channels, size, height // size, size, width // size)
    means = split.pixels.reshape(squares).mean(axis=(3, 5))
    return replace(split, pixels=means.round().astype(np.uint8))


class Study:
    """Supernets and derived cells of one setting, kept in a folder.

    Parameters
    ----------
    setting : Setting
    folder : Path
    """

    def __init__(self, setting: Setting, folder: Path) -> None:
        digest = hashlib.blake2b(json.dumps(asdict(setting)).encode(), digest_size=4).hexdigest()
        self.setting, self.folder = setting, folder / digest
        self.data = reduced(load_dataset(setting.dataset), setting)
        self.seconds: dict[str, float] = {}  # of the CPU, of all that was asked for

    def once(self, name: str, make: Callable[[], Mapping[str, Any]]) -> dict[str, Any]:
        """Return what is kept under a name, made if it is not there, with its CPU seconds."""
        file = self.folder / f"{name}.json"
        if not file.exists():
            begin = time.process_time()
            made = dict(make())
            write_json(file, {**made, "cpu_seconds": round(time.process_time() - begin, 1)})
            print(f"{name}: {made.get('architecture', '')}", flush=True)
        facts: dict[str, Any] = json.loads(file.read_text())
        self.seconds[name] = facts["cpu_seconds"]
        return facts

    # -- supernets --------------------------------------------------------------------------

    def mixed(self, method: str, seed: int) -> dict[str, Any]:
        """Return what the training of a mixed supernet brought; its weights lie beside."""

        def make() -> dict[str, Any]:
            protocol = replace(
                default_protocol(method),
                epochs=self.setting.epochs,
                learning_rate=self.setting.learning_rate,
            )
            trainer = MixedTrainer(
                CELLS,
                self.data,
                protocol,
                method=method,
                alpha_rate=self.setting.alpha_rate,
                seed=seed,
                threads=1,
                skeleton=self.setting.skeleton,
            )
            return self._train(trainer, f"{method}-{seed}")

        return self.once(f"{method}-{seed}/training", make)

    def single_path(self, seed: int, sampler: str | None = None) -> dict[str, Any]:
        """Return what the training of a single-path supernet brought; a sampler may learn."""
        name = f"{sampler or 'uniform'}-{seed}"

        def make() -> dict[str, Any]:
            epochs = self.setting.uniform_epochs
            trainer = SupernetTrainer(
                CELLS,
                self.data,
                replace(DEFAULT, epochs=epochs, warmup=1.0),
                method=sampler,
                sampler=None if sampler is None else self._sampler(sampler, seed),
                seed=seed,
                threads=1,
                skeleton=self.setting.skeleton,
            )
            return self._train(trainer, name)

        return self.once(f"{name}/training", make)

    def _sampler(self, method: str, seed: int) -> Any:
        settings: dict[str, Any] = {"lessons": _LESSONS} if method in ("enas", "memory") else {}
        epochs = self.setting.uniform_epochs
        return make_sampler(method, CELLS, epochs=epochs, seed=seed, **settings)

    def _train(self, trainer: MixedTrainer | SupernetTrainer, name: str) -> dict[str, Any]:
        folder = self.folder / name
        folder.mkdir(parents=True, exist_ok=True)
        trainer.checkpoint = Checkpoint(folder / "checkpoint.pt", trainer.describe())
        training = trainer.run()
        about = {"space": SPACE, "dataset": self.setting.dataset, **trainer.about()}
        save_supernet(folder / "supernet.pt", training.network, about)
        facts = {"status": training.status, "losses": training.losses, "probes": training.probes}
        if isinstance(training, MixedTraining):
            return facts | {"derived": training.derived, "architecture": training.derived[-1]}
        assert isinstance(trainer, SupernetTrainer)
        return facts | next(iter(trainer.judge_favorites(training)), {})

    # -- cells ------------------------------------------------------------------------------

    def magnitude(self, method: str, seed: int) -> str:
        """Return the cell of the operations that weigh most."""
        return str(self.mixed(method, seed)["architecture"])

    def sampled(self, method: str, seed: int) -> str:
        """Return the best of what a sampler favors, by accuracies with the shared weights."""
        return str(self.single_path(seed, method)["architecture"])

    def decided(self, method: str, seed: int, criterion: str, *, uniform: bool = False) -> str:
        """Return the cell that is decided edge by edge, with tuning between."""
        self.mixed(method, seed)
        name = f"{method}-{seed}"

        def make() -> dict[str, Any]:
            network: Any = build_supernet(CELLS, self.data, mixed=True, **self.setting.skeleton)
            network.load_checkpoint(self.folder / name / "supernet.pt")
            derivation = Derivation(
                network.to(choose_device()),
                self.data,
                get_method(method),
                replace(default_protocol(method), learning_rate=self.setting.learning_rate),
                criterion=criterion,
                tuning=self.setting.tuning,
                uniform=uniform,
                alpha_rate=self.setting.alpha_rate,
                seed=seed,
                halves=seed,
                threads=1,
            )
            return {"architecture": CELLS.format(derivation.run())}

        return str(self.once(f"{name}/{criterion}{'-uniform' * uniform}", make)["architecture"])

    def searched(self, method: str, seed: int) -> str:
        """Return the cell that WeakNAS finds by accuracies with the weights of a supernet."""
        if method == "uniform":
            self.single_path(seed)
        else:
            self.mixed(method, seed)
        name = f"{method}-{seed}"

        def make() -> dict[str, Any]:
            judge = SupernetEvaluator(
                CELLS,
                checkpoint=self.folder / name / "supernet.pt",
                dataset=self.data,
                calibration=_CALIBRATION,
            )
            return self._search(judge, self.setting.evaluations, seed)

        return str(self.once(f"{name}/weaknas", make)["architecture"])

    def trained(self, seed: int) -> str:
        """Return the cell that WeakNAS finds by trainings of single cells."""

        def make() -> dict[str, Any]:
            judge = TrainEvaluator(CELLS, dataset=self.data, epochs=self.setting.training_epochs)
            return self._search(judge, self.setting.trainings, seed)

        return str(self.once(f"trainings-{seed}", make)["architecture"])

    def _search(
        self, judge: SupernetEvaluator | TrainEvaluator, budget: int, seed: int
    ) -> dict[str, Any]:
        strategy = weaknas.WeakNAS(CELLS, initial=-(-budget // 2), seed=seed)
        best = weaknas.run(strategy, judge, budget).best
        return {"architecture": best.architecture.text, "accuracy": best.score}


# -- what cells are worth -------------------------------------------------------------------


@cache
def _table(dataset: str) -> Any:
    return weaknas.get_benchmark(SPACE, dataset=dataset)


def worth(cells: list[str], dataset: str = DATASETS[0]) -> list[float]:
    """Return the mean validation accuracy of each cell in the table, in percent."""
    scores: list[float] = _table(dataset).true_scores(CELLS.genotypes(cells)).tolist()
    return scores


def random_cells(count: int, seed: int) -> list[str]:
    """Return cells that are drawn uniformly."""
    drawn = CELLS.sample(count, np.random.default_rng([seed, 1]))
    return [cell.text for cell in CELLS.architectures(drawn)]


def run_all(
    work: Callable[[int], dict[str, Any]], seeds: Sequence[int], jobs: int
) -> list[dict[str, Any]]:
    """Return what each seed brings, several at a time."""
    if jobs == 1:
        return [work(seed) for seed in seeds]
    with ProcessPoolExecutor(jobs, mp_context=get_context("spawn")) as pool:
        return list(pool.map(work, seeds))
