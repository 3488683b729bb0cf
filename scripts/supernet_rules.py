r"""Three ways to train an elastic supernet, with equal seconds each: which ranks, which is best.

The sandwich rule (BigNAS), the same with alpha-divergences (AlphaNet), and the same with the
better ones of a size (AttentiveNAS) train a small MobileNetV3 on digits, or on Fashion-MNIST in
14 x 14 pixels. Seconds are those of the processor that one thread needs, so that other work
on the machine counts for nothing: an epoch of each way is timed first, and each gets the epochs
that fit. Random subnets are then tested with the shared weights, and trained alone. Told are
Kendall's tau between the two, and the best and the mean test accuracy by shared weights, of the
same subnets and of the largest.

    python scripts/supernet_rules.py --quick
    python scripts/supernet_rules.py
    WEAKNAS_DATA=... python scripts/supernet_rules.py --dataset fashion-mnist --fraction 0.017 \
        --width 0.1 --seconds 45 --subnets 10
"""

from __future__ import annotations

import time
from typing import Any

import numpy as np
import numpy.typing as npt
from _shared import parser, save, start
from supernet_digits import ALONE, Alone, draw

from weaknas.files import read_json, write_json
from weaknas.laboratory.statistics import bootstrap_interval, kendall_tau, wilcoxon
from weaknas.spaces import Genotypes
from weaknas.spaces.mobilenetv3 import MobileNetV3
from weaknas.supernets.scoring import Scoring
from weaknas.supernets.trainer import DEFAULT, SupernetTrainer
from weaknas.training import Dataset, load_dataset
from weaknas.training.data import Images, Split, from_arrays, representative

#: Small batches: what is trained for seconds needs steps.
PROTOCOL = {"batch_size": 32, "learning_rate": 0.05}
METHODS = ("sandwich", "alphanet", "attentive")
CALIBRATION = 500  # images that batch norms are recalibrated on
VALIDATION, TEST = 250, 2000  # images of Fashion-MNIST
#: What --quick runs instead.
QUICK = {
    "epochs": 1,
    "runs": 1,
    "subnets": 3,
    "width": 0.1,
    "epochs_alone": 1,
    "fraction": 0.15,
}
MEASURES = ("kendall_tau", "best", "mean", "largest")


def main() -> None:
    """Train, test, train alone; write a table of all ways."""
    options = parser(__doc__ or "")
    options.add_argument("--seconds", type=float, default=30, help="of each supernet, of one core")
    options.add_argument("--epochs", type=int, help="of each instead")
    options.add_argument("--runs", type=int, default=5, help="seeds")
    options.add_argument(
        "--subnets", type=int, default=20, help="that are tested and trained alone"
    )
    options.add_argument("--epochs-alone", type=int, default=ALONE.epochs)
    options.add_argument("--width", type=float, default=0.25)
    options.add_argument("--dataset", choices=("digits", "fashion-mnist"), default="digits")
    options.add_argument("--fraction", type=float, default=1.0, help="of the training images")
    arguments = options.parse_args()
    if arguments.quick:
        vars(arguments).update(QUICK)
    data = load_dataset("digits") if arguments.dataset == "digits" else clothes()
    data = data.part(arguments.fraction)
    _, height, _ = data.shape
    space = MobileNetV3(arguments.width, height, classes=data.classes, channels=data.shape[0])
    folder = arguments.work / ("supernet-rules-quick" if arguments.quick else "supernet-rules")
    kind = (data.name, f"{arguments.width:g}", f"{arguments.fraction:g}", str(arguments.seed))
    folder = folder / "-".join(kind)
    subnets = draw(space, arguments.subnets, np.random.default_rng([arguments.seed, 1]))
    alone = Alone(
        space,
        ALONE.with_options({**PROTOCOL, "epochs": arguments.epochs_alone}),
        folder / "alone",
        data,
    )
    truth = [alone(subnet, arguments.seed) for subnet in subnets]
    rows = space.genotypes(subnets)
    epochs = {method: affordable(space, data, method, arguments) for method in METHODS}
    found: dict[str, list[dict[str, Any]]] = {method: [] for method in METHODS}
    for seed in range(arguments.seed, arguments.seed + arguments.runs):
        for method in METHODS:
            file = folder / f"{method}-{epochs[method]}-{len(rows)}-{seed}.json"
            if not file.exists():
                write_json(file, trained(space, data, method, epochs[method], seed, rows))
            facts = read_json(file)
            facts["kendall_tau"] = kendall_tau(truth, facts["shared"])
            found[method].append(facts)
            print(method, seed, {name: round(facts[name], 3) for name in MEASURES}, flush=True)
    content = {
        "dataset": data.name,
        "seconds": arguments.seconds if arguments.epochs is None else None,
        "runs": arguments.runs,
        "width": arguments.width,
        "images": len(data.train),
        "test_images": len(data.test),
        "subnets": len(rows),
        "epochs_alone": arguments.epochs_alone,
        "alone": truth,
        "methods": {
            method: {"epochs": epochs[method], **summary(found[method], found[METHODS[0]])}
            for method in METHODS
        },
    }
    save(arguments, "supernet-rules", content)


def clothes() -> Dataset:
    """Return Fashion-MNIST in 14 x 14 pixels, with part of its test images."""
    data = load_dataset("fashion-mnist")
    parts = [data.merged().train, data.test.take(np.sort(representative(data.test)[:TEST]))]
    train, test = map(halved, parts)
    return from_arrays("fashion-mnist-14", train, test, data.class_names, VALIDATION)


def halved(part: Split) -> Images:
    """Return a split of images in half the height and width."""
    assert isinstance(part, Images)
    return Images(quarter(part.pixels), part.labels)


def quarter(pixels: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    """Return images, (n, c, h, w), whose pixels are means of 2 x 2; (n, c, h / 2, w / 2)."""
    n, channels, height, width = pixels.shape
    squares = pixels.reshape(n, channels, height // 2, 2, width // 2, 2)
    means: npt.NDArray[np.uint8] = squares.mean(axis=(3, 5)).round().astype(np.uint8)
    return means


def affordable(space: MobileNetV3, data: Dataset, method: str, arguments: Any) -> int:
    """Return how many epochs fit into the seconds, by the processor time of the second of two."""
    if arguments.epochs is not None:
        return int(arguments.epochs)
    times: list[float] = []
    trainer_of(space, data, method, 2, arguments.seed).run(
        progress=lambda _: times.append(time.process_time())
    )
    return max(2, int(arguments.seconds / (times[1] - times[0])))


def trainer_of(
    space: MobileNetV3, data: Dataset, method: str, epochs: int, seed: int
) -> SupernetTrainer:
    """Return the trainer of a supernet."""
    length = {"epochs": epochs, "warmup": min(DEFAULT.warmup, epochs / 2)}
    protocol = DEFAULT.with_options({**PROTOCOL, **length})
    return SupernetTrainer(
        space, data, protocol, method=method, random=1, seed=seed, device="cpu", threads=1
    )


def trained(
    space: MobileNetV3, data: Dataset, method: str, epochs: int, seed: int, rows: Genotypes
) -> dict[str, Any]:
    """Train a supernet; return its processor seconds and test accuracies by shared weights."""
    trainer, begin = trainer_of(space, data, method, epochs, seed), time.process_time()
    network = trainer.run().network
    seconds = time.process_time() - begin
    scoring = Scoring(
        network, data, calibration=CALIBRATION, device="cpu", precision="float32", loaders=None
    )
    largest = (space.cardinalities - 1).astype(space.genotype_dtype)
    *shared, biggest = scoring.values(np.vstack([rows, largest]), data.test).tolist()
    return {
        "processor_seconds": round(seconds, 1),
        "shared": shared,
        "best": max(shared),
        "mean": float(np.mean(shared)),
        "largest": biggest,
    }


def summary(runs: list[dict[str, Any]], first: list[dict[str, Any]]) -> dict[str, Any]:
    """Return each measure over seeds, and its gain over the first way, paired by seed."""
    table: dict[str, Any] = {"processor_seconds": [run["processor_seconds"] for run in runs]}
    for name in MEASURES:
        values, others = (np.array([run[name] for run in each]) for each in (runs, first))
        table[name] = {
            "mean": float(values.mean()),
            "ci95": list(bootstrap_interval(values)),
            "runs": values.tolist(),
        }
        if runs is not first:
            table[name]["gain"] = float((values - others).mean())
            table[name]["p_value"] = wilcoxon(values, others)
    return table


if __name__ == "__main__":
    start(main)
