"""An architecture with the weights of a supernet, or with its own, for use elsewhere."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch

from weaknas.errors import InputError, check_whole, optional_import
from weaknas.files import write_atomically, write_json
from weaknas.spaces import ArchitectureLike, SearchSpace
from weaknas.spaces.mobilenetv3.network import Network
from weaknas.spaces.mobilenetv3.timm import timm_definition, timm_state_dict
from weaknas.supernets.building import build_supernet
from weaknas.supernets.files import read_about
from weaknas.supernets.measure import Calibration
from weaknas.training.data import load_dataset
from weaknas.training.export import Built

TIMM, TIMM_WEIGHTS = "timm.json", "timm.safetensors"


def cut_out(
    space: SearchSpace,
    architecture: ArchitectureLike,
    supernet: Path,
    *,
    dataset: str | None = None,
    data: Path | None = None,
    calibration: int = 2000,
) -> Built:
    """Return an architecture with the weights of a supernet.

    The statistics of its batch norms are taken from training images.

    Parameters
    ----------
    space : SearchSpace
    architecture : Architecture, str or one genotype
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
    skeleton, chosen = about.get("skeleton", {}), space.architecture(architecture)
    whole: Any = build_supernet(space, images, **skeleton)
    whole.load_checkpoint(supernet)
    size = whole.input_size(chosen)
    network = whole.extract(chosen).eval()
    Calibration(images, torch.device("cpu"), images=calibration, size=size)(network)
    shape = images.shape if size is None else (images.shape[0], size, size)
    return Built(network, chosen, shape, images.classes, skeleton)


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
