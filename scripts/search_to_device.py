"""From a search to a file on this device: a supernet, ten measurements, a limit, an export.

A small elastic MobileNetV3 is trained on Fashion-MNIST, or on digits where that is missing. Ten of
its subnets are measured here, and a model of the latency is learnt from them. A search stays
below a limit with 95 % confidence; what it is in doubt of is measured before it is scored. The
winner is exported, and its file is timed by PyTorch and, where it is installed, by ONNX
Runtime, beside what the model of ten measurements had predicted.

    python scripts/search_to_device.py --quick
    python scripts/search_to_device.py
"""

from __future__ import annotations

import time
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import torch
from _shared import parser, save, start

import weaknas
from weaknas.costs import CostModel, MeasuredCost
from weaknas.errors import InputError
from weaknas.evaluators.supernet import SupernetEvaluator
from weaknas.files import prepare_folder
from weaknas.reports import plots
from weaknas.runs.predicted import predict_costs
from weaknas.spaces import ConstrainedSpace, Genotypes, PricedSpace
from weaknas.spaces.mobilenetv3 import MobileNetV3
from weaknas.supernets.files import save_supernet
from weaknas.supernets.trainer import DEFAULT, SupernetTrainer
from weaknas.training import Dataset, load_dataset
from weaknas.training.checkpoints import Checkpoint
from weaknas.training.devices import arithmetic
from weaknas.training.export import ONNX, PROGRAM, export
from weaknas.training.latency import measure_networks

DEBIAN = Path("/usr/share/datasets/fashion-mnist")  # of the package dataset-fashion-mnist
VALIDATION, CALIBRATION = 1000, 500  # images
WARM_UP = 5
#: Small batches: what is trained for minutes needs steps.
PROTOCOL = {"batch_size": 32, "learning_rate": 0.05}
#: How the subnets and the winner are measured: by one core, an image at a time.
SETTING: dict[str, Any] = {"device": "cpu", "threads": 1, "rounds": 10, "repeats": 5}


def main() -> None:
    """Train, measure, search, export and measure again; write numbers and a figure."""
    arguments = parser(__doc__ or "")
    arguments.add_argument("--epochs", type=int, default=4, help="of the supernet")
    arguments.add_argument("--width", type=float, default=0.1)
    arguments.add_argument("--fraction", type=float, default=0.04, help="of the training images")
    arguments.add_argument("--budget", type=int, default=40, help="architectures that are scored")
    arguments.add_argument("--quantile", type=float, default=0.3, help="of latencies: the limit")
    arguments.add_argument("--data", type=Path, default=DEBIAN, help="folder of Fashion-MNIST")
    options = arguments.parse_args()
    name = "search-to-device"
    if options.quick:
        options.epochs, options.width, options.fraction, options.budget = 1, 0.1, 0.1, 4
        SETTING.update(rounds=1, repeats=2)
        name += "-quick"
    folder = prepare_folder(options.work / name)
    data = load_dataset("digits") if options.quick else images(options.data)
    channels, height, width = data.shape
    space = MobileNetV3(options.width, height, classes=data.classes, channels=channels)
    supernet = train(space, data.part(options.fraction), options, folder)
    evaluator = SupernetEvaluator(
        space, checkpoint=supernet, dataset=data, calibration=CALIBRATION, device="cpu"
    )

    def measure(rows: Genotypes) -> np.ndarray:
        return measure_networks(space, rows, **SETTING).medians

    first = CostModel(space, setting=SETTING)
    chosen = first.propose(10, np.random.default_rng(options.seed))
    first.fit(chosen, measure(chosen))
    cost = MeasuredCost(first, measure)
    predicted = first(space.sample(2000, np.random.default_rng(options.seed)))
    limit = f"latency<={np.quantile(predicted, options.quantile):.3g}ms @95%"
    part = ConstrainedSpace(space, limit, {"latency": cost})
    search = weaknas.WeakNAS(part, seed=options.seed)
    result = weaknas.run(search, evaluator, options.budget)
    winner = result.best.architecture
    before = predict_costs(PricedSpace(space, {"latency": first}), winner)[0]
    files = export(evaluator.network(winner), data.shape, folder, {"architecture": winner.text})
    content = {
        "dataset": data.name,
        "limit_milliseconds": part.constraints[0].high,
        "limit": limit,
        "measurements_before": len(chosen),
        "measurements_of_the_search": cost.count,
        "scored": len(result.trials),
        "winner": winner.text,
        "validation_accuracy": result.best.score,
        "test_accuracy": evaluator.report(winner),
        "predicted": before.to_dict(),
        "measured": measured(
            space.genotypes([winner]), measure, (channels, height, width), folder, files
        ),
        "files": files,
    }
    for key, value in content.items():
        print(f"{key}: {value}")
    save(options, "search-to-device", content)
    draw(content, options.results / "search-to-device")


def images(path: Path) -> Dataset:
    """Return Fashion-MNIST where a data folder or Debian's package has it, else digits."""
    try:
        return load_dataset("fashion-mnist", path if path.exists() else None, validation=VALIDATION)
    except InputError as error:
        print(f"{error}; digits instead")
        return load_dataset("digits")


def train(space: MobileNetV3, data: Dataset, options: Any, folder: Path) -> Path:
    """Train the supernet, or go on where it was cut short; return its file."""
    length = {"epochs": options.epochs, "warmup": min(1, options.epochs)}
    protocol = DEFAULT.with_options({**PROTOCOL, **length})
    trainer = SupernetTrainer(
        space, data, protocol, random=1, seed=options.seed, device="cpu", threads=1
    )
    trainer.checkpoint = Checkpoint(folder / "checkpoint.pt", trainer.describe())
    training = trainer.run(progress=lambda now: print(f"loss {now.losses[-1]:.4f}", flush=True))
    save_supernet(folder / "supernet.pt", training.network, {"dataset": data.name, "skeleton": {}})
    return folder / "supernet.pt"


def measured(
    row: Genotypes,
    measure: Callable[[Genotypes], np.ndarray],
    shape: tuple[int, int, int],
    folder: Path,
    files: dict[str, str],
) -> dict[str, Any]:
    """Return the milliseconds of the winner: as a module, and of its files by what runs them."""
    image = torch.zeros(1, *shape)
    with arithmetic(False, 1), torch.no_grad():
        program = torch.export.load(folder / PROGRAM).module()
        found: dict[str, Any] = {
            "module": float(measure(row)[0]),
            "program": milliseconds(lambda: program(image)),
        }
    if find_spec("onnxruntime") is None or "onnx" not in files:
        missing = "onnxruntime" if "onnx" in files else "onnx and onnxscript"
        return found | {"skipped": f"ONNX Runtime: no {missing} is installed"}
    import onnxruntime

    settings = onnxruntime.SessionOptions()
    settings.intra_op_num_threads = settings.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(
        str(folder / ONNX), settings, providers=["CPUExecutionProvider"]
    )
    given = {session.get_inputs()[0].name: image.numpy()}
    return found | {"onnxruntime": milliseconds(lambda: session.run(None, given))}


def milliseconds(call: Callable[[], Any]) -> float:
    """Return the least median over rounds of the time of a call, after some unmeasured."""
    medians = []
    for _ in range(SETTING["rounds"]):
        times = []
        for _ in range(WARM_UP + SETTING["repeats"]):
            begin = time.perf_counter()
            call()
            times.append(time.perf_counter() - begin)
        medians.append(float(np.median(times[WARM_UP:])))
    return 1000 * min(medians)


def draw(content: dict[str, Any], path: Path) -> None:
    """Write a figure of what was predicted and measured of the winner, and the limit."""
    if find_spec("matplotlib") is None:
        print("no figure: matplotlib is not installed (the extra plot)")
        return
    from matplotlib.figure import Figure

    predicted = content["predicted"]
    named = {
        "module": "measured, PyTorch module",
        "program": "measured, torch.export file",
        "onnxruntime": "measured, ONNX Runtime",
    }
    rows = [(named[key], value) for key, value in content["measured"].items() if key in named]
    figure = Figure(figsize=(6.4, 2.4), layout="constrained")
    axes = figure.subplots()
    ends = [[predicted["median"] - predicted["low"]], [predicted["high"] - predicted["median"]]]
    axes.errorbar([predicted["median"]], [0], xerr=ends, fmt="o", color="C0", capsize=4)
    axes.scatter([value for _, value in rows], range(1, len(rows) + 1), color="C1", zorder=3)
    axes.axvline(content["limit_milliseconds"], color="0.4", linestyle="--")
    axes.annotate("limit", (content["limit_milliseconds"], 1), (3, 3), textcoords="offset points",
                  xycoords=("data", "axes fraction"), annotation_clip=False)  # fmt: skip
    labels = ["predicted from 10, 90 %", *(label for label, _ in rows)]
    axes.set_yticks(range(len(labels)), labels)
    axes.invert_yaxis()
    axes.set_xlim(left=0)
    axes.set_xlabel("milliseconds for one image, one thread")
    plots.save(figure, path, forms=("png",))


if __name__ == "__main__":
    start(main)
