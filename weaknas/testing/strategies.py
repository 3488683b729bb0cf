"""The promises of a search strategy."""

from __future__ import annotations

import json
import math
import zlib
from collections.abc import Callable, Sequence
from typing import Any

from weaknas.errors import InputError
from weaknas.spaces import Architecture, ChoiceSpace, SearchSpace
from weaknas.spaces.nasbench201 import NASBench201
from weaknas.testing._check import (
    Check,
    global_random_state_untouched,
    name_of,
    promises,
    require,
    run_all,
)
from weaknas.testing._process import call_in_new_process

_QUERIES = 24  # past the initial sample of most strategies
_FEW = 300  # architectures of a space that is asked for to the last


def check_strategy(factory: Callable[..., Any], space: SearchSpace | None = None) -> None:
    """Check every promise of a search strategy.

    Parameters
    ----------
    factory : callable
        ``factory(space, seed=0)`` -> strategy, e.g. the class itself.
    space : SearchSpace, optional
        Default: NAS-Bench-201, and 12 architectures for exhaustion.

    Raises
    ------
    AssertionError
        With the first promise that is broken.
    """
    run_all(strategy_checks(factory, space))


def strategy_checks(factory: Callable[..., Any], space: SearchSpace | None = None) -> list[Check]:
    """Return the checks of `check_strategy` one by one, for ``pytest.mark.parametrize``."""
    small = space
    if space is None:
        small = ChoiceSpace({"a": [1, 2, 3], "b": ["x", "y"], "c": ["p", "q"]}, name="twelve")
    elif not (space.is_listable and len(space.architecture_fingerprints) <= _FEW):
        small = None
    case = _Case(factory, space or NASBench201(), small)
    return promises(f"the strategy {name_of(factory)}", _CHECKS, case)


class _Case:
    def __init__(
        self, factory: Callable[..., Any], space: SearchSpace, small: SearchSpace | None
    ) -> None:
        self.factory, self.space, self.small = factory, space, small

    def new(self, seed: int = 0) -> Any:
        """Return a fresh strategy."""
        return self.factory(self.space, seed=seed)

    @property
    def queries(self) -> int:
        """How many architectures are asked for."""
        if self.space.is_listable:
            return min(_QUERIES, len(self.space.architecture_fingerprints))
        return _QUERIES


def trajectory(
    factory: Callable[..., Any], space: SearchSpace, seed: int, queries: int, failing: bool = False
) -> list[str]:
    """Return the ids of the architectures that a strategy proposes, in order."""
    strategy = factory(space, seed=seed)
    proposed: list[str] = []
    while len(proposed) < queries:
        batch = strategy.ask(min(3, queries - len(proposed)))
        if not batch:
            break
        proposed += [architecture.id for architecture in batch]
        strategy.tell(batch, [math.nan if failing else score(item) for item in batch])
    return proposed


def score(architecture: Architecture) -> float:
    """Return a score that depends on the canonical id alone, the same in every process."""
    return zlib.crc32(architecture.id.encode()) / 2**32


def check_proposals_are_inside(case: _Case) -> None:
    """`ask` returns as many architectures of the space as were asked for."""
    batch = case.new().ask(5)
    require(len(batch) == min(5, case.queries), f"{len(batch)} architectures instead of 5")
    wrong = [item for item in batch if not isinstance(item, Architecture)]
    require(not wrong, f"{wrong} are no Architecture")
    case.space.genotypes(batch)  # raises when one is outside


def check_nothing_is_proposed_twice(case: _Case) -> None:
    """No architecture is proposed twice, isomorphic ones counting as one."""
    ids = trajectory(case.factory, case.space, 0, case.queries)
    repeated = sorted({item for item in ids if ids.count(item) > 1})
    require(not repeated, f"the ids {repeated} are proposed more than once in {len(ids)} queries")


def check_proposals_are_seeded(case: _Case) -> None:
    """The seed alone decides the proposals: one seed the same, another others."""
    with global_random_state_untouched():
        one = trajectory(case.factory, case.space, 0, case.queries)
    again = trajectory(case.factory, case.space, 0, case.queries)
    require(one == again, "two runs with one seed differ")
    other = trajectory(case.factory, case.space, 1, case.queries)
    require(one != other or case.queries == 1, "two seeds propose the same")


def check_proposals_are_the_same_in_another_process(case: _Case) -> None:
    """Given seed and scores the proposals are the same in another process."""
    here = trajectory(case.factory, case.space, 3, case.queries)
    there = call_in_new_process(trajectory, case.factory, case.space, 3, case.queries)
    require(here == there, f"{here} here, {there} there")


def check_failures_are_tolerated(case: _Case) -> None:
    """NaN scores, those of failed evaluations, are learned from like others, also if all fail."""
    ids = trajectory(case.factory, case.space, 0, case.queries, failing=True)
    require(len(set(ids)) == case.queries, f"{len(set(ids))} of {case.queries} after failures")
    strategy = case.new()
    batch = strategy.ask(min(6, case.queries))
    strategy.tell(batch, [math.nan if i % 2 else score(a) for i, a in enumerate(batch)])
    if case.queries > len(batch):
        require(len(strategy.ask(1)) == 1, "nothing is proposed after some failures")


def check_asking_does_not_wait_for_telling(case: _Case) -> None:
    """Architectures may be asked for while others are pending, and told in any order."""
    strategy = case.new()
    half = max(case.queries // 2, 1)
    pending = [strategy.ask(1)[0] for _ in range(half)]
    require(len({item.id for item in pending}) == half, "a pending architecture is proposed again")
    for architecture in reversed(pending):
        strategy.tell([architecture], [score(architecture)])
    if case.queries > half:
        later = strategy.ask(1)[0]
        require(later.id not in {item.id for item in pending}, f"{later} is proposed again")


def check_unasked_architectures_can_be_told(case: _Case) -> None:
    """Scores of architectures that were not asked for are learned, and these not proposed."""
    strategy = case.new()
    known = trajectory(case.factory, case.space, 0, min(6, case.queries - 1))
    told = _by_id(case, known)
    strategy.tell(told, [score(item) for item in told])
    later = trajectory_of(strategy, case.queries - len(told))
    repeated = sorted(set(known) & set(later))
    require(not repeated, f"{repeated} were told and are proposed")


def check_asking_does_not_depend_on_what_is_kept(case: _Case) -> None:
    """What `ask` returned may be kept and used later: it is not changed by what follows."""
    strategy = case.new()
    batch = strategy.ask(2)
    before = [item.to_json() for item in batch]
    strategy.tell(batch, [score(item) for item in batch])
    if case.queries > 2:
        strategy.ask(1)
    require([item.to_json() for item in batch] == before, "an architecture has changed")


def check_the_space_is_exhausted(case: _Case) -> None:
    """In a small space every architecture is proposed once, then none."""
    if case.small is None:
        return
    size = len(case.small.architecture_fingerprints)
    strategy = case.factory(case.small, seed=0)
    ids = trajectory_of(strategy, size + 3)
    require(len(ids) == len(set(ids)), "an architecture is proposed twice")
    require(len(ids) == size, f"{len(ids)} of {size} architectures are proposed")
    require(strategy.ask(1) == [], "something is proposed after the last architecture")


def check_wrong_calls_are_refused(case: _Case) -> None:
    """InputError is raised by `ask(0)` and by `tell` with too few scores."""
    strategy = case.new()
    batch = strategy.ask(2)
    calls: tuple[tuple[str, Callable[[], Any]], ...] = (
        ("ask(0)", lambda: strategy.ask(0)),
        ("tell with one score for two", lambda: strategy.tell(batch, [0.5])),
    )
    for name, call in calls:
        try:
            call()
        except InputError:
            continue
        raise AssertionError(f"{name} is accepted")


def check_description_is_plain(case: _Case) -> None:
    """`describe` returns plain JSON types, the same for the same strategy, with the seed in it."""
    one, other = case.new(5).describe(), case.new(5).describe()
    require(json.loads(json.dumps(one)) == one, f"JSON changes {one}")
    require(one == other, f"{one} and {other}")
    require(one != case.new(6).describe(), "two seeds have one description")


def trajectory_of(strategy: Any, queries: int) -> list[str]:
    """Return the ids of what one strategy proposes next, at most `queries`."""
    ids: list[str] = []
    while len(ids) < queries:
        batch: Sequence[Architecture] = strategy.ask(1)
        if not batch:
            break
        ids += [item.id for item in batch]
        strategy.tell(batch, [score(item) for item in batch])
    return ids


def _by_id(case: _Case, ids: Sequence[str]) -> list[Architecture]:
    """The architectures that a fresh strategy with seed 0 proposes under these ids."""
    strategy = case.new()
    found: dict[str, Architecture] = {}
    while len(found) < len(ids):
        batch = strategy.ask(min(3, len(ids) - len(found)))
        found |= {item.id: item for item in batch}
        strategy.tell(batch, [score(item) for item in batch])
    return [found[item] for item in ids]


_CHECKS: tuple[Callable[[_Case], None], ...] = (
    check_proposals_are_inside,
    check_nothing_is_proposed_twice,
    check_proposals_are_seeded,
    check_proposals_are_the_same_in_another_process,
    check_failures_are_tolerated,
    check_asking_does_not_wait_for_telling,
    check_unasked_architectures_can_be_told,
    check_asking_does_not_depend_on_what_is_kept,
    check_the_space_is_exhausted,
    check_wrong_calls_are_refused,
    check_description_is_plain,
)
