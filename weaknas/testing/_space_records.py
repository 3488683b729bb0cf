"""Promises of a space: text, records and graphs."""

from __future__ import annotations

import json
import pickle

import numpy as np

from weaknas.errors import InputError
from weaknas.spaces import Architecture
from weaknas.testing._check import require
from weaknas.testing._evidence import first_where, require_same_groups
from weaknas.testing._isomorphism import isomorphism_classes
from weaknas.testing._space_case import SpaceCase


def check_text_round_trip(case: SpaceCase) -> None:
    """The string form says everything: read back, it is the same architecture."""
    space = case.space
    for row in np.vstack([case.few, space.canonicalize(case.few)]):
        text = space.format(row)
        require(isinstance(text, str), f"the string form is a {type(text).__name__}")
        back = np.asarray(space.parse(text))
        require(back.shape == row.shape, f"{text!r} is read as the shape {back.shape}")
        same = space.fingerprint(back[None])[0] == space.fingerprint(row[None])[0]
        require(same, f"{row.tolist()} is written {text!r} and read as {back.tolist()}")


def check_different_architectures_have_different_texts(case: SpaceCase) -> None:
    """Architectures that count as different do not share a string form."""
    rows = case.space.canonicalize(case.related[:500])
    by_text: dict[str, int] = {}
    for row, code in zip(rows, case.space.fingerprint(rows).tolist(), strict=True):
        text = case.space.format(row)
        require(
            by_text.setdefault(text, code) == code, f"{text!r} is written for two architectures"
        )


def check_nonsense_is_refused(case: SpaceCase) -> None:
    """Text that is no architecture raises InputError, with a message of one line."""
    for text in ("", "nonsense", "{}", "|", "=", "0" * 99):
        try:
            read = case.space.parse(text)
        except InputError as error:
            require("\n" not in str(error), f"the message for {text!r} has several lines")
        else:
            raise AssertionError(f"{text!r} is read as {np.asarray(read).tolist()}")


def check_architectures_survive_records(case: SpaceCase) -> None:
    """Architectures come back from JSON, from their string form and from their genotype."""
    space = case.space
    for architecture in space.architectures(case.few):
        back = Architecture.from_json(architecture.to_json())
        require(back == architecture, f"{architecture} comes back from JSON as {back}")
        require(hash(back) == hash(architecture), f"the hash of {architecture} changes")
        for value in (architecture, architecture.text, architecture.genotype):
            found = space.architecture(value).id
            require(
                found == architecture.id, f"{value!r} has the id {found}, not {architecture.id}"
            )


def check_description_is_plain(case: SpaceCase) -> None:
    """`describe` returns plain JSON types, and the name is in it."""
    description = case.space.describe()
    require(json.loads(json.dumps(description)) == description, f"JSON changes {description}")
    require(description.get("name") == case.space.name, f"the name is not in {description}")


def check_pickle_keeps_the_space(case: SpaceCase) -> None:
    """A space can be sent to another process: pickled, it gives the same fingerprints."""
    again = pickle.loads(pickle.dumps(case.space))  # noqa: S301  # of our own making
    require(again.describe() == case.space.describe(), "the description changes")
    same = np.array_equal(again.fingerprint(case.few), case.space.fingerprint(case.few))
    require(same, "the fingerprints change")


def check_graphs_are_well_formed(case: SpaceCase) -> None:
    """Edges lead from lower to higher nodes, from the first to the last, without dead ends."""
    graphs = case.space.graphs(case.drawn)
    require(len(graphs) == len(case.drawn), f"{len(case.drawn)} genotypes, {len(graphs)} graphs")
    adjacency, present = graphs.adjacency, graphs.present
    require(not np.tril(adjacency).any(), "an edge leads to an earlier node")
    require(
        graphs.operations.max() < len(graphs.vocabulary), "an operation is not in the vocabulary"
    )
    require(present[:, 0].all() and present[:, -1].all(), "the first or last node is missing")
    stray = adjacency & ~(present[:, :, None] & present[:, None, :])
    require(not stray.any(), "an edge touches a node that does not exist")
    inner = slice(1, -1)
    dangling = ~np.asarray(adjacency.any(axis=1) & adjacency.any(axis=2))
    loose = present[:, inner] & dangling[:, inner]
    require(not loose.any(), f"a node leads nowhere: {first_where(case.drawn, loose.any(axis=1))}")


def check_graphs_tell_architectures_apart(case: SpaceCase) -> None:
    """Graphs, with what is outside of them, tell what counts as the same architecture."""
    space, rows = case.space, case.related
    by_code = np.unique(space.fingerprint(rows), return_inverse=True)[1].ravel()
    classes = isomorphism_classes(space.graphs(rows))
    rest = space.canonicalize(rows)[:, space.outside_graphs]
    keys = np.column_stack([classes, rest])
    by_graph = np.unique(keys, axis=0, return_inverse=True)[1].ravel()
    require_same_groups(rows, by_code, by_graph, "fingerprint", "graph")
