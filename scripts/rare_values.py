"""Search huge spaces under a limit whose best values are rare, beside random and local search.

Each run plants a function in a space of 10^9, 10^12 or 10^18 architectures: the sum of an effect
a choice and of pairs of neighbouring decisions. The first value of every decision costs so much
that some 2 % of the architectures within the limit have it, and in three decisions it is worth
more than anything else. Scores are in standard deviations of random architectures:

    python scripts/rare_values.py --jobs 2
"""

from __future__ import annotations

import multiprocessing
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from _shared import by_marks, marks_in_words, parser, save, start

from weaknas.components import run_seed
from weaknas.laboratory.experiment import parse_strategy
from weaknas.spaces import ChoiceSpace, ConstrainedSpace, SearchSpace

Floats = npt.NDArray[np.float64]

DECISIONS, VALUES = (9, 12, 18), 10
STRATEGIES = ("weaknas", "random", "local-search")
MARKS = (10, 20, 50, 100)
RARE = 3  # decisions in which the rare value is the best
SAMPLE = 2000


@dataclass(frozen=True)
class Planted:
    """A function of the genotypes of a space under a limit.

    Parameters
    ----------
    space : SearchSpace
    effects : ndarray of float, shape (d, v)
    pairs : ndarray of float, shape (d - 1, v, v)
    share : float
        How often a rare value is in a decision of random architectures.
    unit : float
        Standard deviation of random architectures.
    """

    space: SearchSpace
    effects: Floats
    pairs: Floats
    share: float = 0.0
    unit: float = 1.0

    def __call__(self, rows: npt.NDArray[np.integer]) -> Floats:
        """Return the scores of genotypes, shape (n, d); shape (n,)."""
        places = np.arange(rows.shape[1])
        single = self.effects[places, rows].sum(axis=1)
        pairs = self.pairs[places[:-1], rows[:, :-1], rows[:, 1:]].sum(axis=1)
        return np.asarray((single + pairs) / self.unit)

    @classmethod
    def draw(cls, decisions: int, seed: int) -> Planted:
        """Draw costs, a limit and a function."""
        rng = np.random.default_rng(seed)
        prices = rng.uniform(0.5, 1.5, size=(decisions, VALUES))
        prices[:, 0] = 6.0
        places = np.arange(decisions)

        def price(rows: npt.NDArray[np.integer]) -> Floats:
            return np.asarray(prices[places, rows].sum(axis=1))

        names = [f"v{i}" for i in range(VALUES)]
        whole = ChoiceSpace({f"layer{i}": names for i in range(decisions)})
        space = ConstrainedSpace(whole, [f"price<={decisions + 4.0}"], {"price": price})
        effects = rng.normal(size=(decisions, VALUES))
        effects[rng.permutation(decisions)[:RARE], 0] = effects.max() + 1.0
        pairs = 0.5 * rng.normal(size=(decisions - 1, VALUES, VALUES))
        sample = space.sample(SAMPLE, rng)
        unit = float(cls(space, effects, pairs)(sample).std())
        return cls(space, effects, pairs, float((sample == 0).mean()), unit)


def main() -> None:
    """Make the runs, print a row a space and strategy, write the JSON."""
    options = parser(__doc__ or "")
    options.add_argument("--runs", type=int, default=20)
    arguments = options.parse_args()
    marks = (5, 10) if arguments.quick else MARKS
    runs, sizes = (2, DECISIONS[:1]) if arguments.quick else (arguments.runs, DECISIONS)
    work = [
        (decisions, strategy, run_seed(arguments.seed, run), marks)
        for decisions in sizes
        for strategy in STRATEGIES
        for run in range(runs)
    ]
    with multiprocessing.get_context("spawn").Pool(arguments.jobs) as pool:
        made = pool.starmap(best_so_far, work, chunksize=1)
    found = np.array([best for best, _ in made]).reshape(len(sizes), len(STRATEGIES), runs, -1)
    shares = np.array([share for _, share in made]).reshape(len(sizes), -1).mean(axis=1)
    rows = []
    for decisions, share, by_strategy in zip(sizes, shares.tolist(), found, strict=True):
        ahead = by_strategy[0] - by_strategy[1]
        rows.append(
            {
                "decisions": decisions,
                "architectures": f"10^{decisions}",
                "share_of_rare_values": round(share, 4),
                "best": {
                    name: by_marks(scores, marks)
                    for name, scores in zip(STRATEGIES, by_strategy, strict=True)
                },
                "ahead_of_random": by_marks(ahead, marks),
            }
        )
        show(rows[-1])
    save(arguments, "rare-values", {"runs": runs, "spaces": rows})


def best_so_far(
    decisions: int, label: str, seed: int, marks: tuple[int, ...]
) -> tuple[list[float], float]:
    """Return the best score after so many evaluations, and the share of rare values."""
    planted = Planted.draw(decisions, seed)
    strategy = parse_strategy(label)(planted.space, seed=seed)
    scores: list[float] = []
    while len(scores) < marks[-1]:
        asked = strategy.ask(min(strategy.round_size, marks[-1] - len(scores)))
        labels = planted(planted.space.genotypes(asked)).tolist()
        strategy.tell(asked, labels)
        scores += labels
    best = np.maximum.accumulate(scores)
    return [float(best[mark - 1]) for mark in marks], planted.share


def show(row: dict[str, Any]) -> None:
    """Print the best scores in one space."""
    print(f"{row['architectures']} architectures, rare values {row['share_of_rare_values']:.1%}")
    for name, by_mark in [*row["best"].items(), ("ahead of random", row["ahead_of_random"])]:
        print(f"  {name:16} " + marks_in_words(by_mark))


if __name__ == "__main__":
    start(main)
