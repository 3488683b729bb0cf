"""Zero-cost proxies: what an untrained network and one batch of images say of it (torch)."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable
from functools import cached_property

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


class Measurement:
    """One network and one batch; forward and backward passes are made when a proxy needs them.

    Batch norms use the statistics of the batch, everything else is as in evaluation,
    so that nothing is drawn and there is no auxiliary head.
    """

    def __init__(self, network: nn.Module, images: Tensor, labels: Tensor) -> None:
        self.network = copy.deepcopy(network).eval().requires_grad_(True)
        device = next((weights.device for weights in network.parameters()), images.device)
        self.images, self.labels = images.detach().to(device), labels.to(device)

    # -- one forward pass with several uses ---------------------------------------------

    @cached_property
    def _pass(self) -> tuple[Tensor, Tensor, list[Tensor]]:
        """Images with gradient, logits, and which units are active after each activation."""
        codes: list[Tensor] = []

        def note(_: nn.Module, inputs: tuple[Tensor, ...]) -> None:
            codes.append((inputs[0] > 0).flatten(1).detach())

        modules = list(self.network.modules())
        norms = [layer for layer in modules if isinstance(layer, nn.modules.batchnorm._BatchNorm)]
        units = [layer for layer in modules if isinstance(layer, _ACTIVATIONS)]
        hooks = [layer.register_forward_pre_hook(note) for layer in units]
        for layer in norms:
            layer.train()
        images = self.images.clone().requires_grad_(True)
        logits = self.network(images)
        for layer in norms:
            layer.eval()
        for hook in hooks:
            hook.remove()
        return images, logits, codes

    @cached_property
    def _gradients(self) -> list[tuple[Tensor, Tensor]]:
        """Weights of each convolution and linear layer, and gradients of the cross-entropy."""
        _, logits, _ = self._pass
        loss = nn.functional.cross_entropy(logits, self.labels)
        weights = _weights(self.network)
        found = torch.autograd.grad(loss, weights, retain_graph=True, allow_unused=True)
        return _with_gradient(weights, found)

    def grad_norm(self) -> float:
        """Sum over layers of the norms of the gradients (arXiv:2101.08134, section 3.1)."""
        return sum(float(gradient.norm()) for _, gradient in self._gradients)

    def snip(self) -> float:
        """Sum of |weight x gradient| (Lee et al., ICLR 2019, arXiv:1810.02340, eq. 4)."""
        return sum(float((weight * gradient).abs().sum()) for weight, gradient in self._gradients)

    def jacov(self) -> float:
        """How little the Jacobians of different images correlate (arXiv:2006.04647v1, eq. 3)."""
        images, logits, _ = self._pass
        (jacobian,) = torch.autograd.grad(logits.sum(), images, retain_graph=True)
        rows = jacobian.flatten(1).cpu().double()
        rows = rows - rows.mean(dim=1, keepdim=True)
        norms = rows.norm(dim=1, keepdim=True)
        # A network that does not look at the images: all are the same to it.
        rows = torch.where(norms > 0, rows / norms.clamp_min(1e-300), rows.shape[1] ** -0.5)
        eigenvalues = torch.linalg.eigvalsh(rows @ rows.T).clamp_min(0) + _CORRELATION_NOISE
        return -float((eigenvalues.log() + 1 / eigenvalues).sum())

    def naswot(self) -> float:
        """Log-determinant of how many units agree on two images (arXiv:2006.04647v3, eq. 2)."""
        codes = self._pass[2]
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


def _with_gradient(
    weights: list[Tensor], gradients: tuple[Tensor | None, ...]
) -> list[tuple[Tensor, Tensor]]:
    """Pairs where a gradient arrived; the output may not depend on all weights."""
    pairs = zip(weights, gradients, strict=True)
    return [(weight.detach(), slope) for weight, slope in pairs if slope is not None]


def _without_norms(network: nn.Module) -> nn.Module:
    for module in list(network.modules()):
        for name, child in module.named_children():
            if isinstance(child, _NORMS):
                setattr(module, name, nn.Identity())
    return network
