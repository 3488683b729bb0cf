"""Trained networks as files: weights, program, ONNX; and back."""

from __future__ import annotations

import copy
import logging
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch
from torch import nn

from weaknas.errors import MOST_AT_ONCE, InputError, check_whole, optional_import
from weaknas.files import read_json, write_atomically
from weaknas.registry import get_space, parse_space
from weaknas.spaces import Architecture, SearchSpace
from weaknas.spaces.files.checkpoints import load_weights, read_checkpoint
from weaknas.training.devices import own_randomness

WEIGHTS, PROGRAM, ONNX = "weights.safetensors", "program.pt2", "network.onnx"
CARD = "card.json"


def export(
    network: nn.Module,
    shape: tuple[int, ...],
    folder: Path,
    metadata: Mapping[str, str] | None,
    *,
    tokens: bool = False,
) -> dict[str, str]:
    """Write a network in every form that the installed packages allow.

    Parameters
    ----------
    network : Module
    shape : tuple of int
        Of one image; batches may have any size.
    folder : Path
    metadata : mapping of str to str, optional
        Goes into the file of weights; None: an untrained network, whose weights have no
        file of their own.
    tokens : bool
        Whether it reads tokens, whole numbers.

    Returns
    -------
    dict of str to str
        Form to file name: ``weights`` (safetensors), ``program`` (torch.export) and,
        with the extra ``onnx``, ``onnx``.
    """
    plain = copy.deepcopy(network).cpu().eval().to(memory_format=torch.contiguous_format)  # type: ignore[call-overload]
    files = {}
    if metadata is not None:
        save = optional_import("safetensors.torch", "train").save
        state = {name: tensor.contiguous() for name, tensor in plain.state_dict().items()}
        weights: bytes = save(state, dict(metadata))
        write_atomically(folder / WEIGHTS, lambda path: _write_bytes(path, weights))
        files["weights"] = WEIGHTS
    # Two images, for torch takes a size of 1 as fixed.
    images = torch.zeros(2, *shape, dtype=torch.int64 if tokens else torch.float32)
    batch = {0: torch.export.Dim("batch")}
    program = torch.export.export(plain, (images,), dynamic_shapes=(batch,))
    write_atomically(folder / PROGRAM, lambda path: _save_program(program, path))
    files["program"] = PROGRAM
    if find_spec("onnx") and find_spec("onnxscript"):
        try:
            write_atomically(folder / ONNX, lambda path: _save_onnx(program, path))
            files["onnx"] = ONNX
        except torch.onnx.OnnxExporterError as error:
            detail = " ".join(str(error).split())[:200]
            warnings.warn(f"torch cannot write this network as ONNX ({detail})", stacklevel=2)
    return files


def _write_bytes(path: Path, content: bytes) -> None:
    path.write_bytes(content)


def _save_program(program: torch.export.ExportedProgram, path: Path) -> None:
    with path.open("wb") as file:
        torch.export.save(program, file)


def _save_onnx(program: torch.export.ExportedProgram, path: Path) -> None:
    with _quiet():
        converted = torch.onnx.export(program, dynamo=True, verbose=False)
    if converted is None:  # so its type says; it is where `fallback` was used
        raise torch.onnx.OnnxExporterError("no program was made")
    converted.save(path, external_data=False)


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep what torch says of its own insides, and of packages that are not needed, away."""
    logger = logging.getLogger("torch.onnx")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)


def load_network(folder: str | Path, space: SearchSpace | None = None) -> nn.Module:
    """Return the network that `weaknas train` wrote to a folder, set to evaluation.

    Parameters
    ----------
    folder : path
    space : SearchSpace, optional
        Default: the registered one of the name on the model card.

    Raises
    ------
    InputError
        When the folder has no model card or weights, or they do not fit.
    """
    folder = Path(folder)
    card = read_card(folder)
    if card is None:
        raise InputError(f"{folder} has no model card, {CARD}")
    if space is None:
        name, options = parse_space(str(card.get("label", card.get("space"))))
        space = get_space(name, **options)
    built = build_carded(space, card, folder)
    return load_built(built, folder / WEIGHTS)


@dataclass(frozen=True)
class Built:
    """A network, and what it was built for.

    Parameters
    ----------
    network : Module
    architecture : Architecture
    shape : tuple of int
        Of an image.
    classes : int
    skeleton : mapping
        Settings of the network around the choices.
    """

    network: nn.Module
    architecture: Architecture
    shape: tuple[int, ...]
    classes: int
    skeleton: Mapping[str, Any]

    def card(self, label: str) -> dict[str, Any]:
        """Return what a model card says of the network, the space being called so."""
        return {
            "space": self.architecture.space,
            "label": label,
            "architecture": self.architecture.text,
            "shape": list(self.shape),
            "classes": self.classes,
            "skeleton": dict(self.skeleton),
        }


def build(
    space: SearchSpace,
    architecture: Architecture,
    shape: tuple[int, ...],
    classes: int,
    skeleton: Mapping[str, Any],
) -> Built:
    """Build the untrained network of an architecture, its weights drawn with the seed 0."""
    with own_randomness(torch.device("cpu")):
        torch.manual_seed(0)
        network = space.network(architecture, classes=classes, shape=shape, **skeleton)
    return Built(network, architecture, shape, classes, skeleton)


def build_carded(space: SearchSpace, card: Mapping[str, Any], folder: Path) -> Built:
    """Build the untrained network that the model card in a folder is of.

    Raises
    ------
    InputError
        When the card is damaged, or of another space.
    """
    try:
        text, classes, skeleton = card["architecture"], card["classes"], dict(card["skeleton"])
        shape = tuple(card["shape"])
        for name, number in (("classes", classes), *(("shape", size) for size in shape)):
            check_whole(name, number, most=MOST_AT_ONCE)
    except KeyError as error:
        raise InputError(f"{folder / CARD} is damaged: it lacks {error.args[0]!r}") from error
    except (TypeError, ValueError) as error:
        raise InputError(f"{folder / CARD} is damaged ({error})") from error
    try:
        return build(space, space.architecture(text), shape, classes, skeleton)
    except InputError as error:
        raise InputError(f"{folder / CARD} is not of the space {space.name!r}: {error}") from error


def load_built(built: Built, path: Path) -> nn.Module:
    """Load the weights of a network itself, and set it to evaluation.

    Raises
    ------
    InputError
        When the file is missing, damaged or of another network; the first entry that
        differs is named with its shape, and the model card where none is beside the file.
    """
    network, card = f"the network of {built.architecture.text}", path.parent / CARD
    if not card.exists():
        network += f" by default ({card}, which says how it was built, is missing)"
    load_weights(built.network, read_checkpoint(path), path, network)
    return built.network.eval()


def read_card(folder: Path) -> dict[str, Any] | None:
    """Return the model card in a folder, None where there is none.

    Raises
    ------
    InputError
        When it is damaged.
    """
    path = folder / CARD
    if not path.exists():
        return None
    card: Any = read_json(path)
    if not isinstance(card, dict):
        raise InputError(f"{path} is damaged: it is no model card")
    return card
