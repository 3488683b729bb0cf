"""``weaknas train``."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter

from weaknas.commands._numbers import Count, Jobs, Seed
from weaknas.commands._shared import print_json
from weaknas.components import parse_label
from weaknas.errors import optional_import
from weaknas.registry import get_space, parse_space
from weaknas.training import get_protocol, load_dataset
from weaknas.training.card import key_of
from weaknas.training.protocol import default_protocol


@Parameter(name="*")
@dataclass(frozen=True)
class Options:
    """Options of ``weaknas train``; see the command for their meaning."""

    dataset: str = "digits"
    "See `weaknas list datasets`, or `module:function`."
    data: Path | None = None
    "Where its files are; default: a folder of its name in a folder of WEAKNAS_DATA."
    protocol: str | None = None
    "`small`, `text`, `nasbench201`, `nasbench101` or `darts`; `name:key=value` sets switches."
    metric: str | None = None
    "What is measured: see `weaknas list metrics`, or `module:function`."
    epochs: Count | None = None
    "Default: as the protocol says."
    seed: Seed = 0
    "Of everything that is random."
    include_validation: Annotated[bool, Parameter(negative="")] = False
    "Train on the validation images, too."
    device: str | None = None
    "`cuda`, `cuda:N`, `mps` or `cpu`; default: the fastest there is."
    threads: Jobs | None = None
    "Of the CPU; default: as torch chooses."
    output: Path | None = None
    "Folder of checkpoint, exports and model card; an unfinished training is continued."
    json: Annotated[bool, Parameter(negative="")] = False
    "Print one JSON object as the last line of standard output."


def train(space: str, architecture: str, /, *, options: Options = Options()) -> None:
    """Train one architecture in full, test it once, and export it.

    Parameters
    ----------
    space
        Name of the search space, with `:key=value` for each option of it.
    architecture
        Its string form, as `weaknas search` prints it.
    """
    optional_import("torch", "train")
    from weaknas.training.distributed import is_first_process
    from weaknas.training.final import train_final
    from weaknas.training.progress import report_epochs

    name, setting = parse_space(space)
    searched = get_space(name, **setting)
    preset, switches = parse_label(options.protocol or default_protocol(searched))
    for switch in ("epochs", "metric"):
        if vars(options)[switch] is not None:
            switches[switch] = vars(options)[switch]
    protocol = get_protocol(preset, **switches)
    facts = train_final(
        searched,
        architecture,
        load_dataset(options.dataset, options.data),
        protocol,
        seed=options.seed,
        include_validation=options.include_validation,
        label=space,
        device=options.device,
        threads=options.threads,
        output=options.output,
        progress=report_epochs(protocol.epochs),
    )
    if not is_first_process():
        return
    if options.json:
        print_json(facts | {"output": None if options.output is None else str(options.output)})
    else:
        print_facts(facts, options.output)


def print_facts(facts: dict[str, Any], output: Path | None) -> None:
    """Print the numbers of a last training for people."""
    metric = facts.get("metric", "accuracy")  # a card of 0.1 does not say
    held, tested = facts[key_of("validation", metric)], facts[key_of("test", metric)]
    noun = "images" if len(facts["shape"]) == 3 else "samples"
    rows = {
        "architecture": facts["architecture"],
        f"test {metric}": f"{tested:.4f} of {facts['data']['test']} {noun}",
        "validation": "trained on" if held is None else f"{held:.4f}",
        "size": f"{facts['params']:,} parameters, {facts['macs']:,} multiply-adds"
        f" for one {noun[:-1]}",
        "time": f"{facts['seconds']:.1f} s for {facts['epochs']} epochs on {facts['device']}",
        "files": "none (export with --output DIR)"
        if output is None
        else f"{output}: {', '.join([*facts['files'].values(), 'README.md', 'card.json'])}",
    }
    for name, value in rows.items():
        print(f"{name:>13}  {value}")
