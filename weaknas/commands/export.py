"""``weaknas export``."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from weaknas.commands._shared import print_json
from weaknas.components import parse_label
from weaknas.errors import InputError, optional_import
from weaknas.files import prepare_folder
from weaknas.registry import get_space
from weaknas.spaces import SearchSpace
from weaknas.spaces.mobilenetv3 import MobileNetV3


@Parameter(name="*")
@dataclass(frozen=True)
class Options:
    """Options of ``weaknas export``; see the command for their meaning."""

    output: Path
    "Folder of the files."
    supernet: Path | None = None
    "A supernet whose weights are taken; batch norms are recalibrated on training images."
    weights: Path | None = None
    "Weights of this architecture itself, e.g. those that `weaknas train` wrote."
    dataset: str | None = None
    "Of the supernet; default: what it was trained on, where its file says so."
    data: Path | None = None
    "Where the files of the data set are."
    calibration: int = 2000
    "Training images that batch norms are recalibrated on."
    json: Annotated[bool, Parameter(negative="")] = False
    "Print one JSON object as the last line of standard output."


def export(space: str, architecture: str, /, *, options: Options) -> None:
    """Write an architecture as safetensors, torch.export, ONNX and a definition of timm.

    Without weights the definition of timm alone is written, to be trained there.

    Parameters
    ----------
    space
        Name of the search space, with `:key=value` for each option of it.
    architecture
        Its string form, as `weaknas search` prints it.
    """
    optional_import("torch", "train")
    from weaknas.spaces.mobilenetv3.network import Network
    from weaknas.supernets.export import cut_out, export_timm, with_weights
    from weaknas.training.export import export as write

    if options.supernet is not None and options.weights is not None:
        raise InputError("give --supernet or --weights, not both")
    prepare_folder(options.output)
    name, setting = parse_label(space)
    built = get_space(name, **setting)
    text = built.architecture(architecture).text
    if options.supernet is not None:
        network, shape = cut_out(
            built,
            text,
            options.supernet,
            dataset=options.dataset,
            data=options.data,
            calibration=options.calibration,
        )
    else:
        shape = _shape(built, text)
        network = built.network(text, classes=getattr(built, "classes", 10), shape=shape)
        if options.weights is not None:
            network = with_weights(network, options.weights)
    trained = options.supernet is not None or options.weights is not None
    files: dict[str, str] = {}
    if trained:
        files |= write(network, shape, options.output, {"space": space, "architecture": text})
    if isinstance(network, Network):
        try:
            files |= export_timm(network, options.output, weights=trained)
        except InputError as error:
            if not trained:
                raise
            print(f"no definition of timm: {error}", file=sys.stderr)
    if not files:
        raise InputError(f"without weights there is nothing to export of {built.name!r}")
    if options.json:
        print_json({"architecture": text, "output": str(options.output), "files": files})
    else:
        for form, file in files.items():
            print(f"{form}: {options.output / file}")


def _shape(space: SearchSpace, architecture: str) -> tuple[int, int, int]:
    """Return the shape of the images that a space counts costs for."""
    if isinstance(space, MobileNetV3):
        size = space.decode(space.genotypes([architecture])[0])["r"][0]
        return space.channels, size, size
    return 3, 32, 32
