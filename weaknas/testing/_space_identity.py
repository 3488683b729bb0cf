"""Promises of a space: shapes, membership, canonical form."""

from __future__ import annotations

from collections.abc import Hashable

import numpy as np

from weaknas.errors import InputError
from weaknas.testing._check import require
from weaknas.testing._evidence import first_where, require_batch, require_same_groups
from weaknas.testing._space_case import SpaceCase


def check_decisions_are_described(case: SpaceCase) -> None:
    """Variables, cardinalities and ordered are of one length; each decision has a choice."""
    space = case.space
    lengths = {len(space.variables), len(space.cardinalities), len(space.ordered)}
    require(len(lengths) == 1, f"lengths {sorted(lengths)}")
    require(len(set(space.variables)) == space.n_variables, f"variables repeat: {space.variables}")
    require((np.asarray(space.cardinalities) >= 1).all(), f"cardinalities {space.cardinalities}")


def check_batches_have_shape_and_type(case: SpaceCase) -> None:
    """Batches of genotypes are (n, d) arrays of `genotype_dtype`, also where n is 0."""
    space, rng = case.space, case.rng()
    for n in (0, 1, 7):
        rows = space.sample(n, rng)
        made = {
            "sample": rows,
            "canonicalize": space.canonicalize(rows),
            "mutate": space.mutate(rows, rng),
            "crossover": space.crossover(rows, rows, rng),
        }
        for name, batch in made.items():
            require_batch(name, batch, space, n)
        require(
            space.fingerprint(rows).shape == (n,), f"fingerprints of {n} rows have another shape"
        )
        require(space.fingerprint(rows).dtype == np.int64, "fingerprints are not int64")
        require(len(space.canonical_ids(rows)) == n, f"{n} rows have another number of ids")
        require(space.contains(rows).shape == (n,), f"contains of {n} rows has another shape")
    near = space.neighbors(case.few[0])
    require_batch("neighbors", near, space, len(near))


def check_sample_stays_inside(case: SpaceCase) -> None:
    """What is drawn is in the space, and its numbers are below the cardinalities."""
    rows = case.drawn
    require(
        case.space.contains(rows).all(), f"outside: {first_where(rows, ~case.space.contains(rows))}"
    )
    outside = ((rows < 0) | (rows >= case.space.cardinalities)).any(axis=1)
    require(not outside.any(), f"out of range: {first_where(rows, outside)}")


def check_contains_refuses_numbers_out_of_range(case: SpaceCase) -> None:
    """Genotypes with a number below 0 or not below the cardinality are not in the space."""
    for column, count in enumerate(case.space.cardinalities):
        for value in (-1, int(count)):
            row = case.drawn[:1].copy()
            row[0, column] = value
            require(not case.space.contains(row)[0], f"contains {row[0].tolist()}")


def check_enumeration_is_whole(case: SpaceCase) -> None:
    """Listing gives `size` different genotypes, all inside; a larger space refuses to be listed."""
    space = case.space
    if not space.is_listable:
        try:
            space.enumerate()
        except InputError:
            return
        raise AssertionError("a space that is not listable was listed")
    rows = space.enumerate()
    require_batch("enumerate", rows, space, space.size)
    require(space.contains(rows).all(), f"outside: {first_where(rows, ~space.contains(rows))}")
    require(len({row.tobytes() for row in rows}) == len(rows), "a genotype is listed twice")
    known = np.isin(space.fingerprint(case.drawn), space.fingerprint(rows))
    require(known.all(), f"drawn but not listed: {first_where(case.drawn, ~known)}")


def check_canonical_form_is_idempotent(case: SpaceCase) -> None:
    """The canonical form of a canonical form is itself."""
    once = case.space.canonicalize(case.related)
    twice = case.space.canonicalize(once)
    moved = (once != twice).any(axis=1)
    require(not moved.any(), f"{first_where(once, moved)} becomes {first_where(twice, moved)}")


def check_canonical_form_stays_inside(case: SpaceCase) -> None:
    """Canonical forms are in the space."""
    rows = case.space.canonicalize(case.related)
    outside = ~case.space.contains(rows)
    require(not outside.any(), f"outside: {first_where(rows, outside)}")


def check_canonical_form_of_a_row_is_its_own(case: SpaceCase) -> None:
    """Canonical form, fingerprint and id of an architecture do not depend on its batch."""
    space, rows = case.space, case.few
    for whole, one in (
        (space.canonicalize(rows), lambda row: space.canonicalize(row)[0]),
        (space.fingerprint(rows), lambda row: space.fingerprint(row)[0]),
        (np.array(space.canonical_ids(rows)), lambda row: space.canonical_ids(row)[0]),
    ):
        for index, row in enumerate(rows):
            alone = one(row[None])
            require(np.array_equal(whole[index], alone), f"{row.tolist()}: {whole[index]}, {alone}")


def check_inputs_are_not_modified(case: SpaceCase) -> None:
    """Genotypes that are given to a space are not changed."""
    space, rng = case.space, case.rng()
    before = case.few.copy()
    given = before.copy()
    space.canonicalize(given)
    space.contains(given)
    space.fingerprint(given)
    space.canonical_ids(given)
    space.mutate(given, rng)
    space.crossover(given, given[::-1].copy(), rng)
    space.neighbors(given[0])
    space.architectures(given)
    if space.has_graphs:
        space.graphs(given)
    require(np.array_equal(given, before), "an array that was passed in has changed")


def check_fingerprints_tell_canonical_forms_apart(case: SpaceCase) -> None:
    """Fingerprints are equal if and only if canonical forms are."""
    rows = case.related
    by_form = np.unique(case.space.canonicalize(rows), axis=0, return_inverse=True)[1].ravel()
    by_code = np.unique(case.space.fingerprint(rows), return_inverse=True)[1].ravel()
    require_same_groups(rows, by_form, by_code, "canonical form", "fingerprint")


def check_ids_tell_canonical_forms_apart(case: SpaceCase) -> None:
    """Canonical ids are equal if and only if canonical forms are."""
    rows = case.related
    by_form = np.unique(case.space.canonicalize(rows), axis=0, return_inverse=True)[1].ravel()
    by_id = np.unique(np.array(case.space.canonical_ids(rows)), return_inverse=True)[1].ravel()
    require_same_groups(rows, by_form, by_id, "canonical form", "id")


def check_canonical_form_agrees_with_the_reference(case: SpaceCase) -> None:
    """Canonical forms are equal if and only if the reference form is."""
    require(case.reference is not None, "no reference was given")
    rows = case.related
    keys: dict[Hashable, int] = {}
    by_key = [keys.setdefault(case.reference(row), len(keys)) for row in rows]  # type: ignore[misc]
    by_code = np.unique(case.space.fingerprint(rows), return_inverse=True)[1].ravel()
    require_same_groups(rows, np.array(by_key), by_code, "reference form", "fingerprint")
