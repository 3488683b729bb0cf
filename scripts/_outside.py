"""Optimisers of other projects as strategies: SMAC3, and BoTorch's Gaussian process.

    pip install smac botorch 'scikit-learn<1.8'

Both are for plain choices that are listed. They are here, and no strategies of the package,
because they are slow and bring many dependencies: they are measured against, not used.
"""

from __future__ import annotations

import importlib
import logging
import tempfile
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
from _known_process import log_improvement

from weaknas.errors import InputError
from weaknas.spaces import Genotypes, SearchSpace
from weaknas.strategies import Strategy
from weaknas.strategies._stepwise import StepwiseStrategy

_FIRST = 5  # random architectures before the first model, as our default has
_MOST = 10_000  # evaluations that SMAC prepares for
_AT_ONCE = 64  # BoTorch computes the covariance of all that it is asked about at once


class SMAC(StepwiseStrategy):
    """SMAC3's facade for hyperparameters: random forest, logarithmic expected improvement.

    The first configurations are ten, and not ten a decision, which cost more than they tell
    where a few dozen queries are enough; the forest is trained again after every evaluation,
    and not after eight, before which the candidates of small spaces run out and SMAC draws at
    random. All else is the facade's default.
    """

    def __init__(self, space: SearchSpace, *, seed: int = 0, batch_size: int = 1) -> None:
        super().__init__(space, seed=seed, batch_size=batch_size)
        _find("smac")
        from ConfigSpace import CategoricalHyperparameter, ConfigurationSpace, OrdinalHyperparameter
        from smac import HyperparameterOptimizationFacade, Scenario
        from smac.model.random_forest import RandomForest

        decisions = ConfigurationSpace(seed=seed)
        for name, count, ordered in zip(
            space.variables, space.cardinalities, space.ordered, strict=True
        ):
            choices = list(range(int(count)))
            kind = OrdinalHyperparameter if ordered else CategoricalHyperparameter
            decisions.add(kind(name, choices))
        self._folder = tempfile.TemporaryDirectory()
        scenario = Scenario(
            decisions,
            deterministic=True,
            n_trials=_MOST,
            seed=seed,
            output_directory=self._folder.name,
        )
        facade = HyperparameterOptimizationFacade
        # That of the facade, which makes room for a million leaves, and threads that wait for
        # one another.
        forest = RandomForest(
            decisions,
            log_y=True,
            n_trees=10,
            ratio_features=1.0,
            min_samples_split=2,
            min_samples_leaf=1,
            max_leaf_nodes=_MOST,
            n_jobs=1,
            seed=seed,
        )
        self._smac = facade(
            scenario,
            _never_called,
            model=forest,
            initial_design=facade.get_initial_design(scenario, n_configs=10),
            config_selector=facade.get_config_selector(scenario, retrain_after=1),
            logging_level=logging.ERROR,
            overwrite=True,
        )
        self._asked: dict[int, list[Any]] = {}

    def _draw(self) -> Genotypes | None:
        asked = self._smac.ask()
        row = [asked.config[name] for name in self.space.variables]
        genotype = np.array(row, dtype=self.space.genotype_dtype)
        self._asked.setdefault(self._identify(genotype)[1], []).append(asked)
        return genotype

    def _step(self, genotype: Genotypes, score: float) -> None:
        from smac.runhistory.dataclasses import TrialValue

        for asked in self._asked.pop(self._identify(genotype)[1], []):
            self._smac.tell(asked, TrialValue(cost=-score))


def _find(name: str) -> None:
    try:
        importlib.import_module(name)
    except ImportError as error:
        install = "pip install smac botorch 'scikit-learn<1.8'"
        raise InputError(
            f"{name} cannot be imported ({error}); install it with: {install}"
        ) from error


def _never_called(config: Any, seed: int = 0) -> float:
    raise AssertionError("trials are asked for and told")


class MixedProcess(Strategy):
    """BoTorch's `MixedSingleTaskGP`: a categorical kernel, logarithmic expected improvement.

    The next is the best of all that are left, so that no optimiser of the acquisition is in
    the way.
    """

    def __init__(self, space: SearchSpace, *, seed: int = 0, batch_size: int = 1) -> None:
        super().__init__(space, seed=seed, batch_size=batch_size)
        _find("botorch")
        self._rows = space.enumerate()
        self._codes = space.fingerprint(self._rows)

    def _propose(self, n: int) -> Genotypes:
        import torch
        from botorch.fit import fit_gpytorch_mll
        from botorch.models import MixedSingleTaskGP
        from gpytorch.mlls import ExactMarginalLogLikelihood

        genotypes, scores = self.history.successful
        if len(scores) < _FIRST:
            return self.space.sample(_FIRST - len(scores), self._rng)
        categories = np.flatnonzero(~np.asarray(self.space.ordered)).tolist()
        torch.manual_seed(self.seed)
        model = MixedSingleTaskGP(
            self._features(genotypes), torch.as_tensor(scores)[:, None], cat_dims=categories
        )
        fit_gpytorch_mll(ExactMarginalLogLikelihood(model.likelihood, model))
        left = ~np.isin(self._codes, self.history.fingerprints)
        mean, deviation = [], []
        with torch.no_grad():
            for part in self._features(self._rows[left]).split(_AT_ONCE):
                posterior = model.posterior(part)
                mean.append(posterior.mean[:, 0].numpy())
                deviation.append(posterior.variance[:, 0].sqrt().numpy())
        spread = np.concatenate(deviation)
        values = np.log(spread) + log_improvement((np.concatenate(mean) - scores.max()) / spread)
        return self._rows[left][np.argsort(-values)[:n]]

    def _features(self, genotypes: Genotypes) -> Any:
        """Return categories as their number, and ordered values from 0 to 1."""
        import torch

        largest: npt.NDArray[np.float64] = np.where(
            self.space.ordered, np.maximum(self.space.cardinalities - 1, 1), 1
        )
        return torch.as_tensor(genotypes / largest, dtype=torch.double)


OUTSIDE: dict[str, Callable[..., Strategy]] = {"smac": SMAC, "botorch": MixedProcess}
