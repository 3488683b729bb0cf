"""``weaknas derive``."""

from __future__ import annotations

import hashlib
import sys
import time
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from weaknas.commands._numbers import Runs, RunsOrZero, Seed
from weaknas.commands._shared import build_strategy, print_json
from weaknas.errors import InputError, optional_import, unknown
from weaknas.files import lock, prepare_folder, write_json
from weaknas.registry import get_space, parse_space
from weaknas.spaces import SearchSpace

if TYPE_CHECKING:
    from weaknas.supernets.mixed.derive import Decision
    from weaknas.training.data import Dataset

_WAYS = ("magnitude", "perturbation", "weaknas")
_INITIAL = 20  # evaluations before the predictor, of those that there are at most half


@Parameter(name="*")
@dataclass(frozen=True)
class Options:
    """Options of ``weaknas derive``; see the command for their meaning."""

    by: str = "perturbation"
    "`magnitude`: the operations that weigh most; `perturbation`: those whose removal costs most"
    " accuracy (DARTS-PT); `weaknas`: a search by accuracies of single architectures."
    tuning: RunsOrZero | None = None
    "Epochs of training between decisions; default: 5, of `magnitude` none."
    uniform: Annotated[bool, Parameter(negative="")] = False
    "With `perturbation`: all operations weigh the same, whatever was learnt."
    evaluations: Runs = 30
    "With `weaknas`: architectures that are scored."
    data: Path | None = None
    "Where the files of the data set are; default: a folder of its name in one of WEAKNAS_DATA."
    output: Path | None = None
    "Folder of the answer; a derivation in it that was cut short is continued."
    seed: Seed | None = None
    "Of the order of edges, or of the search; default: that of the training."
    device: str | None = None
    "`cuda`, `cuda:N`, `mps` or `cpu`; default: the fastest there is."
    threads: Runs | None = None
    "Of the CPU; default: as torch chooses."
    json: Annotated[bool, Parameter(negative="")] = False
    "Print one JSON object as the last line of standard output."


def derive(checkpoint: Path, /, *, options: Options = Options()) -> None:
    """Choose one architecture out of a mixed supernet.

    Parameters
    ----------
    checkpoint
        The file `supernet.pt` that `weaknas train-supernet --method darts`, or another that
        learns sums of operations, has written.
    """
    optional_import("torch", "train")
    from weaknas.supernets.files import read_about
    from weaknas.training import load_dataset

    if options.by not in _WAYS:
        raise unknown("way to derive", options.by, _WAYS)
    if options.uniform and options.by != "perturbation":
        raise InputError(f"--uniform is for --by perturbation, not {options.by}")
    if options.tuning is not None and options.by == "weaknas":
        raise InputError("--tuning is for --by magnitude and perturbation")
    about = read_about(checkpoint)
    if "mixed" not in about:
        raise InputError(
            f"{checkpoint} is no mixed supernet; weaknas train-supernet --method darts makes one"
        )
    name, setting = parse_space(about["space"])
    space, dataset = get_space(name, **setting), load_dataset(about["dataset"], options.data)
    output = None if options.output is None else prepare_folder(options.output)
    begin = time.perf_counter()
    with ExitStack() as stack:
        if output is not None:
            stack.enter_context(lock(output))
        search = _search if options.by == "weaknas" else _decide
        facts = {
            "space": about["space"],
            "dataset": about["dataset"],
            "method": about["mixed"],
            "by": options.by,
            **search(space, dataset, checkpoint, about, options),
            "seconds": round(time.perf_counter() - begin, 1),
        }
        if output is not None:
            write_json(output / "derived.json", facts)
    if options.json:
        print_json(facts)
    else:
        print(facts["architecture"])


def _decide(
    space: SearchSpace,
    dataset: Dataset,
    checkpoint: Path,
    about: dict[str, Any],
    options: Options,
) -> dict[str, Any]:
    """Choose by weights at once, or one edge after the other."""
    from weaknas.supernets.building import build_supernet
    from weaknas.supernets.mixed.derive import TUNING, Derivation, strongest
    from weaknas.supernets.mixed.schedule import get_method
    from weaknas.training.checkpoints import Checkpoint
    from weaknas.training.devices import choose_device
    from weaknas.training.protocol import Protocol

    trained = about["training"]
    method = get_method(about["mixed"])
    network: Any = build_supernet(space, dataset, mixed=True, **about["skeleton"])
    network.load_checkpoint(checkpoint)
    tuning = options.tuning
    if tuning is None:
        tuning = 0 if options.by == "magnitude" else TUNING
    if options.by == "magnitude" and not tuning:
        return {"architecture": space.format(network.genotype(strongest(network, method)))}
    network.to(choose_device(options.device))
    seed = trained["seed"] if options.seed is None else options.seed
    identity = {
        "checkpoint": hashlib.blake2b(checkpoint.read_bytes(), digest_size=8).hexdigest(),
        "dataset": dataset.describe(),
        "by": options.by,
        "tuning": tuning,
        "uniform": options.uniform,
        "seed": seed,
    }
    kept = None
    if options.output is not None:
        kept = Checkpoint(options.output / "derivation.pt", identity)
    derivation = Derivation(
        network,
        dataset,
        method,
        Protocol().with_options(trained["protocol"]),
        criterion=options.by,
        tuning=tuning,
        uniform=options.uniform,
        alpha_rate=trained["alpha_rate"],
        seed=seed,
        halves=trained["seed"],
        checkpoint=kept,
        threads=options.threads,
    )
    genotype = derivation.run(progress=_report)
    decisions = [vars(decision) for decision in derivation.decisions]
    return {"architecture": space.format(genotype), "decisions": decisions}


def _search(
    space: SearchSpace,
    dataset: Dataset,
    checkpoint: Path,
    about: dict[str, Any],
    options: Options,
) -> dict[str, Any]:
    """Search the space by the accuracies of single architectures with the shared weights."""
    from weaknas.evaluators.supernet import SupernetEvaluator
    from weaknas.runs.runner import run
    from weaknas.training.devices import arithmetic

    seed = about["training"]["seed"] if options.seed is None else options.seed
    initial = min(_INITIAL, -(-options.evaluations // 2))
    strategy = build_strategy("weaknas", space, seed, {"initial": initial})
    with arithmetic(False, options.threads):
        judge = SupernetEvaluator(
            space, checkpoint=checkpoint, dataset=dataset, device=options.device
        )
        # Two commands hold one folder each: the answer's, and the run's below it.
        output = None if options.output is None else options.output / "search"
        result = run(strategy, judge, options.evaluations, output=output, progress=True)
    best = result.best
    return {
        "architecture": best.architecture.text,
        "accuracy" if dataset.task == "classification" else "score": best.score,
        "evaluations": len(result.trials),
    }


def _report(decision: Decision) -> None:
    looks = ", ".join(f"{name} {value:.4f}" for name, value in decision.accuracies.items())
    chosen = " and ".join(decision.chosen)
    print(f"edge {decision.edge}: {chosen} (score without {looks})", file=sys.stderr)
