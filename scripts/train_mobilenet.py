"""Train a MobileNet of the search space from scratch by the published recipe.

RMSProp, a running average of the weights, RandAugment, random erasing, dropped paths.
On several GPUs, and on ImageNet in folders train/CLASS and val/CLASS:

    torchrun --nproc-per-node 8 scripts/train_mobilenet.py ARCHITECTURE --data imagenet
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from _mobilenet import QUICK_RECIPE, RECIPE, stand_in
from _shared import parser, start

from weaknas.spaces.mobilenetv3 import MobileNetV3
from weaknas.supernets.measure import at_resolution
from weaknas.training import load_dataset
from weaknas.training.final import train_final

if TYPE_CHECKING:
    from weaknas.training.trainer import Training


def main() -> None:
    """Train, test once, export; an unfinished training is continued."""
    options = parser(__doc__ or "")
    options.add_argument("architecture", help="its string form, as weaknas search prints it")
    options.add_argument("--data", type=Path, help="folder of ImageNet")
    options.add_argument("--width", type=float, default=1.2)
    options.add_argument("--resolution", type=int, default=236)
    options.add_argument("--epochs", type=int, default=RECIPE.epochs)
    options.add_argument("--batch-size", type=int, default=RECIPE.batch_size)
    arguments = options.parse_args()
    if arguments.quick:
        data, recipe = stand_in(arguments.resolution), QUICK_RECIPE
    else:
        data = at_resolution(load_dataset("imagenet-folder", arguments.data), arguments.resolution)
        # The rate grows with the batch (Goyal et al., 2017, arXiv:1706.02677).
        rate = RECIPE.learning_rate * arguments.batch_size / RECIPE.batch_size
        given = {"epochs": arguments.epochs, "batch_size": arguments.batch_size}
        warmup = min(RECIPE.warmup, arguments.epochs)
        recipe = RECIPE.with_options({**given, "learning_rate": rate, "warmup": warmup})
    space = MobileNetV3(arguments.width, arguments.resolution, classes=data.classes)
    facts = train_final(
        space,
        arguments.architecture,
        data,
        recipe,
        seed=arguments.seed,
        include_validation=not arguments.quick,
        output=arguments.work / "mobilenet",
        progress=report,
    )
    if os.environ.get("RANK", "0") == "0":
        print(f"test accuracy {facts['test_accuracy']:.4f}, {facts['macs'] / 1e6:.1f} M MACs")


def report(training: Training) -> None:
    """Print a line after each epoch."""
    accuracy = f", validation accuracy {training.curve[-1]:.4f}" if training.curve else ""
    print(
        f"epoch {len(training.losses)}: loss {training.losses[-1]:.4f}{accuracy}",
        file=sys.stderr,
        flush=True,
    )


if __name__ == "__main__":
    start(main)
