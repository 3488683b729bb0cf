"""``weaknas export``."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from weaknas.commands._numbers import Count
from weaknas.commands._shared import print_json
from weaknas.errors import InputError, optional_import
from weaknas.files import prepare_folder, write_json
from weaknas.registry import get_space, parse_space
from weaknas.spaces import Architecture, SearchSpace
from weaknas.spaces.mobilenetv3 import MobileNetV3

if TYPE_CHECKING:
    from weaknas.training.export import Built


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
    calibration: Count = 2000
    "Training images that batch norms are recalibrated on."
    json: Annotated[bool, Parameter(negative="")] = False
    "Print one JSON object as the last line of standard output."


def export(space: str, architecture: str, /, *, options: Options) -> None:
    """Write an architecture as safetensors, torch.export, ONNX and a definition of timm.

    Without weights the definition of timm alone is written, to be trained there; of a
    network that timm does not have, torch's program, untrained.

    Parameters
    ----------
    space
        Name of the search space, with `:key=value` for each option of it.
    architecture
        Its string form, as `weaknas search` prints it.
    """
    optional_import("torch", "train")
    from weaknas.training.export import CARD, read_card
    from weaknas.training.export import export as write

    if options.supernet is not None and options.weights is not None:
        raise InputError("give --supernet or --weights, not both")
    output = prepare_folder(options.output)
    name, setting = parse_space(space)
    chosen = get_space(name, **setting)
    text = chosen.architecture(architecture).text
    card = read_card(output)
    if card is not None and card.get("architecture") != text:
        raise InputError(f"{options.output} holds another architecture; choose another folder")
    built = _build(chosen, text, options)
    trained = options.supernet is not None or options.weights is not None
    files = _export_timm(built, output, trained)
    if trained or not files:
        named = {"space": space, "architecture": text} if trained else None
        tokens = chosen.reads == "tokens"
        files = write(built.network, built.shape, output, named, tokens=tokens) | files
    if trained and card is None:
        write_json(output / CARD, built.card(space))
    if options.json:
        print_json({"architecture": text, "output": str(options.output), "files": files})
    else:
        for form, file in files.items():
            print(f"{form}: {options.output / file}{'' if trained else ' (untrained)'}")


def _build(space: SearchSpace, text: str, options: Options) -> Built:
    from weaknas.supernets.export import cut_out
    from weaknas.training.export import build, build_carded, load_built, read_card

    architecture, path = space.architecture(text), options.weights
    if options.supernet is not None:
        return cut_out(
            space,
            architecture,
            options.supernet,
            dataset=options.dataset,
            data=options.data,
            calibration=options.calibration,
        )
    card = None if path is None else read_card(path.parent)
    if path is None or card is None:
        classes = space.classes if isinstance(space, MobileNetV3) else 10
        built = build(space, architecture, _shape(space, architecture), classes, {})
    else:
        built = build_carded(space, card, path.parent)
        if built.architecture.text != text:
            raise InputError(f"{path} has weights of {built.architecture.text}, not of {text}")
    if path is not None:
        load_built(built, path)
    return built


def _export_timm(built: Built, folder: Path, trained: bool) -> dict[str, str]:
    from weaknas.spaces.mobilenetv3.network import Network
    from weaknas.supernets.export import export_timm

    if not isinstance(built.network, Network):
        return {}
    try:
        return export_timm(built.network, folder, weights=trained)
    except InputError as error:
        print(f"no definition of timm: {error}", file=sys.stderr)
        return {}


def _shape(space: SearchSpace, architecture: Architecture) -> tuple[int, ...]:
    """Return the shape of the images or texts that a space counts costs for."""
    if space.reads == "tokens":
        from weaknas.training.data.text import LENGTH

        return (LENGTH,)
    if isinstance(space, MobileNetV3):
        size = space.decode(space.genotypes([architecture])[0])["r"][0]
        return space.channels, size, size
    return 3, 32, 32
