"""An evaluator that trains: architecture to validation accuracy on real data."""

from __future__ import annotations

import contextlib
import hashlib
import json
import math
import re
import weakref
from collections.abc import Callable
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from weaknas.components import Described, HasName
from weaknas.errors import (
    MOST_JOBS,
    FaultyEvaluator,
    InputError,
    check_number,
    check_whole,
    optional_import,
    unknown,
)
from weaknas.evaluators._base import Evaluation
from weaknas.evaluators.outcome import TRAININGS, OngoingFile, Outcome
from weaknas.files import plain, remove_leftovers, temporary_folder, write_json
from weaknas.spaces import Architecture, SearchSpace
from weaknas.training.data import Dataset, check_dataset, check_inputs, load_dataset
from weaknas.training.metrics import AnyMetric, get_metric
from weaknas.training.protocol import Protocol, default_protocol, get_protocol

if TYPE_CHECKING:
    from torch.nn import Module

SHORTEN = ("stop", "compress")
_CURVE = re.compile(r"[^@]+@(\d+)")


class TrainEvaluator:
    """Trains each architecture and scores it by its accuracy on the validation split.

    The score is a fraction, that of the last epoch, never the best of several. The metrics
    hold the learning curve, ``accuracy@1`` to ``accuracy@EPOCHS`` (see `curve_of`), the
    training ``loss``, ``params`` and ``macs`` of the network as it is trained (counted by
    torch), and its measured ``latency``, in seconds for one image on the device.

    Of texts, regressions, or by the protocol's ``metric``, another number takes the place of
    accuracy, and is among the metrics by its name. Of what is smaller is better the score is
    the negated value; of the perplexity of a text minus its logarithm.

    A fidelity is a number of epochs. With ``shorten="stop"`` it is the beginning of the full
    training: an architecture that is promoted continues from its checkpoint and costs the
    difference only, but early epochs of a cosine schedule are noisy, for the learning rate
    is high. With ``"compress"`` it is a training of its own, whose schedule is as long as
    itself: it ranks better for the same epochs, and nothing of it can be continued.

    Parameters
    ----------
    space : SearchSpace
        With networks.
    dataset : str or Dataset
        See `weaknas.training.load_dataset`.
    protocol : str or Protocol, optional
        One of `weaknas.training.PRESETS`; default: ``"text"`` of networks that read tokens,
        else ``"small"``.
    path : path, optional
        Of the data set.
    validation : int, optional
        Images that are held out; default: as the data set says.
    fraction : float
        Of the training images that is used.
    shorten : {"stop", "compress"}
        What a lower fidelity is.
    stop : callable, optional
        Is given the scores after each epoch, a list of fractions of accuracy; ends the training
        by True, e.g. because an extrapolation of the curve says that it is not worth it.
        The score is then that of the last epoch.
    device : str, optional
        Default: the fastest there is.
    threads : int
        Of the CPU in one training. The same number gives the same result to the bit.
    folder : path, optional
        Where unfinished trainings are kept after every epoch, to be continued, and the
        numbers of finished ones, so that none is paid twice. Default: that of the run
        (`keep_in`), else a temporary one.
    keep : bool
        Keep the weights of finished trainings in the folder, too.
    **switches
        Switches of the protocol, e.g. ``epochs=12``.

    Raises
    ------
    InputError
        When the space has no networks, a value cannot be used or torch is not installed.
    """

    def __init__(
        self,
        space: SearchSpace,
        *,
        dataset: str | Dataset = "digits",
        protocol: str | Protocol | None = None,
        path: str | None = None,
        validation: int | None = None,
        fraction: float = 1.0,
        shorten: str = "stop",
        stop: Callable[[list[float]], bool] | None = None,
        device: str | None = None,
        threads: int = 1,
        folder: str | Path | None = None,
        keep: bool = False,
        **switches: Any,
    ) -> None:
        if not space.has_networks:
            space.network(space.architectures(space.sample(1, np.random.default_rng(0)))[0])
        if shorten not in SHORTEN:
            raise unknown("way to shorten a training", shorten, SHORTEN)
        check_whole("threads", threads, most=MOST_JOBS)
        fraction = check_number("fraction", fraction, above=0, most=1)
        if stop is not None and not callable(stop):
            raise InputError(f"stop must be a function of the learning curve, not {stop!r}")
        optional_import("torch", "train")
        if device is not None:
            from weaknas.training.devices import read_device

            read_device(device)
        self.space = space
        named = default_protocol(space) if protocol is None else protocol
        preset = named if isinstance(named, Protocol) else get_protocol(named)
        self.protocol = preset.with_options(switches)
        self.fraction, self.shorten, self.stop = fraction, shorten, stop
        self.device, self.threads, self.keep = device, threads, keep
        self.path, self.validation = path, validation
        self._data = check_dataset(dataset)
        self._folder = None if folder is None else Path(str(folder)).absolute()
        self.name = f"{space.name}/{dataset if isinstance(dataset, str) else dataset.name}"

    @property
    def dataset(self) -> Dataset:
        """The data, read when first asked for; all of it, whatever `fraction` is."""
        data = self._data
        if isinstance(data, str):
            data = _load(data, self.path, self.validation)
        check_inputs(self.space, data)
        return data

    @property
    def metric(self) -> AnyMetric:
        """What architectures are compared by."""
        return get_metric(self.protocol.metric, self.dataset.task)

    @property
    def fidelities(self) -> list[float]:
        """The numbers of epochs below full training."""
        return [float(epochs) for epochs in range(1, self.protocol.epochs)]

    @property
    def folder(self) -> Path:
        """Where trainings are kept; a temporary folder lasts as long as the evaluator."""
        if self._folder is None:
            stack = contextlib.ExitStack()
            self._folder = stack.enter_context(temporary_folder("weaknas-trainings-"))
            weakref.finalize(self, stack.close)
        return self._folder

    def __getstate__(self) -> dict[str, Any]:
        """Let copies in other processes use the folder of this one."""
        return {**vars(self), "_folder": self.folder}

    def keep_in(self, output: Path) -> None:
        """Keep trainings in the folder of a run, unless another folder was named."""
        if self._folder is None:
            self._folder = output.absolute() / TRAININGS

    def describe(self) -> dict[str, Any]:
        """Return what decides the scores, as plain JSON types."""
        return {
            "evaluator": "train",
            "dataset": self.dataset.describe(),
            "protocol": self.protocol.describe(),
            "fraction": self.fraction,
            "shorten": self.shorten,
            "stop": None if self.stop is None else _describe_stop(self.stop),
        }

    def trainings(self, architecture: Architecture) -> float:
        """Return infinity: every seed is another training."""
        return math.inf

    def evaluate(
        self, architecture: Architecture, *, seed: int, fidelity: float | None = None
    ) -> Evaluation:
        """Train one architecture, or continue its training.

        Parameters
        ----------
        architecture : Architecture
        seed : int
            Of weights, order and augmentation.
        fidelity : float, optional
            A number of epochs; default: all of the protocol.

        Raises
        ------
        InputError
            When the fidelity is none of `fidelities`.
        FaultyEvaluator
            When the data cannot be read, or the networks or the metric are not for them.
        """
        self._check_data()
        protocol, epochs = self._plan(fidelity)
        protocol = protocol.with_options(self.space.training_options(architecture))
        own_seed = int(np.random.SeedSequence([seed, 0]).generate_state(1)[0])
        outcome = self._outcome(architecture, protocol, own_seed, epochs)
        cost = outcome.cost(epochs)
        if outcome.status == "diverged" and len(outcome.curve) < epochs:
            return Evaluation.failure(outcome.status, outcome.message, cost)
        curve, metric = outcome.curve[:epochs], self.metric
        score = metric.score(curve[-1])
        if not math.isfinite(score):
            message = f"the {metric.name} is {curve[-1]}"
            return Evaluation.failure("diverged", message, cost)
        metrics = {**outcome.metrics, "loss": outcome.losses[:epochs][-1]}
        if score != curve[-1]:
            metrics[metric.name] = curve[-1]
        metrics |= {f"{metric.name}@{epoch}": value for epoch, value in enumerate(curve, start=1)}
        message = f"stopped after {len(curve)} epochs" if len(curve) < epochs else ""
        return Evaluation(score, metrics, cost, message=message)

    def _check_data(self) -> None:
        """Say of what is wrong with data or metric that it is so for all architectures."""
        try:
            self.metric  # noqa: B018 it reads the data
        except InputError as error:
            raise FaultyEvaluator(str(error)) from error

    def train_winner(
        self,
        architecture: Architecture,
        seed: int,
        output: Path | None = None,
        *,
        label: str | None = None,
    ) -> dict[str, Any]:
        """Train the architecture that a search has chosen in full, test it once, and export it.

        The training is by the same protocol, on all training images, and with a seed of its
        own: the validation accuracy by which an architecture was chosen is too good, for
        having been chosen by.

        Parameters
        ----------
        architecture : Architecture
        seed : int
            Of the search.
        output : path, optional
            Folder of the exports and the model card.
        label : str, optional
            What the space is called on a command line, with its options, for the card.

        Returns
        -------
        dict
            As of `weaknas.training.final.train_final`.
        """
        from weaknas.training.final import train_final
        from weaknas.training.progress import report_epochs

        return train_final(
            self.space,
            architecture,
            self.dataset,
            self.protocol,
            seed=seed,
            device=self.device,
            threads=self.threads,
            output=output,
            label=label,
            progress=report_epochs(self.protocol.epochs, "training the winner in full: "),
        )

    def _plan(self, fidelity: float | None) -> tuple[Protocol, int]:
        """Return the protocol and after how many epochs it ends."""
        if fidelity is None:
            return self.protocol, self.protocol.epochs
        if fidelity not in (*self.fidelities, self.protocol.epochs):
            raise InputError(
                f"the fidelity {fidelity:g} is not a whole number of epochs from 1 to"
                f" {self.protocol.epochs}"
            )
        epochs = int(fidelity)
        if self.shorten == "compress":
            shorter = {"epochs": epochs, "warmup": min(self.protocol.warmup, epochs)}
            return self.protocol.with_options(shorter), epochs
        return self.protocol, epochs

    # -- one training -----------------------------------------------------------------

    def _outcome(
        self, architecture: Architecture, protocol: Protocol, seed: int, epochs: int
    ) -> Outcome:
        """Return what a training brought, from the folder where it has been done."""
        identity = self._identity(architecture, protocol, seed)
        text = json.dumps(identity, sort_keys=True)
        name = hashlib.blake2b(text.encode(), digest_size=12).hexdigest()
        record = self.folder / f"{name}.json"
        outcome = Outcome.read(record)
        if outcome.status == "stopped" and outcome.stop != self._stop_text():
            # By somebody who stops others, or none: the training is another one.
            record.with_suffix(".pt").unlink(missing_ok=True)
            outcome = Outcome()
        if not outcome.is_done(epochs):
            remove_leftovers(self.folder, f"{name}.*")
            outcome = self._train(architecture, protocol, seed, epochs, record, outcome)
            write_json(record, {"identity": identity, **outcome.to_dict()})
        if outcome.is_done(protocol.epochs) and not self.keep:
            record.with_suffix(".pt").unlink(missing_ok=True)
        return outcome

    def _stop_text(self) -> str:
        """Return what tells apart who stops trainings; nothing where no one does."""
        return "" if self.stop is None else json.dumps(plain(_describe_stop(self.stop)))

    def _identity(
        self, architecture: Architecture, protocol: Protocol, seed: int
    ) -> dict[str, Any]:
        identity = {
            "architecture": self.space.architectures(self.space.genotypes([architecture]))[0].text,
            "space": self.space.describe(),
            "dataset": self.dataset.describe(),
            "fraction": self.fraction,
            "protocol": protocol.describe(),
            "seed": seed,
        }
        return dict(plain(identity))

    def _build(self, architecture: Architecture, data: Dataset, protocol: Protocol) -> Module:
        """Return the network as its training begins with it."""
        return self.space.network(
            architecture, classes=data.classes, shape=data.shape, **protocol.skeleton()
        )

    def _train(
        self,
        architecture: Architecture,
        protocol: Protocol,
        seed: int,
        epochs: int,
        record: Path,
        before: Outcome,
    ) -> Outcome:
        from weaknas.training.checkpoints import Checkpoint
        from weaknas.training.measure import costs
        from weaknas.training.trainer import Trainer

        data = self.dataset.part(self.fraction)
        trainer = Trainer(
            lambda: self._build(architecture, data, protocol),
            data,
            protocol,
            seed=seed,
            device=self.device,
            threads=self.threads,
            checkpoint=Checkpoint(record.with_suffix(".pt"), {"training": record.stem}),
        )
        ongoing = OngoingFile(record, architecture.text, epochs)
        try:
            training = trainer.run(
                epochs, stop=self.stop, progress=lambda so_far: ongoing.write(so_far.curve)
            )
        finally:
            ongoing.remove()
        return replace(
            before,
            curve=training.curve,
            losses=training.losses,
            seconds=training.seconds,
            status=training.status,
            stop=self._stop_text() if training.status == "stopped" else "",
            stages=sorted({*before.stages, len(training.seconds)}),
            metrics=before.metrics
            or costs(
                training.network,
                data.shape,
                trainer.device,
                self.threads,
                tokens=data.has_tokens,
            ),
        )


@lru_cache(maxsize=2)
def _load(name: str, path: str | None, validation: int | None) -> Dataset:
    """Read data once a process, however often the evaluator is sent to it."""
    return load_dataset(name, path, validation=validation)


def _describe_stop(stop: Callable[[list[float]], bool]) -> Any:
    if isinstance(stop, Described):
        return stop.describe()
    return (stop if isinstance(stop, HasName) else type(stop)).__qualname__


def curve_of(evaluation: Evaluation) -> list[float]:
    """Return the learning curve of a trial, its metric on the validation split by epochs."""
    found = ((_CURVE.fullmatch(name), value) for name, value in evaluation.metrics.items())
    points = [(int(match[1]), value) for match, value in found if match]
    return [value for _, value in sorted(points)]
