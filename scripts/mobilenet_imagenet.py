"""Search the MobileNet space on ImageNet with once-for-all's supernet, and export the best.

Needs ImageNet in folders train/CLASS and val/CLASS, and the published weights
ofa_mbv3_d234_e346_k357_w1.2:

    python scripts/mobilenet_imagenet.py --data imagenet --supernet ofa_mbv3_d234_e346_k357_w1.2

The search sees held-out training images only; the official validation images are for one
number at the end. What it found is written for timm, torch.export and ONNX, with the
supernet's weights; scripts/train_mobilenet.py trains it from scratch.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from _mobilenet import stand_in
from _shared import parser, save, start

import weaknas
from weaknas.errors import InputError
from weaknas.evaluators.supernet import SupernetEvaluator
from weaknas.runs.trials import Trial
from weaknas.spaces import ConstrainedSpace
from weaknas.spaces.mobilenetv3 import MobileNetV3
from weaknas.spaces.mobilenetv3.network import Network
from weaknas.supernets.export import export_timm
from weaknas.supernets.files import save_supernet
from weaknas.training import Dataset, load_dataset
from weaknas.training.export import export


def main() -> None:
    """Search, report one number, export."""
    options = parser(__doc__ or "")
    options.add_argument("--data", type=Path, help="folder of ImageNet")
    options.add_argument("--supernet", type=Path, help="weights of once-for-all")
    options.add_argument("--width", type=float, default=1.2)
    options.add_argument("--resolution", type=int, default=236)
    options.add_argument("--constraint", nargs="+", default=["550e6<=macs<=600e6"])
    options.add_argument("--budget", type=int, default=800)
    options.add_argument("--preset", choices=("default", "paper"), default="default")
    options.add_argument("--validation", type=int, default=10_000, help="held-out images")
    arguments = options.parse_args()
    folder = arguments.work / (
        "mobilenet-imagenet-quick" if arguments.quick else "mobilenet-imagenet"
    )
    data = prepare(arguments, folder)
    whole = MobileNetV3(arguments.width, arguments.resolution, classes=data.classes)
    space = ConstrainedSpace(whole, arguments.constraint)
    judge = SupernetEvaluator(space, checkpoint=arguments.supernet, dataset=data)
    preset = {} if arguments.preset == "default" else {"preset": arguments.preset}
    search = weaknas.WeakNAS(space, seed=arguments.seed, **preset)
    result = weaknas.run(search, judge, arguments.budget, output=folder / "run", progress=report)
    best = result.best.architecture
    network = judge.network(best)
    assert isinstance(network, Network)
    files = export(
        network,
        (whole.channels, arguments.resolution, arguments.resolution),
        folder / "exported",
        {"space": whole.name, "architecture": best.text},
    )
    files |= export_timm(network, folder / "exported")
    found = {
        "architecture": best.text,
        "held_out_accuracy": result.best.score,
        "test_accuracy": judge.report(best),
        "costs": dict(result.best.metrics),
        "queries": len(result.trials),
        "files": files,
    }
    save(arguments, "mobilenet-imagenet", found)
    print(f"{best.text}: {found['test_accuracy']:.4f} on the test images; in {folder / 'exported'}")


def prepare(arguments: argparse.Namespace, folder: Path) -> Dataset:
    """Return ImageNet; for --quick stand-ins for it and for the published weights."""
    if not arguments.quick:
        if arguments.supernet is None:
            raise InputError("--supernet is needed: the file of once-for-all's weights")
        return load_dataset("imagenet-folder", arguments.data, validation=arguments.validation)
    arguments.width, arguments.resolution, arguments.budget = 0.25, 64, 12
    arguments.constraint = ["macs<=15e6"]
    arguments.supernet = folder / "supernet.pt"
    data = stand_in(arguments.resolution)
    network = MobileNetV3(arguments.width, arguments.resolution, classes=data.classes).supernet()
    save_supernet(arguments.supernet, network, {"dataset": data.name, "skeleton": {}})
    return data


def report(trial: Trial) -> None:
    """Print a line for each query."""
    print(f"query {trial.number}: {trial.score:.4f} {trial.architecture.text}", file=sys.stderr)


if __name__ == "__main__":
    start(main)
