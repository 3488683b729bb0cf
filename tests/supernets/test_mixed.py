"""Supernets whose edges are weighted sums: gradients, schedules, networks, derivation, resuming."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from weaknas.errors import InputError  # noqa: E402
from weaknas.spaces.darts import DARTS  # noqa: E402
from weaknas.spaces.nasbench101 import NASBench101  # noqa: E402
from weaknas.spaces.nasbench201 import NASBench201  # noqa: E402
from weaknas.spaces.recurrent import Recurrent  # noqa: E402
from weaknas.supernets.mixed import MIXED_METHODS  # noqa: E402
from weaknas.supernets.mixed.bilevel import first_order, second_order  # noqa: E402
from weaknas.supernets.mixed.derive import Derivation, strongest  # noqa: E402
from weaknas.supernets.mixed.judge import Judge  # noqa: E402
from weaknas.supernets.mixed.learner import Learner  # noqa: E402
from weaknas.supernets.mixed.schedule import GROUPS, group, keep_inputs, narrow  # noqa: E402
from weaknas.supernets.mixed.trainer import MixedTrainer, default_protocol  # noqa: E402
from weaknas.training.checkpoints import Checkpoint  # noqa: E402
from weaknas.training.data.text import language_data  # noqa: E402
from weaknas.training.metrics import MeanMetric  # noqa: E402

CELLS, PAIRS = NASBench201(), DARTS()
SMALL = {"channels": 2, "cells": 1}
CPU = torch.device("cpu")


def few(method: str, epochs: int, **switches):
    return replace(default_protocol(method), epochs=epochs, batch_size=32, **switches)


def trainer(dataset, method: str, epochs: int = 3, space=CELLS, **options) -> MixedTrainer:
    options = {"skeleton": SMALL, "threads": 1, "alpha_rate": 0.05, **options}
    return MixedTrainer(space, dataset, few(method, epochs), method=method, **options)


# -- gradients ------------------------------------------------------------------------------


def make_toy():
    """Losses with all mixed second derivatives, in double precision."""
    rng = torch.Generator().manual_seed(0)
    alpha = torch.randn(3, generator=rng, dtype=torch.float64, requires_grad=True)
    weights = [
        torch.randn(size, generator=rng, dtype=torch.float64, requires_grad=True)
        for size in ((2, 3), (2,))
    ]
    unused = torch.ones(2, dtype=torch.float64, requires_grad=True)
    x = torch.randn(2, generator=rng, dtype=torch.float64)

    def training() -> torch.Tensor:
        return ((weights[0] * alpha.softmax(0)).sum(1) - weights[1]).tanh().pow(2).sum()

    def validation() -> torch.Tensor:
        return ((weights[0] @ alpha.sin()) * x + weights[1]).pow(2).sum()

    return alpha, [*weights, unused], training, validation


def test_second_order_is_the_gradient_after_a_step() -> None:
    alpha, weights, training, validation = make_toy()
    velocities = [torch.full_like(weight, 0.3) for weight in weights]
    rate, momentum, decay = 0.1, 0.9, 0.01
    before = [weight.detach().clone() for weight in weights]

    def after_a_step() -> float:
        """Loss of validation after the weights have followed the training loss once."""
        slopes = torch.autograd.grad(training(), weights, allow_unused=True)
        with torch.no_grad():
            for weight, slope, velocity in zip(weights, slopes, velocities, strict=True):
                step = momentum * velocity + decay * weight
                weight.sub_(rate * (step if slope is None else step + slope))
            loss = float(validation())
            for weight, start in zip(weights, before, strict=True):
                weight.copy_(start)
        return loss

    numerical = []
    for place in range(3):
        losses = []
        for step in (1e-5, -1e-5):
            with torch.no_grad():
                alpha[place] += step
            losses.append(after_a_step())
            with torch.no_grad():
                alpha[place] -= step
        numerical.append((losses[0] - losses[1]) / 2e-5)
    found = second_order(
        training,
        validation,
        weights,
        alpha,
        rate=rate,
        velocities=velocities,
        momentum=momentum,
        decay=decay,
    )
    numerical = torch.tensor(numerical, dtype=torch.float64)
    torch.testing.assert_close(found, numerical, rtol=1e-3, atol=1e-5)
    assert all(torch.equal(weight, start) for weight, start in zip(weights, before, strict=True))
    # The first order is another gradient, so that the difference is not in rounding.
    assert not torch.allclose(first_order(validation, alpha), numerical, rtol=0.05)


# -- schedules ------------------------------------------------------------------------------


def test_p_darts_is_as_published() -> None:
    """Chen et al., 2019, section 4.1: 5, 11, 17 cells; 8, 5, 3 operations; 25 epochs, 10 rest."""
    method = MIXED_METHODS["p-darts"]
    assert [3 * stage.cells + 2 for stage in method.stages] == [5, 11, 17]
    assert [stage.dropout for stage in method.stages] == [0.0, 0.4, 0.7]
    assert [(s.epochs, s.resting(s.epochs)) for s in method.stages] == [(25, 10)] * 3
    assert (method.alpha_rate, method.batch_size, method.skips) == (6e-4, 96, 2)
    last = method.stages[-1]
    assert last.dropout_at(0, 25) == pytest.approx(0.7 * 24 / 25)
    assert last.dropout_at(9, 25) == pytest.approx(0.7 * 15 / 25)
    assert last.dropout_at(12, 25) == pytest.approx(0.7 * np.exp(-0.4))
    rng = np.random.default_rng(0)
    for count, kept in ((8, [8, 5, 3]), (5, [5, 3, 2])):
        names = [str(number) for number in range(count)]
        weights = rng.random((4, count))
        for stage, many in zip(method.stages, kept, strict=True):
            mask = narrow(stage, names, np.ones(count, dtype=bool), [], weights)
            assert (mask.sum(axis=1) == many).all()
            weakest = np.where(mask, weights, 2).min(axis=1)
            assert (weakest >= np.where(mask, 0, weights).max(axis=1)).all()
            weights = weights * mask


def test_stacnas_is_as_published() -> None:
    """Li et al., 2019: four groups of DARTS' operations, 14 and 20 cells, 80 epochs each."""
    method = MIXED_METHODS["stacnas"]
    assert [3 * stage.cells + 2 for stage in method.stages] == [14, 20]
    assert [stage.epochs for stage in method.stages] == [80, 80]
    assert (method.one_level, method.gradient_clipping) == (True, 3.0)
    first, second = method.stages
    names, choosable = ("none", *PAIRS.operations), np.arange(8) > 0
    mask = narrow(first, names, choosable, [], np.ones((28, 8)))
    chosen = {names[k] for k in np.flatnonzero(mask[0])}
    assert chosen == {"max_pool_3x3", "skip_connect", "sep_conv_3x3", "dil_conv_3x3"}
    # NAS-Bench-201: only the convolutions are alike.
    names = CELLS.choices[0]
    assert len(set(group(names))) == 4
    weights = np.eye(5)[[3, 1, 0, 4, 3, 3]]
    mask = narrow(second, names, np.ones(5, dtype=bool), [], weights)
    assert mask.sum(axis=1).tolist() == [2, 1, 1, 1, 2, 2]
    assert set(np.array(names)[mask[0]]) == set(GROUPS[0])


def test_each_node_keeps_its_strongest_inputs() -> None:
    kept = keep_inputs(np.array([0.1, 0.2, 0.5, 0.3, 0.4]), [[0, 1], [2, 3, 4]])
    assert kept.tolist() == [True, True, True, False, True]


# -- networks -------------------------------------------------------------------------------


@pytest.mark.parametrize("space", [CELLS, PAIRS], ids=["nasbench201", "darts"])
def test_one_operation_an_edge_is_the_own_network_of_the_space(space) -> None:
    torch.manual_seed(0)
    network = space.mixed_supernet(classes=4, shape=(1, 8, 8), **SMALL)
    images = torch.randn(6, 1, 8, 8)
    genotype = space.sample(1, np.random.default_rng(1))[0]
    if space is PAIRS:  # pooling has a batch norm in supernets alone
        genotype[1::2] = 2 + genotype[1::2] % 5
    mask = network.chosen(genotype)
    assert np.array_equal(network.genotype(mask), genotype)
    network.restrict(mask)
    alone = network.extract(genotype).train()
    assert type(alone) is type(space.network(genotype, classes=4, shape=(1, 8, 8), **SMALL))
    torch.testing.assert_close(network(images), alone(images))


def test_an_edge_is_the_weighted_sum_of_what_is_allowed() -> None:
    torch.manual_seed(0)
    network = CELLS.mixed_supernet(classes=4, shape=(1, 8, 8), **SMALL)
    network.alpha.data.normal_()
    mask = np.ones((6, 5), dtype=bool)
    mask[0, 1:4] = False
    network.restrict(mask)
    weights = network.mixing()
    torch.testing.assert_close(weights[1], network.alpha[1].softmax(0))
    torch.testing.assert_close(weights[0, [0, 4]], network.alpha[0, [0, 4]].softmax(0))
    assert not weights[0, 1:4].any()
    edge = network.network[1].edges[2]
    edge.weights, x = weights[2], torch.randn(3, 2, 8, 8)
    torch.testing.assert_close(
        edge(x), sum(w * op(x) for w, op in zip(weights[2], edge, strict=True))
    )
    # Without scale nothing can undo a weight.
    assert all(norm.weight is None for norm in edge.modules() if hasattr(norm, "running_mean"))
    edge.dropout, edge.weights = 0.999, torch.eye(5)[1]
    assert not torch.equal(edge.train()(x), x)
    assert torch.equal(edge.eval()(x), x)


# -- recurrent cells ------------------------------------------------------------------------

NODES = Recurrent(3)
TOKENS = torch.arange(12).reshape(2, 6) % 5


def text_of(count: int = 240):
    """A text of three words in turn, so that the next one is known."""
    words = [f"w{place % 3}" for place in range(count)]
    return language_data("rule", [words, words[:60], words[:60]], length=6)


def test_one_predecessor_and_activation_a_node_is_the_recurrent_cell() -> None:
    torch.manual_seed(0)
    network = NODES.mixed_supernet(classes=5, shape=(6,), width=4)
    for genotype in NODES.sample(5, np.random.default_rng(1)):
        mask = network.chosen(genotype)
        assert np.array_equal(network.genotype(mask), genotype)
        network.restrict(mask)
        torch.testing.assert_close(network(TOKENS), network.extract(genotype)(TOKENS))


def test_a_node_is_the_mean_over_predecessors_of_weighted_activations() -> None:
    """Of the first token, node by node, by the equations."""
    torch.manual_seed(0)
    network = NODES.mixed_supernet(classes=5, shape=(6,), width=4)
    network.alpha.data.normal_()
    mask = np.ones((6, 5), dtype=bool)
    mask[4] = False  # node 3 does not come from node 1
    network.restrict(mask)
    cell, weights = network.network.body, network.mixing()
    x = torch.randn(2, 4)
    functions = (torch.tanh, torch.relu, torch.sigmoid, lambda h: h)
    gate, made = (x @ cell.input).chunk(2, dim=1)
    nodes = [torch.sigmoid(gate) * torch.tanh(made)]
    for node, edges in enumerate(([0], [1, 2], [3, 4, 5])):
        total, present = torch.zeros(2, 4), 0
        for source, edge in enumerate(edges):
            gate, made = (nodes[source] @ cell.nodes[node]).chunk(2, dim=1)
            for k, function in enumerate(functions):
                value = nodes[source] + torch.sigmoid(gate) * (function(made) - nodes[source])
                total = total + weights[edge, k + 1] * value
            present += bool(mask[edge].any())
        nodes.append(total / present)
    network._give(weights)
    torch.testing.assert_close(cell(x[:, None])[:, 0], torch.stack(nodes[1:]).mean(0))


@pytest.mark.parametrize("method", ["darts", pytest.param("p-darts", marks=pytest.mark.slow)])
def test_recurrent_cells_are_learnt_and_derived(tmp_path: Path, method: str) -> None:
    data = text_of()
    protocol = replace(default_protocol(method, NODES), epochs=6, batch_size=8, learning_rate=0.2)
    options = {"method": method, "skeleton": {"width": 8}, "threads": 1, "alpha_rate": 0.05}
    whole = MixedTrainer(NODES, data, protocol, **options).run()
    assert whole.metric == "perplexity"
    assert whole.probes["the mixture"][-1] < 2.9  # 3 by chance
    for end in (2, 6):
        kept = Checkpoint(tmp_path / "kept", {})
        parts = MixedTrainer(NODES, data, protocol, checkpoint=kept, **options).run(end)
    expected, found = whole.network.state_dict(), parts.network.state_dict()
    assert all(torch.equal(found[name], expected[name]) for name in expected)
    assert NODES.contains(NODES.genotypes(whole.derived[-1:])).all()
    made = MIXED_METHODS[method]
    derivation = Derivation(whole.network, data, made, protocol, tuning=0, threads=1)
    assert NODES.contains(derivation.run()[None]).all()
    for decision in derivation.decisions:  # perplexities: what is kept costs most without it
        kept = decision.chosen[0]
        assert decision.accuracies[kept] == max(decision.accuracies.values()) > 1


def test_leaves_have_no_sum_of_all_cells() -> None:
    with pytest.raises(InputError, match="output=leaves has no sum of all cells"):
        Recurrent(3, output="leaves").mixed_supernet(classes=5, shape=(6,))


# -- training -------------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["darts-2", pytest.param("p-darts", marks=pytest.mark.slow)])
def test_resumed_training_reaches_the_same_weights(dataset, tmp_path: Path, method: str) -> None:
    epochs = 3 if method == "p-darts" else 2  # one a stage
    whole = trainer(dataset, method, epochs).run()
    for end in range(1, epochs + 1):
        kept = Checkpoint(tmp_path / "kept", {})
        parts = trainer(dataset, method, epochs, checkpoint=kept).run(end)
    expected, found = whole.network.state_dict(), parts.network.state_dict()
    assert all(torch.equal(found[name], expected[name]) for name in expected)
    assert (parts.losses, parts.probes, parts.derived) == (
        whole.losses,
        whole.probes,
        whole.derived,
    )


@pytest.mark.parametrize(
    "method",
    [
        "darts",
        "p-darts",
        *(pytest.param(m, marks=pytest.mark.slow) for m in ("darts-2", "blank", "stacnas")),
    ],
)
def test_methods_do_what_their_names_say(dataset, method: str) -> None:
    training = trainer(dataset, method).run()
    network = training.network
    assert training.losses[-1] < 1.5  # ln 4 by chance
    if method == "blank":
        assert not network.alpha.any()
    if method == "p-darts":
        assert (network.mask().sum(axis=1) == 2).all()
        assert "none" not in training.derived[-1]
        assert training.derived[-1].count("skip") <= 2
    if method == "stacnas":
        assert set(network.mask().sum(axis=1)) <= {1, 2}
    if method in ("darts", "darts-2"):
        assert (network.alpha.detach().abs() > 0.05).any()


def test_halves_have_no_image_in_common(dataset) -> None:
    network = CELLS.mixed_supernet(classes=4, shape=(1, 8, 8), **SMALL)
    options = {"seed": 0, "halves": 0, "alpha_rate": 0.1}

    def images(method: str) -> list[bytes]:
        learner = Learner(network, dataset, MIXED_METHODS[method], few(method, 1), CPU, **options)
        rows = zip(learner._sources, learner._counts, strict=True)
        parts = [
            next(source.batches([np.arange(n)], np.random.default_rng(0)))[0]
            for (source, _), n in rows
        ]
        return [image.tobytes() for part in parts for image in part.numpy()]

    everything = [image.tobytes() for image in dataset.train.pixels]
    assert sorted(images("darts")) == sorted(images("stacnas")) == sorted(everything)


@pytest.mark.slow
def test_depth_grows_in_stages(dataset) -> None:
    made = trainer(dataset, "p-darts", space=PAIRS, skeleton={"channels": 2}, epochs=3)
    cells = []
    training = made.run(progress=lambda t: cells.append(len(t.network.network.cells)))
    assert cells == [5, 11, 17]
    assert (training.network.mask().sum(axis=1) == 3).all()
    assert PAIRS.contains(PAIRS.genotypes(training.derived[-1:])).all()


# -- derivation -----------------------------------------------------------------------------


def planted(space, **options):
    """A network whose weights prefer one operation an edge, and a genotype of these."""
    torch.manual_seed(0)
    network = space.mixed_supernet(classes=4, shape=(1, 8, 8), **SMALL)
    genotype = space.sample(1, np.random.default_rng(3))[0]
    network.alpha.data.zero_()
    network.alpha.data[torch.from_numpy(network.chosen(genotype))] = 2.0
    return network, genotype


@pytest.mark.parametrize("space", [CELLS, PAIRS], ids=["nasbench201", "darts"])
def test_the_strongest_operations_are_derived(space) -> None:
    network, genotype = planted(space)
    found = network.genotype(strongest(network, MIXED_METHODS["darts"]))
    assert space.architecture(found) == space.architecture(genotype)


def test_the_weakest_skips_give_way() -> None:
    network, _ = planted(CELLS)
    network.alpha.data.zero_()
    network.alpha.data[:, 1] = torch.tensor([3.0, 4.0, 5.0, 6.0, 7.0, 8.0])
    network.alpha.data[:, 0] = 2.0
    network.alpha.data[:, 3] = 1.0
    found = network.genotype(strongest(network, MIXED_METHODS["p-darts"]))
    assert found.tolist() == [3, 3, 3, 3, 1, 1]


def derivation(dataset, space=CELLS, decided=0, **options) -> Derivation:
    network, genotype = planted(space)
    mask = network.mask()
    mask[:decided] = network.chosen(genotype)[:decided]
    network.restrict(mask)
    method = MIXED_METHODS["darts"]
    options = {"tuning": 1, "threads": 1, **options}
    return Derivation(network, dataset, method, few("darts", 3), **options)


def test_what_costs_most_accuracy_is_kept(dataset, monkeypatch) -> None:
    """Without the planted operation the judge sees less."""
    from weaknas.supernets.mixed.judge import Judge

    best = np.array([2, 0, 4, 1, 3, 3])

    def look(_self, _network, weights) -> tuple[float, float]:
        return float(sum(weights[edge, op] > 0 for edge, op in enumerate(best))) / 6, 1.0

    monkeypatch.setattr(Judge, "look", look)
    made = derivation(dataset, tuning=0)
    assert made.run().tolist() == best.tolist()
    assert sorted(decision.edge for decision in made.decisions) == list(range(6))
    monkeypatch.setattr(Judge, "look", lambda _s, _n, w: (0.5, float(1 - w[:, 3].sum())))
    assert derivation(dataset, tuning=0).run().tolist() == [3] * 6  # equal but for the loss


@pytest.mark.parametrize(
    "criterion", ["perturbation", pytest.param("magnitude", marks=pytest.mark.slow)]
)
def test_resumed_derivation_decides_the_same(dataset, tmp_path: Path, criterion: str) -> None:
    options = {"decided": 3, "criterion": criterion}
    whole = derivation(dataset, **options)
    expected = whole.run()

    class Killed(Exception):
        pass

    def stop(_decision) -> None:
        parts.count += 1
        if parts.count == 2:
            raise Killed

    for _ in range(3):
        parts = derivation(dataset, checkpoint=Checkpoint(tmp_path / "d", {}), **options)
        parts.count = 0
        try:
            found = parts.run(progress=stop)
        except Killed:
            continue
    assert found.tolist() == expected.tolist()
    assert parts.decisions == whole.decisions
    state = whole.network.state_dict()
    assert all(torch.equal(state[n], t) for n, t in parts.network.state_dict().items())


@pytest.mark.slow
def test_inputs_of_nodes_are_chosen_too(dataset) -> None:
    made = derivation(dataset, PAIRS, tuning=0)
    found = made.run()
    assert PAIRS.contains(found[None]).all()
    # 14 edges and the three nodes with more than two inputs, of both cells.
    assert len(made.decisions) == 2 * (14 + 3)
    assert all(len(decision.chosen) == 2 for decision in made.decisions[28:])
    assert all("none" not in decision.accuracies for decision in made.decisions)


# -- bad input and real kills ---------------------------------------------------------------


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda d: trainer(d, "dart"), "did you mean 'darts'"),
        (lambda d: trainer(d, "p-darts", epochs=2), "epochs must be at least 3"),
        (lambda d: trainer(d, "darts", space=NASBench101()).run(), "no mixed supernet; these"),
        (lambda d: trainer(d, "darts", alpha_rate=0.0), "alpha_rate must be a number above 0"),
        (
            lambda d: MixedTrainer(
                CELLS, d, few("darts", 1, optimizer="adamw"), method="darts-2", skeleton=SMALL
            ).run(),
            "optimizer is adamw; gradients of second order",
        ),
        (lambda d: derivation(d, criterion="perturbations"), "did you mean 'perturbation'"),
    ],
)
def test_what_cannot_be_done_is_refused(dataset, make, message: str) -> None:
    with pytest.raises(InputError, match=message) as raised:
        make(dataset)
    assert "\n" not in str(raised.value)


@pytest.mark.slow
def test_a_killed_training_and_derivation_go_on_to_the_same(tmp_path: Path) -> None:
    def command(*arguments: str) -> list[str]:
        return [sys.executable, "-m", "weaknas", *arguments]

    train = ["train-supernet", "nasbench201", "--method", "darts", "--threads", "1"]
    train += ["--network", "channels=2:cells=1", "--epochs", "2", "--alpha-rate", "0.05"]
    environment = os.environ | {"CUDA_VISIBLE_DEVICES": ""}

    def run(*arguments: str, until: Path | None = None) -> None:
        process = subprocess.Popen(
            command(*arguments), env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
        )
        if until is None:
            assert process.wait(300) == 0, process.stderr.read().decode()
            return
        while not until.exists():
            assert process.poll() is None, process.stderr.read().decode()
            time.sleep(0.01)
        process.send_signal(signal.SIGKILL)
        process.wait()

    one, other = tmp_path / "one", tmp_path / "other"
    run(*train, "--output", str(one))
    run(*train, "--output", str(other), until=other / "checkpoint.pt")
    run(*train, "--output", str(other))
    first, second = (
        torch.load(folder / "supernet.pt", weights_only=True)["state_dict"]
        for folder in (one, other)
    )
    assert all(torch.equal(first[name], second[name]) for name in first)
    derive = ["derive", str(one / "supernet.pt"), "--tuning", "1", "--threads", "1"]
    run(*derive, "--output", str(one / "a"))
    run(*derive, "--output", str(one / "b"), until=one / "b" / "derivation.pt")
    run(*derive, "--output", str(one / "b"))
    facts = [json.loads((one / k / "derived.json").read_text()) for k in "ab"]
    assert facts[0]["architecture"] == facts[1]["architecture"]
    assert facts[0]["decisions"] == facts[1]["decisions"]


# -- loss, metric and precision of the protocol ---------------------------------------------


def test_the_loss_and_the_metric_of_the_protocol_are_used(dataset) -> None:
    asked = []

    def loss(outputs, labels):
        asked.append(len(labels))
        return torch.nn.functional.cross_entropy(outputs, labels)

    def share(labels, outputs):
        right = (outputs.argmax(1) != labels).sum()
        return torch.stack([right, right.new_tensor(len(labels))]).float()

    wrong = MeanMetric("wrong", share, maximize=False, tasks=("classification",))
    protocol = few("darts", 1, loss=loss, metric=wrong)
    options = {"skeleton": SMALL, "threads": 1, "alpha_rate": 0.05}
    made = MixedTrainer(CELLS, dataset, protocol, method="darts", **options)
    plain = trainer(dataset, "darts", 1)
    found, other = made.run(), plain.run()
    assert asked
    assert found.losses == pytest.approx(other.losses)
    (shares,), (accuracies,) = found.probes.values(), other.probes.values()
    assert shares[0] == pytest.approx(1 - accuracies[0])
    with pytest.raises(InputError, match="'f1' needs all outputs at once"):
        MixedTrainer(CELLS, dataset, few("darts", 1, metric="f1"), method="darts", **options).run()


def test_weights_of_operations_are_unscaled_as_all_others(dataset, monkeypatch) -> None:
    """In half precision gradients are scaled, and steps that overflow are left out."""
    made, large = torch.amp.GradScaler, {"init_scale": 2.0**40, "growth_interval": 2}
    monkeypatch.setattr(torch.amp, "GradScaler", lambda *a, **k: made(*a, **k, **large))
    for method in ("darts", "stacnas"):
        found = MixedTrainer(
            CELLS, dataset, few(method, 2, precision="float16"), method=method, skeleton=SMALL
        ).run()
        assert torch.isfinite(found.network.alpha).all(), method


def test_a_last_validation_image_is_not_normalised_by_itself(dataset) -> None:
    network = trainer(dataset, "darts", 1).run().network
    judge = Judge(dataset, CPU, few("darts", 1))
    judge._batch = len(dataset.validation) - 1
    sizes: list[int] = []
    network.register_forward_pre_hook(lambda _, inputs: sizes.append(len(inputs[0])))
    judge.look(network)
    assert len(sizes) == 2
    assert max(sizes) - min(sizes) <= 1
