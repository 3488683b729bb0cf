"""An architecture with the weights of a supernet, or with its own, for use elsewhere."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from torch import nn

from weaknas.errors import InputError, check_whole, optional_import
from weaknas.files import write_atomically, write_json
from weaknas.spaces import Architecture, SearchSpace
from weaknas.spaces.files.checkpoints import load_weights, read_checkpoint
from weaknas.spaces.mobilenetv3.network import Network
from weaknas.spaces.mobilenetv3.timm import timm_definition, timm_state_dict
from weaknas.supernets.building import build_supernet
from weaknas.supernets.files import read_about
from weaknas.supernets.measure import Calibration
from weaknas.training.data import load_dataset

TIMM, TIMM_WEIGHTS = "timm.json", "timm.safetensors"


def cut_out(
    space: SearchSpace,
    architecture: Architecture | str,
    supernet: Path,
    *,
    dataset: str | None = None,
    data: Path | None = None,
    calibration: int = 2000,
) -> tuple[nn.Module, tuple[int, int, int]]:
    """Return an architecture with the weights of a supernet, and the shape of its images.

    The statistics of its batch norms are taken from training images.

    Parameters
    ----------
    space : SearchSpace
    architecture : Architecture or str
    supernet : path
        See `weaknas.evaluators.supernet.SupernetEvaluator`, as for the rest.
    dataset : str, optional
    data : path, optional
        Of the data set.
    calibration : int

    Raises
    ------
    InputError
        When the supernet is missing, damaged, of another network or does not say what
        it was trained on, the data set cannot be read, or `calibration` is below 1.
    """
    check_whole("calibration", calibration)
    about = read_about(supernet)
    name = about.get("dataset") if dataset is None else dataset
    if name is None:
        raise InputError(f"{supernet} does not say which data set the supernet is for; name it")
    images = load_dataset(name, data)
    whole: Any = build_supernet(space, images, **about.get("skeleton", {}))
    whole.load_checkpoint(supernet)
    size = whole.input_size(architecture)
    network = whole.extract(architecture).eval()
    Calibration(images, torch.device("cpu"), images=calibration, size=size)(network)
    channels, height, width = images.shape
    return network, (channels, size or height, size or width)


def with_weights(network: nn.Module, path: Path) -> nn.Module:
    """Load a network's own weights, from safetensors or from a file of ``torch.save``.

    Raises
    ------
    InputError
        When the file is missing, damaged or of another network; the first entry that
        differs is named with its shape.
    """
    if path.suffix == ".safetensors":
        load = optional_import("safetensors.torch", "train").load_file
        try:
            state = load(path)
        except Exception as error:  # of safetensors and the system
            detail = " ".join(str(error).split())[:200]
            raise InputError(f"{path}: not a readable file of weights ({detail})") from error
    else:
        state = read_checkpoint(path)
    load_weights(network, state, path, "the network of this architecture")
    return network.eval()


def export_timm(network: Network, folder: Path, *, weights: bool = True) -> dict[str, str]:
    """Write the definition that timm's builder takes, and the weights as timm names them.

    ``weaknas.spaces.mobilenetv3.timm.build_timm`` makes the module of the definition.

    Returns
    -------
    dict of str to str
        Form to file name.

    Raises
    ------
    InputError
        When timm cannot build the network.
    """
    definition = timm_definition(network)
    write_json(folder / TIMM, definition)
    files = {"timm": TIMM}
    if weights:
        save = optional_import("safetensors.torch", "train").save
        state = {name: tensor.contiguous() for name, tensor in timm_state_dict(network).items()}
        content: bytes = save(state, {"definition": json.dumps(definition)})

        def write(path: Path) -> None:
            path.write_bytes(content)

        write_atomically(folder / TIMM_WEIGHTS, write)
        files["timm_weights"] = TIMM_WEIGHTS
    return files
