"""Placement and precision, on machines that are pretended."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch")
from torch import nn  # noqa: E402

from weaknas.errors import InputError  # noqa: E402
from weaknas.training import Protocol, devices  # noqa: E402
from weaknas.training import trainer as trainer_module  # noqa: E402
from weaknas.training.batches import send  # noqa: E402
from weaknas.training.data import Dataset, Images, from_arrays  # noqa: E402
from weaknas.training.descent import Descent  # noqa: E402
from weaknas.training.devices import (  # noqa: E402
    choose_device,
    choose_precision,
    own_randomness,
)
from weaknas.training.distributed import Workers, workers  # noqa: E402
from weaknas.training.measure import Examination, count_macs, count_parameters  # noqa: E402


class Small(torch.nn.Sequential):
    """The least that has a convolution, a batch norm and a classifier."""

    def __init__(self) -> None:
        body = [torch.nn.Conv2d(1, 4, 3, padding=1), torch.nn.BatchNorm2d(4)]
        super().__init__(*body, torch.nn.AdaptiveAvgPool2d(1), torch.nn.Flatten())
        self.append(torch.nn.Linear(4, 3))


def make_data() -> Dataset:
    """Three classes of 6 x 6 images that differ by their brightness."""
    labels = np.arange(30) % 3
    pixels = np.random.default_rng(0).integers(0, 100, (30, 1, 6, 6))
    pixels += labels[:, None, None, None] * 70
    images = Images(pixels.astype(np.uint8), labels)
    return from_arrays("made", images, images, ["a", "b", "c"], images)


def train(protocol: Protocol, build: type[torch.nn.Module] = Small) -> trainer_module.Training:
    trainer = trainer_module.Trainer(build, make_data(), protocol, device="cpu", threads=1)
    return trainer.run()


@pytest.fixture
def pretend(monkeypatch: pytest.MonkeyPatch):
    """Pretend so many CUDA devices of a compute capability, and whether there is Apple's."""

    def set_up(count: int, capability: tuple[int, int] = (8, 0), mps: bool = False) -> None:
        monkeypatch.delenv("LOCAL_RANK", raising=False)
        monkeypatch.setattr(torch.cuda, "is_available", lambda: count > 0)
        monkeypatch.setattr(torch.cuda, "device_count", lambda: count)
        monkeypatch.setattr(torch.cuda, "get_device_capability", lambda _: capability)
        monkeypatch.setattr(torch.backends.mps, "is_available", lambda: mps)

    return set_up


def test_the_fastest_device_is_chosen(pretend, monkeypatch: pytest.MonkeyPatch) -> None:
    pretend(0)
    assert str(choose_device()) == "cpu"
    pretend(0, mps=True)
    assert str(choose_device()) == "mps"
    assert str(choose_device("cpu")) == "cpu"
    pretend(2, mps=True)
    assert str(choose_device()) == "cuda:0"
    assert str(choose_device("cuda:1")) == "cuda:1"
    monkeypatch.setenv("LOCAL_RANK", "1")  # of torchrun
    assert str(choose_device()) == "cuda:1"
    assert str(choose_device("cuda")) == "cuda:1"


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("cuda:2", "no device cuda:2; torch sees 2 CUDA devices"),
        ("mps", "no device mps"),
        ("gpu", r"unknown device 'gpu' \(allowed: cuda, cuda:N, mps, cpu\)"),
    ],
)
def test_devices_that_are_not_there(pretend, name: str, message: str) -> None:
    pretend(2)
    with pytest.raises(InputError, match=message):
        choose_device(name)


@pytest.mark.parametrize(
    ("capability", "dtype"),
    [((9, 0), "bfloat16"), ((8, 0), "bfloat16"), ((7, 5), "float16"), ((6, 1), "float32")],
)
def test_precision_follows_the_gpu(pretend, capability: tuple[int, int], dtype: str) -> None:
    pretend(1, capability)
    device = torch.device("cuda", 0)
    assert choose_precision("auto", device) is getattr(torch, dtype)
    assert choose_precision("float32", device) is torch.float32
    assert choose_precision("auto", torch.device("cpu")) is torch.float32
    assert choose_precision("auto", torch.device("mps")) is torch.float32
    assert choose_precision("bfloat16", torch.device("cpu")) is torch.bfloat16


class Watched(Small):
    """Remembers what its convolution is given and makes."""

    def __init__(self) -> None:
        super().__init__()
        self.outputs: list[torch.Tensor] = []
        self[0].register_forward_hook(lambda _m, _x, made: self.outputs.append(made.detach()))


def outputs_of(protocol: Protocol) -> list[torch.Tensor]:
    built = []

    def build() -> Watched:
        built.append(Watched())
        return built[-1]

    training = train(protocol, build)
    assert {weight.dtype for weight in training.network.parameters()} == {torch.float32}
    return built[0].outputs


def test_precision_is_that_of_the_arithmetic_not_of_the_weights() -> None:
    assert {made.dtype for made in outputs_of(Protocol(epochs=1))} == {torch.float32}
    low = outputs_of(Protocol(epochs=1, precision="bfloat16"))
    assert {made.dtype for made in low} == {torch.bfloat16}  # training and evaluation


def step(descent: Descent) -> None:
    """Make a step by gradients that float16 cannot hold."""
    descent.begin(1e6)
    with descent.autocast():
        loss = descent.network(torch.ones(2, 1, 6, 6)).float().sum() * 1e-9
    descent.add(loss)
    descent.step()


def test_gradients_of_float16_do_not_vanish() -> None:
    network = Small()
    before = network[-1].bias.clone()
    step(Descent(network, Protocol(precision="float16", weight_decay=0.0), torch.device("cpu")))
    assert not torch.equal(network[-1].bias, before)


@pytest.mark.parametrize(("old", "new"), [("float32", "float16"), ("float16", "float32")])
def test_a_training_is_continued_in_the_precision_of_another_device(old: str, new: str) -> None:
    begun, continued = (
        Descent(Small(), Protocol(precision=precision), torch.device("cpu"))
        for precision in (old, new)
    )
    step(begun)
    continued.restore(begun.state())
    step(continued)


def test_only_cuda_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    # Apple's GPU would read memory that has been freed: pytorch/pytorch issue 189690.
    sent = []
    monkeypatch.setattr(torch.Tensor, "to", lambda _, device, **options: sent.append(options))
    for name in ("cuda:0", "mps", "cpu"):
        send(torch.zeros(1), torch.device(name))
    assert [options["non_blocking"] for options in sent] == [True, False, False]


@pytest.mark.parametrize("device", ["cuda:1", "cpu"])
def test_each_process_joins_with_its_own_gpu(device: str, monkeypatch: pytest.MonkeyPatch) -> None:
    calls = []
    for name, value in {"WORLD_SIZE": "2", "RANK": "1", "LOCAL_RANK": "1"}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(torch.cuda, "set_device", lambda chosen: calls.append(str(chosen)))
    group = torch.distributed
    monkeypatch.setattr(
        group, "init_process_group", lambda *a, **k: calls.append((*a, *map(str, k.values())))
    )
    monkeypatch.setattr(group, "get_rank", lambda: 1)
    monkeypatch.setattr(group, "get_world_size", lambda: 2)
    monkeypatch.setattr(group, "destroy_process_group", lambda: calls.append("left"))
    with workers(torch.device(device)) as team:
        assert (team.rank, team.count, team.is_first) == (1, 2, False)
    joined = ["cuda:1", ("nccl", "cuda:1")] if device == "cuda:1" else [("gloo",)]
    assert calls == [*joined, "left"]


def test_processes_that_continue_from_different_epochs_are_refused() -> None:
    class Hosts(Workers):
        """Two hosts, the other one after its third epoch."""

        def total(self, values: torch.Tensor) -> torch.Tensor:
            return values + 3

    hosts, cpu = Hosts(0, 2), torch.device("cpu")
    hosts.check_epochs(3, cpu)
    with pytest.raises(InputError, match="continues after epoch 0, others"):
        hosts.check_epochs(0, cpu)
    Workers().check_epochs(5, cpu)


def test_channels_last_reaches_the_layers() -> None:
    made = outputs_of(Protocol(epochs=1, channels_last=True))[0]
    assert made.is_contiguous(memory_format=torch.channels_last)


def test_compile_is_called_when_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    compiled = []
    monkeypatch.setattr(torch, "compile", lambda module: compiled.append(module) or module)
    train(Protocol(epochs=1))
    assert compiled == []
    training = train(Protocol(epochs=1, compile=True))
    assert compiled == [training.network]


def test_any_number_of_networks_is_compiled(monkeypatch: pytest.MonkeyPatch) -> None:
    # torch compiles the code of a class 8 times at most and then runs it as it is.
    made, compile_ = [], torch.compile

    def backend(graph: torch.fx.GraphModule, _: object) -> object:
        made[-1] += 1
        return graph.forward

    monkeypatch.setattr(torch, "compile", lambda module: compile_(module, backend=backend))
    for layers in range(10):
        made.append(0)
        train(Protocol(epochs=1, compile=True), lambda n=layers: Small().extend([nn.ReLU()] * n))
    assert all(made), made


def test_determinism_is_set_for_the_training_alone() -> None:
    seen = []

    def build() -> Small:
        network = Small()
        check = torch.are_deterministic_algorithms_enabled
        network.register_forward_pre_hook(
            lambda *_: seen.append((check(), torch.get_num_threads()))
        )
        return network

    threads = torch.get_num_threads()
    train(Protocol(epochs=1, deterministic=True), build)
    assert set(seen) == {(True, 1)}
    assert not torch.are_deterministic_algorithms_enabled()
    assert torch.get_num_threads() == threads


def test_everything_is_put_on_the_device(monkeypatch: pytest.MonkeyPatch) -> None:
    # The device meta computes nothing, but refuses operands of another device.
    placed = []

    class Stop(Exception):
        pass

    def add(descent: Descent, loss: torch.Tensor) -> None:
        weights = [weight.device.type for weight in descent.network.parameters()]
        placed.extend([loss.device.type, *weights])
        raise Stop

    monkeypatch.setattr(Descent, "add", add)
    monkeypatch.setattr(trainer_module, "choose_device", lambda _: torch.device("meta"))
    monkeypatch.setattr(devices, "own_randomness", lambda _: torch.random.fork_rng([]))
    protocol = Protocol(epochs=1, flip=True, crop=1, cutout=2, erasing=0.5, mixup=1.0, ema=0.9)
    with pytest.raises(Stop):
        trainer_module.Trainer(Small, make_data(), protocol).run()
    assert set(placed) == {"meta"}


def test_generators_of_devices_are_left_as_found(monkeypatch: pytest.MonkeyPatch) -> None:
    states = {"cuda:1": torch.ones(1), "mps": torch.ones(1)}
    monkeypatch.setattr(torch.cuda, "get_rng_state", lambda device: states[str(device)])
    monkeypatch.setattr(
        torch.cuda, "set_rng_state", lambda state, device: states.update({str(device): state})
    )
    monkeypatch.setattr(torch.mps, "get_rng_state", lambda: states["mps"])
    monkeypatch.setattr(torch.mps, "set_rng_state", lambda state: states.update({"mps": state}))
    for name in ("cuda:1", "mps"):
        with own_randomness(torch.device(name)):
            states[name] = torch.zeros(1)
        assert states[name] == 1


def test_costs_of_a_network() -> None:
    # 3 x 3 x 1 x 4 weights at 36 pixels, and the head of 4 x 3.
    assert count_macs(Small(), (1, 6, 6)) == 9 * 4 * 36 + 12
    assert count_parameters(Small()) == 36 + 4 + 8 + 12 + 3


def test_examinations_count_every_image_once() -> None:
    class Bright(torch.nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            mean = x.mean((1, 2, 3))
            return torch.stack([-((mean - level) ** 2) for level in (-1.2, 0.0, 1.2)], 1)

    data = make_data()
    network = Bright()
    accuracy = Examination(data.test, data, torch.device("cpu")).accuracy(network)
    pixels = (torch.tensor(data.test.pixels) / 255 - data.mean[0]) / data.std[0]
    right = network(pixels).argmax(1).numpy() == data.test.labels
    assert accuracy == right.mean() > 0.9
    assert network.training  # as it was found
