"""The networks of DARTS (Liu, Simonyan and Yang, ICLR 2019, arXiv:1806.09055), in torch."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from weaknas.spaces.cells.layers import Head, drop_path, relu_conv_norm
from weaknas.spaces.darts.layers import FactorizedReduction, operation
from weaknas.spaces.darts.skeleton import DARTSSkeleton, Place

#: (operation, predecessor) of both inputs of each node, in order.
Pairs = Sequence[tuple[str, int]]

_AUXILIARY_CHANNELS = (128, 768)


class Cell(nn.Module):
    """A cell of four nodes, each the sum of two operations; all four are concatenated."""

    def __init__(self, pairs: Pairs, place: Place) -> None:
        super().__init__()
        self.preprocess = preprocessing(place)
        self.sources = [source for _, source in pairs]
        self.operations = nn.ModuleList(
            operation(name, place.channels, 2 if place.reduces and source < 2 else 1)
            for name, source in pairs
        )

    def forward(self, before: Tensor, last: Tensor, dropped: float) -> Tensor:
        """Return the output of the cell.

        Parameters
        ----------
        before, last : Tensor, shape (n, channels, height, width)
            Outputs of the last but one and of the last cell.
        dropped : float
            Probability that a path other than the identity is dropped.
        """
        states = [layer(x) for layer, x in zip(self.preprocess, (before, last), strict=True)]
        values = []
        for source, layer in zip(self.sources, self.operations, strict=True):
            value = layer(states[source])
            if dropped and not isinstance(layer, nn.Identity):
                value = drop_path(value, dropped)
            values.append(value)
            if len(values) % 2 == 0:
                states.append(values[-2] + value)
        return torch.cat(states[2:], dim=1)


def preprocessing(place: Place) -> nn.ModuleList:
    """Return the layers that bring both inputs of a cell to its channels and one size."""
    align = FactorizedReduction if place.after_reduction else _pointwise
    return nn.ModuleList(
        [align(place.before, place.channels), _pointwise(place.inputs, place.channels)]
    )


def _pointwise(inputs: int, outputs: int) -> nn.Module:
    return relu_conv_norm(inputs, outputs, 1)


class Network(nn.Module):
    """The network around both cells; weights start as torch draws them.

    Maps images to logits, shape (n, classes); with an auxiliary head it returns the
    logits of both while training.

    Parameters
    ----------
    normal, reduction : sequence of (str, int)
        Both cells.
    skeleton : DARTSSkeleton

    Attributes
    ----------
    drop_path : float
        Probability that a path is dropped while training; starts as 0.
    """

    def __init__(self, normal: Pairs, reduction: Pairs, skeleton: DARTSSkeleton) -> None:
        super().__init__()
        self.drop_path = 0.0
        places = skeleton.places
        self.stem = nn.ModuleList(_stem(skeleton))
        self.cells = nn.ModuleList(
            Cell(reduction if place.reduces else normal, place) for place in places
        )
        self.head = Head(places[-1].outputs, skeleton.classes)
        self.auxiliary_place = skeleton.reductions[-1]
        self.auxiliary = (
            _auxiliary_head(places[self.auxiliary_place], skeleton) if skeleton.auxiliary else None
        )

    def forward(self, images: Tensor) -> Tensor | tuple[Tensor, Tensor]:
        """Return logits, or with an auxiliary head while training both logits."""
        before = last = self.stem[0](images)
        for layer in self.stem[1:]:
            last = layer(last)
        dropped = self.drop_path if self.training else 0.0
        auxiliary = None
        for index, cell in enumerate(self.cells):
            before, last = last, cell(before, last, dropped)
            if self.training and self.auxiliary is not None and index == self.auxiliary_place:
                auxiliary = self.auxiliary(last)
        logits: Tensor = self.head(last)
        return logits if auxiliary is None else (logits, auxiliary)


def _stem(skeleton: DARTSSkeleton) -> list[nn.Module]:
    """One layer, whose output both inputs of the first cell are, or two, one for each."""
    inputs, width = skeleton.shape[0], skeleton.stem_channels
    if skeleton.stem == "cifar":
        convolution = nn.Conv2d(inputs, width, 3, padding=1, bias=False)
        return [nn.Sequential(convolution, nn.BatchNorm2d(width))]
    halvings = nn.Sequential(
        nn.Conv2d(inputs, width // 2, 3, 2, 1, bias=False),
        nn.BatchNorm2d(width // 2),
        relu_conv_norm(width // 2, width, 3, stride=2),
    )
    return [halvings, relu_conv_norm(width, width, 3, stride=2)]


def _auxiliary_head(place: Place, skeleton: DARTSSkeleton) -> nn.Module:
    """Return a second classifier; it makes 8 x 8 or, on ImageNet, 7 x 7 pixels one."""
    narrow, wide = _AUXILIARY_CHANNELS
    cifar = skeleton.stem == "cifar"
    if min(place.size_out) < 5:  # smaller images than were published
        pool: nn.Module = nn.AdaptiveAvgPool2d(2)
    else:
        pool = nn.AvgPool2d(5, 3 if cifar else 2)
    return nn.Sequential(
        nn.ReLU(),
        pool,
        nn.Conv2d(place.outputs, narrow, 1, bias=False),
        nn.BatchNorm2d(narrow),
        nn.ReLU(),
        nn.Conv2d(narrow, wide, 2, bias=False),
        # The authors' network for ImageNet has none here, by mistake as they say.
        nn.BatchNorm2d(wide) if cifar else nn.Identity(),
        nn.ReLU(),
        Head(wide, skeleton.classes),
    )
