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
    held_out = facts["validation_accuracy"]
    lines = [
        f"# {facts['space']} on {facts['dataset']}",
        "",
        "An image classifier whose architecture was chosen by weaknas.",
        "",
        f"- Architecture: `{facts['architecture']}`",
        f"- Input: {' x '.join(map(str, facts['shape']))} (channels, height, width), pixels"
        f" from 0 to 1 less {_numbers(facts['mean'])}, divided by {_numbers(facts['std'])}",
        f"- Output: logits of {facts['classes']} classes: {', '.join(facts['class_names'][:20])}"
        + (", ..." if facts["classes"] > 20 else ""),
        f"- Size: {facts['params']:,} parameters, {facts['macs']:,} multiply-adds an image",
        "",
        "## Results",
        "",
        "| measure | value |",
        "|---|---|",
        f"| accuracy on {dataset['test']:,} test images | {facts['test_accuracy']:.4f} |",
        f"| accuracy on {dataset['validation']:,} validation images |"
        f" {'trained on' if held_out is None else f'{held_out:.4f}'} |",
        f"| training loss of the last epoch | {facts['loss']:.4f} |",
        f"| latency of one image on {facts['device']} | {1000 * facts['latency']:.2f} ms |",
        f"| time of the training | {facts['seconds']:.0f} s |",
        "",
        "The test images were used once, for this number: not for training, nor for the choice of"
        " the architecture or of an epoch.",
        "",
        "## Training",
        "",
        f"{dataset['train']:,} images, {facts['epochs']} epochs, seed {facts['seed']},"
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


def _switches(protocol: Mapping[str, Any]) -> dict[str, Any]:
    """Return the switches that differ from their defaults, and the most important ones."""
    plain = Protocol().describe()
    always = ("optimizer", "learning_rate", "batch_size", "schedule", "weight_decay")
    return {k: v for k, v in protocol.items() if k in always or v != plain.get(k)}


def _numbers(values: list[float]) -> str:
    return "(" + ", ".join(f"{value:.4f}" for value in values) + ")"


def _pairs(values: Mapping[str, Any]) -> str:
    return ", ".join(f"{name} {value}" for name, value in values.items())
