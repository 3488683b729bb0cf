"""``weaknas latency``."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import numpy as np
from cyclopts import Parameter

from weaknas.commands._numbers import Count, Jobs, Runs, RunsOrZero, Seed
from weaknas.commands._shared import print_json
from weaknas.costs import CostModel, Sources, write_model
from weaknas.costs.files import join_sources, read_measurements, read_sources, write_measurements
from weaknas.errors import InputError
from weaknas.files import prepare_file
from weaknas.laboratory.statistics import spearman_rho
from weaknas.registry import get_space, parse_space
from weaknas.spaces import Genotypes, SearchSpace
from weaknas.training.latency import Timings, measure_networks, measure_table

_IGNORED = 0.1  # weight below which a source tells nothing
_UNSTEADY = 0.2  # spread of repeats, a share of the median, that one is warned of


@Parameter(name="*")
@dataclass(frozen=True)
class Options:
    """Options of ``weaknas latency``; see the command for their meaning."""

    output: Path | None = None
    "File of the table or model: JSON, a table compressed where the name ends in `.gz`."
    measure: Runs | None = None
    "Measure so many whole networks, chosen to tell most, and write a model of all others."
    like: Annotated[tuple[str, ...], Parameter(negative="", consume_multiple=False)] = ()
    "Source devices: `FILE.csv`, of it `FILE.csv:NAME,NAME`, or a model; repeat it for several."
    propose: Path | None = None
    "Measure nothing: write which architectures to measure elsewhere, as CSV to fill in."
    from_: Annotated[Path | None, Parameter(name="--from")] = None
    "Learn the model from a CSV of `architecture`, the cost and perhaps `unit`, measured elsewhere."
    cost: str = "latency"
    "What is measured, as limits and objectives call it; several devices need several names."
    unit: str = "ms"
    "Of the measurements: `ms`, `s`, `mJ`, `MB` and so on."
    device: str | None = None
    "`cuda`, `cuda:N`, `mps` or `cpu`; default: the fastest there is."
    batch_size: Jobs = 1
    "Images at a time."
    rounds: Count = 3
    "Passes over all blocks or networks; the least median of each counts."
    repeats: Count = 20
    "How often each is timed in each pass."
    threads: Jobs | None = None
    "Of the CPU; default: as torch chooses."
    check: RunsOrZero = 8
    "Of a table: random networks measured as a whole, to tell how well it predicts."
    seed: Seed = 0
    "Of what is chosen or checked."
    json: Annotated[bool, Parameter(negative="")] = False
    "Print one JSON object as the last line of standard output."


def latency(space: str, /, *, options: Options = Options()) -> None:
    """Measure this device, or read what was measured; write a table of blocks or a model.

    With `--measure`, `--propose` or `--from` whole networks are measured and a model learns all
    others from them; else the blocks of the space are, and their table is written.

    Parameters
    ----------
    space
        Name of the search space, with `:key=value` for each option of it, or a TOML file.
    """
    name, setting = parse_space(space)
    built = get_space(name, **setting)
    if options.from_ is not None and (options.propose, options.measure) != (None, None):
        raise InputError("--from has what was measured: give it without --propose and --measure")
    if options.propose is not None:
        facts = _propose(built, options, options.propose)
    else:
        if options.output is None:
            raise InputError("--output FILE is needed: where the table or model is written")
        output = prepare_file(options.output)
        if options.from_ is not None:
            measured = read_measurements(options.from_, built, options.cost, options.unit)
            facts = _learn(built, options, output, *measured)
        elif options.measure is not None:
            facts = _measure(built, options, output)
        else:
            facts = _tabulate(built, options, output, (name, setting))
    if options.json:
        print_json({"space": space} | facts)
    else:
        _print(facts)


# -- a model of whole networks ----------------------------------------------------------


def _sources(space: SearchSpace, options: Options) -> Sources | None:
    """Read the sources; of a file followed by a colon the devices that are named there."""
    parts = []
    for text in options.like:
        path, _, names = (text, "", "") if Path(text).exists() else text.rpartition(":")
        chosen = [name.strip() for name in names.split(",")] if names else []
        parts.append(read_sources(Path(path or text), space, chosen))
    return join_sources(parts) if parts else None


def _model(space: SearchSpace, options: Options, setting: dict[str, Any]) -> CostModel:
    sources = _sources(space, options)
    return CostModel(space, sources, name=options.cost, unit=options.unit, setting=setting)


def _choose(model: CostModel, options: Options) -> Genotypes:
    return model.propose(options.measure or 10, np.random.default_rng(options.seed))


def _propose(space: SearchSpace, options: Options, path: Path) -> dict[str, Any]:
    path = prepare_file(path)
    rows = _choose(_model(space, options, {}), options)
    write_measurements(path, space, rows, options.cost)
    return {"proposed": len(rows), "output": str(options.propose), "cost": options.cost}


def _measure(space: SearchSpace, options: Options, output: Path) -> dict[str, Any]:
    if options.unit != "ms":
        raise InputError(f"what is measured here is in ms, not {options.unit!r}; use --from")
    model = _model(space, options, {})
    rows = _choose(model, options)
    beside = output.with_suffix(".csv")

    def keep(timings: Timings) -> None:
        write_measurements(beside, space, rows, options.cost, timings.medians, options.unit)
        print(f"{len(rows)} networks measured, kept in {beside}", file=sys.stderr)

    timings = measure_networks(space, rows, keep=keep, rounds=options.rounds, **_how(options))
    facts = _learn(space, options, output, rows, timings.medians, _how(options))
    spread = np.median(timings.spreads / timings.medians)
    return facts | {"spread": float(spread), "setting": _how(options)}


def _how(options: Options) -> dict[str, Any]:
    names = ("device", "batch_size", "repeats", "threads")
    return {name: getattr(options, name) for name in names}


def _learn(
    space: SearchSpace,
    options: Options,
    output: Path,
    rows: Genotypes,
    values: np.ndarray[tuple[int], np.dtype[np.float64]],
    setting: dict[str, Any] | None = None,
) -> dict[str, Any]:
    model = _model(space, options, setting or {}).fit(rows, values)
    write_model(output, model)
    facts: dict[str, Any] = {
        "output": str(options.output),
        "cost": model.name,
        "unit": model.unit,
        "measurements": len(values),
        "error": model.error,
        "sources": model.source_weights,
        "source_gains": model.source_gains(),
    }
    if model.has_sum_of_blocks:
        sums = space.costs()[model.name](rows)
        facts["sum_of_blocks_error"] = float(np.median(np.abs(sums / values - 1)))
    return facts


# -- a table of blocks ------------------------------------------------------------------


def _tabulate(
    space: SearchSpace, options: Options, output: Path, label: tuple[str, dict[str, Any]]
) -> dict[str, Any]:
    table = measure_table(
        space, rounds=options.rounds, name=output.name, progress=_report, **_how(options)
    )
    table.write(output)
    blocks = sum(len(blocks) for blocks in table.blocks.values())
    facts: dict[str, Any] = {"output": str(options.output), "blocks": blocks}
    if options.check:
        name, setting = label
        priced = get_space(name, **setting | {"latency": table})
        rows = space.sample(options.check, np.random.default_rng(options.seed))
        predicted = priced.costs()["latency"](rows)
        measured = measure_networks(space, rows, rounds=1, **_how(options)).medians
        facts["check"] = {
            "networks": options.check,
            "ratio": float(np.median(measured / predicted)),
            "spearman": spearman_rho(measured, predicted),
        }
    return facts


def _print(facts: dict[str, Any]) -> None:
    if "proposed" in facts:
        print(
            f"{facts['output']}: {facts['proposed']} architectures to measure; fill in the column"
            f" {facts['cost']} and give it back with --from"
        )
    elif "blocks" in facts:
        print(f"{facts['output']}: {facts['blocks']} blocks, in milliseconds")
        if check := facts.get("check"):
            print(
                f"whole networks take {check['ratio']:.2f} times the sum of their blocks (median of"
                f" {check['networks']}); rank correlation {check['spearman']:.2f}"
            )
    else:
        print(
            f"{facts['output']}: {facts['cost']} in {facts['unit']} from {facts['measurements']}"
            f" measurements; each from the others: median error {facts['error']:.1%}"
        )
        if (how := facts.get("setting")) is not None:
            print(f"measured: {_describe(how)}; spread {facts['spread']:.1%} of the median")
            if facts["spread"] > _UNSTEADY:
                print("that is much: other work on the device disturbs; measure when it rests")
        if (plain := facts.get("sum_of_blocks_error")) is not None:
            print(f"the sum of blocks alone: median error {plain:.1%}")
        for line in _ranking(facts["sources"], facts["source_gains"]):
            print(line)


def _describe(how: dict[str, Any]) -> str:
    """Return how it was measured."""
    device, threads = how["device"] or "the fastest device", how["threads"]
    used = "" if threads is None else f", threads {threads}"
    return f"{device}, batch size {how['batch_size']}{used}"


def _ranking(weights: dict[str, float], gains: dict[str, float]) -> list[str]:
    """Return a line for each source, the most helpful first, those of no weight last."""
    lines = []
    for name in sorted(weights, key=lambda name: (-gains.get(name, 0.0), -weights[name])):
        weight, gain = weights[name], gains.get(name)
        if weight < _IGNORED:
            told = f"ignored (weight {weight:.2f}): it ranks architectures as none of the others do"
        elif gain is None:
            told = f"weight {weight:.2f}"
        elif gain < 0:
            told = f"lowers the log evidence by {-gain:.2f}: better left out? weight {weight:.2f}"
        else:
            told = f"raises the log evidence by {gain:.2f}, weight {weight:.2f}"
        lines.append(f"source {name}: {told}")
    return sorted(lines, key=lambda line: ": ignored" in line)


def _report(done: int, of: int) -> None:
    if done % 50 == 0 or done == of:
        print(f"{done}/{of} measurements", file=sys.stderr)
