"""Activation functions by composition, and in the place of others (torch)."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
from torch import Tensor, nn
from torch.nn import functional

from weaknas.errors import InputError

_EPSILON = 1e-7  # keeps logarithms and quotients finite

_UNARY: Mapping[str, Callable[[Tensor, Tensor], Tensor]] = {
    "x": lambda x, beta: x,
    "-x": lambda x, beta: -x,
    "abs(x)": lambda x, beta: x.abs(),
    "x^2": lambda x, beta: x.square(),
    "x^3": lambda x, beta: x * x.square(),
    # Its derivative at zero is infinite; of a number beside it, large.
    "sqrt(abs(x))": lambda x, beta: (x.abs() + _EPSILON).sqrt(),
    "beta*x": lambda x, beta: beta * x,
    "x+beta": lambda x, beta: x + beta,
    "log(abs(x)+eps)": lambda x, beta: (x.abs() + _EPSILON).log(),
    "exp(x)": lambda x, beta: x.exp(),
    "sin(x)": lambda x, beta: x.sin(),
    "cos(x)": lambda x, beta: x.cos(),
    "sinh(x)": lambda x, beta: x.sinh(),
    "cosh(x)": lambda x, beta: x.cosh(),
    "tanh(x)": lambda x, beta: x.tanh(),
    "asinh(x)": lambda x, beta: x.asinh(),
    "atan(x)": lambda x, beta: x.atan(),
    "sinc(x)": lambda x, beta: torch.sinc(x / torch.pi),  # sin(x) / x
    "max(x;0)": lambda x, beta: x.relu(),
    "min(x;0)": lambda x, beta: x.clamp(max=0),
    "sigmoid(x)": lambda x, beta: x.sigmoid(),
    "log(1+exp(x))": lambda x, beta: functional.softplus(x),
    "exp(-x^2)": lambda x, beta: (-x.square()).exp(),
    "erf(x)": lambda x, beta: x.erf(),
    "beta": lambda x, beta: beta.expand_as(x),
}
_BINARY: Mapping[str, Callable[[Tensor, Tensor, Tensor], Tensor]] = {
    "a+b": lambda a, b, beta: a + b,
    "a*b": lambda a, b, beta: a * b,
    "a-b": lambda a, b, beta: a - b,
    "a/(b+eps)": lambda a, b, beta: a / (b + _EPSILON),
    "max(a;b)": lambda a, b, beta: torch.maximum(a, b),
    "min(a;b)": lambda a, b, beta: torch.minimum(a, b),
    "sigmoid(a)*b": lambda a, b, beta: a.sigmoid() * b,
    "exp(-beta*(a-b)^2)": lambda a, b, beta: (-beta * (a - b).square()).exp(),
    "exp(-beta*abs(a-b))": lambda a, b, beta: (-beta * (a - b).abs()).exp(),
    "beta*a+(1-beta)*b": lambda a, b, beta: beta * a + (1 - beta) * b,
}


class Activation(nn.Module):
    """A binary function of two unary functions of x, number by number.

    Each of the three has a beta of its own, which starts as 1 (one half where it mixes)
    and is trained; those that it does not use have none.

    Parameters
    ----------
    first, second : str
        Of `weaknas.spaces.activation.functions.UNARY`.
    binary : str
        Of ``BINARY`` there.
    """

    def __init__(self, first: str, second: str, binary: str) -> None:
        super().__init__()
        self.first, self.second, self.binary = first, second, binary
        start = 0.5 if "1-beta" in binary else 1.0
        self.betas = nn.ParameterList(
            nn.Parameter(torch.full((), value), requires_grad="beta" in name)
            for name, value in ((first, 1.0), (second, 1.0), (binary, start))
        )

    def forward(self, x: Tensor) -> Tensor:
        """Return a tensor of the same shape."""
        one, two, both = self.betas
        a, b = _UNARY[self.first](x, one), _UNARY[self.second](x, two)
        return _BINARY[self.binary](a, b, both)

    def extra_repr(self) -> str:
        """Return the formula."""
        return f"{self.binary}, a={self.first}, b={self.second}"


def replace_relus(network: nn.Module, build: Callable[[], nn.Module]) -> None:
    """Put another activation in the place of each ReLU of a network.

    Raises
    ------
    InputError
        When it has none that is a module.
    """
    found = [
        (module, name)
        for module in network.modules()
        for name, child in module.named_children()
        if type(child) is nn.ReLU
    ]
    if not found:
        raise InputError(
            f"the network, a {type(network).__name__}, has no nn.ReLU in whose place another"
            " activation could be"
        )
    for module, name in found:
        setattr(module, name, build())
