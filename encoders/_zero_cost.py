"""Zero-cost proxies: what an untrained network and one batch of images say of it (torch)."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import cached_property
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from weaknas.errors import InputError

_NORMS = (nn.modules.batchnorm._BatchNorm, nn.GroupNorm, nn.LayerNorm)
_ACTIVATIONS = (nn.ReLU, nn.ReLU6, nn.Hardswish, nn.SiLU, nn.GELU)
_WEIGHTED = (nn.modules.conv._ConvNd, nn.Linear)
# Added to eigenvalues of correlations (Mellor et al., released code).
_CORRELATION_NOISE = 1e-5
# Added to eigenvalues of the kernel of codes, whose entries are whole numbers: images with
# the same code make it singular.
_KERNEL_NOISE = 1e-3


Slope: TypeAlias = tuple[Tensor, Tensor]


@dataclass
class _Pass:
    """A forward pass: images with gradient, and what came of them.

    Parameters
    ----------
    images : Tensor, shape (n, channels, height, width)
    codes : list of Tensor of bool, shape (n, units)
        Which units each activation passes on.
    outputs : list of Tensor
        Of convolutions and linear layers.
    logits : Tensor, shape (n, classes)
    """

    images: Tensor
    codes: list[Tensor] = field(default_factory=list)
    outputs: list[Tensor] = field(default_factory=list)
    logits: Tensor = field(init=False)


class Measurement:
    """One network and one batch; forward and backward passes are made when a proxy needs them.

    Batch norms use the statistics of the batch, everything else is as in evaluation,
    so that nothing is drawn and there is no auxiliary head.
    """

    def __init__(self, network: nn.Module, images: Tensor, labels: Tensor) -> None:
        self.network = _twice_differentiable(copy.deepcopy(network)).eval().requires_grad_(True)
        device = next((weights.device for weights in network.parameters()), images.device)
        self.images, self.labels = images.detach().to(device), labels.to(device)

    # -- one forward pass with several uses ---------------------------------------------

    @cached_property
    def _pass(self) -> _Pass:
        made = _Pass(self.images.clone().requires_grad_(True))

        def note(_: nn.Module, inputs: tuple[Tensor, ...]) -> None:
            made.codes.append((inputs[0] > 0).flatten(1).detach())

        def keep(_: nn.Module, __: tuple[Tensor, ...], output: Tensor) -> None:
            made.outputs.append(output)

        modules = list(self.network.modules())
        norms = [layer for layer in modules if isinstance(layer, nn.modules.batchnorm._BatchNorm)]
        units = [layer for layer in modules if isinstance(layer, _ACTIVATIONS)]
        hooks = [layer.register_forward_pre_hook(note) for layer in units]
        weighted = [layer for layer in modules if isinstance(layer, _WEIGHTED)]
        hooks += [layer.register_forward_hook(keep) for layer in weighted]
        for layer in norms:
            layer.train()
        made.logits = self.network(made.images)
        for layer in norms:
            layer.eval()
        for hook in hooks:
            hook.remove()
        return made

    def _slopes(self, of: list[Tensor], create_graph: bool = False) -> list[Slope]:
        """Tensors with the gradients of the cross-entropy by them, where it depends on them."""
        loss = nn.functional.cross_entropy(self._pass.logits, self.labels)
        found = torch.autograd.grad(
            loss, of, retain_graph=True, create_graph=create_graph, allow_unused=True
        )
        return _with_gradient(of, found)

    @cached_property
    def _gradients(self) -> list[Slope]:
        """Weights of each convolution and linear layer, and gradients of the cross-entropy."""
        return self._slopes(_weights(self.network))

    def grad_norm(self) -> float:
        """Sum over layers of the norms of the gradients (arXiv:2101.08134, section 3.1)."""
        return sum(float(gradient.norm()) for _, gradient in self._gradients)

    def snip(self) -> float:
        """Sum of |weight x gradient| (Lee et al., ICLR 2019, arXiv:1810.02340, eq. 4)."""
        return sum(float((weight * gradient).abs().sum()) for weight, gradient in self._gradients)

    def grasp(self) -> float:
        """Sum of -weight x (H g), H the Hessian of the loss and g its gradient.

        Wang et al. (ICLR 2020, arXiv:2002.07376), summed as in arXiv:2101.08134, sec. 3.2.
        H g is the gradient of g' v by the weights, where v has the values of g.
        """
        weights = _weights(self.network)
        slopes = [slope for _, slope in self._slopes(weights, create_graph=True)]
        product = sum((slope * slope.detach()).sum() for slope in slopes)
        if not isinstance(product, Tensor) or not product.requires_grad:
            return 0.0  # a loss that is linear in the weights, or has none
        curved = torch.autograd.grad(product, weights, retain_graph=True, allow_unused=True)
        return -sum(float((weight * by).sum()) for weight, by in _with_gradient(weights, curved))

    def fisher(self) -> float:
        """Sum over channels of what the loss would lose without them, to second order.

        ``sum_c sum_n (sum_ij a_ncij g_ncij)^2 / 2N``: a the outputs of convolutions and linear
        layers, g the gradient of the loss by them (Theis et al. 2018, arXiv:1801.05787; Turner
        et al., ICLR 2020, arXiv:1906.04113), summed as in arXiv:2101.08134, sec. 3.2.
        """
        total = 0.0
        for output, slope in self._slopes(self._pass.outputs):
            products = output * slope
            # Channels of images come second, of tokens and vectors last.
            summed = products.flatten(2).sum(2) if output.ndim == 4 else products
            total += float(summed.square().sum()) / (2 * len(output))
        return total

    def jacov(self) -> float:
        """How little the Jacobians of different images correlate (arXiv:2006.04647v1, eq. 3)."""
        made = self._pass
        (jacobian,) = torch.autograd.grad(made.logits.sum(), made.images, retain_graph=True)
        rows = jacobian.flatten(1).cpu().double()
        rows = rows - rows.mean(dim=1, keepdim=True)
        norms = rows.norm(dim=1, keepdim=True)
        # A network that does not look at the images: all are the same to it.
        rows = torch.where(norms > 0, rows / norms.clamp_min(1e-300), rows.shape[1] ** -0.5)
        eigenvalues = torch.linalg.eigvalsh(rows @ rows.T).clamp_min(0) + _CORRELATION_NOISE
        return -float((eigenvalues.log() + 1 / eigenvalues).sum())

    def naswot(self) -> float:
        """Log-determinant of how many units agree on two images (arXiv:2006.04647v3, eq. 2)."""
        codes = self._pass.codes
        if not codes:
            names = ", ".join(layer.__name__ for layer in _ACTIVATIONS)
            raise InputError(f"naswot needs activations as modules, one of {names}")
        kernel = torch.zeros(len(self.images), len(self.images), dtype=torch.float64)
        for code in codes:
            on = code.float()
            agreement = on @ on.T + (1 - on) @ (1 - on).T
            kernel += agreement.double().cpu()
        kernel += _KERNEL_NOISE * torch.eye(len(kernel), dtype=kernel.dtype)
        return float(torch.linalg.slogdet(kernel).logabsdet)

    # -- others -----------------------------------------------------------------------

    def synflow(self) -> float:
        """Sum of weight x gradient of the network with all weights positive, without norms.

        Tanaka et al. (NeurIPS 2020, arXiv:2006.05467, eq. 4) on an image of ones;
        without batch norms as in arXiv:2101.08134.
        """
        # Apple's GPUs have no double precision.
        device = self.images.device if self.images.device.type != "mps" else torch.device("cpu")
        network = _without_norms(copy.deepcopy(self.network)).to(device).double()
        with torch.no_grad():
            for values in network.parameters():
                values.abs_()
        ones = torch.ones_like(self.images[:1], dtype=torch.float64, device=device)
        weights = _weights(network)
        found = torch.autograd.grad(network(ones).sum(), weights, allow_unused=True)
        return sum(
            float((weight * slope).sum()) for weight, slope in _with_gradient(weights, found)
        )

    def params(self) -> int:
        """Trainable parameters."""
        return sum(weights.numel() for weights in self.network.parameters())

    def macs(self) -> float:
        """Multiply-adds of one image through convolutions and linear layers."""
        with torch.no_grad(), FlopCounterMode(display=False) as counter:
            self.network(self.images[:1])
        macs: float = counter.get_total_flops() / 2
        return macs


_MEASURES: dict[str, Callable[[Measurement], float]] = {
    "synflow": Measurement.synflow,
    "jacov": Measurement.jacov,
    "naswot": Measurement.naswot,
    "grad-norm": Measurement.grad_norm,
    "snip": Measurement.snip,
    "grasp": Measurement.grasp,
    "fisher": Measurement.fisher,
    "params": Measurement.params,
    "macs": Measurement.macs,
}


def measure(
    network: nn.Module, images: Tensor, labels: Tensor, names: Iterable[str]
) -> dict[str, float]:
    """Return the proxies of these names; see `weaknas.encoders.zero_cost.zero_cost`."""
    measurement = Measurement(network, images, labels)
    with torch.enable_grad():
        return {name: float(_MEASURES[name](measurement)) for name in names}


def measure_untrained(
    build: Callable[[], nn.Module],
    images: npt.NDArray[np.float32],
    labels: npt.NDArray[np.int64],
    names: Iterable[str],
    seed: int,
) -> dict[str, float]:
    """Build a network with weights of a seed, and measure it on one core.

    With more cores sums are in another order. The global generator is left as it was.
    """
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            network = build()
        return measure(network, torch.from_numpy(images), torch.from_numpy(labels), names)
    finally:
        torch.set_num_threads(threads)


def _weights(network: nn.Module) -> list[Tensor]:
    """Weights of the convolutions and linear layers."""
    layers = [layer for layer in network.modules() if isinstance(layer, _WEIGHTED)]
    return [layer.weight for layer in layers]


def _with_gradient(weights: list[Tensor], gradients: tuple[Tensor | None, ...]) -> list[Slope]:
    """Pairs where a gradient arrived; the output may not depend on all weights."""
    pairs = zip(weights, gradients, strict=True)
    return [(weight.detach(), slope) for weight, slope in pairs if slope is not None]


class _Hardsigmoid(nn.Module):
    """The same function as torch's, which has no second derivative."""

    def forward(self, x: Tensor) -> Tensor:
        return nn.functional.relu6(x + 3) / 6


def _twice_differentiable(network: nn.Module) -> nn.Module:
    for module in list(network.modules()):
        for name, child in module.named_children():
            if isinstance(child, nn.Hardsigmoid):
                setattr(module, name, _Hardsigmoid())
    return network


def _without_norms(network: nn.Module) -> nn.Module:
    for module in list(network.modules()):
        for name, child in module.named_children():
            if isinstance(child, _NORMS):
                setattr(module, name, nn.Identity())
    return network
