"""Training supernets and measuring what is cut out of them."""

from __future__ import annotations

import copy
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from weaknas.errors import InputError  # noqa: E402
from weaknas.spaces.mobilenetv3 import MobileNetV3  # noqa: E402
from weaknas.spaces.nasbench101 import NASBench101  # noqa: E402
from weaknas.spaces.nasbench201 import NASBench201  # noqa: E402
from weaknas.supernets.measure import Calibration, in_memory, recalibrate  # noqa: E402
from weaknas.supernets.trainer import DEFAULT, SupernetTrainer  # noqa: E402
from weaknas.training.checkpoints import Checkpoint  # noqa: E402
from weaknas.training.data import Images, Samples, from_arrays  # noqa: E402

MOBILE = MobileNetV3(0.1, 8, classes=4, channels=1, strides=(2, 2, 1, 1, 1, 1))
CELLS = NASBench201()
FEW = replace(DEFAULT, epochs=6, batch_size=32, warmup=1.0)
CPU = torch.device("cpu")


def weights(training) -> dict[str, torch.Tensor]:
    return {name: tensor.clone() for name, tensor in training.network.state_dict().items()}


def trainer(space, dataset, protocol=FEW, **options) -> SupernetTrainer:
    if space is CELLS:
        options["skeleton"] = {"channels": 4, "cells": 1}
    return SupernetTrainer(space, dataset, protocol, threads=1, **options)


@pytest.mark.parametrize(
    ("space", "method"),
    [
        pytest.param(MOBILE, "sandwich", marks=pytest.mark.slow),
        pytest.param(MOBILE, "shrinking", marks=pytest.mark.slow),
        (CELLS, "single-path"),
    ],
)
def test_resumed_training_reaches_the_same_weights(
    dataset, tmp_path: Path, space, method: str
) -> None:
    whole = trainer(space, dataset, method=method).run()
    # One of the interruptions is where shrinking fixes its teacher, one where channels are sorted.
    for end in (1, 4, 6):
        checkpoint = Checkpoint(tmp_path / "training", {})
        parts = trainer(space, dataset, method=method, checkpoint=checkpoint).run(end)
        assert len(parts.losses) == end
    expected, found = weights(whole), weights(parts)
    assert all(torch.equal(found[name], expected[name]) for name in expected)
    assert (parts.losses, parts.probes) == (whole.losses, whole.probes)
    assert all(len(curve) == 6 for curve in whole.probes.values())


def test_random_numbers_of_others_do_not_matter(dataset) -> None:
    before = torch.random.get_rng_state()
    one = trainer(MOBILE, dataset).run(1)
    assert torch.equal(torch.random.get_rng_state(), before)
    torch.manual_seed(5)
    other = trainer(MOBILE, dataset).run(1)
    assert all(torch.equal(t, weights(other)[name]) for name, t in weights(one).items())
    another = trainer(MOBILE, dataset, seed=1).run(1)
    assert another.losses != one.losses


def test_cells_learn_by_single_paths(dataset) -> None:
    protocol = replace(FEW, epochs=25, learning_rate=0.2)
    training = trainer(CELLS, dataset, protocol).run()
    assert training.losses[-1] < training.losses[0]
    assert max(curve[-1] for curve in training.probes.values()) > 0.6  # a quarter by chance


def test_all_others_learn_from_the_largest(dataset) -> None:
    """With in-place distillation only the largest architecture sees labels."""
    from weaknas.supernets.trainer import _State
    from weaknas.training.distributed import ALONE

    state = _State(trainer(MOBILE, dataset, replace(FEW, label_smoothing=0.1)), ALONE)
    phase = state.trainer.phases[0]
    logits, targets = torch.randn(5, 4), torch.randint(4, (5,))
    soft = torch.randn(5, 4).softmax(1)
    learnt = state._loss(phase, logits, targets, soft)
    assert torch.isclose(learnt, -(soft * logits.log_softmax(1)).sum(1).mean())
    first = state._loss(phase, logits, targets, None)
    smooth = 0.9 * torch.eye(4)[targets] + 0.1 / 4
    assert torch.isclose(first, -(smooth * logits.log_softmax(1)).sum(1).mean())
    frozen = state._loss(replace(phase, teacher="frozen"), logits, targets, soft)
    assert torch.isclose(frozen, first + learnt)


def test_the_teacher_normalises_by_batches_and_drops_nothing(dataset) -> None:
    from weaknas.supernets.trainer import _State
    from weaknas.training.distributed import ALONE

    teacher = _State(trainer(MOBILE, dataset, method="shrinking"), ALONE)._largest()
    assert teacher.classifier.dropout.p > 0
    images = torch.rand(8, 1, 8, 8) + torch.arange(8).view(-1, 1, 1, 1)
    first = teacher(images)
    assert torch.equal(teacher(images), first)
    assert not torch.allclose(teacher(images[:4]), first[:4], atol=1e-3)
    assert not any(weight.requires_grad for weight in teacher.parameters())


def test_what_is_learnt_is_not_rounded_to_16_bits(dataset, monkeypatch) -> None:
    from weaknas.supernets.trainer import _State

    taught = []

    def loss(_self, _phase, logits, _targets, soft) -> torch.Tensor:
        taught.append(soft)
        return logits.float().mean()

    monkeypatch.setattr(_State, "_loss", loss)
    protocol = replace(FEW, epochs=1, warmup=0.0, precision="bfloat16")
    trainer(MOBILE, dataset, protocol, method="sandwich").run()
    assert {soft.dtype for soft in taught if soft is not None} == {torch.float32}


def test_divergence_is_a_status(dataset) -> None:
    protocol = replace(FEW, learning_rate=1e30, warmup=0.0, gradient_clipping=0.0)
    training = trainer(MOBILE, dataset, protocol).run()
    assert training.status == "diverged"
    assert len(training.losses) < 6


@pytest.mark.parametrize(
    ("space", "options", "message"),
    [
        (MOBILE, {"protocol": replace(FEW, ema=0.9)}, "without ema"),
        (MobileNetV3(0.1, 8), {}, "is for 1000 classes, the data set 'squares' has 4"),
        (NASBench101(), {}, "no supernet; these have: mobilenetv3, nasbench201"),
    ],
)
def test_what_cannot_be_trained_is_refused(dataset, space, options, message: str) -> None:
    with pytest.raises(InputError, match=message):
        trainer(space, dataset, **options).run()


# -- measuring ------------------------------------------------------------------------------


def test_recalibration_is_the_mean_over_batches() -> None:
    torch.manual_seed(0)
    net = torch.nn.Sequential(
        torch.nn.Conv2d(2, 3, 3), torch.nn.BatchNorm2d(3), torch.nn.ReLU(), torch.nn.Dropout(0.5)
    )
    net[1].running_mean.fill_(9.0)
    net.eval()[3].train()
    before = copy.deepcopy(net)
    batches = [torch.randn(4, 2, 6, 6) * k for k in (1, 2, 3)]
    recalibrate(net, batches)
    outputs = [net[0](batch).detach() for batch in batches]
    mean = torch.stack([out.mean((0, 2, 3)) for out in outputs]).mean(0)
    var = torch.stack([out.transpose(0, 1).flatten(1).var(1) for out in outputs]).mean(0)
    torch.testing.assert_close(net[1].running_mean, mean)
    torch.testing.assert_close(net[1].running_var, var)
    assert net[1].momentum == 0.1
    assert [m.training for m in net.modules()] == [m.training for m in before.modules()]
    assert all(
        torch.equal(p, q) for p, q in zip(net.parameters(), before.parameters(), strict=True)
    )


def test_calibration_makes_networks_comparable(dataset) -> None:
    """Recalibrating forgets what the statistics were, and repeats to the bit."""
    net = MOBILE.supernet()
    one, other = net.extract(MOBILE.cardinalities - 1), net.extract(MOBILE.cardinalities - 1)
    for module in other.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.running_mean.normal_()
    calibrate = Calibration(dataset, CPU, images=50)
    calibrate(one)
    calibrate(other)
    assert all(torch.equal(t, other.state_dict()[n]) for n, t in one.state_dict().items())


def test_images_are_scaled(dataset) -> None:
    same = in_memory(dataset.train, 8)
    assert np.array_equal(same.pixels, dataset.train.pixels)
    flat = Images(np.full((3, 1, 8, 8), 77, dtype=np.uint8), np.zeros(3, dtype=np.int64))
    assert in_memory(flat, 12).pixels.shape == (3, 1, 12, 12)
    assert (in_memory(flat, 12).pixels == 77).all()
    assert in_memory(dataset.train, 4).pixels.shape == (len(dataset.train), 1, 4, 4)


def test_of_a_regression_the_others_learn_the_values_of_the_largest(monkeypatch) -> None:
    """The probabilities of one value are 1, whatever it is: from them nothing would be learnt."""
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (96, 1, 8, 8)).astype(np.float32)
    values = images.mean(axis=(1, 2, 3))[:, None] / 128
    parts = [Samples(images[part], values[part]) for part in (slice(64), slice(64, None))]
    data = from_arrays("values", *parts, ["value"], 16)
    space = MobileNetV3(0.1, 8, classes=1, channels=1, strides=(2, 2, 1, 1, 1, 1))
    asked = []
    cross_entropy = torch.nn.functional.cross_entropy

    def watched(*given, **options):
        asked.append(given)
        return cross_entropy(*given, **options)

    monkeypatch.setattr(torch.nn.functional, "cross_entropy", watched)
    made = SupernetTrainer(space, data, replace(FEW, epochs=2), method="sandwich", threads=1)
    assert made.run().status == "ok"
    assert not asked


def test_a_sampler_learns_nothing_of_what_has_no_score(dataset, monkeypatch) -> None:
    from weaknas.supernets import trainer as module

    scores = module.Judge.scores
    monkeypatch.setattr(
        module.Judge,
        "scores",
        lambda *given: (
            np.where([True, False], scores(*given)[0], np.nan)
            if len(scores(*given)) == 2
            else np.full_like(scores(*given), np.nan)
        ),
    )
    training = trainer(CELLS, dataset, replace(FEW, epochs=1), method="enas").run()
    assert training.status == "ok"
    assert np.isfinite(training.rewards).all()
