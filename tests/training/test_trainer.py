"""The trainer: exact resume, schedules, what stops it, several processes."""

from __future__ import annotations

import math
import os
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")
from torch import nn  # noqa: E402
from torch.optim.swa_utils import AveragedModel  # noqa: E402

from weaknas.errors import InputError  # noqa: E402
from weaknas.training import Protocol  # noqa: E402
from weaknas.training.checkpoints import Checkpoint  # noqa: E402
from weaknas.training.data import Images, from_arrays  # noqa: E402
from weaknas.training.optimization import (  # noqa: E402
    learning_rate,
    make_optimizer,
    parameter_groups,
)
from weaknas.training.trainer import Trainer  # noqa: E402

ROOT = Path(__file__).resolve().parents[2]

# All that a resume must bring back: momentum, running average, random numbers of numpy
# (order, augmentation) and of torch (dropout), statistics of batch norms.
EVERYTHING = Protocol(
    epochs=4,
    batch_size=16,
    learning_rate=0.05,
    warmup=1.0,
    ema=0.9,
    label_smoothing=0.1,
    gradient_clipping=1.0,
    flip=True,
    crop=1,
    cutout=2,
    erasing=0.2,
    mixup=0.5,
    cutmix=0.5,
    drop_path=0.5,
)


class Small(nn.Sequential):
    """Convolution, batch norm, dropout; `drop_path` is its probability."""

    def __init__(self) -> None:
        convolution = nn.Conv2d(1, 4, 3, padding=1)
        head = nn.Linear(4, 3)
        layers = [convolution, nn.BatchNorm2d(4), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten()]
        super().__init__(*layers, nn.Dropout(0.2), head)
        self.drop_path = 0.0
        self.seen: list[float] = []

    def forward(self, x):
        if self.training:
            self.seen.append(self.drop_path)
        return super().forward(x)


def make_data(count: int = 90):
    """Three classes of 6 x 6 images that differ by their brightness."""
    rng = np.random.default_rng(0)
    labels = np.arange(count) % 3
    pixels = rng.integers(0, 100, (count, 1, 6, 6)) + labels[:, None, None, None] * 70
    images = Images(pixels.astype(np.uint8), labels)
    return from_arrays("made", images, images.take(np.arange(30)), ["a", "b", "c"], 30)


def train(protocol, build=Small, *, epochs=None, stop=None, **options):
    trainer = Trainer(build, make_data(), protocol, device="cpu", threads=1, **options)
    return trainer.run(epochs, stop=stop)


def weights(training) -> dict:
    return {name: value.clone() for name, value in training.network.state_dict().items()}


def assert_equal(one, other) -> None:
    assert one.curve == other.curve
    assert one.losses == other.losses
    for name, value in weights(one).items():
        assert torch.equal(value, weights(other)[name]), name


# -- the same every time -----------------------------------------------------------------


def test_the_seed_decides_and_global_generators_stay() -> None:
    before, numbers = torch.random.get_rng_state(), np.random.get_state()[1].copy()  # noqa: NPY002
    one, other = train(EVERYTHING, seed=1), train(EVERYTHING, seed=1)
    assert torch.equal(before, torch.random.get_rng_state())
    assert np.array_equal(numbers, np.random.get_state()[1])  # noqa: NPY002
    assert_equal(one, other)
    assert train(EVERYTHING, seed=2).losses != one.losses


def test_resume_is_exact_to_the_bit(tmp_path: Path) -> None:
    whole = train(EVERYTHING)
    for epochs in (1, 3, None):
        resumed = train(EVERYTHING, epochs=epochs, checkpoint=Checkpoint(tmp_path / "c.pt", {}))
    assert_equal(whole, resumed)
    assert len(resumed.seconds) == 4


def test_a_killed_process_is_resumed_to_the_bit(tmp_path: Path) -> None:
    script = textwrap.dedent("""
        import sys, time
        from tests.training import test_trainer as t
        def report(training):
            print(len(training.losses), flush=True)
        def build():
            network = t.Small()
            # Slow, to be killed in the midst of an epoch.
            network.register_forward_pre_hook(lambda *_: time.sleep(0.05))
            return network
        path = t.Path(sys.argv[1])
        t.Trainer(build, t.make_data(), t.EVERYTHING, device="cpu", threads=1,
                  checkpoint=t.Checkpoint(path, {})).run(progress=report)
    """)
    process = subprocess.Popen(
        [sys.executable, "-c", script, str(tmp_path / "c.pt")],
        stdout=subprocess.PIPE,
        text=True,
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    assert process.stdout is not None
    while process.stdout.readline().strip() != "2":
        assert process.poll() is None, "it ended before it was killed"
    process.send_signal(signal.SIGKILL)
    process.wait()
    process.stdout.close()
    assert process.returncode == -signal.SIGKILL
    resumed = train(EVERYTHING, checkpoint=Checkpoint(tmp_path / "c.pt", {}))
    assert_equal(train(EVERYTHING), resumed)


def test_a_resumed_training_is_not_repeated(tmp_path: Path) -> None:
    first = train(Protocol(epochs=2, batch_size=30), checkpoint=Checkpoint(tmp_path / "c.pt", {}))
    steps = []

    def build():
        network = Small()
        network.register_forward_pre_hook(lambda module, _: steps.append(module.training))
        return network

    again = train(
        Protocol(epochs=2, batch_size=30), build, checkpoint=Checkpoint(tmp_path / "c.pt", {})
    )
    assert steps == []
    assert_equal(first, again)


def test_checkpoints_of_other_trainings_are_refused(tmp_path: Path) -> None:
    train(Protocol(epochs=1), checkpoint=Checkpoint(tmp_path / "c.pt", {"seed": 0}))
    with pytest.raises(InputError, match=r"c\.pt is the checkpoint of another training"):
        train(Protocol(epochs=1), checkpoint=Checkpoint(tmp_path / "c.pt", {"seed": 1}))


def test_damaged_checkpoints_begin_anew(tmp_path: Path) -> None:
    path = tmp_path / "c.pt"
    path.write_bytes(b"torn")
    with pytest.warns(UserWarning, match=r"c\.pt is damaged, training begins anew"):
        again = train(Protocol(epochs=1), checkpoint=Checkpoint(path, {}))
    assert_equal(again, train(Protocol(epochs=1)))


# -- learning ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"optimizer": "adamw", "learning_rate": 0.02},
        {"optimizer": "rmsprop", "learning_rate": 0.005},
        {"schedule": "step", "step_epochs": 4.0},
        {"ema": 0.8, "label_smoothing": 0.1, "decay_all": False, "channels_last": True},
        {"precision": "bfloat16"},
        {"deterministic": True},
    ],
    ids=str,
)
def test_it_learns(options) -> None:
    protocol = Protocol(epochs=10, batch_size=10).with_options(options)
    training = train(protocol, Small)
    assert training.status == "ok"
    assert len(training.curve) == len(training.losses) == 10
    assert training.value == training.curve[-1] > 0.8


def test_learning_rates_are_those_of_torch() -> None:
    protocol = Protocol(epochs=7, learning_rate=0.3)
    optimizer = torch.optim.SGD([nn.Parameter(torch.zeros(1))], 0.3)
    cosine = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, 7 * 10)
    for step in range(70):
        assert learning_rate(protocol, step / 10) == pytest.approx(cosine.get_last_lr()[0])
        optimizer.step()
        cosine.step()
    steps = Protocol(epochs=9, learning_rate=0.3, schedule="step", step_epochs=3, step_factor=0.5)
    rates = [learning_rate(steps, epoch) for epoch in (0, 2.9, 3, 8.9)]
    assert rates == pytest.approx([0.3, 0.3, 0.15, 0.075])
    warm = Protocol(epochs=10, learning_rate=0.4, warmup=2)
    assert [learning_rate(warm, e) for e in (0, 1, 2, 6)] == pytest.approx([0, 0.2, 0.4, 0.2])
    constant = Protocol(schedule="constant", learning_rate=0.4)
    assert learning_rate(constant, 11.9) == 0.4


def test_vectors_do_not_decay_unless_all_do() -> None:
    network = Small()
    decayed, spared = parameter_groups(network, Protocol(decay_all=False, weight_decay=0.1))
    assert [tuple(p.shape) for p in decayed["params"]] == [(4, 1, 3, 3), (3, 4)]
    assert (decayed["weight_decay"], spared["weight_decay"]) == (0.1, 0.0)
    assert len(spared["params"]) == 4
    (together,) = parameter_groups(network, Protocol(weight_decay=0.1))
    assert len(together["params"]) == 6
    optimizer = make_optimizer(network, Protocol(optimizer="rmsprop", epsilon=1.0))
    assert (optimizer.defaults["alpha"], optimizer.defaults["eps"]) == (0.9, 1.0)


def test_drop_path_rises_linearly_and_is_asked_for() -> None:
    built = []

    def build():
        built.append(Small())
        return built[-1]

    train(Protocol(epochs=4, batch_size=60, drop_path=0.4), build)
    assert built[0].seen == pytest.approx([0.0, 0.1, 0.2, 0.3])
    with pytest.raises(InputError, match="drop_path, which the network does not support"):
        train(Protocol(epochs=1, drop_path=0.4), lambda: nn.Sequential(nn.Flatten()))


class TwoHeads(nn.Module):
    """The second head is the only one that depends on its weights."""

    def __init__(self) -> None:
        super().__init__()
        self.main, self.other = nn.Linear(36, 3), nn.Linear(36, 3)

    def forward(self, x):
        flat = x.flatten(1)
        return (self.main(flat), self.other(flat)) if self.training else self.main(flat)


def test_the_auxiliary_head_is_trained_by_its_weight() -> None:
    def norms(weight):
        start = {}

        def build():
            network = TwoHeads()
            start.update({k: v.detach().clone() for k, v in network.named_parameters()})
            return network

        protocol = Protocol(epochs=1, batch_size=60, auxiliary=weight, weight_decay=0.0)
        network = train(protocol, build).network
        return {k: (v - start[k]).norm().item() for k, v in network.named_parameters()}

    none, some = norms(0.0), norms(0.5)
    assert none["other.weight"] == 0 < some["other.weight"]
    assert none["main.weight"] == pytest.approx(some["main.weight"])
    with pytest.raises(InputError, match="auxiliary, but the network has no such head"):
        train(Protocol(epochs=1, auxiliary=0.4))


def test_the_running_average_is_what_is_evaluated() -> None:
    plain = train(Protocol(epochs=2, batch_size=20))
    averaged = train(Protocol(epochs=2, batch_size=20, ema=0.9))
    assert plain.losses == averaged.losses  # the trained weights are the same
    one, other = (dict(t.network.named_parameters()) for t in (plain, averaged))
    assert not torch.equal(one["0.weight"], other["0.weight"])


def test_the_running_average_is_that_of_the_statistics_too(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    seen, update = [], AveragedModel.update_parameters

    def record(average: AveragedModel, network: nn.Module) -> None:
        seen.append(network.state_dict()["1.running_mean"].clone())
        update(average, network)

    monkeypatch.setattr(AveragedModel, "update_parameters", record)
    network = train(Protocol(epochs=2, batch_size=20, ema=0.9)).network
    expected = seen[0]
    for statistic in seen[1:]:
        expected = 0.9 * expected + 0.1 * statistic
    torch.testing.assert_close(network.state_dict()["1.running_mean"], expected)


# -- what ends a training ---------------------------------------------------------------


def test_numbers_that_are_none_end_it(tmp_path: Path) -> None:
    protocol = Protocol(epochs=5, learning_rate=1e30)
    training = train(protocol, checkpoint=Checkpoint(tmp_path / "c.pt", {}))
    assert training.status == "diverged"
    assert not math.isfinite(training.losses[-1] + training.curve[-1])
    assert len(training.losses) < 5
    assert math.isnan(training.value)
    again = train(protocol, checkpoint=Checkpoint(tmp_path / "c.pt", {}))
    assert again.status == "diverged"
    assert len(again.losses) == len(training.losses)


def test_the_caller_ends_it_by_the_curve() -> None:
    curves = []

    def stop(curve):
        curves.append(curve)
        return len(curve) == 2

    training = train(Protocol(epochs=5), stop=stop)
    assert training.status == "stopped"
    assert training.curve == curves[-1]
    assert [len(curve) for curve in curves] == [1, 2]
    assert training.value == training.curve[-1]


# -- several processes -------------------------------------------------------------------

LINEAR = Protocol(epochs=3, batch_size=20, learning_rate=0.01)


def build_linear():
    return nn.Sequential(nn.Flatten(), nn.Linear(36, 3))


def test_two_processes_train_as_one(tmp_path: Path) -> None:
    script = tmp_path / "two.py"
    script.write_text(
        textwrap.dedent("""
        import sys
        from tests.training.test_trainer import *
        path = Path(sys.argv[1])
        training = train(LINEAR, build_linear, checkpoint=Checkpoint(path / "c.pt", {}))
        state = {"curve": training.curve, "losses": training.losses,
                 "network": training.network.state_dict()}
        torch.save(state, path / f"rank{os.environ['RANK']}.pt")
        """)
    )
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone"]
    done = subprocess.run(
        [*command, "--nproc-per-node=2", str(script), str(tmp_path)],
        env={**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=240,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    alone = train(LINEAR, build_linear)
    ranks = [torch.load(tmp_path / f"rank{rank}.pt") for rank in (0, 1)]
    for name, value in alone.network.state_dict().items():
        assert torch.equal(ranks[0]["network"][name], ranks[1]["network"][name])
        torch.testing.assert_close(ranks[0]["network"][name], value, rtol=1e-4, atol=1e-5)
    for rank in ranks:
        assert rank["curve"] == alone.curve
        assert rank["losses"] == pytest.approx(alone.losses, rel=1e-4)
    # What two processes left is continued by one.
    resumed = train(LINEAR, build_linear, epochs=3, checkpoint=Checkpoint(tmp_path / "c.pt", {}))
    assert resumed.curve == alone.curve
