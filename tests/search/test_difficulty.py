"""Rankings that are carried to another data set by its difficulty."""

from __future__ import annotations

import math

import numpy as np
import pytest

import weaknas
from weaknas.errors import InputError
from weaknas.evaluators.difficulty import draw_probes, measure_difficulty
from weaknas.laboratory.statistics import kendall_tau
from weaknas.search.difficulty import Known, carry_ranking, weigh

SPACE = weaknas.ChoiceSpace({name: [0, 1, 2, 3] for name in "abcd"}, name="numbers")
ALL = SPACE.architectures(SPACE.enumerate())


def easy(architecture) -> float:
    """All decisions count."""
    return float(sum(SPACE.decode(architecture).values()))


def hard(architecture) -> float:
    """The first is good, the others are bad."""
    choices = SPACE.decode(architecture)
    return float(2 * choices["a"] - choices["b"] - choices["c"] - choices["d"]) - 10


def known() -> list[Known]:
    probes = draw_probes(SPACE)
    rows = np.random.default_rng(1).choice(len(ALL), 60, replace=False)
    return [
        Known(measure_difficulty(score, probes), [(ALL[row], score(ALL[row])) for row in rows])
        for score in (easy, hard)
    ]


def agreement(difficulty: float, score) -> float:
    told = carry_ranking(SPACE, known(), difficulty, architectures=100)
    return kendall_tau([score(one) for one in SPACE.architectures(told.genotypes)], told.scores)


def test_the_data_set_of_the_same_difficulty_counts() -> None:
    one, other = (each.difficulty for each in known())
    assert one > other
    assert agreement(one, easy) > 0.9
    assert agreement(other, hard) > 0.9
    assert agreement(one + 1, easy) > agreement((one + other) / 2, easy) > agreement(other, easy)


def test_weights_are_one_over_the_distance() -> None:
    assert weigh([1.0, 4.0], 2.0) == pytest.approx([2 / 3, 1 / 3])
    assert weigh([1.0, 4.0], 1.0) == pytest.approx([1.0, 0.0], abs=1e-8)
    assert weigh([3.0, 3.0], 3.0) == pytest.approx([0.5, 0.5])


def test_a_search_begins_with_what_is_carried() -> None:
    told = carry_ranking(SPACE, known(), known()[0].difficulty)
    search = weaknas.WeakNAS(SPACE, seed=0, sources=[told])
    assert np.mean([easy(one) for one in search.ask(4)]) > np.mean([easy(one) for one in ALL]) + 2


def test_probes_are_the_same_and_those_that_fail_are_left_out() -> None:
    probes = draw_probes(SPACE, 3, seed=4)
    assert probes == draw_probes(SPACE, 3, seed=4)
    scores = iter([1.0, math.nan, 2.0])
    assert measure_difficulty(lambda _: next(scores), probes) == 1.5
    with pytest.raises(InputError, match="none of 3 probes has a score"):
        measure_difficulty(lambda _: math.nan, probes)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: carry_ranking(SPACE, [], 0.5), "no data set is known"),
        (lambda: Known(math.nan, []), "difficulty must be a number"),
        (lambda: carry_ranking(SPACE, known(), math.inf), "difficulty must be a number"),
        (lambda: carry_ranking(SPACE, known(), 0.5, architectures=1), "architectures must be"),
        (lambda: carry_ranking(SPACE, [Known(0.5, [(ALL[0], 1.0)])], 0.5), "holds 1 architectures"),
        (lambda: draw_probes(SPACE, 0), "probes must be"),
    ],
)
def test_what_cannot_be_used_is_refused(call, message: str) -> None:
    with pytest.raises(InputError, match=message) as raised:
        call()
    assert "\n" not in str(raised.value)
