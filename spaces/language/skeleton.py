"""The settings of language models."""

from __future__ import annotations

from dataclasses import dataclass

from weaknas.errors import InputError, check_number
from weaknas.spaces.cells.skeleton import Skeleton, is_positive


@dataclass(frozen=True, kw_only=True)
class LanguageSkeleton(Skeleton):
    """An embedding, what reads it, and the same embedding as the last layer.

    The weights of the last layer are those of the embedding (Press and Wolf, EACL 2017,
    arXiv:1608.05859; Inan et al., ICLR 2017, arXiv:1611.01462); it has a bias a type.

    Parameters
    ----------
    classes : int
        Types of the vocabulary; default: those of the Penn Treebank.
    shape : tuple of int
        Tokens of a window, (length,).
    width : int
        Of the embedding and of a state.
    dropout : float
        Probability, while training, that a number of the embedding, or of what the last
        layer is given, is dropped at all places of a window (Gal and Ghahramani, NeurIPS
        2016, arXiv:1512.05287).

    Raises
    ------
    InputError
        When a size is not a positive whole number, or `dropout` no probability below 1.
    """

    classes: int = 10_000
    shape: tuple[int, ...] = (35,)
    width: int = 200
    dropout: float = 0.0

    def __post_init__(self) -> None:
        super().__post_init__()
        check_number("dropout", self.dropout, least=0, below=1)

    def _check_shape(self) -> None:
        shape = self.shape
        if not (isinstance(shape, tuple | list) and len(shape) == 1 and is_positive(shape[0])):
            raise InputError(
                f"the shape {shape!r} is not (length,), the tokens of a window; language models"
                " read texts"
            )

    @property
    def length(self) -> int:
        """Tokens of a window."""
        return self.shape[0]
