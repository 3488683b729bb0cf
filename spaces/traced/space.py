"""A space whose decisions are marked in the code that builds its networks."""

from __future__ import annotations

import inspect
from collections import Counter, defaultdict, deque
from collections.abc import Callable, Mapping
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from weaknas.errors import InputError, optional_import, unknown
from weaknas.spaces._base import CostFunction
from weaknas.spaces.architecture import ArchitectureLike
from weaknas.spaces.choices.numbers import Number
from weaknas.spaces.choices.space import ChoiceSpace
from weaknas.spaces.rows import Genotypes
from weaknas.spaces.traced import counting
from weaknas.spaces.traced.exploration import Exploration, Slot
from weaknas.spaces.traced.marks import Answer, Mark, Tape, differing, recording

if TYPE_CHECKING:
    from torch.nn import Module

# What a network to train is asked for, where its builder can be told.
_SIZES = ("classes", "shape", "channels", "cells", "width")


class TracedSpace(ChoiceSpace):
    """All that a builder may decide, as `trace` finds it.

    A name that is met again in a build is numbered, act, act_2, ..., in the order in
    which a build that meets all of them would.

    Parameters
    ----------
    builder : callable
        Without arguments that must be given.
    choices, name, conditions
        As of `ChoiceSpace`.
    marks : mapping of str to Mark
        How each decision is met in the code.
    example : tuple of int, Tensor, or tuple of Tensor, optional
        See `trace`.

    Attributes
    ----------
    builder : callable
    """

    def __init__(
        self,
        builder: Callable[..., Any],
        choices: Mapping[str, Any],
        name: str,
        conditions: Mapping[str, Mapping[str, Any]],
        marks: Mapping[str, Mark],
        example: Any = None,
    ) -> None:
        super().__init__(choices, name, conditions)
        self.builder = builder
        self._marks, self._example = dict(marks), example
        self._counted: dict[tuple[str | int, ...], int] = {}

    def build(self, architecture: ArchitectureLike, **arguments: Any) -> Any:
        """Return what the builder builds with the options of an architecture.

        Parameters
        ----------
        architecture : Architecture, str or one genotype
        **arguments
            Of the builder.

        Raises
        ------
        InputError
            When the value is no architecture of this space, or the builder meets other
            decisions than those that were traced.
        """
        (row,), (active,) = self._settled(self.genotypes([architecture]))
        waiting: dict[str, deque[tuple[Mark, int]]] = defaultdict(deque)
        for variable, index, exists in zip(self.variables, row.tolist(), active, strict=True):
            if exists:
                mark = self._marks[variable]
                waiting[mark.name].append((mark, index))

        def answer(_: int, mark: Mark) -> int:
            if not waiting[mark.name]:
                raise self._unexpected(f"meets {mark.name!r} once more than it did")
            expected, index = waiting[mark.name].popleft()
            if expected != mark:
                raise differing(expected, mark)
            return index

        with recording(Tape(answer)):
            built = self.builder(**arguments)
        left = [name for name, queue in waiting.items() if queue]
        if left:
            raise self._unexpected(f"does not meet {', '.join(left)}")
        return built

    def _unexpected(self, what: str) -> InputError:
        return InputError(
            f"{_name_of(self.builder)} {what} when it was traced: it is not deterministic, or was"
            " called with arguments that decide what it meets"
        )

    def network(
        self,
        architecture: ArchitectureLike,
        *,
        classes: int = 10,
        shape: tuple[int, ...] = (3, 32, 32),
        **skeleton: Any,
    ) -> Module:
        """Return the module of an architecture, see `SearchSpace.network`.

        The builder is given ``classes``, ``shape``, ``channels``, ``cells`` and ``width``, by which
        protocols of training size networks, where it has arguments of these names, and all
        other settings.

        Raises
        ------
        InputError
            When the builder has no argument of the name of a setting, or builds no module.
        """
        known = inspect.signature(self.builder).parameters
        is_open = any(one.kind is one.VAR_KEYWORD for one in known.values())
        arguments = {"classes": classes, "shape": shape, **skeleton}
        for name in list(arguments):
            if name not in known and not (is_open and name in skeleton):
                if name not in _SIZES:
                    raise unknown(f"argument of {_name_of(self.builder)}", name, known)
                del arguments[name]
        return self._module(architecture, **arguments)

    def _module(self, architecture: ArchitectureLike, **arguments: Any) -> Module:
        torch = optional_import("torch", "train")
        built = self.build(architecture, **arguments)
        if not isinstance(built, torch.nn.Module):
            raise InputError(
                f"{_name_of(self.builder)} returns a {type(built).__name__}, where a module of"
                " torch is trained"
            )
        module: Module = built
        return module

    @property
    def has_quick_costs(self) -> bool:
        """No: networks are counted one by one."""
        return False

    def costs(self) -> dict[str, CostFunction]:
        """Return ``params`` and, where `trace` was given an example, ``macs`` of an input.

        A network is built without weights for each architecture, once; for those that differ
        in numbers alone, such as learning rates, once for all where these do not matter.
        """
        names = ["params"] + ["macs"] * (self._example is not None)
        return {name: partial(self._count, name) for name in names}

    def _count(self, cost: str, genotypes: npt.NDArray[np.integer]) -> npt.NDArray[np.float64]:
        rows = self.canonicalize(genotypes)
        rows[:, self._free] = 0
        keys = [(cost, *row) for row in rows.tolist()]
        for key, row in zip(keys, rows, strict=True):
            if key not in self._counted:
                self._counted[key] = self._count_one(cost, row)
        return np.array([self._counted[key] for key in keys], dtype=np.float64)

    def _count_one(self, cost: str, row: Genotypes) -> int:
        optional_import("torch", "train")
        module = counting.without_weights(lambda: self._module(row))
        if cost == "params":
            return counting.count_parameters(module)
        return counting.count_macs(module, self._example)

    @cached_property
    def _free(self) -> list[int]:
        """The numbers, such as learning rates, that no network is larger or smaller for."""
        free = []
        for column, variable in enumerate(self.variables):
            if isinstance(self._marks[variable].choices, Number):
                rows = self.sample(1000, np.random.default_rng(column))
                rows = rows[self._conditions.active(rows)[:, column]][:1].repeat(2, axis=0)
                if len(rows) == 0:
                    continue
                rows[:, column] = 0, self.cardinalities[column] - 1
                low, high = (self._count_one("params", row) for row in rows)
                if low == high:
                    free.append(column)
        return free


def trace(
    builder: Callable[..., Any], name: str | None = None, *, example: Any = None
) -> TracedSpace:
    """Return the space of all that a builder decides by `choose`, `repeat` and `number`.

    The builder runs once for each option of each decision, and then at random until 32
    builds in a row were as expected. Where torch is loaded it builds without weights.

    Parameters
    ----------
    builder : callable
        A function, or a class of modules, without arguments that must be given. What it
        meets depends on nothing but what it chose.
    name : str, optional
        Of the space in records; default: that of the builder.
    example : tuple of int, Tensor, or tuple of Tensor, optional
        The shape of one input of floats, ``(3, 32, 32)``, or the arguments that the
        network is called with; multiply-adds are then a cost.

    Returns
    -------
    TracedSpace

    Raises
    ------
    InputError
        When the builder marks nothing, fails, is not deterministic, or gives one decision
        several lists of options.

    Examples
    --------
    >>> import weaknas
    >>> def layers():
    ...     depth = weaknas.repeat("depth", 1, 2)
    ...     return [weaknas.choose("op", ["conv", "pool"]) for _ in depth]
    >>> space = weaknas.trace(layers)
    >>> space.variables, space.size
    (('depth', 'op', 'op_2'), 6)
    >>> space.build("depth=2,op=conv,op_2=pool")
    ['conv', 'pool']
    """
    if not callable(builder):
        raise InputError(f"weaknas.trace takes a function that builds, not {builder!r}")
    called = _name_of(builder)

    def build(begin: Callable[[], Answer]) -> list[Mark]:
        tapes: list[Tape] = []

        def attempt() -> None:
            tapes.append(Tape(begin()))
            with recording(tapes[-1]):
                builder()

        try:
            counting.without_weights(attempt)
        except InputError:
            raise
        except Exception as error:
            raise InputError(
                f"{called} failed with {tapes[-1].text}: {type(error).__name__}: {error}"
            ) from error
        return tapes[-1].met

    slots = Exploration(build, called).slots
    names = dict(zip(slots, _numbered(slots), strict=True))
    return TracedSpace(
        builder,
        {names[slot]: slot.mark.choices for slot in slots},
        called if name is None else name,
        {
            names[slot]: {
                names[other]: [other.mark.texts[index] for index in sorted(allowed)]
                for other, allowed in slot.plain_needs.items()
            }
            for slot in slots
            if slot.needs
        },
        {names[slot]: slot.mark for slot in slots},
        example,
    )


def _numbered(slots: list[Slot]) -> list[str]:
    met: Counter[str] = Counter()
    names = []
    for name in (slot.mark.name for slot in slots):
        met[name] += 1
        names.append(name if met[name] == 1 else f"{name}_{met[name]}")
    for name, count in Counter(names).items():
        if count > 1:
            raise InputError(
                f"{name!r} is the name of one decision, and what another that is met several times"
                " would be called; name them apart"
            )
    return names


def _name_of(builder: Callable[..., Any]) -> str:
    return getattr(builder, "__name__", type(builder).__name__)
