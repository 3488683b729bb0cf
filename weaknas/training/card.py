"""The model card: what a network is, how it was trained, what it reaches."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from weaknas.training.protocol import Protocol


def write_card(facts: Mapping[str, Any]) -> str:
    """Return a model card (Mitchell et al., FAT* 2019, arXiv:1810.03993) in Markdown.

    Parameters
    ----------
    facts : mapping
        As `weaknas.training.final.train_final` returns them.
    """
    dataset, changed = facts["data"], _switches(facts["protocol"])
    metric = str(facts.get("metric", "accuracy"))  # a card of 0.1 does not say
    held_out = facts[key_of("validation", metric)]
    images = "images" if len(facts["shape"]) == 3 else "samples"
    lines = [
        f"# {facts.get('label', facts['space'])} on {facts['dataset']}",
        "",
        f"{_kind(facts)} whose architecture was chosen by weaknas.",
        "",
        f"- Architecture: `{facts['architecture']}`",
        f"- Input: {_input(facts)}",
        f"- Output: {_output(facts)}: {', '.join(facts['class_names'][:20])}"
        + (", ..." if facts["classes"] > 20 else ""),
        f"- Size: {facts['params']:,} parameters, {facts['macs']:,} multiply-adds for one"
        f" {images[:-1]}",
        "",
        "## Results",
        "",
        "| measure | value |",
        "|---|---|",
        f"| {metric} on {dataset['test']:,} test {images} | {facts[key_of('test', metric)]:.4f} |",
        f"| {metric} on {dataset['validation']:,} validation {images} |"
        f" {'trained on' if held_out is None else f'{held_out:.4f}'} |",
        f"| training loss of the last epoch | {facts['loss']:.4f} |",
        f"| latency of one {images[:-1]} on {facts['device']} | {1000 * facts['latency']:.2f} ms |",
        f"| time of the training | {facts['seconds']:.0f} s |",
        "",
        f"The test {images} were used once, for this number: not for training, nor for the choice"
        " of the architecture or of an epoch.",
        "",
        "## Training",
        "",
        f"{dataset['train']:,} {images}, {facts['epochs']} epochs, seed {facts['seed']},"
        f" {facts['precision']}, {facts['processes']} process(es).",
        "",
        "| switch | value |",
        "|---|---|",
        *(f"| {name} | {value} |" for name, value in changed.items()),
        "",
        "Switches that are not listed are as in"
        f" `weaknas.training.Protocol()`. Versions: {_pairs(facts['versions'])}.",
        "",
        "## Files",
        "",
        *(f"- `{name}`: {kind}" for kind, name in facts["files"].items()),
        "",
    ]
    return "\n".join(lines)


def key_of(split: str, metric: str) -> str:
    """Return what the value of a metric on a split is called among the facts."""
    return f"{split}_{metric.replace('-', '_')}"


def _kind(facts: Mapping[str, Any]) -> str:
    if "task" in facts:
        return {"regression": "A regression", "language": "A language model"}[facts["task"]]
    return "An image classifier" if len(facts["shape"]) == 3 else "A classifier"


def _input(facts: Mapping[str, Any]) -> str:
    size = " x ".join(map(str, facts["shape"]))
    if not facts["mean"]:
        return f"numbers of {size} tokens"
    what = f"less {_numbers(facts['mean'])}, divided by {_numbers(facts['std'])}"
    if len(facts["shape"]) == 3:
        return f"{size} (channels, height, width), pixels from 0 to 1 {what}"
    return f"{size} numbers {what}"


def _output(facts: Mapping[str, Any]) -> str:
    if facts.get("task") == "regression":
        return f"{facts['classes']} value(s)"
    return f"logits of {facts['classes']} classes"


def _switches(protocol: Mapping[str, Any]) -> dict[str, Any]:
    """Return the switches that differ from their defaults, and the most important ones."""
    plain = Protocol().describe()
    always = ("optimizer", "learning_rate", "batch_size", "schedule", "weight_decay")
    return {k: v for k, v in protocol.items() if k in always or v != plain.get(k)}


def _numbers(values: list[float]) -> str:
    return "(" + ", ".join(f"{value:.4f}" for value in values) + ")"


def _pairs(values: Mapping[str, Any]) -> str:
    return ", ".join(f"{name} {value}" for name, value in values.items())
