"""What runs of several objectives are compared by: the volume that their front dominates."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from weaknas.search.pareto import DominatedVolume

Floats = npt.NDArray[np.float64]


def complete_reference(described: Mapping[str, Any], queries: pa.Table | None) -> dict[str, Any]:
    """Return what an experiment says of volumes, with the lowest score of all runs if unknown.

    See `weaknas.laboratory.experiment.Truth.describe`.
    """
    reference = dict(described["reference"])
    if reference["score"] is None and queries is not None:
        lowest = np.nanmin(queries["mean_score"].to_numpy(), initial=np.inf)
        reference["score"] = float(lowest) if np.isfinite(lowest) else 0.0
    return {**described, "reference": reference}


def volume_curve(scores: Floats, costs: Floats, reference: Mapping[str, float]) -> Floats:
    """Return the volume that the first, the first two, ... trainings dominate, shape (n,).

    Parameters
    ----------
    scores : ndarray of float, shape (n,)
        Larger is better; NaN for a failed training.
    costs : ndarray of float, shape (n, k)
    reference : mapping of str to float
        ``score``, then the costs in their order.
    """
    corner = [value for name, value in reference.items() if name != "score"]
    volumes, volume = np.empty(len(scores)), 0.0
    for index in range(len(scores)):
        before = slice(0, index)
        dominated = (scores[before] >= scores[index]) & (costs[before] <= costs[index]).all(axis=1)
        if np.isfinite(scores[index]) and not dominated.any():
            seen = slice(0, index + 1)
            volume = DominatedVolume(scores[seen], costs[seen], reference["score"], corner).volume
        volumes[index] = volume
    return volumes


def cost_rows(queries: pa.Table) -> Floats:
    """Return the costs of the queries of runs with objectives, shape (n, k)."""
    column = queries["costs"].combine_chunks()
    flat = pc.list_flatten(column).to_numpy(zero_copy_only=False)
    return np.asarray(flat, dtype=np.float64).reshape(len(column), -1)
