"""The NAS-Bench-201 space against its definition, over all 15,625 cells."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from weaknas.errors import InputError
from weaknas.spaces.nasbench201 import NASBench201
from weaknas.spaces.nasbench201.cell import OPERATIONS

SPACE = NASBench201()
ALL = np.array(list(itertools.product(range(5), repeat=6)), dtype=np.int16)
# Which edge each value is of, read off the official string by hand.
COLUMNS = [(0, 1), (0, 2), (1, 2), (0, 3), (1, 3), (2, 3)]
cells = st.lists(st.integers(0, 4), min_size=6, max_size=6)


def reached(start, edges):
    """Nodes that a search from a node finds."""
    found, pending = {start}, [start]
    while pending:
        node = pending.pop()
        for source, target in edges:
            if source == node and target not in found:
                found.add(target)
                pending.append(target)
    return found


def isomorphism_key(genotype):
    """Equal for cells whose used edges are the same under one of the two labellings."""
    edges = {edge: op for edge, op in zip(COLUMNS, genotype, strict=True) if op != 0}
    useful = reached(0, edges) & reached(3, [(b, a) for a, b in edges])
    kept = [(a, b, op) for (a, b), op in edges.items() if a in useful and b in useful]
    swap = {0: 0, 1: 2, 2: 1, 3: 3}
    return min(sorted(kept), sorted((swap[a], swap[b], op) for a, b, op in kept))


@pytest.fixture(scope="module")
def keys():
    return [str(isomorphism_key(row)) for row in ALL.tolist()]


# -- identity -------------------------------------------------------------------------------


def test_canonical_forms_are_the_isomorphism_classes(keys):
    canonical = SPACE.canonicalize(ALL)
    pairs = set(zip(keys, map(tuple, canonical.tolist()), strict=True))
    assert len(pairs) == len(set(keys)) == len({form for _, form in pairs}) == 8765
    for key, form in pairs:
        assert str(isomorphism_key(form)) == key
    np.testing.assert_array_equal(SPACE.canonicalize(canonical), canonical)


def test_fingerprints_and_ids_are_equal_exactly_for_equal_classes(keys):
    for values in (SPACE.fingerprint(ALL).tolist(), SPACE.canonical_ids(ALL)):
        assert len(set(zip(keys, values, strict=True))) == len(set(values)) == 8765
    assert len(SPACE.architecture_fingerprints) == 8765


def test_canonical_forms_compute_the_same():
    def outputs(genotypes):
        # five functions of a number that have no identities but f(0) = 0
        x = np.random.default_rng(0).normal(size=40)
        maps = [lambda v: 0 * v, np.tan, np.sinh, lambda v: np.exp(v) - 1, lambda v: v**3 + 2 * v]

        def edge(column, value):
            return np.stack(
                [maps[op](v) for op, v in zip(genotypes[:, column], value, strict=True)]
            )

        start = np.tile(x / 4, (len(genotypes), 1))
        one = edge(0, start)
        two = edge(1, start) + edge(2, one)
        return edge(3, start) + edge(4, one) + edge(5, two)

    drawn = ALL[np.random.default_rng(1).permutation(len(ALL))[:2000]]
    assert (SPACE.canonicalize(drawn) != drawn).any()
    # the order of a sum is all that may differ
    np.testing.assert_allclose(
        outputs(drawn), outputs(SPACE.canonicalize(drawn)), rtol=1e-9, atol=1e-12
    )


def test_canonical_form_by_hand():
    rows = [
        [0, 3, 0, 1, 4, 2],  # node 1 has no input; its output edge goes
        [3, 0, 0, 0, 0, 2],  # neither inner node lies on a path
        [4, 2, 0, 0, 1, 3],  # the inner nodes change places
        [4, 2, 1, 0, 1, 3],  # they may not: an edge joins them
    ]
    expected = [[0, 3, 0, 1, 0, 2], [0, 0, 0, 0, 0, 0], [2, 4, 0, 0, 3, 1], [4, 2, 1, 0, 1, 3]]
    # a single used inner node is called 2, which is the smaller row
    np.testing.assert_array_equal(SPACE.canonicalize(np.array(rows)), expected)


# -- strings --------------------------------------------------------------------------------


def test_ten_thousand_random_genotypes_come_back():
    rows = SPACE.sample(10_000, np.random.default_rng(0))
    texts = [SPACE.format(row) for row in rows]
    np.testing.assert_array_equal(np.stack([SPACE.parse(text) for text in texts]), rows)
    assert len(set(texts)) == len(np.unique(rows, axis=0))


@given(cells)
def test_strings_and_records_come_back(genotype):
    architecture = SPACE.architecture(genotype)
    assert architecture.genotype == tuple(genotype)
    assert SPACE.architecture(architecture.text) == architecture
    assert type(architecture).from_json(architecture.to_json()) == architecture


def test_official_string():
    text = "|avg_pool_3x3~0|+|nor_conv_1x1~0|skip_connect~1|+|nor_conv_1x1~0|none~1|nor_conv_3x3~2|"
    genotype = SPACE.parse(text)
    assert [OPERATIONS[op] for op in genotype] == [
        "avg_pool_3x3", "nor_conv_1x1", "skip_connect", "nor_conv_1x1", "none", "nor_conv_3x3",
    ]  # fmt: skip
    assert SPACE.format(genotype) == text
    shuffled = (
        " |avg_pool_3x3~0|+|skip_connect~1|nor_conv_1x1~0|+|nor_conv_3x3~2|none~1|nor_conv_1x1~0|\n"
    )
    np.testing.assert_array_equal(SPACE.parse(shuffled), genotype)


GOOD = "|none~0|+|none~0|none~1|+|none~0|none~1|none~2|"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "nonsense",
        "|none~0|",
        GOOD[:-1],
        GOOD[1:],
        GOOD + "|",
        GOOD + "+|none~0|none~1|none~2|none~3|",
        "x" + GOOD,
        GOOD.replace("none~2", "none~1"),
        GOOD.replace("none~2", "none~3"),
        GOOD.replace("none~2", "none"),
        GOOD.replace("none~2", "~2"),
        GOOD.replace("|none~2", "||none~2"),
        GOOD.replace("none~2", "none~02"),
        GOOD.replace("none~2", "none~\uff12"),
        GOOD.replace("+", "-"),
        GOOD.replace("+|none~0|none~1|none~2|", "+|none~0|none~1|none~2|none~2|"),
        "|none~0|none~0|+|none~1|+|none~0|none~1|none~2|",
    ],
)
def test_malformed_strings(text):
    with pytest.raises(InputError, match="malformed architecture string") as caught:
        SPACE.parse(text)
    assert "\n" not in str(caught.value)
    assert "nor_conv_3x3" in str(caught.value)


def test_unknown_operation_names_the_closest():
    with pytest.raises(InputError, match="'nor_conv3x3'; did you mean 'nor_conv_3x3'"):
        SPACE.parse(GOOD.replace("none~2", "nor_conv3x3~2"))


@given(st.text(alphabet="|~+_012 none", max_size=60))
def test_any_text_is_read_or_refused(text):
    try:
        genotype = SPACE.parse(text)
    except InputError:
        return
    assert SPACE.contains(genotype[None]).all()


# -- listing and moves ----------------------------------------------------------------------


def test_enumeration_is_the_product_in_order():
    np.testing.assert_array_equal(SPACE.enumerate(), ALL)
    assert SPACE.enumerate().dtype == np.int16
    assert SPACE.size == 15_625


def test_neighbors_by_brute_force(keys):
    key_of = dict(zip(map(tuple, ALL.tolist()), keys, strict=True))
    for genotype in ALL[np.random.default_rng(2).permutation(len(ALL))[:300]]:
        close = ALL[(genotype != ALL).sum(axis=1) == 1]
        assert len(close) == 24
        expected = {key_of[tuple(row)] for row in close.tolist()} - {key_of[tuple(genotype)]}
        rows = SPACE.neighbors(genotype)
        found = [key_of[tuple(row)] for row in rows.tolist()]
        assert set(found) == expected
        assert len(found) == len(expected)
        np.testing.assert_array_equal(SPACE.canonicalize(rows), rows)


def test_mutation_changes_one_decision_uniformly():
    rows = SPACE.sample(60_000, np.random.default_rng(3))
    before = rows.copy()
    mutants = SPACE.mutate(rows, np.random.default_rng(4))
    np.testing.assert_array_equal(rows, before)
    changed = mutants != rows
    assert (changed.sum(axis=1) == 1).all()
    assert SPACE.contains(mutants).all()
    # 24 equally likely moves, 2,500 expected of each: five standard deviations
    moves = (mutants - rows)[changed] % 5 + 5 * np.nonzero(changed)[1]
    counts = np.bincount(moves, minlength=30).reshape(6, 5)
    assert (counts[:, 0] == 0).all()
    assert np.abs(counts[:, 1:] - 2500).max() < 5 * np.sqrt(2500)


def test_crossover_takes_each_decision_from_a_parent():
    rng = np.random.default_rng(5)
    first, second = np.zeros((20_000, 6), dtype=np.int16), np.full((20_000, 6), 4, dtype=np.int16)
    children = SPACE.crossover(first, second, rng)
    assert set(np.unique(children)) == {0, 4}
    assert np.abs((children == 4).mean(axis=0) - 0.5).max() < 0.02
    assert abs(np.corrcoef(children[:, 0], children[:, 5])[0, 1]) < 0.04


def test_sampling_is_uniform():
    rows = SPACE.sample(156_250, np.random.default_rng(6))
    codes = rows.astype(int) @ 5 ** np.arange(6)
    statistic = ((np.bincount(codes, minlength=15_625) - 10) ** 2 / 10).sum()
    # chi-square of 15,624 degrees of freedom, within five standard deviations
    assert abs(statistic - 15_624) < 5 * np.sqrt(2 * 15_624)


# -- graphs ---------------------------------------------------------------------------------


def test_graphs_are_equal_exactly_for_isomorphic_cells(keys):
    graphs = SPACE.graphs(ALL)
    flat = np.hstack([graphs.adjacency.reshape(len(ALL), -1), graphs.operations])
    _, classes = np.unique(flat, axis=0, return_inverse=True)
    pairs = set(zip(keys, classes.reshape(-1).tolist(), strict=True))
    assert len(pairs) == len(set(keys)) == classes.max() + 1


def test_graph_of_a_full_cell_by_hand():
    graphs = SPACE.graphs(np.array([[1, 2, 3, 4, 1, 2]]))
    assert graphs.vocabulary == ("input", "output", *OPERATIONS[1:])
    # input, edges 0-1, 0-2, 1-2, 0-3, 1-3, 2-3, output
    assert graphs.operations[0].tolist() == [0, 2, 3, 4, 5, 2, 3, 1]
    edges = {(int(a), int(b)) for a, b in zip(*np.nonzero(graphs.adjacency[0]), strict=True)}
    assert edges == {
        (0, 1), (0, 2), (0, 4),  # the input feeds what leaves node 0
        (1, 3), (1, 5),  # node 1
        (2, 6), (3, 6),  # node 2
        (4, 7), (5, 7), (6, 7),
    }  # fmt: skip


def test_graph_of_a_sparse_cell_by_hand():
    # 0 -conv3-> 1 -pool-> 3 alone; node 2 hangs loose, and 1 becomes 2
    graphs = SPACE.graphs(np.array([[3, 0, 1, 0, 4, 0]]))
    assert graphs.operations[0].tolist() == [0, -1, 4, -1, -1, -1, 5, 1]
    assert np.argwhere(graphs.adjacency[0]).tolist() == [[0, 2], [2, 6], [6, 7]]
    assert len(graphs[:0]) == 0


# -- size and cost --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "classes"), [("cifar10", 10), ("cifar100", 100), ("imagenet16", 120)]
)
def test_formulas_agree_with_the_published_table(shared_data, name, classes):
    with np.load(shared_data("nasbench201/nasbench201.npz"), allow_pickle=False) as table:
        genotypes, texts = table["ops"], table["arch_str"]
        assert tuple(table["op_names"].astype(str)) == OPERATIONS
        listed, macs = table[f"{name}_params_M"], table.get(f"{name}_flops_M")
    assert [SPACE.format(row) for row in genotypes] == texts.astype(str).tolist()
    # the table lists about 1 % of the parameter counts with a neighbouring cell
    same = np.abs(SPACE.parameters(genotypes, classes) / 1e6 - listed) < 1e-6
    assert 0.99 < same.mean() < 1
    if macs is not None:  # what the table calls FLOPs; the source has none of ImageNet16-120
        np.testing.assert_allclose(SPACE.macs(genotypes, classes) / 1e6, macs, rtol=0, atol=1e-4)


def test_formulas_on_cifar10():
    pointwise, spatial = (ALL == 2).sum(axis=1), (ALL == 3).sum(axis=1)
    np.testing.assert_allclose(
        SPACE.parameters(ALL) / 1e6, 0.073306 + 0.028 * pointwise + 0.24304 * spatial, atol=1e-9
    )
    np.testing.assert_allclose(
        SPACE.macs(ALL) / 1e6, 7.78305 + 3.93216 * pointwise + 35.38944 * spatial, atol=1e-9
    )
