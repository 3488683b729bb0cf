"""What architectures of two spaces have in common: the same columns from both, in own units."""

from __future__ import annotations

import numpy as np
import pytest

import weaknas
from weaknas.encoders.shared_features import SharedFeaturesEncoder, kind_of
from weaknas.errors import InputError

CELLS = {name: weaknas.get_space(name) for name in ("nasbench101", "nasbench201", "darts")}


def fitted(space, other):
    rows = space.canonicalize(space.sample(60, np.random.default_rng(0)))
    return SharedFeaturesEncoder(space, other).fit(rows), rows


@pytest.mark.parametrize(
    ("first", "second"),
    [("nasbench101", "nasbench201"), ("nasbench201", "darts")],
)
def test_both_spaces_have_the_same_columns(first, second):
    (one, rows), (two, others) = (
        fitted(CELLS[first], CELLS[second]),
        fitted(CELLS[second], CELLS[first]),
    )
    features = one.transform(rows)
    assert features.shape[1] == two.transform(others).shape[1]
    assert one.groups == two.groups
    assert one.groups[-1] == slice(features.shape[1] - 2, features.shape[1])  # two costs
    np.testing.assert_allclose(features.mean(axis=0), 0, atol=0.3)  # less what is clipped
    assert features.std(axis=0).max() < 1.1


def test_a_skip_is_an_edge_where_the_other_space_has_none():
    encoder, _ = fitted(CELLS["nasbench201"], CELLS["nasbench101"])
    text = "|{}~0|+|none~0|{}~1|+|none~0|none~1|{}~2|"
    chains = [
        ("nor_conv_3x3", "skip_connect", "nor_conv_3x3"),
        ("skip_connect", "nor_conv_3x3", "nor_conv_3x3"),
        ("nor_conv_3x3", "nor_conv_3x3", "nor_conv_3x3"),
    ]
    cells = CELLS["nasbench201"]
    features = encoder.transform(np.stack([cells.parse(text.format(*one)) for one in chains]))
    np.testing.assert_array_equal(features[0], features[1])
    assert (features[0] != features[2]).any()


def test_decisions_of_the_same_name_and_values_are_shared():
    narrow = weaknas.ChoiceSpace({"op": ["conv", "skip"], "width": [16, 32]}, name="narrow")
    wide = weaknas.ChoiceSpace({"width": [32, 64, 16], "op": ["pool", "conv"]}, name="wide")
    one, _ = fitted(narrow, wide)
    two, _ = fitted(wide, narrow)
    here = one.transform(narrow.genotypes(["op=conv,width=16", "op=conv,width=32"]))
    there = two.transform(wide.genotypes(["op=conv,width=16", "op=conv,width=32"]))
    assert here.shape == there.shape == (2, 2)  # one value of op alone is in both
    assert (np.sign(here) == np.sign(there)).all()


def test_spaces_with_nothing_in_common_are_refused():
    with pytest.raises(InputError, match="'nasbench201' and 'nats-size' have nothing in common"):
        SharedFeaturesEncoder(CELLS["nasbench201"], weaknas.get_space("nats-size"))


def test_operations_of_all_cell_spaces_are_of_few_kinds():
    names = ["nor_conv_1x1", "conv1x1-bn-relu", "normal/dil_conv_5x5", "reduce/conv_7x1_1x7"]
    assert [kind_of(name) for name in names] == ["conv1x1", "conv1x1", "conv5x5", "conv7x7"]
    assert {kind_of(name) for name in ("maxpool3x3", "avg_pool_3x3", "max_pool_5x5")} == {"pool"}
    assert {kind_of(name) for name in ("skip", "skip_connect", "identity")} == {"skip"}
    assert [kind_of(name) for name in ("normal/input0", "reduce/sum", "gat")] == [None, None, "gat"]
