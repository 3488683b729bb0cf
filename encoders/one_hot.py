"""One-hot encoding of the decisions."""

from __future__ import annotations

from weaknas.encoders._base import Encoder, Features
from weaknas.encoders.columns import encode_choices
from weaknas.spaces import Genotypes


class OneHotEncoder(Encoder):
    """One column a choice of each decision: 1 where it is taken, else 0.

    Decisions of more than 64 choices (fewer where there are very many decisions)
    have nine hat functions of the rank where they are ordered, else a fixed random direction
    a choice.
    """

    def _encode(self, canonical: Genotypes) -> Features:
        return encode_choices(canonical, self.space.cardinalities, self.space.ordered)
