"""Recurrent cells: which are the same, what networks compute and cost, shared weights."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest

import weaknas
from weaknas.errors import FaultyEvaluator, InputError
from weaknas.spaces.limits.constrained import ConstrainedSpace
from weaknas.spaces.recurrent import Recurrent
from weaknas.spaces.recurrent.cell import ACTIVATIONS, split
from weaknas.testing import space_checks
from weaknas.training.data.text import language_data

SPACE = Recurrent(nodes=4)
TEXT = "tanh~0+relu~0+sigmoid~2+identity~1"
SMALL = {"classes": 7, "shape": (6,), "width": 5}


@pytest.fixture(name="torch")
def _torch():
    return pytest.importorskip("torch")


def tree(row) -> tuple[object, ...]:
    """Return a cell as nested tuples, siblings in order."""
    predecessors, activations = (part[0] for part in split(np.asarray(row)[None]))

    def below(node: int) -> tuple[object, ...]:
        children = [child + 1 for child, source in enumerate(predecessors) if source == node]
        label = -1 if node == 0 else int(activations[node - 1])
        return (label, tuple(sorted(map(below, children))))

    return below(0)


@pytest.mark.parametrize("check", space_checks(Recurrent(nodes=3), reference=tree), ids=str)
def test_contract_with_trees_as_reference(check) -> None:
    check()


@pytest.mark.parametrize("check", space_checks(Recurrent(nodes=6, output="leaves")), ids=str)
def test_contract_of_leaves(check) -> None:
    check()


def test_number_of_cells() -> None:
    # Rooted trees of two nodes below the root: a chain, or two siblings without order.
    space = Recurrent(nodes=2)
    assert space.size == 4 * 2 * 4
    assert len(space.architecture_fingerprints) == 16 + 10


def test_a_part_of_the_space_has_its_networks(torch) -> None:
    # Whoever hands a network on leaves its sizes to the space that builds it.
    part = ConstrainedSpace(SPACE, "params<=1e9")
    network = part.network(TEXT, width=5)
    logits = network(torch.zeros((2, 35), dtype=torch.int64))
    assert logits.shape == (2, 10_000, 35)


def test_text_form() -> None:
    row = SPACE.parse(TEXT)
    assert SPACE.format(row) == TEXT
    assert row.tolist() == [0, 0, 1, 2, 2, 1, 3]
    for text, message in {
        "tanh~0+relu~0": "each of 4 nodes",
        "tanh~0+relu~0+sigmoid~2+gelu~1": "unknown activation 'gelu'",
        "tanh~0+relu~0+sigmoid~3+tanh~1": "node 3 .* comes from node 3, where earlier ones are 0",
    }.items():
        with pytest.raises(InputError, match=message):
            SPACE.parse(text)
    with pytest.raises(InputError, match="unknown output of a recurrent cell 'leafs'; did you"):
        Recurrent(output="leafs")
    with pytest.raises(InputError, match="nodes must be at least 2"):
        Recurrent(nodes=1)


def test_formulas_are_what_modules_have(torch) -> None:
    from weaknas.training.measure import count_macs, count_parameters

    for space in (SPACE, Recurrent(nodes=3, output="leaves")):
        rows = space.sample(3, np.random.default_rng(0))
        for settings in ({"shape": (3,)}, {"classes": 31, "shape": (4,), "width": 12}):
            told = space.parameters(rows, **settings), space.macs(rows, **settings)
            for row, parameters, macs in zip(rows, *told, strict=True):
                with torch.device("meta"):
                    network = space.network(row, **settings)
                shape = settings.get("shape", (35,))
                assert count_parameters(network) == parameters
                assert count_macs(network, shape, tokens=True) == macs


def by_hand(network, row, tokens, output: str) -> np.ndarray:
    """Return log-probabilities of what follows each token of one window, by the equations."""
    state = {
        name: value.detach().numpy().astype(float) for name, value in network.named_parameters()
    }
    predecessors, activations = (part[0] for part in split(np.asarray(row)[None]))
    functions = {
        "tanh": np.tanh,
        "relu": lambda x: np.maximum(x, 0),
        "sigmoid": lambda x: 1 / (1 + np.exp(-x)),
        "identity": lambda x: x,
    }
    hidden = np.zeros(state["embedding.weight"].shape[1])
    found = []
    for token in tokens:
        x = state["embedding.weight"][token]
        both = np.concatenate([x, hidden])
        matrix = np.concatenate([state["body.input"], state["body.recurrent"]])
        gate, made = np.split(both @ matrix, 2)
        nodes = [hidden + functions["sigmoid"](gate) * (np.tanh(made) - hidden)]
        for place, (source, activation) in enumerate(zip(predecessors, activations, strict=True)):
            before = nodes[source]
            gate, made = np.split(before @ state[f"body.nodes.{place}"], 2)
            made = functions[ACTIVATIONS[activation]](made)
            nodes.append(before + functions["sigmoid"](gate) * (made - before))
        used = set(predecessors.tolist()) if output == "leaves" else set()
        hidden = np.mean([nodes[node] for node in range(1, len(nodes)) if node not in used], axis=0)
        logits = state["embedding.weight"] @ hidden + state["bias"]
        found.append(logits - np.log(np.exp(logits).sum()))
    return np.array(found)


@pytest.mark.parametrize("output", ["all", "leaves"])
def test_perplexity_is_that_of_an_independent_computation(torch, output: str) -> None:
    from weaknas.training.measure import Examination

    space = Recurrent(nodes=4, output=output)
    rng = np.random.default_rng(3)
    tokens = ["abcdef"[number] for number in rng.integers(6, size=60)]
    data = language_data("letters", [tokens, tokens[:20], tokens[5:25]], length=6)
    for row in space.sample(3, rng):
        torch.manual_seed(0)
        network = space.network(row, classes=data.classes, shape=data.shape, width=5)
        numbers = [data.class_names.index(token) for token in tokens[:20]]
        surprise = []
        for start in range(0, 19, 6):
            window = numbers[start : start + 7]
            told = by_hand(network, row, window[:-1], output)
            surprise += [-told[place, token] for place, token in enumerate(window[1:])]
        assert len(surprise) == 19
        value = Examination(data.validation, data, torch.device("cpu")).value(network)
        assert value == pytest.approx(math.exp(np.mean(surprise)), rel=1e-5)


def test_isomorphic_cells_compute_the_same(torch) -> None:
    first = SPACE.parse("tanh~0+relu~1+relu~0+sigmoid~1")
    second = SPACE.parse("relu~0+tanh~0+sigmoid~2+relu~2")
    assert len(set(SPACE.canonical_ids(np.array([first, second])))) == 1
    tokens = torch.randint(7, (3, 6))
    one = SPACE.network(first, **SMALL)
    other = SPACE.network(second, **SMALL)
    state = one.state_dict()
    moved = {f"body.nodes.{k}": state[f"body.nodes.{v}"] for k, v in enumerate([2, 0, 3, 1])}
    other.load_state_dict(state | moved)
    torch.testing.assert_close(one(tokens), other(tokens))


def test_dropout_is_one_mask_a_window(torch) -> None:
    torch.manual_seed(0)
    network = SPACE.network(TEXT, dropout=0.5, **SMALL)
    dropped = network._drop(torch.ones(2, 6, 5))
    assert torch.equal(dropped, dropped[:, :1].expand_as(dropped))
    assert set(dropped.unique().tolist()) == {0.0, 2.0}
    assert torch.equal(network.eval()._drop(torch.ones(2, 6, 5)), torch.ones(2, 6, 5))
    with pytest.raises(InputError, match="dropout must be a number at least 0 and below 1"):
        SPACE.network(TEXT, dropout=1.0)
    with pytest.raises(InputError, match=r"\(3, 32, 32\) is not \(length,\)"):
        SPACE.network(TEXT, shape=(3, 32, 32))


def test_supernet_runs_what_it_extracts(torch) -> None:
    torch.manual_seed(0)
    supernet = SPACE.supernet(**SMALL).eval()
    tokens = torch.randint(7, (3, 6))
    for row in SPACE.sample(4, np.random.default_rng(1)):
        supernet.activate(row)
        alone = supernet.extract(row)
        torch.testing.assert_close(supernet(tokens), alone(tokens))
        assert {name for name, _ in alone.named_parameters()} == {
            name for name, _ in SPACE.network(row, **SMALL).named_parameters()
        }
        with torch.no_grad():
            for weights in alone.parameters():
                weights.zero_()
        assert supernet(tokens).abs().max() > 0
    loss = supernet(tokens).square().sum()
    loss.backward()
    touched = [int((part.grad.abs().sum((2, 3)) > 0).sum()) for part in supernet.cell.nodes]
    assert touched == [1, 1, 1, 1]


def letters(length: int = 8):
    rng = np.random.default_rng(0)
    tokens = ["ab", "ba", "c"]
    text = [letter for number in rng.integers(3, size=400) for letter in tokens[number]]
    return language_data("letters", [text[:400], text[400:480], text[480:]], length=length)


def test_supernet_evaluator_scores_by_perplexity(torch, tmp_path: Path) -> None:
    from weaknas.evaluators.supernet import SupernetEvaluator
    from weaknas.supernets.files import save_supernet
    from weaknas.supernets.trainer import TEXT as USUAL
    from weaknas.supernets.trainer import SupernetTrainer
    from weaknas.training.measure import Examination

    data = letters()
    protocol = USUAL.with_options({"epochs": 2, "batch_size": 16})
    trainer = SupernetTrainer(SPACE, data, protocol, skeleton={"width": 6}, threads=1)
    training = trainer.run()
    assert training.metric == "perplexity"
    assert all(1 < curve[-1] < 4 for curve in training.probes.values())
    save_supernet(tmp_path / "supernet.pt", training.network, {"skeleton": {"width": 6}})
    evaluator = SupernetEvaluator(SPACE, checkpoint=tmp_path / "supernet.pt", dataset=data)
    architecture = SPACE.architecture(TEXT)
    evaluation = evaluator.evaluate(architecture, seed=0)
    alone = training.network.extract(architecture)
    value = Examination(data.validation, data, torch.device("cpu")).value(alone)
    assert evaluation.metrics["perplexity"] == pytest.approx(value, rel=1e-5)
    assert evaluation.score == pytest.approx(-math.log(value), rel=1e-5)
    assert evaluator.report(architecture) > 1


def test_training_evaluator_and_wrong_data(torch) -> None:
    from weaknas.evaluators.train import TrainEvaluator

    evaluator = TrainEvaluator(SPACE, dataset=letters(), epochs=2, batch_size=16)
    evaluation = evaluator.evaluate(SPACE.architecture(TEXT), seed=0)
    assert evaluation.score == -math.log(evaluation.metrics["perplexity"])
    assert evaluation.metrics["macs"] == SPACE.macs([SPACE.parse(TEXT)], 4, (8,), width=64)[0]
    wrong = TrainEvaluator(SPACE, dataset="digits")
    with pytest.raises(FaultyEvaluator, match="read tokens, which 'digits' has none of"):
        wrong.evaluate(SPACE.architecture(TEXT), seed=0)
    with pytest.raises(InputError, match="'nasbench201' read images, and 'letters' is a text"):
        TrainEvaluator(weaknas.get_space("nasbench201"), dataset=letters()).dataset  # noqa: B018
