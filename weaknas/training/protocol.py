"""How a network is trained: every switch of the training protocol, and the published ones."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields, replace
from types import MappingProxyType
from typing import Any, Self, runtime_checkable
from typing import Protocol as Contract

from weaknas.components import HasName
from weaknas.errors import MOST_AT_ONCE, InputError, check_number, check_whole, unknown
from weaknas.spaces import SearchSpace
from weaknas.spaces.augmentation.policy import IDENTITY, read_policy

OPTIMIZERS = ("sgd", "adamw", "rmsprop")
SCHEDULES = ("cosine", "step", "constant")
PRECISIONS = ("auto", "float32", "bfloat16", "float16")
POLICIES = ("none", "autoaugment", "randaugment", "trivialaugment")
_SKELETON = "skeleton."
_LARGEST = 1e38  # of numbers of 32 bits
_ANYTHING = ("loss", "metric")
_OF_IMAGES = (
    "flip",
    "crop",
    "cutout",
    "erasing",
    "mixup",
    "cutmix",
    "auto_augment",
)
_ALLOWED = {
    "optimizer": OPTIMIZERS,
    "schedule": SCHEDULES,
    "precision": PRECISIONS,
}


@runtime_checkable
class Named(Contract):
    """What has a name of its own, e.g. a `weaknas.training.metrics.Metric`."""

    @property
    def name(self) -> str:
        """What it is called."""


@dataclass(frozen=True, kw_only=True)
class Protocol:
    """Everything that decides a training besides architecture, data and seed.

    What a protocol contributes can exceed what architectures differ by (Yang, Esperanca
    and Carlucci, "NAS evaluation is frustratingly hard", ICLR 2020, arXiv:1912.12522),
    so every trick is a switch of its own. Zero, or ``"none"``, is off.

    Parameters
    ----------
    epochs : int
        Passes over the training images.
    channels, cells : int, optional
        Of the skeleton, as the space counts them; None: as published, or none.
    batch_size : int
        Images of one step, over all processes.
    optimizer : {"sgd", "adamw", "rmsprop"}
        SGD with Nesterov's momentum; AdamW (Loshchilov and Hutter, ICLR 2019,
        arXiv:1711.05101); RMSProp with momentum.
    learning_rate : float
        At its highest.
    momentum : float
        Of SGD and RMSProp.
    nesterov : bool
        Of SGD.
    epsilon : float
        Added to the denominator by AdamW and RMSProp (under torch's convention, outside
        of the root).
    weight_decay : float
    decay_all : bool
        Decay also the scales and shifts of norms and the biases, as the NAS benchmarks
        do; off leaves them out (He et al., "Bag of tricks", CVPR 2019, arXiv:1812.01187,
        section 3.1).
    schedule : {"cosine", "step", "constant"}
        Of the learning rate, step by step: to zero along a half cosine (Loshchilov and
        Hutter, ICLR 2017, arXiv:1608.03983), or times `step_factor` every `step_epochs`.
    step_epochs, step_factor : float
    warmup : float
        Epochs in which the learning rate rises linearly (Goyal et al., 2017,
        arXiv:1706.02677, section 2.2).
    label_smoothing : float
        Szegedy et al., CVPR 2016, arXiv:1512.00567, section 7.
    gradient_clipping : float
        Largest norm of all gradients together.
    ema : float
        Decay, a step, of the running average of the weights, and of the statistics of
        batch norms, that is evaluated (Polyak and Juditsky, 1992).
    flip : bool
        Mirror half of the images, left and right.
    crop : int
        Pixels of zeros around the image before a crop to its size.
    cutout : int
        Side in pixels of a square that is blanked (DeVries and Taylor, 2017,
        arXiv:1708.04552); it may reach over the border.
    erasing : float
        Probability that a rectangle is replaced by noise (Zhong et al., AAAI 2020,
        arXiv:1708.04896).
    mixup : float
        Parameter alpha of Zhang et al., ICLR 2018, arXiv:1710.09412.
    cutmix : float
        Parameter alpha of Yun et al., ICCV 2019, arXiv:1905.04899. With mixup, each batch
        draws one of the two.
    auto_augment : {"none", "autoaugment", "randaugment", "trivialaugment"} or str
        Cubuk et al., CVPR 2019, arXiv:1805.09501, the CIFAR-10 policy; Cubuk et al., 2020,
        arXiv:1909.13719; Müller and Hutter, ICCV 2021, arXiv:2103.10158. These need
        torchvision. Or a policy of our own operations, on whole batches, such as
        ``rotate(0.8,4)+invert(0.1)|shear-x(0.5,9)`` or ``randaugment(2,9)``, see
        `weaknas.spaces.augmentation.read_policy`.
    drop_path : float
        Probability, at the end of training, that a path of the network is dropped; rises
        linearly from zero (Zoph et al., CVPR 2018, arXiv:1707.07012).
    auxiliary : float
        Weight of the loss of an auxiliary head (Szegedy et al., CVPR 2015,
        arXiv:1409.4842).
    precision : {"auto", "float32", "bfloat16", "float16"}
        Of the arithmetic; ``"auto"`` is bfloat16 or float16 on a GPU that has fast units
        for it, else float32.
    settings : mapping, optional
        Further settings of the space's skeleton, e.g. ``{"stem": "imagenet"}``; as options
        ``skeleton.stem=imagenet``. Kept as sorted pairs.
    loss : str or callable
        ``"cross-entropy"``, ``"mse"``, ``"mae"``, ``"huber"``, ``module:function``, or a function
        of outputs and labels, tensors; ``"auto"`` is the mean squared error for a regression,
        else cross-entropy.
    metric : str or callable
        What networks are compared by, see `weaknas.training.metrics.get_metric`; ``"auto"``
        is accuracy, the mean squared error of a regression, perplexity of a text.
    channels_last, compile : bool
        Memory layout and torch.compile; both change speed and rounding only.
    deterministic : bool
        Refuse or replace operations of a GPU whose results vary. The CPU's do not.

    Raises
    ------
    InputError
        When a value cannot be used.
    """

    epochs: int = 12
    channels: int | None = None
    cells: int | None = None
    settings: Mapping[str, Any] | tuple[tuple[str, Any], ...] = ()
    batch_size: int = 256
    optimizer: str = "sgd"
    learning_rate: float = 0.1
    momentum: float = 0.9
    nesterov: bool = True
    epsilon: float = 1e-8
    weight_decay: float = 5e-4
    decay_all: bool = True
    schedule: str = "cosine"
    step_epochs: float = 30.0
    step_factor: float = 0.1
    warmup: float = 0.0
    label_smoothing: float = 0.0
    gradient_clipping: float = 0.0
    ema: float = 0.0
    flip: bool = False
    crop: int = 0
    cutout: int = 0
    erasing: float = 0.0
    mixup: float = 0.0
    cutmix: float = 0.0
    auto_augment: str = "none"
    drop_path: float = 0.0
    auxiliary: float = 0.0
    precision: str = "auto"
    loss: str | Callable[..., Any] = "auto"
    metric: str | Callable[..., Any] | Named = "auto"
    channels_last: bool = False
    compile: bool = False
    deterministic: bool = False

    def __post_init__(self) -> None:
        pairs = tuple(sorted(dict(self.settings).items()))
        object.__setattr__(self, "settings", pairs)
        for field in fields(self):
            _check(field.name, str(field.type), vars(self)[field.name])
        for name in ("learning_rate", "step_epochs"):
            if vars(self)[name] <= 0:
                raise InputError(f"{name} must be above 0, not {vars(self)[name]}")
        for name in ("label_smoothing", "ema", "erasing", "drop_path", "momentum"):
            if vars(self)[name] > 1:
                raise InputError(f"{name} must be between 0 and 1, not {vars(self)[name]}")
        if self.warmup > self.epochs:
            raise InputError(f"warmup of {self.warmup} epochs is above epochs, {self.epochs}")

    def with_options(self, options: Mapping[str, Any]) -> Self:
        """Return the protocol with some switches set.

        Raises
        ------
        InputError
            When a switch is unknown, with the closest match, or its value cannot be used.
        """
        names = [field.name for field in fields(self)]
        switches, settings = {}, dict(self.settings)
        for name, value in options.items():
            setting = name.removeprefix(_SKELETON)
            if setting != name:
                settings[setting] = value
            elif name in names:
                switches[name] = value
            else:
                raise unknown("switch of the training protocol", name, names)
        return replace(self, **{"settings": settings, **switches})

    def skeleton(self) -> dict[str, Any]:
        """Return what the protocol asks of the network, as options of `SearchSpace.network`."""
        wanted: dict[str, Any] = {"channels": self.channels, "cells": self.cells}
        wanted = {name: value for name, value in wanted.items() if value is not None}
        return wanted | ({"auxiliary": True} if self.auxiliary else {}) | dict(self.settings)

    def describe(self) -> dict[str, Any]:
        """Return all switches as plain JSON types."""
        switches = {field.name: vars(self)[field.name] for field in fields(self)}
        settings = dict(switches.pop("settings"))
        # As they were before there was a choice: trainings of then go on.
        for name in ("loss", "metric"):
            value = switches.pop(name)
            if value != "auto":
                switches[name] = value if isinstance(value, str) else _name(value)
        return switches | ({"settings": settings} if settings else {})

    def image_switches(self) -> list[str]:
        """Return the switches that are on and make sense for images alone."""
        plain = Protocol()
        return [name for name in _OF_IMAGES if vars(self)[name] != vars(plain)[name]]


def _name(value: Any) -> str:
    if isinstance(value, Named):
        return value.name
    return (value if isinstance(value, HasName) else type(value)).__qualname__


def _check_policy(name: str, value: Any) -> None:
    if not isinstance(value, str) or (value.isalnum() and value not in (*POLICIES, IDENTITY)):
        raise unknown(name, value, (*POLICIES, "operation(probability,magnitude)"))
    if value not in POLICIES:
        read_policy(value)


def _check(name: str, kind: str, value: Any) -> None:
    if name == "settings":
        return
    if name in _ANYTHING:
        if not (isinstance(value, str | Named) or callable(value)):
            raise InputError(f"{name} must be a name or a function, not {value!r}")
        return
    if name == "auto_augment":
        _check_policy(name, value)
    elif name in _ALLOWED:
        if value not in _ALLOWED[name]:
            raise unknown(name, value, _ALLOWED[name])
    elif kind == "bool":
        if not isinstance(value, bool):
            raise InputError(f"{name} must be true or false, not {value!r}")
    elif value is None and "None" in kind:
        return
    elif "int" in kind:
        least = 1 if "None" in kind or name in {"epochs", "batch_size"} else 0
        check_whole(name, value, least, MOST_AT_ONCE)
    elif isinstance(value, bool) or value != 0:  # zero is off
        check_number(name, value, above=0, most=_LARGEST)


#: Protocols by name.
PRESETS: Mapping[str, Protocol] = MappingProxyType(
    {
        # Dong and Yang, ICLR 2020, arXiv:2001.00326, table 1.
        "nasbench201": Protocol(epochs=200, flip=True, crop=4),
        # Ying et al., ICML 2019, arXiv:1902.09635, appendix S.3, and the released code:
        # 0.1 times two shards of a TPU, epsilon 1 (there under the root).
        "nasbench101": Protocol(
            epochs=108,
            optimizer="rmsprop",
            learning_rate=0.2,
            epsilon=1.0,
            weight_decay=1e-4,
            flip=True,
            crop=4,
        ),
        # Liu, Simonyan and Yang, ICLR 2019, arXiv:1806.09055, section 3.2, CIFAR-10.
        "darts": Protocol(
            epochs=600,
            batch_size=96,
            learning_rate=0.025,
            nesterov=False,
            weight_decay=3e-4,
            gradient_clipping=5.0,
            flip=True,
            crop=4,
            cutout=16,
            drop_path=0.2,
            auxiliary=0.4,
        ),
        # Seconds to a minute on one core for a text of 100,000 tokens.
        "text": Protocol(
            epochs=8,
            settings={"width": 64},
            batch_size=32,
            optimizer="adamw",
            learning_rate=4e-3,
            weight_decay=0.01,
            decay_all=False,
            warmup=0.5,
            gradient_clipping=1.0,
        ),
        # Seconds on one core for small images; told apart are good and bad cells.
        "small": Protocol(epochs=8, channels=6, cells=1, batch_size=64, decay_all=False),
    }
)


def default_protocol(space: SearchSpace) -> str:
    """Return the name of the protocol of networks of a space unless one is named."""
    return "text" if space.reads == "tokens" else "small"


def get_protocol(name: str = "small", **options: Any) -> Protocol:
    """Return a protocol by name, with some switches set.

    Raises
    ------
    InputError
        When the name or a switch is unknown, or a value cannot be used.
    """
    if name not in PRESETS:
        raise unknown("training protocol", name, PRESETS)
    return PRESETS[name].with_options(options)
