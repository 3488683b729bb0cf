"""Which strategy, and which repeats, a landscape asks for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

#: As measured by ``scripts/landscapes.py``: tables, and those on which no strategy needed less
#: than 1 / 1.1 of the queries of the default until the best architecture was queried.
TABLES, CLOSE = 54, 51


@dataclass(frozen=True)
class Advice:
    """What to search with.

    Parameters
    ----------
    strategy, repeats : str
        As the options of ``weaknas search`` take them.
    text : str
        The same as a sentence or two, with the reason.
    """

    strategy: str
    repeats: str
    text: str

    def to_dict(self) -> dict[str, str]:
        """Return strategy and repeats."""
        return {name: value for name, value in asdict(self).items() if name != "text"}


def advise(told: Mapping[str, Any]) -> Advice:
    """Return the advice for a landscape, measured on a table or told by a few trainings.

    It is always the default. ``scripts/landscapes.py`` leaves out each of 54 tables, learns
    from the others which strategy correlation length, distance correlation, local optima,
    neutrality and additivity call for, and compares what the rule would have chosen with the
    default: no rule was better over all of them, and the default within 10 % of the best of
    five strategies on 51. Repeats are left to it, too: it makes none where trainings do not
    differ (see ``scripts/answer.py``).

    Parameters
    ----------
    told : mapping
        See `weaknas.laboratory.landscape.summary`.
    """
    text = (
        "Search with the default, `weaknas`, and leave repeats to it: it was within 10 % of the"
        f" best strategy on {CLOSE} of {TABLES} tables, and no rule from numbers like these chose"
        " better."
    )
    noise, share = (told["noise"] or {}).get("full"), told["neutrality"]
    if noise and share:
        text += (
            f" One training cannot tell {share:.0%} of the neighbours from each other (its standard"
            f" deviation is {noise:.3g}), so what may be the best is to be trained again."
        )
    return Advice("weaknas", "auto", text)
