"""Transformers that predict the next token, in torch."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from weaknas.spaces.language import LanguageSkeleton
from weaknas.spaces.language.model import LanguageModel

_BASE = 10_000.0  # of the wavelengths of sines and rotations


def waves(length: int, width: int, like: Tensor) -> Tensor:
    """Return the angles of each place, shape (length, width / 2), in float32.

    The angle of place p is p / 10000^(2 i / width), i = 0, 1, ... (Vaswani et al., section
    3.5; Su et al., 2021, equation 15).
    """
    places = torch.arange(length, device=like.device, dtype=torch.float32)
    halves = torch.arange((width + 1) // 2, device=like.device, dtype=torch.float32)
    return places[:, None] * _BASE ** (-2 * halves / width)


def rotate(x: Tensor) -> Tensor:
    """Turn pairs of numbers of each head by the angles of their places.

    Parameters
    ----------
    x : Tensor, shape (n, heads, length, head width)
    """
    angles = waves(x.shape[2], x.shape[3], x)
    cosine, sine = angles.cos().to(x.dtype), angles.sin().to(x.dtype)
    first, second = x.chunk(2, dim=-1)
    return torch.cat([first * cosine - second * sine, first * sine + second * cosine], dim=-1)


class Attention(nn.Module):
    """Self-attention to a place itself and those before it."""

    def __init__(self, width: int, heads: int, head_width: int, rotary: bool) -> None:
        super().__init__()
        self.heads, self.rotary = heads, rotary
        self.input = nn.Linear(width, 3 * heads * head_width, bias=False)
        self.output = nn.Linear(heads * head_width, width, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """Return what each place takes from those before it, of the shape of the input."""
        parts = self.input(x).unflatten(2, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)
        queries, keys, values = parts.unbind(0)
        if self.rotary:
            queries, keys = rotate(queries), rotate(keys)
        taken = functional.scaled_dot_product_attention(queries, keys, values, is_causal=True)
        made: Tensor = self.output(taken.transpose(1, 2).flatten(2))
        return made


class Layer(nn.Module):
    """Attention and an MLP, each behind a norm and beside the identity."""

    def __init__(self, width: int, heads: int, head_width: int, ratio: int, rotary: bool) -> None:
        super().__init__()
        self.norms = nn.ModuleList([nn.LayerNorm(width), nn.LayerNorm(width)])
        self.attention = Attention(width, heads, head_width, rotary)
        self.mlp = nn.Sequential(
            nn.Linear(width, ratio * width, bias=False),
            nn.GELU(),
            nn.Linear(ratio * width, width, bias=False),
        )

    def forward(self, x: Tensor) -> Tensor:
        """Return a tensor of the shape of the input."""
        x = x + self.attention(self.norms[0](x))
        made: Tensor = x + self.mlp(self.norms[1](x))
        return made


class Decoder(nn.Module):
    """Layers in a row, places told first, a norm last.

    Parameters
    ----------
    layers : sequence of (heads, head width, ratio)
    positions : str
    skeleton : LanguageSkeleton
    """

    def __init__(
        self, layers: Sequence[Sequence[int]], positions: str, skeleton: LanguageSkeleton
    ) -> None:
        super().__init__()
        width = skeleton.width
        self.positions = positions
        if positions == "learned":
            self.places = nn.Parameter(torch.empty(skeleton.length, width).uniform_(-0.1, 0.1))
        rotary = positions == "rotary"
        self.layers = nn.Sequential(
            *(Layer(width, heads, each, ratio, rotary) for heads, each, ratio in layers)
        )
        self.norm = nn.LayerNorm(width)

    def forward(self, x: Tensor) -> Tensor:
        """Return a tensor of the shape of the input."""
        length, width = x.shape[1:]
        x = x * math.sqrt(width)  # as large as what is added (Vaswani et al., section 3.4)
        if self.positions == "learned":
            x = x + self.places[:length]
        elif self.positions == "sinusoidal":
            angles = waves(length, width, x)
            x = x + torch.stack([angles.sin(), angles.cos()], dim=2).flatten(1)[:, :width].to(x)
        made: Tensor = self.norm(self.layers(x))
        return made


class Network(LanguageModel):
    """A language model of layers of attention.

    Parameters
    ----------
    layers : sequence of (heads, head width, ratio)
    positions : str
    skeleton : LanguageSkeleton
    """

    def __init__(
        self, layers: Sequence[Sequence[int]], positions: str, skeleton: LanguageSkeleton
    ) -> None:
        super().__init__(skeleton, Decoder(layers, positions, skeleton))
