"""Cells of a ChoiceSpace against NASBench201 and the definition of isomorphism."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import weaknas
from weaknas.errors import InputError
from weaknas.search.presets import default_encoder
from weaknas.spaces import Cell, ChoiceSpace
from weaknas.spaces.nasbench201 import NASBench201
from weaknas.spaces.nasbench201.cell import OPERATIONS

NODES = 6
ON_EDGES = ChoiceSpace(cell=Cell(NODES, ["conv1", "none", "conv3"], nothing="none"))
ON_NODES = ChoiceSpace(cell=Cell(NODES, ["conv1", "conv3"], on="nodes"))


def test_with_the_operations_of_nasbench201_it_is_nasbench201() -> None:
    published = NASBench201()
    space = ChoiceSpace(cell=Cell(4, OPERATIONS, nothing="none"))
    rows = published.enumerate()
    np.testing.assert_array_equal(space.enumerate(), rows)
    np.testing.assert_array_equal(space.canonicalize(rows), published.canonicalize(rows))
    np.testing.assert_array_equal(space.fingerprint(rows), published.fingerprint(rows))
    assert len(space.architecture_fingerprints) == 8765
    ours, theirs = space.graphs(rows), published.graphs(rows)
    np.testing.assert_array_equal(ours.adjacency, theirs.adjacency)
    np.testing.assert_array_equal(ours.operations, theirs.operations)
    assert ours.vocabulary == theirs.vocabulary


@given(st.data())
def test_nodes_may_change_places(data: st.DataObject) -> None:
    on_edges = data.draw(st.booleans())
    space = ON_EDGES if on_edges else ON_NODES
    values = {
        name: data.draw(st.sampled_from(texts))
        for name, texts in zip(space.variables, space.choices, strict=True)
    }
    absent = "none" if on_edges else 0
    label = (0, *data.draw(st.permutations(range(1, NODES - 1))), NODES - 1)  # by old node
    moved = dict.fromkeys(values, absent)
    for source, target in itertools.combinations(range(NODES), 2):
        a, b = label[source], label[target]
        value = values[f"{source}->{target}"]
        if a < b:
            moved[f"{a}->{b}"] = value
        else:  # an edge whose ends change their order is taken away from both
            values[f"{source}->{target}"] = absent
    for node in range(1, NODES - 1) if not on_edges else ():
        moved[f"node{label[node]}"] = values[f"node{node}"]
    one, other = space.architecture(values), space.architecture(moved)
    assert one.id == other.id
    assert one.text == other.text


def test_canonical_forms_by_hand() -> None:
    cell = Cell(4, ["conv1", "conv3"], on="nodes")
    space = ChoiceSpace({"width": [8, 16]}, cell=cell)
    assert space.variables[1:] == ("0->1", "0->2", "1->2", "0->3", "1->3", "2->3", "node1", "node2")
    rows = np.array(
        [
            [1, 1, 0, 0, 0, 1, 0, 1, 1],  # node 2 is not used: called 1, it has no operation
            [0, 1, 1, 0, 0, 1, 1, 1, 0],  # the inner nodes change places
            [0, 1, 1, 1, 0, 1, 1, 1, 0],  # an edge joins them
            [0, 1, 0, 1, 1, 0, 0, 1, 1],  # node 2 leads nowhere, and so node 1
        ]
    )
    expected = [
        [1, 0, 1, 0, 0, 0, 1, 0, 1],
        [0, 1, 1, 0, 0, 1, 1, 0, 1],
        [0, 1, 1, 1, 0, 1, 1, 1, 0],
        [0, 0, 0, 0, 1, 0, 0, 0, 0],
    ]
    np.testing.assert_array_equal(space.canonicalize(rows), expected)
    graphs = space.graphs(rows)
    assert graphs.vocabulary == ("input", "output", "conv1", "conv3")
    np.testing.assert_array_equal(graphs.operations[:2], [[0, -1, 3, 1], [0, 2, 3, 1]])
    assert space.decode(rows[0]) == {"width": 16} | dict.fromkeys(
        ("0->1", "1->2", "0->3", "1->3"), 0
    ) | {"0->2": 1, "2->3": 1, "node1": "conv1", "node2": "conv3"}


def test_encoders_see_the_graph_and_what_is_beside_it() -> None:
    cell = Cell(4, ["none", "conv1", "conv3"], nothing="none")
    space = ChoiceSpace({"width": [8, 16, 32]}, cell=cell)
    assert "graph-features" in default_encoder(space)
    assert space.outside_graphs.tolist() == [True] + [False] * 6

    def score(architecture: weaknas.Architecture) -> float:
        values = space.decode(architecture)
        return list(values.values()).count("conv3") + values["width"] / 32

    for name in ("weaknas", "npenas", "bananas"):
        search = weaknas.get_strategy(name, space, seed=0)
        encoded = search.encoder.fit(space.enumerate()).transform(
            np.array([[0] * 7, [2] + [0] * 6])
        )
        assert (encoded[0] != encoded[1]).any()
    result = weaknas.run(weaknas.WeakNAS(space, seed=0), score, budget=20)
    assert result.best.score == 7


def test_a_file_has_a_cell_and_choices_that_repeat(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(
        "[choices]\n"
        'block = { values = ["a", "b"], repeat = 3 }\n'
        "rate = { low = 0.0, high = 1.0, repeat = 2 }\n"
        '[conditions]\nblock2 = { block1 = ["b"] }\n'
        '[cell]\nnodes = 4\noperations = ["none", "conv"]\nnothing = "none"\n'
        "[costs.params]\nblock = { a = 1, b = 10 }\ncell = [0, 100]\n"
    )
    space = weaknas.get_space(str(path))
    assert space.variables[:6] == ("block1", "block2", "block3", "rate1", "rate2", "0->1")
    assert space.size == 3 * 2 * 65**2 * 2**6
    best = {"block1": "a", "block3": "b", "rate1": 0, "rate2": 1, "0->3": "conv"}
    row = space.genotypes([dict.fromkeys(space.variables[5:], "none") | best])
    assert space.costs()["params"](row).tolist() == [1 + 10 + 100]
    assert space.describe()["cell"] == {"nodes": 4, "on": "edges", "nothing": "none"}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[cell]\nnodes = 9\noperations = [1]", "at most 8 nodes, not 9"),
        ("[cell]\nnodes = 1\noperations = [1]", "nodes of a cell must be .* not 1"),
        ("[cell]\nnodes = 4", "lacks operations"),
        ("[cell]\nnodes = 4\noperations = []", "are empty"),
        ("[cell]\nnodes = 4\noperations = [1, 2]\nnothing = 3", "not there '?3'?"),
        ("[cell]\nnodes = 4\noperations = [1, 2]\non = 'node'", "place of operations 'node'"),
        ("[cell]\nnodes = 4\noperations = [1, 2]\non = 'nodes'\nnothing = 1", "of no use"),
        ("[cell]\nnodes = 4\noperations = [1, 2]\nedges = 3", "key of .cell. 'edges'"),
        ("[choices]\n'0->1' = [1, 2]\n[cell]\nnodes = 4\noperations = [1, 2]", "named twice"),
        (
            "[choices]\na = [1, 2]\n[conditions]\na = { '0->1' = 1 }\n[cell]\nnodes = 4\n"
            "operations = [1, 2]",
            "'a' involves '0->1' of the cell",
        ),
        ("[choices]\na = { values = [1, 2], repeat = 0 }", "repeat of 'a' must be .* not 0"),
        ("[choices]\na = { values = [1, 2] }", "repeat of 'a' must be .* not None"),
        ("[choices]\na = { values = [1, 2], repeat = 2, log = true }", "key of 'a' 'log'"),
        ("[choices]\na = [1, 2]\n[costs.x]\nb = [1, 2]", "in .costs.x. 'b'"),
        ("[choices]\na = [1, 2]\n[costs.x]\na = [1]", "a number for each of 1, 2, not .1."),
        ("[choices]\na = [1, 2]\n[costs.x]\na = { 1 = 3, 3 = 3 }", "for each of 1, 2"),
        ("[choices]\na = [1, 2]\n[costs.x]\na = [1, 'b']", "a 2 of .costs.x. must be"),
        ("[choices]\na = [1, 2]\n[costs]\nx = 3", r"\[costs\.x\] must be a table, not 3"),
        (
            "[choices]\na = { values = [1, 2], repeats = 3 }",
            r"key of 'a' 'repeats'; did you mean 'repeat'\? \(allowed: values, repeat\)",
        ),
        ("[choices]\na = { repeats = 3 }", "key of 'a' 'repeats'; did you mean 'repeat'"),
        ("[choices]\na = { repeat = 3 }", "'a' needs values, or as a number low and high"),
        ("[choices]\na = {}", "'a' needs values, .* given are none"),
        (
            "[choices]\nb = [1, 2]\nr = { low = 0, high = 1 }\n[costs.x]\nr = [1, 2]",
            r"r of \[costs\.x\] is a number between two bounds, which has no prices",
        ),
        (
            "[cell]\nnodes = 4\noperations = { low = 0, high = 1 }",
            r"operations of \[cell\] must be a list .* not {'low': 0, 'high': 1}",
        ),
        ("[choices]\na = [1, 2]\n[costs.score]\na = [1, 2]", "a cost cannot be called 'score'"),
        ("[choices]\na1 = [1]\na = { values = [1, 2], repeat = 2 }", "'a1' is there twice"),
        ("[choices]\na = { values = [1, 2], repeat = 999999 }", "at most 10,000 times"),
    ],
)
def test_what_is_wrong_is_said(text: str, message: str, tmp_path: Path) -> None:
    path = tmp_path / "wrong.toml"
    path.write_text(text)
    with pytest.raises(InputError, match=message) as caught:
        weaknas.get_space(str(path))
    assert "\n" not in str(caught.value)


def test_what_is_no_cell_is_refused() -> None:
    generator = (text for text in "ab")
    for operations in (generator, 3, "ab", weaknas.number(0.0, 1.0)):
        wrong: Any = operations
        with pytest.raises(InputError, match=r"operations of a cell must be a list.* not "):
            Cell(nodes=4, operations=wrong)
    for cell in (3, 0, {}, {"nodes": 4, "operations": ["a", "b"]}):
        wrong = cell
        with pytest.raises(InputError, match=r"the cell of a space must be a Cell.* not "):
            ChoiceSpace({"a": [1, 2]}, cell=wrong)
    named = ChoiceSpace(cell=Cell(nodes=3, operations={"largest": max, "smallest": min}))
    assert named.size == 8
