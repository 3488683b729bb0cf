"""What the sandwich rule can be replaced by: alpha-divergences, and the better ones of a size."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from weaknas.errors import InputError  # noqa: E402
from weaknas.spaces import ChoiceSpace  # noqa: E402
from weaknas.spaces.mobilenetv3 import MobileNetV3  # noqa: E402
from weaknas.spaces.nasbench201 import NASBench201  # noqa: E402
from weaknas.supernets import make_phases  # noqa: E402
from weaknas.supernets.distillation import CLIP, alpha_divergence  # noqa: E402
from weaknas.supernets.samplers.attentive import Attentive  # noqa: E402
from weaknas.supernets.trainer import DEFAULT, SupernetTrainer  # noqa: E402
from weaknas.training.checkpoints import Checkpoint  # noqa: E402

SPACE = ChoiceSpace(
    {name: [0, 1, 2, 3] for name in "abcdef"}, costs={"macs": lambda rows: rows.sum(axis=1)}
)


def near(seed: int):
    generator = torch.Generator().manual_seed(seed)
    logits = torch.randn(9, 5, generator=generator)
    teacher = (logits + 0.3 * torch.randn(9, 5, generator=generator)).softmax(1)
    return logits.requires_grad_(), teacher


def test_values_and_gradients_are_those_of_the_divergences() -> None:
    """Where no ratio is clipped, automatic differentiation has the same gradient."""
    logits, teacher = near(0)
    found = alpha_divergence(logits, teacher)
    (gradient,) = torch.autograd.grad(found, logits)
    q = logits.softmax(1)
    ratio = teacher / q
    assert ratio.min() > 1 / CLIP
    negative = (q * (1 / ratio - 1)).sum(1) / 2
    positive = (teacher * ratio.log()).sum(1)
    assert (negative > positive).any()
    assert (negative < positive).any()
    expected = torch.maximum(negative, positive).mean()
    torch.testing.assert_close(found, expected)
    torch.testing.assert_close(gradient, torch.autograd.grad(expected, logits)[0])


def test_ratios_are_clipped_and_zeros_are_no_trouble() -> None:
    logits = torch.tensor([[0.0, 12.0]], requires_grad=True)
    found = alpha_divergence(logits, torch.tensor([[1.0, 0.0]]))
    found.backward()
    assert torch.isfinite(found)
    assert logits.grad is not None
    assert logits.grad.abs().max() <= CLIP
    same = torch.randn(3, 4)
    assert alpha_divergence(same, same.softmax(1)).abs() < 1e-6


def test_the_better_ones_of_a_size_are_drawn() -> None:
    """The first three decisions raise the accuracy, the others lower it."""

    def accuracy(rows):
        return 0.5 + rows @ np.array([1, 1, 1, -1, -1, -1]) / 100

    sampler = Attentive(SPACE, architectures=200, candidates=5)
    before = sampler.draw(0)
    assert (before[0] == 3).all()
    assert (before[-1] == 0).all()
    for epoch in range(2):
        sampler.begin(epoch)
        rows = sampler.audition()
        sampler.learn(rows, accuracy(rows))
    after = sampler.draw(0)
    assert accuracy(after).mean() > accuracy(before).mean() + 0.02
    assert abs(after.sum(axis=1).mean() - before.sum(axis=1).mean()) < 0.6  # no larger ones
    resumed = Attentive(SPACE, architectures=200, candidates=5)
    resumed.restore(sampler.state())
    for each in (sampler, resumed):
        each.begin(2)
    np.testing.assert_array_equal(sampler.draw(0), resumed.draw(0))


def test_what_they_need_is_said() -> None:
    for method in ("alphanet", "attentive"):
        with pytest.raises(InputError, match="have no largest and smallest"):
            make_phases(NASBench201(), 3, method)
    with pytest.raises(InputError, match="knows no multiply-adds"):
        Attentive(ChoiceSpace({"a": [1, 2, 3], "b": [1, 2, 3]}))
    (phase,) = make_phases(MobileNetV3(), 3, "alphanet", 4)
    assert (phase.alpha, phase.random, phase.teacher) == (True, 4, "largest")


@pytest.mark.slow
@pytest.mark.parametrize("method", ["alphanet", "attentive"])
def test_a_training_goes_on_where_it_was_cut_short(dataset, tmp_path, method: str) -> None:
    space = MobileNetV3(0.1, 8, classes=dataset.classes, channels=dataset.shape[0])
    protocol = DEFAULT.with_options({"epochs": 2, "batch_size": 64, "warmup": 1})

    def train(end: int, checkpoint: Checkpoint | None = None):
        trainer = SupernetTrainer(
            space, dataset, protocol, method=method, random=1, checkpoint=checkpoint, threads=1
        )
        return trainer.run(end)

    whole = train(2)
    for end in (1, 2):
        parts = train(end, Checkpoint(tmp_path / "training", {}))
    assert parts.losses == whole.losses
    assert whole.status == "ok"
    sandwich = SupernetTrainer(space, dataset, protocol, random=1, threads=1).run(1)
    assert sandwich.losses[0] != whole.losses[0]
