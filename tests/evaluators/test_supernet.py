"""The evaluator that cuts architectures out of a supernet."""

from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
import pytest

from weaknas.errors import InputError
from weaknas.registry import get_evaluator
from weaknas.spaces import ConstrainedSpace
from weaknas.spaces.mobilenetv3 import MobileNetV3
from weaknas.spaces.nasbench101 import NASBench101
from weaknas.spaces.nasbench201 import NASBench201
from weaknas.testing import check_evaluator
from weaknas.training.data import stratified

torch = pytest.importorskip("torch")

STRIDES = (2, 2, 1, 1, 1, 1)
SPACE = MobileNetV3(0.1, 8, classes=10, channels=1, strides=STRIDES)
CELLS = NASBench201()


def write(folder: Path, space, name: str, **options) -> Path:
    """An untrained supernet as the command writes it."""
    from weaknas.supernets.files import save_supernet

    torch.manual_seed(0)
    net = space.supernet(classes=10, shape=(1, 8, 8), **options)
    path = folder / name
    save_supernet(path, net, {"dataset": "digits", "skeleton": options})
    return path


@pytest.fixture(scope="module")
def files(tmp_path_factory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("supernets")
    return {
        "mobile": write(folder, SPACE, "mobile.pt"),
        "cells": write(folder, CELLS, "cells.pt", channels=4, cells=1),
    }


def evaluator(files, space=SPACE, **options):
    kind = "cells" if space is CELLS else "mobile"
    return get_evaluator("supernet", space, checkpoint=files[kind], calibration=64, **options)


@pytest.fixture(scope="module")
def judge(files):
    return evaluator(files)


@pytest.mark.slow
def test_promises(files) -> None:
    check_evaluator(evaluator(files, CELLS, device="cpu"), CELLS, queries=2)


def test_the_score_is_the_accuracy_after_recalibration(files, judge) -> None:
    from weaknas.supernets.measure import recalibrate
    from weaknas.training.transforms import Normalize

    genotype = SPACE.sample(1, np.random.default_rng(0))[0]
    net = SPACE.supernet()
    net.load_checkpoint(files["mobile"])
    data, alone = judge.dataset, net.extract(genotype)
    normalize = Normalize(data.mean, data.std)
    order = np.sort(stratified(data.train.labels)[:64])
    recalibrate(alone, [normalize(torch.from_numpy(data.train.pixels[order]))])
    accuracies = []
    for split in (data.validation, data.test):
        with torch.no_grad():
            logits = alone.eval()(normalize(torch.from_numpy(split.pixels)))
        accuracies.append(float((logits.argmax(1).numpy() == split.labels).mean()))
    architecture = SPACE.architectures(genotype[None])[0]
    evaluation = judge.evaluate(architecture, seed=0)
    assert evaluation.score == pytest.approx(accuracies[0], abs=3e-3)  # an image or so, by rounding
    assert judge.report(architecture) == pytest.approx(accuracies[1], abs=3e-3)
    assert evaluation.metrics["macs"] == SPACE.macs(genotype[None])[0]
    assert judge.scores(genotype[None]).tolist() == [evaluation.score]


def test_constrained_spaces_have_the_supernet_of_the_whole(files) -> None:
    part = ConstrainedSpace(SPACE, ["macs<=3e5"])
    row = part.sample(1, np.random.default_rng(0))
    assert evaluator(files, part).scores(row) == evaluator(files).scores(row)


def test_the_resolution_of_an_architecture_is_that_of_its_images(files, judge) -> None:
    options = {"classes": 10, "channels": 1, "strides": STRIDES}
    space = MobileNetV3(0.1, resolutions=(8, 12), **options)
    both = evaluator(files, space)
    rows = np.repeat(space.sample(1, np.random.default_rng(0)), 2, axis=0)
    rows[:, -1] = 0, 1
    small, large = both.scores(rows)
    assert small == judge.scores(rows[:1, :-1])[0]
    assert large == evaluator(files, MobileNetV3(0.1, 12, **options)).scores(rows[1:, :-1])[0]


def test_it_travels_light(judge) -> None:
    data = pickle.dumps(judge)
    assert len(data) < 10_000  # neither images nor weights
    copied = pickle.loads(data)  # noqa: S301
    row = SPACE.sample(1, np.random.default_rng(3))
    assert copied.scores(row) == judge.scores(row)
    assert copied.describe() == judge.describe()


@pytest.mark.slow
def test_devices_and_types_other_than_here(files) -> None:
    """Half precision on the CPU stands in for that of a GPU."""
    judge = evaluator(files, precision="bfloat16")
    rows = SPACE.sample(2, np.random.default_rng(1))
    assert ((judge.scores(rows) >= 0) & (judge.scores(rows) <= 1)).all()
    with pytest.raises(InputError, match="no device cuda:7"):
        evaluator(files, device="cuda:7")


@pytest.mark.parametrize(
    ("space", "options", "message"),
    [
        (NASBench101(), {}, "has no supernet; these have: mobilenetv3, nasbench201"),
        (MobileNetV3(0.1, 8, channels=1), {}, "is for 1000 classes, the data set 'digits' has 10"),
        (MobileNetV3(0.1, 8, classes=10), {}, "for 3 channels.*mobilenetv3:channels=1"),
        (
            MobileNetV3(0.5, 8, classes=10, channels=1),
            {},
            "not the supernet of width 0.5, 'blocks.1.*has the shape",
        ),
        (SPACE, {"calibration": 0}, "calibration must be"),
        (SPACE, {"dataset": "digit"}, "did you mean 'digits'"),
        (SPACE, {"dataset": "imagenet-folder", "path": "/nowhere"}, "is not at /nowhere"),
        (SPACE, {"checkpoint": "/nowhere.pt"}, "/nowhere.pt: no such file"),
        (SPACE, {"widht": 2.0}, "did you mean 'width'"),
    ],
)
def test_what_cannot_be_is_said_at_once(files, space, options, message: str) -> None:
    with pytest.raises(InputError, match=message):
        get_evaluator("supernet", space, **{"checkpoint": files["mobile"]} | options)


@pytest.mark.slow
def test_weights_of_other_origin_do_not_say_their_data(files, tmp_path: Path) -> None:
    torch.save(torch.load(files["mobile"], weights_only=True)["state_dict"], tmp_path / "net")
    with pytest.raises(InputError, match="does not say which data set"):
        get_evaluator("supernet", SPACE, checkpoint=tmp_path / "net")
    named = get_evaluator("supernet", SPACE, checkpoint=tmp_path / "net", dataset="digits")
    rows = SPACE.sample(2, np.random.default_rng(2))
    first = get_evaluator("supernet", SPACE, checkpoint=files["mobile"])
    assert (named.scores(rows) == first.scores(rows)).all()
