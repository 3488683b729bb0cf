"""Transformers: what they cost, that they look back only, and how places are told."""

from __future__ import annotations

import numpy as np
import pytest

from weaknas.errors import InputError
from weaknas.spaces.transformer import Transformer
from weaknas.testing import space_checks

SPACE = Transformer()
SHARED = Transformer(shared=True)


@pytest.fixture(name="torch")
def _torch():
    return pytest.importorskip("torch")


@pytest.mark.parametrize("check", space_checks(SHARED), ids=str)
def test_contract_of_shared_layers(check) -> None:
    check()


def test_size_and_layers() -> None:
    each = 4 * 3 * 3
    assert SHARED.size == 4 * 4 * each
    assert SPACE.size == 4 * sum(each**depth for depth in (1, 2, 3, 4))
    row = SHARED.genotypes(["depth=2,positions=rotary,heads=4,head_width=16,ratio=2"])
    assert SHARED.layers(row)[0].tolist() == [[4, 16, 2], [4, 16, 2], [0, 0, 0], [0, 0, 0]]
    text = "depth=1,positions=none,heads1=8,head_width1=32,ratio1=4"
    row = SPACE.genotypes([text])
    assert SPACE.layers(row)[0].tolist() == [[8, 32, 4], [0, 0, 0], [0, 0, 0], [0, 0, 0]]
    assert SPACE.architecture(text).text == text
    assert SPACE.layers(row[:0]).shape == (0, 4, 3)
    assert SPACE.parameters(row[:0]).shape == SPACE.macs(row[:0]).shape == (0,)


def test_formulas_are_what_modules_have(torch) -> None:
    from weaknas.training.measure import count_macs, count_parameters

    for space in (SPACE, SHARED):
        rows = space.sample(6, np.random.default_rng(0))
        for settings in ({"shape": (35,)}, {"classes": 31, "shape": (9,), "width": 12}):
            told = space.parameters(rows, **settings), space.macs(rows, **settings)
            for row, parameters, macs in zip(rows, *told, strict=True):
                with torch.device("meta"):
                    network = space.network(row, **settings)
                assert count_parameters(network) == parameters
                assert count_macs(network, settings["shape"], tokens=True) == macs


@pytest.mark.parametrize("positions", ["none", "sinusoidal", "learned", "rotary"])
def test_places_see_those_before_them_only(torch, positions: str) -> None:
    torch.manual_seed(0)
    text = f"depth=2,positions={positions},heads=2,head_width=8,ratio=2"
    network = SHARED.network(text, classes=11, shape=(7,), width=13).eval()
    tokens = torch.randint(11, (2, 7))
    changed = tokens.clone()
    changed[:, 4] = (changed[:, 4] + 1) % 11
    before, after = network(tokens), network(changed)
    torch.testing.assert_close(before[:, :, :4], after[:, :, :4])
    assert (before[:, :, 4:] - after[:, :, 4:]).abs().amax((0, 1)).min() > 1e-4
    # The last place tells in which order the others came only where places are told, the
    # first layer's causal mask aside: of one layer.
    alone = SHARED.network(text.replace("depth=2", "depth=1"), classes=11, shape=(7,), width=13)
    alone.eval()
    order = tokens[:, [2, 1, 0, 3, 4, 5, 6]]
    moved = (alone(tokens) - alone(order))[:, :, -1].abs().max()
    assert (moved > 1e-6) == (positions != "none")


def test_rotated_products_depend_on_distance(torch) -> None:
    from weaknas.spaces.transformer.network import rotate

    query, key = torch.randn(2, 1, 1, 1, 8).double()
    turned = rotate(query.expand(1, 1, 9, 8)), rotate(key.expand(1, 1, 9, 8))
    products = turned[0][0, 0] @ turned[1][0, 0].T
    for distance in range(9):
        diagonal = products.diagonal(-distance)
        torch.testing.assert_close(diagonal, diagonal[:1].expand_as(diagonal), rtol=1e-5, atol=1e-5)


def test_bad_options_are_told() -> None:
    for options, message in {
        ("depth", (2, 1)): "depth must be in increasing order",
        ("head_width", (7,)): "head_width must be even",
        ("positions", ("rotery",)): "did you mean 'rotary'",
        ("heads", (0, 1)): "heads must be at least 1",
        ("ratio", 4): "ratio must be a list",
    }.items():
        with pytest.raises(InputError, match=message):
            Transformer(**{options[0]: options[1]})
    with pytest.raises(InputError, match=r"\(3, 32, 32\) is not \(length,\)"):
        SHARED.network(SHARED.sample(1, np.random.default_rng(0))[0], shape=(3, 32, 32))
