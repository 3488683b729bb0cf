"""``weaknas train-supernet``."""

from __future__ import annotations

import sys
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from weaknas.commands._numbers import Count, Jobs, Positive, Seed
from weaknas.commands._shared import print_json
from weaknas.components import parse_label
from weaknas.errors import InputError, optional_import, unknown
from weaknas.files import lock, prepare_folder, write_json
from weaknas.registry import get_space, get_strategy, parse_space
from weaknas.supernets import METHODS, SAMPLED
from weaknas.supernets.mixed import MIXED_METHODS
from weaknas.training import load_dataset

if TYPE_CHECKING:
    from weaknas.spaces import SearchSpace
    from weaknas.supernets.mixed.trainer import MixedTrainer
    from weaknas.supernets.samplers import Sampler
    from weaknas.supernets.trainer import SupernetTrainer, SupernetTraining


@Parameter(name="*")
@dataclass(frozen=True)
class Options:
    """Options of ``weaknas train-supernet``; see the command for their meaning."""

    output: Path
    "Folder of the weights, `supernet.pt`; an unfinished training in it is continued."
    dataset: str = "digits"
    "See `weaknas train`."
    data: Path | None = None
    "Where its files are; default: a folder of its name in a folder of WEAKNAS_DATA."
    epochs: Count | None = None
    "Passes over the training images, of all phases together."
    method: str | None = None
    "`sandwich`, `alphanet`, `attentive`, `shrinking`, `single-path`; default: `sandwich` where"
    " choices are ordered. Single paths that a sampler draws: `enas`, `memory`, `manas`,"
    " `manas-ls`, `weaknas`."
    " Sums of operations: `darts`, `darts-2`, `blank`, `p-darts`, `stacnas`."
    sampler: str = ""
    "Settings of the sampler, e.g. `lessons=10:draws=20`."
    random: Jobs = 2
    "Random architectures in each step of the sandwich rule."
    alpha_rate: Positive | None = None
    "Learning rate of the weights of operations, with `darts` and its like; default: as published."
    protocol: str = ""
    "Switches of the training protocol, e.g. `learning-rate=0.05:batch-size=256`."
    network: str = ""
    "Settings of the network around the choices, e.g. `channels=8:cells=1`."
    seed: Seed = 0
    "Of everything that is random."
    device: str | None = None
    "`cuda`, `cuda:N`, `mps` or `cpu`; default: the fastest there is."
    threads: Jobs | None = None
    "Of the CPU; default: as torch chooses."
    json: Annotated[bool, Parameter(negative="")] = False
    "Print one JSON object as the last line of standard output."


def train_supernet(space: str, /, *, options: Options) -> None:
    """Train a network that shares weights among all architectures of a space.

    On several GPUs of a host: `torchrun --nproc-per-node 4 -m weaknas train-supernet ...`

    Parameters
    ----------
    space
        Name of the search space, with `:key=value` for each option of it.
    """
    optional_import("torch", "train")
    from weaknas.supernets.files import save_supernet
    from weaknas.training.checkpoints import Checkpoint
    from weaknas.training.distributed import is_first_process

    trainer = _build(space, options)
    output = prepare_folder(options.output)
    identity = trainer.describe()
    trainer.checkpoint = Checkpoint(output / "checkpoint.pt", identity)
    path = output / "supernet.pt"
    with lock(output) if is_first_process() else nullcontext():
        training = trainer.run(progress=_report(trainer.protocol.epochs))
        if not is_first_process():
            return
        about = {"space": space, "dataset": options.dataset, **trainer.about()}
        save_supernet(path, training.network, about)
        facts: dict[str, Any] = {
            "space": space,
            "dataset": options.dataset,
            "epochs": len(training.losses),
            "status": training.status,
            "metric": training.metric,
            "probes": training.probes,
            "losses": training.losses,
            "seconds": round(training.seconds, 1),
            **_findings(trainer, training),
            "output": str(options.output / path.name),
        }
        write_json(output / "training.json", facts | {"training": identity})
    if options.json:
        print_json(facts)
    else:
        print(f"{options.output / path.name}: {training.status}, {training.seconds:.0f} s")
        for probe, curve in training.probes.items():
            print(f"  validation {training.metric} of {probe}: {curve[-1]:.4f}")
        for favorite in facts.get("favorites", []):
            print(f"  of the favorite {favorite['architecture']}: {favorite[training.metric]:.4f}")


def _sampler(options: Options, space: SearchSpace, epochs: int) -> Sampler | None:
    """Return the sampler of a method that has one."""
    from weaknas.supernets.samplers.making import make_sampler

    method, settings = options.method, _settings(options.sampler)
    if method not in SAMPLED:
        return None
    strategy = get_strategy("weaknas", space, seed=options.seed) if method == "weaknas" else None
    return make_sampler(
        method, space, epochs=epochs, seed=options.seed, strategy=strategy, **settings
    )


def _build(space: str, options: Options) -> SupernetTrainer | MixedTrainer:
    """Return the trainer of the method, with the protocol that is its own unless it is set."""
    from weaknas.supernets.mixed.trainer import MixedTrainer, default_protocol
    from weaknas.supernets.trainer import SupernetTrainer, default_for

    method = options.method
    if method not in (None, *METHODS, *MIXED_METHODS):
        raise unknown("way to train a supernet", method, (*METHODS, *MIXED_METHODS))
    if options.alpha_rate is not None and method not in MIXED_METHODS:
        raise InputError(f"--alpha-rate is for the methods {', '.join(MIXED_METHODS)}")
    if options.sampler and method not in SAMPLED:
        raise InputError(f"--sampler is for the methods {', '.join(SAMPLED)}")
    name, setting = parse_space(space)
    chosen, dataset = get_space(name, **setting), load_dataset(options.dataset, options.data)
    is_mixed = method is not None and method in MIXED_METHODS
    usual = default_protocol(str(method), chosen) if is_mixed else default_for(chosen)
    switches = _settings(options.protocol)
    if options.epochs is not None:
        switches["epochs"] = options.epochs
        switches.setdefault("warmup", min(usual.warmup, options.epochs))
    protocol = usual.with_options(switches)
    common: dict[str, Any] = {
        "seed": options.seed,
        "device": options.device,
        "threads": options.threads,
        "skeleton": _settings(options.network),
    }
    if method is not None and is_mixed:
        rate = options.alpha_rate
        return MixedTrainer(chosen, dataset, protocol, method=method, alpha_rate=rate, **common)
    return SupernetTrainer(
        chosen,
        dataset,
        protocol,
        method=method,
        random=options.random,
        sampler=_sampler(options, chosen, protocol.epochs),
        **common,
    )


def _findings(
    trainer: SupernetTrainer | MixedTrainer, training: SupernetTraining
) -> dict[str, Any]:
    """Return what a training has found besides weights."""
    from weaknas.supernets.mixed.trainer import MixedTraining
    from weaknas.supernets.trainer import SupernetTrainer

    if isinstance(training, MixedTraining):
        return {"derived": training.derived}
    assert isinstance(trainer, SupernetTrainer)
    return {"rewards": training.rewards, "favorites": trainer.judge_favorites(training)}


def _settings(text: str) -> dict[str, Any]:
    return parse_label(f":{text}")[1] if text else {}


def _report(epochs: int) -> Any:
    def report(training: SupernetTraining) -> None:
        line = f"epoch {len(training.losses)}/{epochs}: loss {training.losses[-1]:.4f}"
        accuracies = [f"{name} {curve[-1]:.4f}" for name, curve in training.probes.items()]
        print(", ".join([line, *accuracies]), file=sys.stderr)

    return report
