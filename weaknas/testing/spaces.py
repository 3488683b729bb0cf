"""The promises of a search space."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

from weaknas.spaces import SearchSpace
from weaknas.testing import _space_identity as identity
from weaknas.testing import _space_moves as moves
from weaknas.testing import _space_networks as networks
from weaknas.testing import _space_records as records
from weaknas.testing._check import Check, name_of, promises, run_all
from weaknas.testing._space_case import Reference, SpaceCase

_CheckFunction: TypeAlias = Callable[[SpaceCase], None]


def check_space(
    space: SearchSpace,
    *,
    seed: int = 0,
    reference: Reference | None = None,
    symmetric_neighbors: bool | None = None,
    shape: tuple[int, ...] = (3, 32, 32),
) -> None:
    """Check every promise of a search space.

    Parameters
    ----------
    space : SearchSpace
    seed : int
        Of the architectures that are looked at.
    reference : callable, optional
        An independent canonical form, genotype of shape (d,) -> hashable. A
        canonical form that merges too much shows from outside only with it, or
        where `graphs` draws genotypes as they are.
    symmetric_neighbors : bool, optional
        Whether neighbours are promised to be symmetric. Default: where the
        genotypes are all the combinations of choices and all different.
    shape : tuple of int
        Channels, height and width of images that its networks take, if it has any.

    Raises
    ------
    AssertionError
        With the first promise that is broken.
    """
    run_all(
        space_checks(
            space,
            seed=seed,
            reference=reference,
            symmetric_neighbors=symmetric_neighbors,
            shape=shape,
        )
    )


def space_checks(
    space: SearchSpace,
    *,
    seed: int = 0,
    reference: Reference | None = None,
    symmetric_neighbors: bool | None = None,
    shape: tuple[int, ...] = (3, 32, 32),
) -> list[Check]:
    """Return the checks of `check_space` one by one, for ``pytest.mark.parametrize``.

    Examples
    --------
    >>> import pytest, weaknas
    >>> checks = space_checks(weaknas.ChoiceSpace({"a": [1, 2], "b": [3, 4]}))
    >>> @pytest.mark.parametrize("check", checks, ids=str)
    ... def test_my_space(check):
    ...     check()
    """
    case = SpaceCase(space, seed, reference, symmetric_neighbors, shape)
    chosen = [*_ALWAYS, moves.check_decisions_are_drawn_uniformly]
    if space.is_listable:
        chosen[-1] = moves.check_sample_is_uniform
    if reference is not None:
        chosen.append(identity.check_canonical_form_agrees_with_the_reference)
    if space.has_graphs:
        chosen += [
            records.check_graphs_are_well_formed,
            records.check_graphs_tell_architectures_apart,
        ]
    if space.has_networks:
        chosen += [
            networks.check_networks_map_images_to_logits,
            networks.check_networks_are_the_same_however_they_are_named,
        ]
    return promises(f"the space {name_of(space)!r}", chosen, case)


_ALWAYS: tuple[_CheckFunction, ...] = (
    identity.check_decisions_are_described,
    identity.check_batches_have_shape_and_type,
    identity.check_sample_stays_inside,
    identity.check_contains_refuses_numbers_out_of_range,
    identity.check_enumeration_is_whole,
    identity.check_canonical_form_is_idempotent,
    identity.check_canonical_form_stays_inside,
    identity.check_canonical_form_of_a_row_is_its_own,
    identity.check_inputs_are_not_modified,
    identity.check_fingerprints_tell_canonical_forms_apart,
    identity.check_ids_tell_canonical_forms_apart,
    moves.check_sample_is_seeded,
    moves.check_moves_are_seeded,
    moves.check_global_random_state_is_untouched,
    moves.check_mutants_stay_inside,
    moves.check_mutants_differ,
    moves.check_children_stay_inside,
    moves.check_children_of_one_parent_are_like_it,
    moves.check_neighbors_are_canonical_and_distinct,
    moves.check_neighbors_of_many_are_those_of_each,
    moves.check_neighbors_are_symmetric,
    records.check_text_round_trip,
    records.check_different_architectures_have_different_texts,
    records.check_nonsense_is_refused,
    records.check_architectures_survive_records,
    records.check_description_is_plain,
    records.check_pickle_keeps_the_space,
)
