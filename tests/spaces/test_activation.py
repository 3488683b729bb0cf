"""Activation functions by composition."""

from __future__ import annotations

import numpy as np
import pytest

import weaknas
from weaknas.errors import InputError
from weaknas.spaces.activation.functions import BINARY, SYMMETRIC, UNARY

torch = pytest.importorskip("torch")

from weaknas.spaces.activation.layers import Activation, replace_relus  # noqa: E402

SPACE = weaknas.get_space("activation")
X = torch.linspace(-4, 4, 40)


def value(first, second, binary, x=X):
    return Activation(first, second, binary)(x)


@pytest.mark.parametrize(
    ("parts", "known"),
    [
        (("x", "max(x;0)", "max(a;b)"), torch.relu),
        (("x", "x", "sigmoid(a)*b"), torch.nn.functional.silu),
        (("max(x;0)", "max(x;0)", "max(a;b)"), torch.relu),
        (("x", "tanh(x)", "min(a;b)"), lambda x: torch.minimum(x, x.tanh())),
        (("x", "x", "exp(-beta*(a-b)^2)"), torch.ones_like),
        (("x", "abs(x)", "beta*a+(1-beta)*b"), torch.relu),
        (("sin(x)", "x", "a/(b+eps)"), lambda x: torch.sinc(x / torch.pi)),
    ],
    ids=lambda value: ",".join(value) if isinstance(value, tuple) else "known",
)
def test_functions_are_what_they_are_called(parts, known):
    assert torch.allclose(value(*parts), known(X), atol=1e-5)


def test_all_parts_have_values_and_gradients():
    x = torch.tensor([-1.5, -0.3, 0.4, 2.0], requires_grad=True)
    for unary in UNARY:
        made = value(unary, "x", "a+b", x)
        assert torch.isfinite(made).all(), unary
        (slope,) = torch.autograd.grad(made.sum(), x)
        assert torch.isfinite(slope).all(), unary
    for binary in BINARY:
        assert torch.isfinite(value("x", "x^2", binary, x)).all(), binary


def test_only_betas_that_are_used_are_trained():
    swish = Activation("beta*x", "x", "sigmoid(a)*b")
    assert [beta.requires_grad for beta in swish.betas] == [True, False, False]
    swish(X).sum().backward()
    assert swish.betas[0].grad is not None
    assert not any(beta.requires_grad for beta in Activation("x", "x", "a+b").betas)


def test_symmetric_functions_count_once():
    first = SPACE.architecture("a=x,b=sin(x),binary=a*b")
    assert first.id == SPACE.architecture("a=sin(x),b=x,binary=a*b").id
    assert (
        SPACE.architecture("a=x,b=sin(x),binary=a-b").id
        != SPACE.architecture("a=sin(x),b=x,binary=a-b").id
    )
    symmetric = len(SYMMETRIC) * len(UNARY) * (len(UNARY) + 1) // 2
    others = (len(BINARY) - len(SYMMETRIC)) * len(UNARY) ** 2
    assert len(SPACE.architecture_fingerprints) == symmetric + others


def test_symmetric_functions_are_symmetric():
    a, b = torch.randn(2, 50, generator=torch.Generator().manual_seed(0))
    from weaknas.spaces.activation.layers import _BINARY

    beta = torch.tensor(0.7)
    for name in BINARY:
        same = torch.allclose(_BINARY[name](a, b, beta), _BINARY[name](b, a, beta))
        assert same == (name in SYMMETRIC), name


def test_it_takes_the_place_of_every_relu():
    network = SPACE.network(
        "a=beta*x,b=x,binary=sigmoid(a)*b", shape=(1, 8, 8), channels=4, cells=1
    )
    kinds = [type(module) for module in network.modules()]
    assert torch.nn.ReLU not in kinds
    assert kinds.count(Activation) == 7  # of the stem, two of each of three blocks
    with pytest.raises(InputError, match=r"has no nn\.ReLU"):
        replace_relus(torch.nn.Linear(2, 2), torch.nn.Tanh)


def test_a_function_that_explodes_is_a_failed_trial():
    from weaknas.evaluators.train import TrainEvaluator

    evaluator = TrainEvaluator(SPACE, epochs=1, channels=2, cells=1, fraction=0.1, device="cpu")
    found = evaluator.evaluate(SPACE.architecture("a=cosh(x),b=exp(x),binary=a*b"), seed=0)
    assert found.status == "diverged"
    assert np.isnan(found.score)
