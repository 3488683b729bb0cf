"""The last training: of the architecture that was chosen, in full, tested once, exported."""

from __future__ import annotations

import contextlib
import platform
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch

from weaknas.errors import InputError, optional_import
from weaknas.files import lock, plain, prepare_folder, write_atomically, write_json
from weaknas.spaces import ArchitectureLike, SearchSpace
from weaknas.training.card import key_of, write_card
from weaknas.training.checkpoints import Checkpoint
from weaknas.training.data import Dataset, check_inputs
from weaknas.training.devices import choose_precision
from weaknas.training.distributed import is_first_process, workers
from weaknas.training.export import CARD, export, read_card
from weaknas.training.measure import Examination, costs
from weaknas.training.protocol import Protocol
from weaknas.training.trainer import Trainer, Training
from weaknas.version import __version__


def train_final(
    space: SearchSpace,
    architecture: ArchitectureLike,
    dataset: Dataset,
    protocol: Protocol,
    *,
    seed: int = 0,
    include_validation: bool = False,
    label: str | None = None,
    device: str | None = None,
    threads: int | None = None,
    loaders: int | None = None,
    output: Path | None = None,
    progress: Callable[[Training], None] | None = None,
) -> dict[str, Any]:
    """Train a network in full, test it once, and write it with its model card.

    Parameters
    ----------
    space : SearchSpace
    architecture : Architecture, str or one genotype
    dataset : Dataset
    protocol : Protocol
        Before its switches go those that the architecture decides.
    seed : int
    include_validation : bool
        Train on the validation images, too; there is no validation accuracy then.
    label : str, optional
        What the space is called on a command line, with its options, for the card;
        default: its name.
    device, threads, loaders
        As of `Trainer`.
    output : path, optional
        Folder of checkpoint, exports and card. A training that was cut short there is
        continued; one that is complete is not repeated, nor tested again.
    progress : callable, optional
        Is called after each epoch.

    Returns
    -------
    dict
        The facts on the card, as plain JSON types.

    Raises
    ------
    InputError
        When the folder holds another training, is in use or cannot be written to, or the
        training diverges.
    """
    data = dataset.merged() if include_validation else dataset
    check_inputs(space, dataset)
    chosen = space.architecture(architecture)
    protocol = protocol.with_options(space.training_options(chosen))
    identity = plain(
        {
            "space": space.name,
            "settings": space.describe(),
            "architecture": chosen.text,
            "dataset": dataset.name,
            "data": data.describe(),
            "protocol": protocol.describe(),
            "seed": seed,
        }
    )
    with contextlib.ExitStack() as stack:
        if output is not None:
            output = prepare_folder(output)
            if is_first_process():
                stack.enter_context(lock(output))
            done = _read_done(output, identity)
            if done is not None:
                return done
            optional_import("safetensors", "train")  # rather now than when all is trained
        checkpoint = None if output is None else Checkpoint(output / "checkpoint.pt", identity)
        trainer = Trainer(
            lambda: space.network(
                chosen, classes=data.classes, shape=data.shape, **protocol.skeleton()
            ),
            data,
            protocol,
            seed=seed,
            device=device,
            threads=threads,
            loaders=loaders,
            checkpoint=checkpoint,
        )
        team = stack.enter_context(workers(trainer.device))
        training = trainer.run(progress=progress)
        if training.status != "ok":
            raise InputError(
                f"the training {training.status} in epoch {len(training.losses)}: its loss is no"
                " number; a lower learning_rate or gradient_clipping may help"
            )
        facts = identity | {
            "label": label or space.name,
            "metric": training.metric,
            key_of("validation", training.metric): None if include_validation else training.value,
            "processes": team.count,
        }
        if team.is_first:
            facts |= _measure(training, trainer)
            if output is not None and checkpoint is not None:
                _write(training, facts, output)
                checkpoint.remove()
    return facts


def _read_done(output: Path, identity: dict[str, Any]) -> dict[str, Any] | None:
    card = read_card(output)
    if card is None:
        return None
    wanted = dict(identity)
    if "settings" not in card:  # of version 0.1
        del wanted["settings"]
    for name, value in wanted.items():
        if card.get(name) != value:
            raise InputError(
                f"{output} holds another training, whose {name} differs; choose another folder"
            )
    return card


def _measure(training: Training, trainer: Trainer) -> dict[str, Any]:
    data, device, protocol = trainer.dataset, trainer.device, trainer.protocol
    test = Examination(
        data.test,
        data,
        device,
        metric=protocol.metric,
        precision=protocol.precision,
        loaders=trainer.loaders,
    )
    precision = str(choose_precision(protocol.precision, device)).removeprefix("torch.")
    return {
        key_of("test", training.metric): test.value(training.network),
        "loss": training.losses[-1],
        "curve": training.curve,
        "epochs": len(training.losses),
        **costs(training.network, data.shape, device, trainer.threads, tokens=data.has_tokens),
        **({} if data.task == "classification" else {"task": data.task}),
        "seconds": sum(training.seconds),
        "device": _name_of(device),
        "precision": precision,
        "skeleton": protocol.skeleton(),
        "classes": data.classes,
        "class_names": list(data.class_names),
        "shape": list(data.shape),
        "mean": list(data.mean),
        "std": list(data.std),
        "versions": {
            "weaknas": __version__,
            "torch": torch.__version__,
            "numpy": np.__version__,
            "python": platform.python_version(),
        },
    }


def _write(training: Training, facts: dict[str, Any], output: Path) -> None:
    named = {name: str(facts[name]) for name in ("space", "architecture", "dataset")}
    tokens = facts.get("task") == "language"
    files = export(training.network, tuple(facts["shape"]), output, named, tokens=tokens)
    facts["files"] = files
    text = write_card(facts)
    write_atomically(output / "README.md", lambda path: _write_text(path, text))
    # Last: where it is, everything is.
    write_json(output / CARD, facts)


def _write_text(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8")


def _name_of(device: torch.device) -> str:
    if device.type == "cuda":
        return str(torch.cuda.get_device_name(device))
    return str(device) if device.type != "cpu" else f"cpu ({platform.machine()})"
