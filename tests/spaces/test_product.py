"""Several spaces searched as one."""

from __future__ import annotations

import numpy as np
import pytest

import weaknas
from weaknas.errors import InputError
from weaknas.spaces import ChoiceSpace, ProductSpace, SubsetSpace
from weaknas.testing import space_checks

CELLS = weaknas.get_space("nasbench201")
SPACE = weaknas.get_space("nasbench201+activation+augmentation", subpolicies=1)
CELL = "|nor_conv_3x3~0|+|skip_connect~0|none~1|+|nor_conv_1x1~0|none~1|skip_connect~2|"
SMALL = ProductSpace(
    [ChoiceSpace({"x": [1, 2, 3], "y": [1, 2]}, "one"), ChoiceSpace({"x": ["a", "b"]}, "two")]
)


@pytest.mark.parametrize("check", space_checks(SMALL), ids=str)
def test_promises(check):
    check()


@pytest.mark.parametrize(
    "check",
    [check for check in space_checks(SPACE) if str(check).startswith(("neighbors", "networks"))],
    ids=str,
)
def test_promises_of_a_large_one(check):
    check()


def test_parts_are_joined():
    assert SPACE.name == "nasbench201+activation+augmentation"
    assert SPACE.size == 15_625 * 25 * 25 * 10 * SPACE.parts[2].size
    texts = (CELL, "a=x,b=x,binary=sigmoid(a)*b", "probability1.1=0.0,probability1.2=0.0")
    row = SPACE.genotypes([" & ".join(texts)])[0]
    assert SPACE.format(row) == " & ".join(texts)
    assert SPACE.training_options(row) == {"auto_augment": "identity"}
    assert SPACE.costs()["macs"](row[None]) == CELLS.macs(CELLS.genotypes([CELL]))
    assert SPACE.graphs(row[None]).operations.shape == (1, 8)
    assert SPACE.outside_graphs.tolist() == [False] * 6 + [True] * 9


def test_a_network_is_that_of_the_first_part_changed_by_the_others():
    torch = pytest.importorskip("torch")
    space = ProductSpace([CELLS, weaknas.get_space("activation")])
    chosen = f"{CELL} & a=x,b=x,binary=sigmoid(a)*b"
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        changed = space.network(chosen, channels=4, cells=1).eval()
        torch.manual_seed(0)
        plain = CELLS.network(CELL, channels=4, cells=1).eval()
    for module in plain.modules():
        for name, child in module.named_children():
            if isinstance(child, torch.nn.ReLU):
                setattr(module, name, torch.nn.SiLU())
    x = torch.ones(1, 3, 8, 8)
    assert torch.allclose(changed(x), plain(x), atol=1e-6)


def test_a_part_of_one_architecture_stays():
    fixed = SubsetSpace(CELLS, CELLS.genotypes([CELL]))
    space = ProductSpace([fixed, weaknas.get_space("randaugment")])
    assert space.size == 30
    rows = space.sample(20, np.random.default_rng(0))
    moved = space.mutate(rows, np.random.default_rng(1))
    assert (space.split(moved)[0] == space.split(rows)[0]).all()
    assert (moved != rows).any(axis=1).all()
    assert len(space.neighbors(rows[0])) == 11


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: weaknas.get_space("nasbench201+augmentatio"), "did you mean 'augmentation'"),
        (lambda: weaknas.get_space("darts+augmentation", subpolices=2), "'subpolicies'"),
        (lambda: ProductSpace([CELLS]), "two spaces or more"),
        (lambda: ProductSpace([CELLS, CELLS]), "each once"),
        (lambda: SPACE.parse(CELL), "one of each part"),
        (
            lambda: ProductSpace(
                [weaknas.get_space("randaugment"), weaknas.get_space("augmentation")]
            ).training_options(np.zeros(32, int)),
            "two parts .* decide 'auto_augment'",
        ),
    ],
)
def test_bad_input_is_one_line(make, message):
    with pytest.raises(InputError, match=message):
        make()
