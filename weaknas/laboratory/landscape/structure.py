"""What a space is without scores: sizes, isomorphs, neighbours, distances."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from weaknas.laboratory.landscape.graph import Indices, NeighborGraph
from weaknas.laboratory.landscape.measures import share_within
from weaknas.spaces import Genotypes, SearchSpace
from weaknas.spaces.rows import all_changes

_PROBED = 100  # architectures whose neighbours and changes are counted
_SAMPLED = 10_000  # genotypes of which distances are measured


def describe_graph(graph: NeighborGraph) -> dict[str, Any]:
    """Return sizes, isomorphs and neighbours of a listed space, exactly, as plain JSON types."""
    degrees = graph.degrees
    return {
        "genotypes": int(graph.multiplicity.sum()),
        "architectures": len(graph),
        "largest_class": int(graph.multiplicity.max()),
        "neighbors": {
            "mean": float(degrees.mean()),
            "least": int(degrees.min()),
            "most": int(degrees.max()),
        },
        "isolated": int((degrees == 0).sum()),
        "largest_component": int(graph.largest_component.sum()),
    }


def describe_sample(space: SearchSpace, rng: np.random.Generator) -> dict[str, Any]:
    """Return the same of a space that is not listed, from random architectures.

    Parameters
    ----------
    space : SearchSpace
    rng : numpy.random.Generator

    Returns
    -------
    dict
        Plain JSON types. ``architectures`` and ``largest_class`` are unknown, None;
        ``redundancy`` is the share of single changes of a genotype that leave the
        architecture the same, ``decisions_apart`` the quantiles of the number of decisions in
        which two random architectures differ.
    """
    rows = space.canonicalize(space.sample(_PROBED, rng))
    _, owners = space.all_neighbors(rows)
    degrees = np.bincount(owners, minlength=len(rows))
    pairs = space.canonicalize(space.sample(2 * _SAMPLED, rng)).reshape(2, _SAMPLED, -1)
    apart = (pairs[0] != pairs[1]).sum(axis=1)
    return {
        "genotypes": space.size,
        "architectures": None,
        "largest_class": None,
        "neighbors": {
            "mean": float(degrees.mean()),
            "least": int(degrees.min()),
            "most": int(degrees.max()),
        },
        "redundancy": _redundancy(space, rows),
        "decisions_apart": {
            name: int(np.quantile(apart, level))
            for name, level in (("p10", 0.1), ("median", 0.5), ("p90", 0.9))
        },
    }


def _redundancy(space: SearchSpace, rows: Genotypes) -> float:
    same = valid = 0
    for row in rows:
        changed = all_changes(row, space.cardinalities)
        changed = changed[space.contains(changed)]
        valid += len(changed)
        same += int((space.fingerprint(changed) == space.fingerprint(row[None])[0]).sum())
    return same / max(valid, 1)


def volume(graph: NeighborGraph, peaks: Indices) -> list[float]:
    """Return the share of architectures within 0, 1, 2, ... steps of a peak, exactly."""
    return list(map(float, share_within(graph.distances(peaks))))


def sampled_volume(
    space: SearchSpace, peaks: npt.NDArray[np.integer], rng: np.random.Generator
) -> list[float]:
    """Return the share of random genotypes within 0, 1, 2, ... decisions of a peak.

    Counted on canonical forms, of 10,000 genotypes: with few isomorphs and decisions that
    may each be changed alone that is the number of steps, and else about that.

    Parameters
    ----------
    space : SearchSpace
    peaks : ndarray of int, shape (k, d)
    rng : numpy.random.Generator
    """
    rows = space.canonicalize(space.sample(_SAMPLED, rng))
    nearest = np.full(len(rows), space.n_variables)
    for peak in space.canonicalize(np.asarray(peaks)):
        np.minimum(nearest, (rows != peak).sum(axis=1), out=nearest)
    return list(map(float, share_within(nearest)))
