"""The marks of choices in code: `choose`, `repeat` and `number`."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any, TypeAlias, TypeVar, overload

from weaknas.errors import InputError, check_whole, listed
from weaknas.spaces.choices.numbers import Number
from weaknas.spaces.choices.values import ChoiceValues

T = TypeVar("T")


@dataclass(frozen=True)
class Mark:
    """A decision as it is met in a build; equal where it is met again.

    Parameters
    ----------
    name : str
        As it is written in the code.
    texts : tuple of str
        The spelling of each option.
    share : bool
        Whether all that are met under this name are one decision.
    choices : mapping, range or Number
        What a `ChoiceSpace` is told: plain values, and of all other options their texts.
    """

    name: str
    texts: tuple[str, ...]
    share: bool
    choices: Mapping[str, Any] | Sequence[int] | Number = field(compare=False)


#: Is given the position of a decision among those met, from 0, and its mark; returns the index of
#: the option that is taken.
Answer: TypeAlias = Callable[[int, Mark], int]


class Tape:
    """One build: says how each decision is taken, and writes down which are met.

    Parameters
    ----------
    answer : callable
        See `Answer`.

    Attributes
    ----------
    met : list of Mark
        In this order; a shared one once.
    """

    def __init__(self, answer: Answer) -> None:
        self.met: list[Mark] = []
        self._answer = answer
        self._taken: list[int] = []
        self._shared: dict[str, tuple[Mark, int]] = {}

    @property
    def text(self) -> str:
        """What was decided so far, for messages."""
        pairs = zip(self.met, self._taken, strict=True)
        return ", ".join(f"{mark.name}={mark.texts[index]}" for mark, index in pairs)

    def decide(self, mark: Mark) -> int:
        """Return the index of the option that this build takes.

        Raises
        ------
        InputError
            When a name is shared and not, or is shared with other options.
        """
        before, index = self._shared.get(mark.name, (None, 0))
        if mark == before:
            return index
        if before is not None and before.share and mark.share:
            raise differing(before, mark)
        if any(other.name == mark.name and other.share != mark.share for other in self.met):
            raise InputError(f"{mark.name!r} is met with share=True and without; name one apart")
        index = self._answer(len(self.met), mark)
        self.met.append(mark)
        self._taken.append(index)
        if mark.share:
            self._shared[mark.name] = mark, index
        return index


# Of the build that is under way in this thread or task, if any.
_TAPE: ContextVar[Tape | None] = ContextVar("weaknas_tape", default=None)


@contextmanager
def recording(tape: Tape) -> Iterator[Tape]:
    """Let a tape decide all marks that are met inside."""
    token = _TAPE.set(tape)
    try:
        yield tape
    finally:
        _TAPE.reset(token)


def choose(name: str, options: Iterable[T] | Mapping[str, T], share: bool = False) -> T:
    """Mark a decision between options, in the code that builds a network.

    `weaknas.trace` makes a space of all that a builder decides by this; the builder of a
    chosen architecture is given the option of that architecture. Elsewhere the first
    option is taken, so that the code works as it stands.

    Parameters
    ----------
    name : str
        Met again in one build it is another decision, numbered: act, act_2, ...
    options : sequence, or mapping of str to object
        As of a `ChoiceSpace`; classes and functions are called by their name. The same
        in every build.
    share : bool
        Make all that are met under this name in one build one decision.

    Returns
    -------
    object
        One of the options.

    Raises
    ------
    InputError
        When there is no option, one repeats or cannot be told in another process.

    Examples
    --------
    >>> choose("width", [32, 64, 96])
    32
    """
    given = options if isinstance(options, Mapping) else _called_by_name(options)
    values = ChoiceValues(_check_name(name), given)
    pairs = zip(values.texts, values.values, strict=True)
    plain = {text: value if _is_plain(value) else text for text, value in pairs}
    taken: T = values.values[_decide(Mark(name, values.texts, share, plain))]
    return taken


class Repeats(int):
    """How often something is repeated: a whole number, and what ``range`` of it gives."""

    def __iter__(self) -> Iterator[int]:
        """Count from 0 up to the number, without it."""
        return iter(range(self))


def repeat(name: str, low: int, high: int, share: bool = False) -> Repeats:
    """Mark a decision how often something is repeated, from `low` to `high` times.

    Elsewhere than in a build of a `weaknas.trace` it is `low`; see `choose`.

    Parameters
    ----------
    name : str
    low, high : int
        Both may be taken.
    share : bool
        As of `choose`.

    Returns
    -------
    Repeats
        A whole number that can be looped over, too.

    Raises
    ------
    InputError
        When the bounds are not whole numbers from 0 on, the lower first.

    Examples
    --------
    >>> [layer for layer in repeat("depth", 2, 6)]
    [0, 1]
    """
    low = check_whole(f"the least repeats of {name!r}", low, 0)
    high = check_whole(f"the most repeats of {name!r}", high, low)
    counts = range(low, high + 1)
    mark = Mark(_check_name(name), tuple(map(str, counts)), share, counts)
    return Repeats(counts[_decide(mark)])


@overload
def number(low: float, high: float, log: bool = False, /) -> Number: ...
@overload
def number(low: float, high: float, /, *, log: bool = False) -> Number: ...
@overload
def number(*, low: float, high: float, log: bool = False) -> Number: ...
@overload
def number(name: str, low: float, high: float, log: bool = False, share: bool = False) -> float: ...
def number(
    name: Any = None,
    low: Any = None,
    high: Any = None,
    log: Any = False,
    share: bool = False,
) -> Number | float:
    """Return a decision between numbers for a `ChoiceSpace`, or mark one in code.

    ``number(low, high)`` is a value of the mapping that a `ChoiceSpace` is made of;
    ``number("dropout", low, high)`` marks a decision as `choose` does, and is `low`
    elsewhere than in a build of a `weaknas.trace`. Either is one of 65 values, see
    `weaknas.spaces.choices.numbers.Number`. What else a builder decides may not depend
    on it.

    Parameters
    ----------
    name : str, optional
        Of a decision that is marked in code.
    low, high : float
        Both may be taken.
    log : bool
        Whether the values are at equal distances on a logarithmic scale.
    share : bool
        As of `choose`.

    Raises
    ------
    InputError
        When the bounds are not two finite numbers in ascending order, or not above 0 on
        a logarithmic scale.

    Examples
    --------
    >>> number(1e-4, 1e-1, log=True)
    Number(low=0.0001, high=0.1, log=True)
    >>> number("dropout", 0, 0.5)
    0.0
    """
    if not isinstance(name, str):
        if name is not None:  # without a name, what follows it is one place further on
            low, high, log = name, low, log if high is None else high
        if low is None or high is None or share:
            raise InputError(
                "a number of a ChoiceSpace is number(low, high), one that is marked in code"
                ' number("name", low, high)'
            )
        return Number(low, high, log)
    choices = Number(low, high, log)
    texts = tuple(map(str, choices.values))
    return choices.values[_decide(Mark(_check_name(name), texts, share, choices))]


def differing(one: Mark, other: Mark) -> InputError:
    """Build the error for one name with several lists of options."""
    return InputError(
        f"{one.name!r} has the options {listed(one.texts)} in one place and {listed(other.texts)}"
        " in another where it would be one decision; give one of them another name"
    )


def _decide(mark: Mark) -> int:
    tape = _TAPE.get()
    return 0 if tape is None else tape.decide(mark)


def _check_name(name: object) -> str:
    if not isinstance(name, str):
        raise InputError(f"the name of a decision is a text, not {name!r}")
    return name


def _called_by_name(options: Any) -> Any:
    """Return a list that has classes or functions in it by their names, all else as it is."""
    if not isinstance(options, list | tuple) or not any(map(_has_name, options)):
        return options
    names = [one.__name__ if _has_name(one) else str(one) for one in options]
    if len(set(names)) < len(names):
        raise InputError(
            f"two options are called alike, {listed(names)}; name them:"
            ' {"a name": the option, ...}'
        )
    return dict(zip(names, options, strict=True))


def _has_name(option: object) -> bool:
    return inspect.isclass(option) or inspect.isroutine(option)


def _is_plain(value: Any) -> bool:
    if isinstance(value, list | tuple):
        return all(map(_is_plain, value))
    return value is None or type(value) in (str, int, float, bool)
