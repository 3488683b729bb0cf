"""How the architectures of a space grow, level by level, against counts and definitions."""

from __future__ import annotations

import numpy as np
import pytest

from weaknas.registry import get_space
from weaknas.spaces import Cell, ChoiceSpace, ConstrainedSpace, SearchSpace
from weaknas.spaces.nasbench101.cells import EDGES


def grown(space: SearchSpace, levels: int) -> list[np.ndarray]:
    """All rows of each level."""
    rows = [space.smallest()]
    for level in range(1, levels + 1):
        rows.append(space.extend(rows[-1], level))
    return rows


def test_one_decision_more_leaves_its_first_value() -> None:
    space = ChoiceSpace({"a": [0, 1, 2], "b": [0], "c": [0, 1], "d": [0, 1, 2, 3]})
    assert space.levels == 3
    rows = grown(space, 3)
    assert [len(level) for level in rows] == [1, 2 + 1 + 3, 2 * 1 + 2 * 3 + 1 * 3, 2 * 1 * 3]
    for number, level in enumerate(rows):
        assert ((level > 0).sum(axis=1) == number).all()
    assert len(np.unique(np.vstack(rows), axis=0)) == space.size
    part = ConstrainedSpace(
        ChoiceSpace({"a": [0, 1, 2]}, costs={"n": lambda rows: rows[:, 0].astype(float)}), "n<=1"
    )
    assert part.extend(part.smallest(), 1).tolist() == [[1], [2]]  # whether inside or not


def test_cells_of_nasbench201_grow_by_edges() -> None:
    space = get_space("nasbench201")
    assert space.levels == 6
    rows = grown(space, 2)
    assert [len(level) for level in rows] == [1, 6 * 4, 15 * 16]
    cell = Cell(nodes=3, operations=["none", "conv", "pool"], nothing="none")
    everything = np.vstack(grown(ChoiceSpace(cell=cell), 3))
    assert len(everything) == 27


@pytest.mark.parametrize("level", [1, 2, 3])
def test_all_cells_of_nasbench101_grow_by_vertices(level: int) -> None:
    space = get_space("nasbench101")
    rows = grown(space, level)[level]
    everything = space.enumerate()
    size = (everything[:, len(EDGES) :] > 0).sum(axis=1)
    expected = np.sort(space.fingerprint(everything[size == level]))
    assert np.array_equal(np.sort(space.fingerprint(rows)), expected)


def test_a_full_cell_of_nasbench101_does_not_grow() -> None:
    space = get_space("nasbench101")
    rows = space.sample(50, np.random.default_rng(0))
    full = rows[(rows[:, len(EDGES) :] > 0).all(axis=1)]
    assert len(space.extend(full, 6)) == 0
    assert space.levels == 5


def test_cells_of_darts_grow_by_nodes() -> None:
    space = get_space("darts")
    assert space.levels == 8
    first = space.extend(space.smallest(), 1)
    second = space.extend(first[:1], 2)
    third = space.extend(second[:1], 3)
    assert [len(first), len(second), len(third)] == [49, 49, 3 * 49]
    assert space.contains(np.vstack([space.smallest(), first, second, third])).all()
    # Level 8 is the last node of the reduction cell, with the pairs of five sources.
    assert len(space.extend(third[:1], 8)) == 10 * 49
    # Any architecture grows: node by node its own inputs and operations are offered.
    target = space.sample(1, np.random.default_rng(0))[0].reshape(2, 4, 4)
    row = space.smallest()
    for level in range(1, 9):
        node, cell = divmod(level - 1, 2)
        options = space.extend(row, level)
        agrees = (options.reshape(-1, 2, 4, 4)[:, cell, node] == target[cell, node]).all(axis=1)
        row = options[agrees]
        assert len(row) == 1
    assert np.array_equal(row[0].reshape(2, 4, 4), target)


@pytest.mark.parametrize("name", ["mobilenetv3", "graph", "nats-size"])
def test_other_spaces_grow_by_decisions(name: str) -> None:
    space = get_space(name)
    rows = space.extend(space.smallest(), 1)
    assert len(rows) == (space.cardinalities - 1).sum()
    assert space.contains(rows).all()
