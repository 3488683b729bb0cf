"""``weaknas latency``."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import numpy as np
from cyclopts import Parameter

from weaknas.commands._numbers import Count, Jobs, RunsOrZero, Seed
from weaknas.commands._shared import print_json
from weaknas.files import prepare_file
from weaknas.laboratory.statistics import spearman_rho
from weaknas.registry import get_space, parse_space
from weaknas.training.latency import measure_networks, measure_table


@Parameter(name="*")
@dataclass(frozen=True)
class Options:
    """Options of ``weaknas latency``; see the command for their meaning."""

    output: Path
    "File of the table: JSON, compressed where the name ends in `.gz`."
    device: str | None = None
    "`cuda`, `cuda:N`, `mps` or `cpu`; default: the fastest there is."
    batch_size: Jobs = 1
    "Images at a time."
    rounds: Count = 3
    "Passes over all blocks; the least median of a block counts."
    repeats: Count = 20
    "How often a block is timed in each pass."
    threads: Jobs | None = None
    "Of the CPU; default: as torch chooses."
    check: RunsOrZero = 8
    "Random networks that are measured as a whole, to tell how well the table predicts."
    seed: Seed = 0
    "Of these networks."
    json: Annotated[bool, Parameter(negative="")] = False
    "Print one JSON object as the last line of standard output."


def latency(space: str, /, *, options: Options) -> None:
    """Measure the blocks of a space on this device and write a table of latencies.

    Parameters
    ----------
    space
        Name of the search space, with `:key=value` for each option of it.
    """
    name, setting = parse_space(space)
    built = get_space(name, **setting)
    common = {"device": options.device, "batch_size": options.batch_size}
    common |= {"repeats": options.repeats, "threads": options.threads}
    output = prepare_file(options.output)
    table = measure_table(
        built,
        rounds=options.rounds,
        name=output.name,
        progress=_report,
        **common,  # type: ignore[arg-type]
    )
    table.write(output)
    facts: dict[str, object] = {
        "space": space,
        "output": str(options.output),
        "blocks": sum(len(blocks) for blocks in table.blocks.values()),
    }
    if options.check:
        priced = get_space(name, **setting | {"latency": table})
        rows = built.sample(options.check, np.random.default_rng(options.seed))
        predicted = priced.latency(rows)  # type: ignore[attr-defined]
        measured = measure_networks(built, rows, **common)  # type: ignore[arg-type]
        facts["check"] = {
            "networks": options.check,
            "ratio": float(np.median(measured / predicted)),
            "spearman": spearman_rho(measured, predicted),
        }
    if options.json:
        print_json(facts)
        return
    print(f"{options.output}: {facts['blocks']} blocks, in milliseconds")
    if isinstance(check := facts.get("check"), dict):
        print(
            f"whole networks take {check['ratio']:.2f} times the sum of their blocks (median of"
            f" {check['networks']}); rank correlation {check['spearman']:.2f}"
        )


def _report(done: int, of: int) -> None:
    if done % 50 == 0 or done == of:
        print(f"{done}/{of} measurements", file=sys.stderr)
