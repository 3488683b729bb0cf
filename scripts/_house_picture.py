"""Draw the wings of the house: a floor above all that it imports, arrows between.

The floors are drawn as in Sugiyama, Tagawa and Toda, "Methods for visual understanding of
hierarchical system structures", IEEE Transactions on Systems, Man and Cybernetics, 1981:
an arrow that passes floors has a place on each, and places are put below what they are
joined to.
"""

from __future__ import annotations

import json
import textwrap
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from graphlib import TopologicalSorter
from itertools import combinations, pairwise
from pathlib import Path
from random import Random
from statistics import fmean
from typing import Any, NamedTuple

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch
from matplotlib.path import Path as Line

# Inches: widths of rooms and of arrows that pass, heights, and what is kept free.
ROOM, PASSAGE = 3.15, 0.45
HEIGHT, GAP, AISLE, DOOR = 0.84, 0.48, 0.3, 0.4
STARTS, SWEEPS = 200, 30
CHARACTERS = 43  # of a line in a room

INK, PALE, ARROW, WALL = "#1f2a44", "#55607a", "#7d89a6", "#b9c3d8"
TINTS = ("#dbe7fb", "#e3f1e4", "#fdebcd")  # from the lowest floor to the highest


class Place(NamedTuple):
    """A room, or where an arrow passes a floor.

    Parameters
    ----------
    floor : int
    wing : str
        Of the room, or that the arrow comes from.
    target : str
        Where the arrow leads; empty for a room.
    """

    floor: int
    wing: str
    target: str = ""

    @property
    def width(self) -> float:
        """Space that it takes, in inches."""
        return PASSAGE if self.target else ROOM + AISLE


def draw(
    file: Path,
    arrows: Mapping[str, Sequence[str]],
    summaries: Mapping[str, str],
    foundation: str,
    roof: str,
) -> None:
    """Draw the house as SVG; its description holds the arrows as JSON.

    Parameters
    ----------
    file : Path
    arrows : mapping of str to sequence of str
        The wings that a wing stands on.
    summaries : mapping of str to str
        What is written into the room of a wing.
    foundation, roof : str
        What is written below and above the floors.
    """
    routes = find_routes(arrows)
    across = arrange(routes)
    rooms = [place for place in across if not place.target]
    left = min(across[room] for room in rooms) - ROOM / 2
    right = max(across[room] for room in rooms) + ROOM / 2
    floors = 1 + max(room.floor for room in rooms)
    width, height = right - left + 2 * AISLE, (floors + 2) * (HEIGHT + GAP) - GAP + 2 * AISLE

    figure = Figure(figsize=(width, height))
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set(
        xlim=(left - AISLE, right + AISLE), ylim=(_below(-1) - AISLE, _below(-1) + height - AISLE)
    )
    axes.set_axis_off()
    blend = LinearSegmentedColormap.from_list("floors", TINTS)
    for line in _lines(routes, across):
        axes.add_patch(
            FancyArrowPatch(
                path=line, arrowstyle="-|>", mutation_scale=9, color=ARROW, linewidth=1.1
            )
        )
    for room in rooms:
        color = blend(room.floor / (floors - 1))
        corner = across[room] - ROOM / 2, _below(room.floor)
        _box(axes, corner, ROOM, color, room.wing, summaries[room.wing])
    for floor, text in ((-1, foundation), (floors, roof)):
        title, _, summary = text.partition("\n")
        _box(axes, (left, _below(floor)), right - left, "white", title, summary)
    # Text as text, and the same file every time.
    with mpl.rc_context({"svg.fonttype": "none", "svg.hashsalt": "weaknas"}):
        figure.savefig(file, metadata={"Date": None, "Description": json.dumps(arrows)})


def find_routes(arrows: Mapping[str, Sequence[str]]) -> list[list[Place]]:
    """Return the places that each arrow touches, from its upper end to its lower one."""
    floors: dict[str, int] = {}
    for wing in TopologicalSorter(arrows).static_order():
        floors[wing] = max((floors[other] + 1 for other in arrows.get(wing, ())), default=0)
    return [
        [
            Place(floors[wing], wing),
            *(Place(floor, wing, other) for floor in range(floors[wing] - 1, floors[other], -1)),
            Place(floors[other], other),
        ]
        for wing, others in arrows.items()
        for other in others
    ]


def arrange(routes: Sequence[Sequence[Place]]) -> dict[Place, float]:
    """Return where across the house each place has its middle: few arrows cross, all are short."""
    pairs = [pair for places in routes for pair in pairwise(places)]

    def quality(across: Mapping[Place, float]) -> tuple[int, float]:
        crossings = sum(
            first[0].floor == second[0].floor
            and (across[first[0]] - across[second[0]]) * (across[first[1]] - across[second[1]]) < 0
            for first, second in combinations(pairs, 2)
        )
        return crossings, sum(abs(across[upper] - across[lower]) for upper, lower in pairs)

    return min((_settle(pairs, Random(start)) for start in range(STARTS)), key=quality)


def _settle(pairs: Iterable[tuple[Place, Place]], rng: Random) -> dict[Place, float]:
    """Begin anywhere, and move the places floor by floor to what they are joined to."""
    joined: dict[Place, list[Place]] = defaultdict(list)
    for upper, lower in pairs:
        joined[upper].append(lower)
        joined[lower].append(upper)
    floors: dict[int, list[Place]] = defaultdict(list)
    for place in sorted(joined):
        floors[place.floor].append(place)
    across = {place: rng.random() for place in sorted(joined)}
    for sweep in range(SWEEPS):
        for floor in sorted(floors, reverse=sweep % 2 == 1):
            wanted = {p: fmean(across[other] for other in joined[p]) for p in floors[floor]}
            across |= _spread(wanted)
    return across


def _spread(wanted: Mapping[Place, float]) -> dict[Place, float]:
    """Move places of a floor, which want to be here or there, until none overlap."""
    found: dict[Place, float] = {}
    free = -float("inf")
    for place in sorted(wanted, key=lambda place: (wanted[place], place)):
        found[place] = max(wanted[place], free + place.width / 2)
        free = found[place] + place.width / 2
    shift = fmean(wanted[place] - found[place] for place in found)
    return {place: x + shift for place, x in found.items()}


def _lines(routes: Sequence[Sequence[Place]], across: Mapping[Place, float]) -> Iterator[Line]:
    """Yield the line of each arrow; where several meet at a room they stand side by side."""
    doors: dict[tuple[Place, bool], list[tuple[float, int]]] = defaultdict(list)
    for number, places in enumerate(routes):
        doors[places[0], True].append((across[places[1]], number))
        doors[places[-1], False].append((across[places[-2]], number))

    def door(number: int, place: Place, leaving: bool) -> float:
        side = [n for _, n in sorted(doors[place, leaving])]
        step = min(DOOR, (ROOM - DOOR) / len(side))
        return across[place] + (side.index(number) - (len(side) - 1) / 2) * step

    for number, (first, *passed, last) in enumerate(routes):
        stops = [(door(number, first, True), _below(first.floor))]
        for place in passed:
            base = _below(place.floor)
            stops += [(across[place], base + HEIGHT), (across[place], base)]
        stops.append((door(number, last, False), _below(last.floor) + HEIGHT))
        yield _smooth(stops)


def _smooth(stops: Sequence[tuple[float, float]]) -> Line:
    """Return a line that is upright at each stop."""
    points = [stops[0]]
    for (x, y), (next_x, next_y) in pairwise(stops):
        middle = (y + next_y) / 2
        points += [(x, middle), (next_x, middle), (next_x, next_y)]
    return Line(points, [Line.MOVETO] + [Line.CURVE4] * (len(points) - 1))


def _below(floor: int) -> float:
    """Return the height at which the rooms of a floor begin."""
    return floor * (HEIGHT + GAP)


def _box(
    axes: Axes, corner: tuple[float, float], width: float, color: Any, title: str, text: str
) -> None:
    shape = "round,pad=0,rounding_size=0.09"
    box = FancyBboxPatch(corner, width, HEIGHT, shape, fc=color, ec=WALL, linewidth=1)
    axes.add_patch(box)
    x, y = corner[0] + width / 2, corner[1] + HEIGHT
    axes.text(x, y - 0.21, title, size=12.5, weight="bold", color=INK, ha="center", va="center")
    lines = textwrap.fill(text, int(CHARACTERS * width / ROOM))
    axes.text(x, y - 0.55, lines, size=9, color=PALE, ha="center", va="center", linespacing=1.25)
