"""Encodings by hand, and against brute force on the official strings of NAS-Bench-201."""

from __future__ import annotations

import itertools
import re
from collections import Counter

import numpy as np
import pytest
import sklearn.preprocessing
from sklearn.exceptions import NotFittedError
from sklearn.preprocessing import FunctionTransformer

import weaknas
from weaknas.encoders import (
    AdjacencyEncoder,
    ConcatenatedEncoder,
    CostsEncoder,
    GraphFeaturesEncoder,
    OneHotEncoder,
    OperationCountsEncoder,
    OperationPairsEncoder,
    OrdinalEncoder,
    PathCountsEncoder,
    PathEncoder,
    PathStatisticsEncoder,
    TruncatedPathEncoder,
    ValueCountsEncoder,
    VariablesEncoder,
    find_layout,
)
from weaknas.errors import InputError
from weaknas.registry import list_encoders_for
from weaknas.search.sources import Source
from weaknas.spaces import ChoiceSpace, ConstrainedSpace
from weaknas.spaces.nasbench201 import NASBench201
from weaknas.spaces.nasbench201.cell import OPERATIONS

SPACE = NASBench201()
ROWS = SPACE.sample(600, np.random.default_rng(0))
REAL = OPERATIONS[1:]
# |conv1~0|+|skip~0|none~1|+|none~0|pool~1|conv3~2|: two paths, conv1-pool and skip-conv3.
# Its canonical form has the inner nodes in the other order.
CELL = np.array([[2, 1, 0, 0, 4, 3]])


def operation_paths(text):
    """Every sequence of operations from the input to the output, from the official string."""
    nodes = [re.findall(r"(\w+)~(\d)", node) for node in text.split("+")]

    def walk(node):
        if node == 0:
            return [()]
        return [
            (*path, operation)
            for operation, source in nodes[node - 1]
            if operation != "none"
            for path in walk(int(source))
        ]

    return walk(3)


PATHS = [operation_paths(SPACE.format(row)) for row in ROWS]


# -- decisions ------------------------------------------------------------------------------


def test_one_hot_by_hand():
    features = OneHotEncoder(SPACE).fit_transform(CELL)
    assert features.shape == (1, 30)
    assert features.dtype == np.float32
    # canonical: 1 2 0 0 3 4
    assert np.flatnonzero(features[0]).tolist() == [0 + 1, 5 + 2, 10, 15, 20 + 3, 25 + 4]


def test_ordinal_by_hand():
    space = ChoiceSpace({"width": [16, 32, 64], "kind": ["only"], "skip": [False, True]})
    features = OrdinalEncoder(space).fit_transform(np.array([[1, 0, 1], [2, 0, 0]]))
    np.testing.assert_array_equal(features, [[0.5, 0, 1], [1, 0, 0]])
    assert OneHotEncoder(space).fit_transform(np.array([[2, 0, 1]])).tolist() == [
        [0, 0, 1, 1, 0, 1]
    ]


def test_variables_by_hand():
    space = ChoiceSpace({"width": [16, 32, 64], "kind": ["a", "b"], "skip": [0, 1, 2, 3, 4]})
    encoder = VariablesEncoder(space)
    features = encoder.fit_transform(np.array([[1, 0, 4], [2, 1, 1]]))
    np.testing.assert_array_equal(features, [[0.5, 1, 0, 1], [1, 0, 1, 0.25]])
    assert encoder.groups == [slice(0, 1), slice(1, 3), slice(3, 4)]


def test_decisions_that_share_their_choices_are_alike():
    space = ChoiceSpace(
        {
            "a": ["x", "y"],
            "width": [1, 2, 3],
            "b": ["x", "y"],
            "other": ["x", "z"],
            "wide": [1, 2, 3],
        }
    )
    assert [columns.tolist() for columns in space.shared_choices] == [[0, 2], [1, 4]]
    rows = np.array([[0, 2, 1, 1, 0], [1, 1, 1, 0, 1]])
    encoder = VariablesEncoder(space)
    # ranks of both widths, one column a choice of `other`, then a and b by choice: x, y
    expected = [[1, 0, 1, 0, 1, 0, 0, 1], [0.5, 1, 0, 0.5, 0, 0, 1, 1]]
    np.testing.assert_array_equal(encoder.fit_transform(rows), expected)
    assert encoder.groups == [slice(a, b) for a, b in [(0, 1), (1, 3), (3, 4), (4, 6), (6, 8)]]
    counts = ValueCountsEncoder(space).fit_transform(rows)
    np.testing.assert_array_equal(counts, [[1, 1, 1, 0, 1], [0, 2, 0, 2, 0]])
    few = ChoiceSpace({"a": ["x", "y", "z"], "b": ["x", "y", "z"]})  # fewer decisions than choices
    assert VariablesEncoder(few).groups == [slice(0, 3), slice(3, 6)]
    part = ConstrainedSpace(space, "width<=1", {"width": lambda rows: rows[:, 1]})
    assert part.shared_choices[0].tolist() == [0, 2]
    with pytest.raises(InputError, match="share their choices"):
        ValueCountsEncoder(ChoiceSpace({"a": ["x", "y"], "b": ["p", "q"]}))


def test_large_sets_of_values_have_few_columns():
    """One ordered, one not: at most 64 columns each, and no two choices alike."""
    space = ChoiceSpace(
        {"rate": range(10_000), "name": [f"n{i}" for i in range(3000)], "b": ["x", "y"]}
    )
    rows = np.stack([np.arange(3000) * 3, np.arange(3000), np.zeros(3000, dtype=int)], axis=1)
    for encoder, width in ((OneHotEncoder(space), 9), (VariablesEncoder(space), 1)):
        features = encoder.fit_transform(rows)
        assert features.shape == (3000, width + 64 + 2)
        assert encoder.groups[-1].stop in (None, 67)
        ranks = features[:, :width] @ (np.linspace(0, 1, width) if width > 1 else [1])
        np.testing.assert_allclose(ranks, rows[:, 0] / 9999, rtol=1e-6, atol=1e-6)
        names = features[:, width : width + 64]
        np.testing.assert_allclose((names**2).sum(axis=1), 1, rtol=1e-5)
        closeness = np.abs(names @ names.T - np.eye(3000))
        assert closeness.max() < 0.75
        assert closeness.mean() < 0.11


@pytest.mark.parametrize("values", [range(100), [f"n{i}" for i in range(100)]], ids=["123", "abc"])
@pytest.mark.parametrize("decisions", [300, pytest.param(2000, marks=pytest.mark.slow)])
def test_many_decisions_of_many_values_have_few_columns(decisions, values):
    space = ChoiceSpace({f"x{i}": values for i in range(decisions)})
    rows = space.sample(3, np.random.default_rng(0))
    assert OneHotEncoder(space).fit_transform(rows).shape[1] <= max(4096, 8 * decisions)


def test_up_to_64_choices_have_a_column_each():
    space = ChoiceSpace({"a": range(64), "b": range(65)})
    features = OneHotEncoder(space).fit_transform(np.array([[63, 64], [0, 4]]))
    assert features.shape == (2, 64 + 9)
    assert np.flatnonzero(features[0]).tolist() == [63, 72]
    assert features[1, [0, 64, 65]].tolist() == [1, 0.5, 0.5]


def test_costs_by_hand():
    features = CostsEncoder(SPACE).fit_transform(ROWS)
    known = {
        tuple(np.log1p(f(SPACE.canonicalize(ROWS)).astype(float)))
        for f in (SPACE.parameters, SPACE.macs)
    }
    found = {tuple(column) for column in features.T.astype(float)}
    assert len(found) == len(known)
    np.testing.assert_allclose(sorted(found), sorted(known), rtol=1e-6)


# -- graphs ---------------------------------------------------------------------------------


def test_adjacency_by_hand():
    features = AdjacencyEncoder(SPACE).fit_transform(CELL)[0]
    pairs = list(itertools.combinations(range(8), 2))
    labels = features[len(pairs) :].reshape(8, 6)
    # input, skip on 1<-0, conv1 on 2<-0, conv3 on 3<-1, pool on 3<-2, output
    assert {pairs[i] for i in np.flatnonzero(features[: len(pairs)])} == {
        (0, 1), (0, 2), (1, 5), (2, 6), (5, 7), (6, 7),
    }  # fmt: skip
    assert [tuple(pair) for pair in np.argwhere(labels).tolist()] == [
        (0, 0), (1, 2), (2, 3), (5, 4), (6, 5), (7, 1),
    ]  # fmt: skip


def test_operation_counts_are_those_of_the_used_edges():
    features = OperationCountsEncoder(SPACE).fit_transform(ROWS)
    canonical = SPACE.canonicalize(ROWS)
    expected = [[1, 1, *((row == op).sum() for op in range(1, 5))] for row in canonical]
    np.testing.assert_array_equal(features, expected)


def test_operation_pairs_by_brute_force():
    features = OperationPairsEncoder(SPACE).fit_transform(ROWS).reshape(len(ROWS), 6, 6)
    graphs = SPACE.graphs(ROWS)
    for index in range(100):
        counts = Counter(
            (int(graphs.operations[index, a]), int(graphs.operations[index, b]))
            for a, b in np.argwhere(graphs.adjacency[index])
        )
        found = {
            (a, b): features[index, a, b] ** 2 for a, b in np.argwhere(features[index]).tolist()
        }
        assert found == pytest.approx(counts)


def test_operation_pairs_by_hand():
    features = OperationPairsEncoder(SPACE).fit_transform(CELL).reshape(6, 6)
    expected = np.zeros((6, 6))
    for pair in [(0, 3), (0, 2), (3, 5), (2, 4), (5, 1), (4, 1)]:
        expected[pair] += 1
    np.testing.assert_array_equal(features, expected)


# -- paths ----------------------------------------------------------------------------------


def test_path_encoding_by_brute_force():
    columns = [
        path for length in range(4) for path in itertools.product(REAL, repeat=length)
    ]  # by length, then lexicographically
    assert len(columns) == 1 + 4 + 16 + 64
    features = PathEncoder(SPACE).fit_transform(ROWS)
    expected = [[path in paths for path in columns] for paths in PATHS]
    np.testing.assert_array_equal(features, expected)


@pytest.mark.parametrize("length", [1, 7, 40, 85])
def test_truncated_paths_are_the_most_frequent(length):
    columns = [path for k in range(4) for path in itertools.product(REAL, repeat=k)]
    counts = Counter(path for paths in PATHS for path in set(paths))
    ranked = sorted(counts, key=lambda path: (-counts[path], columns.index(path)))[:length]
    kept = sorted(map(columns.index, ranked))
    encoder = PathEncoder(SPACE, length).fit(ROWS)
    np.testing.assert_array_equal(
        encoder.transform(ROWS), PathEncoder(SPACE).fit_transform(ROWS)[:, kept]
    )
    if length == 40:
        np.testing.assert_array_equal(
            TruncatedPathEncoder(SPACE).fit_transform(ROWS), encoder.transform(ROWS)
        )


def test_paths_that_were_never_seen_are_left_out():
    nothing = np.zeros((1, 6), dtype=np.int16)
    encoder = PathEncoder(SPACE, 3).fit(nothing)
    assert encoder.transform(ROWS).shape == (len(ROWS), 0)
    encoder.fit(np.vstack([nothing, CELL]))
    assert encoder.transform(CELL).tolist() == [[1, 1]]
    assert encoder.transform(nothing).tolist() == [[0, 0]]


def test_path_encoder_says_what_is_wrong():
    with pytest.raises(InputError, match="length must be at least 1, not 0"):
        PathEncoder(SPACE, 0)
    with pytest.raises(NotFittedError):
        PathEncoder(SPACE).transform(ROWS)


def test_path_counts_by_brute_force():
    columns = [path for k in range(4) for path in itertools.product(REAL, repeat=k)]
    counts = np.array([[paths.count(path) for path in columns] for paths in PATHS])
    assert counts.max() > 1
    features = PathCountsEncoder(SPACE, 85).fit_transform(ROWS)
    used = counts.any(axis=0)
    np.testing.assert_allclose(features**2, counts[:, used], rtol=1e-6)
    often = np.argsort(-(counts > 0).sum(axis=0), kind="stable")[:12]
    few = PathCountsEncoder(SPACE, 12).fit_transform(ROWS)
    np.testing.assert_allclose(few**2, counts[:, np.sort(often)], rtol=1e-6)


# -- graph features -------------------------------------------------------------------------


def graph_features(graphs, index, operations):
    """The features of one graph in the documented order, by listing every path."""
    adjacency, labels = graphs.adjacency[index], graphs.operations[index]
    last = len(labels) - 1
    paths, pending = [], [[0]]
    while pending:
        path = pending.pop()
        if path[-1] == last:
            paths.append(path)
        pending.extend([*path, int(node)] for node in np.flatnonzero(adjacency[path[-1]]))
    values = []
    for size in range(len(operations) + 1):
        for subset in itertools.combinations(operations, size):
            inside = [p for p in paths if all(labels[node] in subset for node in p[1:-1])]
            lengths = [len(path) - 1 for path in inside]
            values += [min(lengths, default=last + 1), max(lengths, default=0)]
            values.append(np.log(1 + len(lengths)))
    for operation in operations:
        nodes = [int(node) for node in np.flatnonzero(labels == operation)]
        values += [sum(adjacency[0, node] for node in nodes)]
        values += [sum(adjacency[node, last] for node in nodes)]
        for matrix in (adjacency.T, adjacency):
            degrees = [int(matrix[node].sum()) for node in nodes]
            values += [sum(degrees), max(degrees, default=0)]
    return [*values, adjacency[0, last]]


def test_graph_features_by_brute_force():
    features = GraphFeaturesEncoder(SPACE).fit_transform(ROWS)
    graphs = SPACE.graphs(ROWS)
    expected = [graph_features(graphs, index, range(2, 6)) for index in range(150)]
    np.testing.assert_allclose(features[:150], expected, rtol=1e-6)
    assert features.shape == (len(ROWS), 16 * 3 + 4 * 6 + 1)


def path_statistics(paths, operations):
    """The statistics of one cell in the documented order, from a list of its paths."""
    blocks = [[], [], [], [], []]
    for size in range(1, len(operations) + 1):
        for subset in itertools.combinations(operations, size):
            counts = np.array([sum(op in subset for op in path) for path in paths])
            only = sum(all(op in subset for op in path) for path in paths)
            values = (counts.min(), counts.max(), counts.mean()) if paths else (-1, -1, -1)
            spread = counts.std() if paths else 0
            for block, value in zip(blocks, (np.log1p(only), *values, spread), strict=True):
                block.append(value)
    return np.concatenate(blocks)


def test_path_statistics_by_brute_force():
    encoder = PathStatisticsEncoder(SPACE)
    features = encoder.fit_transform(ROWS)
    expected = [path_statistics(paths, REAL) for paths in PATHS]
    assert any(not paths for paths in PATHS)
    np.testing.assert_allclose(features, expected, rtol=1e-5, atol=1e-6)
    assert encoder.groups == [slice(start, start + 15) for start in range(0, 75, 15)]


@pytest.mark.parametrize("name", ["darts", "nasbench101"])
def test_path_statistics_of_other_graphs(name):
    space = weaknas.get_space(name)
    sample = space.sample(50, np.random.default_rng(0))
    features = PathStatisticsEncoder(space).fit_transform(sample)
    graphs = space.graphs(sample)
    everything = features.shape[1] // 5 - 1  # the last subset is all operations
    lengths = features[:, everything :: everything + 1]
    for index in range(len(sample)):
        adjacency = graphs.adjacency[index].astype(int)
        powers = [np.linalg.matrix_power(adjacency, k)[0, -1] for k in range(1, len(adjacency))]
        inner = np.repeat(np.arange(len(powers)), powers)  # nodes of each path but its ends
        found = [np.log1p(len(inner)), inner.min(), inner.max(), inner.mean(), inner.std()]
        np.testing.assert_allclose(lengths[index], found, rtol=1e-4, atol=1e-5)


# -- several, and by name -------------------------------------------------------------------


def test_concatenation_keeps_blocks_in_order():
    parts = [OneHotEncoder(SPACE), PathEncoder(SPACE, 10), OperationCountsEncoder(SPACE)]
    encoder = ConcatenatedEncoder(parts).fit(ROWS)
    features = encoder.transform(ROWS)
    assert encoder.groups == [slice(0, 30), slice(30, 40), slice(40, 46)]
    assert features.dtype == np.float32
    for part, block in zip(parts, encoder.groups, strict=True):
        np.testing.assert_array_equal(features[:, block], part.transform(ROWS))


def test_blocks_within_blocks_and_none():
    space = ChoiceSpace({"width": [16, 32, 64], "kind": ["a", "b"]})
    encoder = weaknas.get_encoder("one-hot+variables", space).fit(space.enumerate())
    assert encoder.groups == [slice(0, 5), slice(5, 6), slice(6, 8)]
    nothing = np.zeros((3, 6), dtype=np.int16)  # no path leads to the output
    encoder = ConcatenatedEncoder([PathEncoder(SPACE, 9), OneHotEncoder(SPACE)]).fit(nothing)
    assert encoder.groups == [slice(0, 30)]
    assert encoder.transform(ROWS).shape == (len(ROWS), 30)


def test_several_names_are_joined():
    encoder = weaknas.get_encoder("one-hot + path+operation-pairs", SPACE)
    assert encoder.fit_transform(ROWS).shape == (len(ROWS), 30 + 85 + 36)
    assert [block.stop - block.start for block in encoder.groups] == [30, 85, 36]
    with pytest.raises(InputError, match="unknown encoder 'pth'; did you mean 'path'"):
        weaknas.get_encoder("one-hot+pth", SPACE)


def test_options_reach_the_encoder():
    encoder = weaknas.get_encoder("path", SPACE, length=5)
    assert encoder.fit_transform(ROWS).shape == (len(ROWS), 5)
    assert encoder.get_params() == {"space": SPACE, "length": 5}


@pytest.mark.parametrize("name", list_encoders_for(SPACE))
def test_isomorphic_cells_are_encoded_alike(name):
    rows = ROWS[:4] if name == "zero-cost" else ROWS  # which builds networks
    encoder = weaknas.get_encoder(name, SPACE).fit(rows)
    np.testing.assert_array_equal(
        encoder.transform(rows), encoder.transform(SPACE.canonicalize(rows))
    )


def test_the_wrong_pair_lists_the_right_ones():
    space = ChoiceSpace({"a": [1, 2, 3], "b": ["x", "y"]}, name="mine")
    with pytest.raises(InputError) as caught:
        weaknas.get_encoder("path", space)
    message = str(caught.value)
    assert "'path'" in message
    assert "'mine'" in message
    listed = re.search(r"encoders for it: ([^)]*)", message)[1].split(", ")
    assert set(listed) >= {"one-hot", "ordinal"}
    assert not {"path", "adjacency", "graph-features"} & set(listed)
    for name in listed:
        assert len(weaknas.get_encoder(name, space).fit_transform(space.enumerate())) == 6
    with pytest.raises(InputError, match="'mine' does not offer it"):
        PathEncoder(space)


def test_several_encoders_share_canonical_forms_and_graphs():
    class Counting(NASBench201):
        calls = Counter()  # noqa: RUF012

        def canonicalize(self, genotypes):
            self.calls["canonicalize"] += 1
            return super().canonicalize(genotypes)

        def graphs(self, genotypes):
            self.calls["graphs"] += 1
            return super().graphs(genotypes)

    space = Counting()
    names = "one-hot+path+operation-counts+graph-features+operation-pairs+adjacency"
    encoder = weaknas.get_encoder(names, space).fit(ROWS)
    space.calls.clear()
    features = encoder.transform(ROWS)
    assert space.calls == {"graphs": 1, "canonicalize": 2}  # the second for the graphs
    alone = [weaknas.get_encoder(name, SPACE).fit_transform(ROWS) for name in names.split("+")]
    np.testing.assert_array_equal(features, np.hstack(alone))


def test_encoders_that_transform_in_their_own_way_are_heard():
    class Doubled(OneHotEncoder):
        def transform(self, genotypes):
            return 2 * super().transform(genotypes)

    plain = OneHotEncoder(SPACE).fit_transform(ROWS)
    both = ConcatenatedEncoder([Doubled(SPACE), OneHotEncoder(SPACE)]).fit_transform(ROWS)
    np.testing.assert_array_equal(both, np.hstack([2 * plain, plain]))


def test_the_full_path_encoding_is_offered_where_it_fits():
    darts = weaknas.get_space("darts")
    assert not PathEncoder.supports(darts)
    assert PathEncoder.supports(weaknas.get_space("nasbench101"))
    assert {"truncated-path", "path-counts"} <= set(list_encoders_for(darts))
    assert "path" not in list_encoders_for(darts)
    with pytest.raises(InputError, match=r"'path' needs .* at most 20,000 .*truncated-path"):
        weaknas.get_encoder("path", darts)
    for name in weaknas.list_spaces():
        space = weaknas.get_space(name)
        for encoder in list_encoders_for(space):  # what is listed does work
            if encoder != "zero-cost":  # of which there are tests enough, and slow ones
                few = space.sample(2, np.random.default_rng(0))
                assert len(weaknas.get_encoder(encoder, space).fit_transform(few)) == 2


@pytest.mark.parametrize("length", [12, None])
def test_chunks_do_not_matter_for_the_columns(length, monkeypatch):
    whole = PathEncoder(SPACE, length).fit(ROWS)
    monkeypatch.setattr("weaknas.encoders._base.CHUNK", 7)
    np.testing.assert_array_equal(PathEncoder(SPACE, length).fit(ROWS).codes_, whole.codes_)


def test_the_layout_is_what_an_encoder_knows_of_its_columns():
    cells = weaknas.get_space("nasbench201")
    rows = cells.enumerate()[:20]
    joined = weaknas.get_encoder("one-hot+costs", cells).fit(rows)
    assert find_layout(joined) == {"groups": joined.groups, "trend": [30, 31]}
    assert find_layout(weaknas.get_encoder("one-hot", cells).fit(rows)) == {"groups": [slice(None)]}
    assert find_layout(FunctionTransformer()) == {}

    class Blocks(FunctionTransformer):
        groups = (slice(0, 2), slice(2, 3))
        trend = (1,)

    assert find_layout(Blocks()) == {"groups": Blocks.groups, "trend": Blocks.trend}


# -- encoders of others ---------------------------------------------------------------------------

WIDE = ChoiceSpace({f"layer{i}": ["skip", "conv3", "conv5"] for i in range(25)})


def spoiled(kind):
    """Return a transformer whose features are not finite numbers, a row for each genotype."""

    def transform(genotypes):
        features = np.asarray(genotypes, dtype=np.float64)
        if kind == "nan":
            features[-1, 0] = np.nan
        elif kind == "refusal":
            raise IndexError("no such\ncolumn")
        return {
            "few": features[1:], "flat": features[:, 0], "none": None, "infinite": features / 0,
            "texts": features.astype(str), "complex": features * 1j, "nan": features,
        }[kind]  # fmt: skip

    return FunctionTransformer(transform)


@pytest.mark.filterwarnings("ignore:divide by zero", "ignore:invalid value")
@pytest.mark.parametrize(
    ("kind", "message"),
    [
        ("few", r"encoded \d+ genotypes to the shape \(\d+, \d+\)"),
        ("flat", r"to the shape \(\d+,\); a row of numbers each"),
        ("none", r"to the shape \(\)"),
        ("texts", "to <U32; numbers are needed"),
        ("complex", "to complex128; numbers are needed"),
        ("nan", "1 of [0-9]+ genotypes to NaN or infinity"),
        ("infinite", "genotypes to NaN or infinity"),
        ("refusal", "cannot encode: no such column"),
    ],
)
@pytest.mark.parametrize("kind_of_search", ["listed", "evolving", "sources"])
def test_a_search_names_the_encoder_and_what_it_made(kind, message, kind_of_search):
    space = WIDE if kind_of_search == "evolving" else SPACE
    known = Source("known", SPACE.canonicalize(ROWS), np.arange(600.0))
    sources = [known] if kind_of_search == "sources" else []

    def search():
        strategy = weaknas.WeakNAS(space, encoder=spoiled(kind), sources=sources, seed=0)
        weaknas.run(strategy, lambda a: float(sum(a.genotype)), budget=12)

    with pytest.raises(InputError, match=f"FunctionTransformer.*{message}") as caught:
        search()
    assert "\n" not in str(caught.value)


def test_sparse_features_are_features():
    search = weaknas.WeakNAS(SPACE, encoder=sklearn.preprocessing.OneHotEncoder(), seed=0)
    assert weaknas.run(search, lambda a: float(sum(a.genotype)), budget=12).trials
