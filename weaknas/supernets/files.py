"""Trained supernets on the disk: weights and what they are of."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import nn

from weaknas.files import write_atomically
from weaknas.spaces.files.checkpoints import load_plain

_ABOUT = "supernet"


def save_supernet(path: Path, network: nn.Module, about: Mapping[str, Any]) -> None:
    """Write weights, under ``state_dict``, and what is known of them as plain JSON types."""
    state = {name: tensor.cpu() for name, tensor in network.state_dict().items()}
    content = {_ABOUT: dict(about), "state_dict": state}
    write_atomically(path, lambda temporary: torch.save(content, temporary))


def read_about(path: str | Path) -> dict[str, Any]:
    """Return what a file says of its weights; nothing where it is of another origin.

    Raises
    ------
    InputError
        When the file is missing or damaged.
    """
    content = load_plain(path)
    about = content.get(_ABOUT) if isinstance(content, Mapping) else None
    return dict(about) if isinstance(about, Mapping) else {}
