"""The single-path supernet of NAS-Bench-201."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from weaknas.errors import InputError
from weaknas.spaces.nasbench201 import NASBench201

torch = pytest.importorskip("torch")

SPACE = NASBench201()
SMALL = {"classes": 4, "shape": (1, 8, 8), "channels": 4, "cells": 2}


def supernet():
    torch.manual_seed(0)
    net = SPACE.supernet(**SMALL).double().eval()
    for name, tensor in net.state_dict().items():
        if name.endswith("running_mean"):
            tensor.normal_(0, 0.1)
    return net


def test_active_and_extracted_cells_give_the_same() -> None:
    net, images = supernet(), torch.randn(3, 1, 8, 8, dtype=torch.float64)
    distinct = set()
    for genotype in SPACE.sample(60, np.random.default_rng(0)):
        net.activate(genotype)
        alone = net.extract(genotype)
        with torch.no_grad():
            active, cut = net(images), alone(images)
        assert torch.equal(active, cut)
        count = SPACE.parameters(genotype[None], **SMALL)[0]
        assert sum(p.numel() for p in alone.parameters()) == count
        distinct.add(tuple(active.flatten().tolist()))
    assert len(distinct) > 50


def test_weights_are_shared_by_edge_and_operation() -> None:
    net = supernet()
    ones = [net.extract([3, a, 2, 0, b, 3]).state_dict() for a, b in ((0, 2), (3, 1))]
    same = [n for n in ones[0] if n in ones[1] and torch.equal(ones[0][n], ones[1][n])]
    kernels = [n for n in same if ".edges." in n and n.endswith("1.weight")]
    assert {name.split(".")[2] for name in kernels} == {"0", "2", "5"}
    # What is cut out is a copy.
    ones[0][kernels[0]].zero_()
    assert not torch.equal(
        net.extract([3, 0, 2, 0, 2, 3]).state_dict()[kernels[0]], ones[0][kernels[0]]
    )


def test_only_the_active_path_learns() -> None:
    net = supernet()
    net.activate([3, 0, 1, 4, 2, 3])
    net(torch.randn(2, 1, 8, 8, dtype=torch.float64)).square().sum().backward()
    learnt = {n for n, p in net.named_parameters() if p.grad is not None and ".edges." in n}
    assert {tuple(name.split(".")[3:5]) for name in learnt} == {("0", "3"), ("4", "2"), ("5", "3")}


def test_checkpoints(tmp_path: Path) -> None:
    net = supernet()
    torch.save({"state_dict": net.state_dict()}, tmp_path / "net")
    other = SPACE.supernet(**SMALL).double()
    other.load_checkpoint(tmp_path / "net")
    assert all(torch.equal(t, net.state_dict()[name]) for name, t in other.state_dict().items())
    wider = SPACE.supernet(**SMALL | {"channels": 8})
    with pytest.raises(
        InputError, match=r"with channels=8, cells=2, 'network.0.0.weight' has the shape \(4,"
    ):
        wider.load_checkpoint(tmp_path / "net")
