"""What a builder decides, and which decision exists under which: found by running it.

A build is a path: the option taken at each decision that is met, in order. One build
takes the first option everywhere. Then each decision, in the build that first met it, is
changed to each of its other options, all before it as they were and all after it the
first; of very many options to some, and to those between two that differ. What such builds
share, in order, is the same decisions; what they differ by is in the branches of the one that
was changed. So there is one build for each option that is found, not for each combination.
What exists only where decisions that are not in branches of each other have certain options
together is not met by this: random builds show it, and the change that brings it up is cut
down to the decisions that it takes.
"""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import TypeAlias

import numpy as np

from weaknas.errors import InputError
from weaknas.spaces.choices.numbers import Number
from weaknas.spaces.traced.marks import Answer, Mark, differing

_CHECKS = 32  # random builds in a row that are as expected, in the end
_MOST_SURPRISES = 100
_MOST_TRIED = 64  # options of one decision, before more are tried where neighbours differ

#: Runs the builder and returns the decisions that it met; is given what begins a build, for one
#: that failed without weights is begun again.
Build: TypeAlias = Callable[[Callable[[], Answer]], list[Mark]]


@dataclass(eq=False)
class Slot:
    """A decision of the space.

    Parameters
    ----------
    mark : Mark
    needs : dict
        Decisions that must exist, with one of these options each, for this one to exist.
    """

    mark: Mark
    needs: dict[Slot, set[int]] = field(default_factory=dict)

    @property
    def plain_needs(self) -> dict[Slot, set[int]]:
        """What it needs, without what the existence of another need implies."""
        return {
            other: allowed
            for other, allowed in self.needs.items()
            if not any(
                other in third.needs and third.needs[other] <= allowed for third in self.needs
            )
        }


@dataclass(frozen=True)
class _Met:
    """A build: the decisions that it met and the option of each."""

    slots: list[Slot]
    path: list[int]


class Exploration:
    """The decisions of a builder and their conditions.

    Parameters
    ----------
    build : callable
        See `Build`.
    name : str
        Of the builder, for messages.

    Attributes
    ----------
    slots : list of Slot
        In the order in which a build meets them; what they need comes earlier.

    Raises
    ------
    InputError
        When the builder marks nothing, is not deterministic, gives one decision several
        lists of options, or when what a decision depends on is no plain condition.
    """

    def __init__(self, build: Build, name: str) -> None:
        self._build, self._name = build, name
        first = self._run([])
        self._compare(first, self._run([]))
        if not first:
            raise InputError(
                f"{name} meets no weaknas.choose, weaknas.repeat or weaknas.number: there is"
                " nothing to decide"
            )
        self.slots = [Slot(mark) for mark in first]
        self._first_met: dict[Slot, _Met] = {}
        self._explore(_Met(self.slots[:], [0] * len(first)))
        self._check()

    def existing(self, options: Mapping[Slot, int]) -> dict[Slot, int]:
        """Return the decisions that exist, in order, with their options; the first by default."""
        found: dict[Slot, int] = {}
        for slot in self.slots:
            if all(found.get(other) in allowed for other, allowed in slot.needs.items()):
                found[slot] = options.get(slot, 0)
        return found

    def _run(self, path: Sequence[int]) -> list[Mark]:
        """Return the decisions of a build that takes these options, then the first ones."""
        return self._build(lambda: lambda place, _: path[place] if place < len(path) else 0)

    def _compare(self, one: Sequence[Mark], other: Sequence[Mark]) -> None:
        """Refuse two beginnings of builds that took the same options, where they differ."""
        for a, b in zip(one, other, strict=False):
            if a.name == b.name and a != b:
                raise differing(a, b)
        if one != other:
            raise InputError(
                f"{self._name} is not deterministic: with the same options it meets"
                f" {_names(one)} in one run and {_names(other)} in another"
            )

    # -- one change at a time -------------------------------------------------------

    def _explore(self, met: _Met) -> None:
        """Try all other options of what is new in a build, and of what that brings up."""
        waiting = deque(self._discover(met))
        while waiting:
            build, place = waiting.popleft()
            for other in self._vary(build, place):
                waiting.extend(self._discover(other))

    def _discover(self, met: _Met) -> list[tuple[_Met, int]]:
        places = [at for at, slot in enumerate(met.slots) if slot not in self._first_met]
        self._first_met.update({met.slots[place]: met for place in places})
        return [(met, place) for place in places]

    def _vary(self, met: _Met, place: int) -> list[_Met]:
        """Change one decision of a build to each other option; return these builds."""
        slot, head = met.slots[place], met.slots[: place + 1]
        after = met.slots[place + 1 :]
        tails = {met.path[place]: after.copy()}
        waiting = _tried(slot.mark) - set(tails)
        while waiting:
            for option in sorted(waiting):
                marks = self._run([*met.path[:place], option])
                self._compare([known.mark for known in head], marks[: place + 1])
                tails[option] = self._align(after, marks[place + 1 :])
                self._insert([*head, *tails[option]])
            waiting = {
                (one + other) // 2
                for one, other in _apart(tails)
                if tails[one] != tails[other] and not isinstance(slot.mark.choices, Number)
            }
        like = {option: one for one, other in _apart(tails) for option in range(one + 1, other)}
        for other in after:
            options = {option for option, tail in tails.items() if other in tail}
            if len(options) < len(tails):
                alike = {option for option, one in like.items() if one in options}
                self._require(other, slot, options | alike)
        return [
            _Met([*head, *tail], [*met.path[:place], option, *[0] * len(tail)])
            for option, tail in tails.items()
        ]

    def _align(self, known: list[Slot], marks: Sequence[Mark]) -> list[Slot]:
        """Return the decisions that were met; new ones are inserted into the known."""
        pairs = dict(_common([slot.mark for slot in known], marks))
        matched = [known[pairs[at]] if at in pairs else None for at in range(len(marks))]
        left = [slot for slot in known if slot not in matched]
        tail: list[Slot] = []
        for mark, slot in zip(marks, matched, strict=True):
            # The same decision in another order, else a new one.
            found = slot or next((other for other in left if other.mark == mark), Slot(mark))
            left = [other for other in left if other is not found]
            tail.append(found)
        for slot in tail:
            for other in left:
                if slot not in known and slot.mark.name == other.mark.name:
                    raise differing(other.mark, slot.mark)
        _insert(known, tail)
        return tail

    def _insert(self, met: Sequence[Slot]) -> None:
        _insert(self.slots, met)

    def _require(self, slot: Slot, other: Slot, options: set[int]) -> None:
        """Let a decision exist only where another has certain options."""
        if isinstance(other.mark.choices, Number):
            raise InputError(
                f"whether {slot.mark.name!r} is met depends on the number {other.mark.name!r};"
                " let it depend on a weaknas.choose"
            )
        before = self._first_met.get(slot)
        if not options or (before is not None and other not in before.slots):
            raise InputError(
                f"what {slot.mark.name!r} depends on is no plain condition: give it a name of its"
                f" own in each branch of {other.mark.name!r}"
            )
        slot.needs[other] = options

    # -- what takes several changes ---------------------------------------------------

    def _check(self) -> None:
        """Build at random until nothing surprises."""
        rng = np.random.default_rng(0)
        calm = surprises = 0
        while calm < _CHECKS:
            counts = [len(slot.mark.texts) for slot in self.slots]
            drawn = dict(zip(self.slots, rng.integers(counts).tolist(), strict=True))
            calm += 1
            if not self._is_expected(drawn):
                surprises, calm = surprises + 1, 0
                self._learn(drawn)
            if surprises > _MOST_SURPRISES:
                raise InputError(
                    f"which decisions {self._name} meets depends on too many others together;"
                    ' name them apart, e.g. f"width{i}" in a loop'
                )

    def _is_expected(self, options: Mapping[Slot, int]) -> bool:
        met, missing = self._follow(options)
        return not missing and all(isinstance(item, Slot) for item in met)

    def _follow(self, options: Mapping[Slot, int]) -> tuple[list[Slot | Mark], list[Slot]]:
        """Return what a build meets, as marks where it is unexpected, and what it misses."""
        taken = self.existing(options)
        queues: dict[str, deque[Slot]] = defaultdict(deque)
        met: list[Slot | Mark] = []

        def begin() -> Answer:
            queues.clear()
            met.clear()
            for slot in taken:
                queues[slot.mark.name].append(slot)
            return answer

        def answer(_: int, mark: Mark) -> int:
            queue = queues[mark.name]
            found = queue.popleft() if queue and queue[0].mark == mark else None
            met.append(found or mark)
            return 0 if found is None else taken[found]

        self._build(begin)
        return met, [slot for queue in queues.values() for slot in queue]

    def _learn(self, options: Mapping[Slot, int]) -> None:
        """Take in a build that is not as expected."""
        causes = {slot: index for slot, index in self.existing(options).items() if index}
        for slot in list(causes):
            fewer = {other: index for other, index in causes.items() if other is not slot}
            if not self._is_expected(fewer):
                causes = fewer
        met, missing = self._follow(causes)
        new = {at: Slot(item) for at, item in enumerate(met) if isinstance(item, Mark)}
        for slot in missing:
            for other in new.values():
                if slot.mark.name == other.mark.name:
                    raise differing(slot.mark, other.mark)
            cause = list(causes)[-1]
            allowed = slot.needs.get(cause, set(range(len(cause.mark.texts))))
            self._require(slot, cause, allowed - {causes[cause]})
        if not new:
            return
        for slot in new.values():
            for cause, index in causes.items():
                self._require(slot, cause, {index})
        slots = [new.get(at, item) for at, item in enumerate(met)]
        known = [slot for slot in slots if isinstance(slot, Slot)]
        for cause in causes:
            for option in set(range(len(cause.mark.texts))) - {causes[cause]}:
                others, _ = self._follow({**causes, cause: option})
                if [o for o in others if isinstance(o, Mark)] == [s.mark for s in new.values()]:
                    for slot in new.values():
                        slot.needs[cause].add(option)
        self._insert(known)
        self._explore(_Met(known, [causes.get(slot, 0) for slot in known]))


def _tried(mark: Mark) -> set[int]:
    """Return the options that are tried at first: all, or some at equal distances."""
    count = len(mark.texts)
    return set(np.linspace(0, count - 1, min(count, _MOST_TRIED)).astype(int).tolist())


def _apart(tails: Mapping[int, object]) -> list[tuple[int, int]]:
    """Return the neighbours among options between which there are others."""
    return [(one, other) for one, other in pairwise(sorted(tails)) if other - one > 1]


def _insert(slots: list[Slot], met: Sequence[Slot]) -> None:
    """Insert what is new of a build, each after the one that was met before it."""
    place = 0
    for slot in met:
        if slot in slots:
            place = slots.index(slot) + 1
        else:
            slots.insert(place, slot)
            place += 1


def _common(one: Sequence[Mark], other: Sequence[Mark]) -> list[tuple[int, int]]:
    """Return the places in `other` and `one` of a longest common subsequence, early ones first."""
    lengths = np.zeros((len(one) + 1, len(other) + 1), dtype=int)
    for i in reversed(range(len(one))):
        for j in reversed(range(len(other))):
            both = 1 + lengths[i + 1, j + 1] if one[i] == other[j] else 0
            lengths[i, j] = max(both, lengths[i + 1, j], lengths[i, j + 1])
    pairs, i, j = [], 0, 0
    while i < len(one) and j < len(other):
        if one[i] == other[j] and lengths[i, j] == 1 + lengths[i + 1, j + 1]:
            pairs.append((j, i))
            i, j = i + 1, j + 1
        elif lengths[i + 1, j] >= lengths[i, j + 1]:
            i += 1
        else:
            j += 1
    return pairs


def _names(marks: Sequence[Mark]) -> str:
    return ", ".join(mark.name for mark in marks) or "nothing"
