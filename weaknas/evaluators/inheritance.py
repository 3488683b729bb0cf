"""An evaluator that trains, each network from the weights of a relative."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from weaknas.evaluators.outcome import Outcome
from weaknas.evaluators.train import TrainEvaluator
from weaknas.files import read_json
from weaknas.spaces import Architecture, SearchSpace
from weaknas.training.data import Dataset
from weaknas.training.protocol import Protocol

if TYPE_CHECKING:
    from torch.nn import Module


class InheritingEvaluator(TrainEvaluator):
    """Trains as `TrainEvaluator` does, beginning with the weights of the best trained neighbour.

    For evolution, whose children are neighbours of their parents (Wistuba, ECML PKDD 2018,
    where children inherit by morphisms; see `weaknas.training.inheritance` for which are
    exact). An architecture without a neighbour that is trained begins as any other. The
    weights of all trainings are kept. What a training brings depends on those that were
    finished before it began: with several at once a search is not repeated to the bit.

    Parameters
    ----------
    space : SearchSpace
        With networks.
    **options
        Of `TrainEvaluator`.

    Raises
    ------
    InputError
        As there.
    """

    def __init__(self, space: SearchSpace, **options: Any) -> None:
        super().__init__(space, **{**options, "keep": True})

    def describe(self) -> dict[str, Any]:
        """Return what decides the scores, as plain JSON types."""
        return super().describe() | {"inherits": True}

    def _identity(
        self, architecture: Architecture, protocol: Protocol, seed: int
    ) -> dict[str, Any]:
        return super()._identity(architecture, protocol, seed) | {"inherits": True}

    def find_parent(self, architecture: Architecture) -> tuple[Architecture, Path] | None:
        """Return the best trained neighbour and the file of its weights, None if there is none.

        Parameters
        ----------
        architecture : Architecture
        """
        neighbors = self.space.neighbors(np.array(architecture.genotype))
        near = set(self.space.fingerprint(neighbors).tolist()) if len(neighbors) else set()
        mine = self._identity(architecture, self.protocol, 0)
        best: tuple[float, str, Architecture, Path] | None = None
        for record in sorted(self.folder.glob("*.json")):
            weights, about = record.with_suffix(".pt"), read_json(record)["identity"]
            outcome = Outcome.read(record)
            alike = all(about[name] == mine[name] for name in ("space", "dataset", "fraction"))
            if not (alike and weights.exists() and outcome.status == "ok" and outcome.curve):
                continue
            other = self.space.architecture(about["architecture"])
            if int(self.space.fingerprint(np.array([other.genotype]))[0]) in near:
                found = (self.metric.score(outcome.curve[-1]), record.name, other, weights)
                best = found if best is None or found[:2] > best[:2] else best
        return None if best is None else best[2:]

    def _build(self, architecture: Architecture, data: Dataset, protocol: Protocol) -> Module:
        from weaknas.training.checkpoints import Checkpoint
        from weaknas.training.inheritance import inherit

        network = super()._build(architecture, data, protocol)
        found = self.find_parent(architecture)
        if found is not None:
            parent, weights = found
            saved = Checkpoint(weights, {"training": weights.stem}).load()
            if saved is not None:
                modules = self.space.inherited_modules(parent, architecture)
                inherit(network, saved["average"] or saved["network"], modules)
        return network
