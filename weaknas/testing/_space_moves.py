"""Promises of a space: sampling, mutation, crossover, neighbours."""

from __future__ import annotations

import numpy as np

from weaknas.testing._check import global_random_state_untouched, require
from weaknas.testing._evidence import first_where, require_frequencies
from weaknas.testing._space_case import SpaceCase


def check_sample_is_seeded(case: SpaceCase) -> None:
    """The same generator state draws the same architectures, another state others."""
    first, again = (case.space.sample(50, case.rng()) for _ in range(2))
    require(np.array_equal(first, again), "two samples with one seed differ")
    other = case.space.sample(50, np.random.default_rng(case.seed + 1))
    require(case.space.size == 1 or not np.array_equal(first, other), "two seeds draw the same")


def check_moves_are_seeded(case: SpaceCase) -> None:
    """Mutation and crossover depend on the genotypes and the generator alone."""
    space, rows = case.space, case.few
    first, again = (space.mutate(rows, case.rng()) for _ in range(2))
    require(np.array_equal(first, again), "two mutations with one seed differ")
    first, again = (space.crossover(rows, rows[::-1], case.rng()) for _ in range(2))
    require(np.array_equal(first, again), "two crossovers with one seed differ")


def check_global_random_state_is_untouched(case: SpaceCase) -> None:
    """A space uses the generator it is given, never global random state."""
    space, rng = case.space, case.rng()
    with global_random_state_untouched():
        rows = space.sample(20, rng)
        space.mutate(rows, rng)
        space.crossover(rows, rows[::-1], rng)
        space.neighbors(rows[0])
        space.canonicalize(rows)


def check_sample_is_uniform(case: SpaceCase) -> None:
    """Architectures are drawn as often as they stand in the listing of the space."""
    space = case.space
    listed = np.sort(space.fingerprint(space.enumerate()))
    codes, counts = np.unique(listed, return_counts=True)
    draws = int(np.clip(10 * len(listed), 20_000, 200_000))
    rows = space.sample(draws, case.rng())
    # Neighbours in the order of fingerprints share a bin, so that 10 are expected in each.
    bins = min(len(codes), draws // 10)
    edges = np.searchsorted(np.cumsum(counts), np.arange(1, bins) * len(listed) / bins)
    bin_of = np.searchsorted(np.unique(edges), np.arange(len(codes)), side="left")
    expected = np.bincount(bin_of, weights=counts)
    position = np.searchsorted(codes, space.fingerprint(rows)).clip(0, len(codes) - 1)
    require_frequencies(
        "architectures", np.bincount(bin_of[position], minlength=len(expected)), expected
    )
    everything, drawn = space.canonicalize(space.enumerate()), space.canonicalize(rows)
    for column, count in enumerate(space.cardinalities):
        shares = np.bincount(everything[:, column], minlength=int(count)).astype(np.float64)
        seen = np.bincount(drawn[:, column], minlength=int(count))
        require_frequencies(f"values of {space.variables[column]!r}", seen, shares)


def check_decisions_are_drawn_uniformly(case: SpaceCase) -> None:
    """Where every combination of choices is an architecture of its own, each is equally likely."""
    if not case.is_plain:
        return
    rows = case.space.sample(20_000, case.rng())
    for column, count in enumerate(case.space.cardinalities):
        seen = np.bincount(rows[:, column], minlength=int(count))
        require_frequencies(
            f"values of {case.space.variables[column]!r}", seen, np.ones(int(count))
        )


def check_mutants_stay_inside(case: SpaceCase) -> None:
    """Mutants, also of mutants, are in the space."""
    rows, rng = case.drawn, case.rng()
    for _ in range(5):
        rows = case.space.mutate(rows, rng)
        outside = ~case.space.contains(rows)
        require(not outside.any(), f"outside: {first_where(rows, outside)}")


def check_mutants_differ(case: SpaceCase) -> None:
    """At least nine of ten mutants are another genotype than their parent, and not all the same."""
    if case.space.size < 3:
        return
    mutants = case.space.mutate(case.drawn, case.rng())
    share = (mutants != case.drawn).any(axis=1).mean()
    require(share >= 0.9, f"{1 - share:.0%} of the mutants equal their parent")
    brothers = case.space.mutate(np.repeat(case.drawn[:1], 100, axis=0), case.rng())
    require(len(np.unique(brothers, axis=0)) > 1, "100 mutants of one parent are all the same")


def check_children_stay_inside(case: SpaceCase) -> None:
    """Children of two architectures are in the space."""
    rng = case.rng()
    children = case.space.crossover(case.drawn, case.drawn[rng.permutation(len(case.drawn))], rng)
    outside = ~case.space.contains(children)
    require(not outside.any(), f"outside: {first_where(children, outside)}")


def check_children_of_one_parent_are_like_it(case: SpaceCase) -> None:
    """An architecture crossed with itself is itself, up to isomorphism."""
    children = case.space.crossover(case.few, case.few, case.rng())
    changed = case.space.fingerprint(children) != case.space.fingerprint(case.few)
    require(
        not changed.any(),
        f"{first_where(case.few, changed)} becomes {first_where(children, changed)}",
    )


def check_neighbors_are_canonical_and_distinct(case: SpaceCase) -> None:
    """Neighbours are canonical, inside, each once, and not the architecture itself."""
    space = case.space
    for row in case.few[:20]:
        near = space.neighbors(row)
        require(space.contains(near).all(), f"outside: {first_where(near, ~space.contains(near))}")
        moved = (space.canonicalize(near) != near).any(axis=1)
        require(not moved.any(), f"not canonical: {first_where(near, moved)}")
        codes = space.fingerprint(near).tolist()
        require(len(set(codes)) == len(codes), f"neighbours of {row.tolist()} repeat")
        itself = int(space.fingerprint(row[None])[0])
        require(itself not in codes, f"{row.tolist()} is its own neighbour")


def check_neighbors_of_many_are_those_of_each(case: SpaceCase) -> None:
    """Asked for several at once, a space returns the neighbours of each."""
    space, few = case.space, case.few[:4]
    rows, owners = space.all_neighbors(few)
    for number, row in enumerate(few):
        one = set(space.fingerprint(space.neighbors(row)).tolist())
        of_many = space.fingerprint(rows[owners == number]).tolist()
        require(
            sorted(one) == sorted(of_many),
            f"of {row.tolist()} there are {len(one)} neighbours, {len(of_many)} among several",
        )


def check_neighbors_are_symmetric(case: SpaceCase) -> None:
    """Where it is promised, an architecture is a neighbour of its neighbours."""
    if not case.symmetric:
        return
    space = case.space
    for row in case.few[:3]:
        itself = int(space.fingerprint(row[None])[0])
        for near in space.neighbors(row)[:40]:
            back = space.fingerprint(space.neighbors(near)).tolist()
            require(
                itself in back, f"{near.tolist()} is a neighbour of {row.tolist()}, not conversely"
            )
