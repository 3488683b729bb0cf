"""The state of a training on the disk, whole or absent, one file a training."""

from __future__ import annotations

import hashlib
import io
import json
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from weaknas.errors import InputError
from weaknas.files import write_atomically
from weaknas.spaces.files.checkpoints import load_plain

_VERSION = 1


class Checkpoint:
    """One file that holds the last complete epoch of a training.

    Parameters
    ----------
    path : Path
    identity : mapping
        What the training is, as plain JSON types: two trainings with the same identity
        are the same training.
    """

    def __init__(self, path: Path, identity: Mapping[str, Any]) -> None:
        self.path = path
        self.identity = json.dumps(identity, sort_keys=True)

    @classmethod
    def below(cls, folder: Path, identity: Mapping[str, Any]) -> Checkpoint:
        """Return the checkpoint in a folder of many, named by a hash of the identity."""
        text = json.dumps(identity, sort_keys=True)
        name = hashlib.blake2b(text.encode(), digest_size=12).hexdigest()
        return cls(folder / f"{name}.pt", identity)

    def save(self, state: Mapping[str, Any]) -> None:
        """Replace what is there; a process that is killed meanwhile leaves the old state.

        Raises
        ------
        OSError
            When it cannot be written, e.g. on a full disk; the old state is kept.
        """
        content = {"version": _VERSION, "identity": self.identity, **state}
        buffer = io.BytesIO()  # torch does not say what keeps it from writing a file
        torch.save(content, buffer)

        def write(path: Path) -> None:
            path.write_bytes(buffer.getbuffer())

        try:
            write_atomically(self.path, write)
        except OSError as error:
            reason = f"cannot write the checkpoint: {error.strerror or error}"
            raise OSError(error.errno, reason, str(self.path)) from error

    def load(self) -> dict[str, Any] | None:
        """Return the state, its tensors on the CPU, or None where there is none.

        What cannot be read is no state either, with a warning: the training then begins
        anew.

        Raises
        ------
        InputError
            When the state is that of another training.
        """
        if not self.path.exists():
            return None
        try:
            state: dict[str, Any] = load_plain(self.path)
            version, identity = state["version"], state["identity"]
        except Exception as error:  # a damaged file may raise nearly anything
            detail = " ".join(str(error).split())[:200]
            warnings.warn(f"{self.path} is damaged, training begins anew ({detail})", stacklevel=2)
            return None
        if version != _VERSION or identity != self.identity:
            raise InputError(
                f"{self.path} is the checkpoint of another training (architecture, protocol,"
                " data or seed differ); choose another folder or remove it"
            )
        return state

    def remove(self) -> None:
        """Delete the file."""
        self.path.unlink(missing_ok=True)
