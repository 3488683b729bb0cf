"""
Your torch model as predictor
=============================

A network becomes a predictor by two methods: ``fit`` and ``predict``. This one is a
small perceptron that learns the order of pairs, and an ensemble of them gives the
uncertainty. Without torch the example only says so.
"""

import argparse
import importlib.util
import tempfile
from pathlib import Path

import numpy as np
from sklearn.base import BaseEstimator, RegressorMixin
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted, validate_data

import weaknas
from weaknas.reports import plots
from weaknas.testing import check_predictor

parser = argparse.ArgumentParser(description="A torch model as predictor.")
parser.add_argument("--quick", action="store_true", help="seconds: a small budget")
quick = parser.parse_args().quick

# %%
# Constructor arguments are attributes and nothing else, learned state ends in an
# underscore, randomness comes from ``random_state``: then `sklearn.base.clone` works,
# and a search is reproducible. torch is imported where it is used, so that importing this
# module costs nothing.


class PairwiseNetwork(RegressorMixin, BaseEstimator):
    """An ensemble of perceptrons that are fitted to the order of all pairs."""

    def __init__(self, members=5, hidden=64, steps=200, random_state=None):
        self.members = members
        self.hidden = hidden
        self.steps = steps
        self.random_state = random_state

    def fit(self, X, y):
        """Fit to features, shape (n, f), and scores, shape (n,)."""
        import torch

        X, y = validate_data(self, X, y, y_numeric=True, dtype=np.float32)
        self.mean_, self.scale_ = X.mean(axis=0), X.std(axis=0) + 1e-6
        inputs = torch.from_numpy((X - self.mean_) / self.scale_)
        scores = torch.from_numpy(np.asarray(y, dtype=np.float32))
        seeds = check_random_state(self.random_state).randint(2**31 - 1, size=self.members)
        self.networks_ = [self._fit_one(inputs, scores, int(seed)) for seed in seeds]
        # a ranking has no unit: bring the outputs to the mean and spread of the scores
        raw = np.mean([self._output(n, inputs) for n in self.networks_], axis=0)
        self.slope_ = float(scores.std() / (raw.std() + 1e-6)) if len(y) > 1 else 1.0
        self.offset_ = float(scores.mean()) - self.slope_ * float(raw.mean())
        return self

    def predict(self, X, return_std=False):
        """Predict the mean, shape (n,), and the spread of the members, shape (n,)."""
        import torch

        check_is_fitted(self)
        X = validate_data(self, X, reset=False, dtype=np.float32)
        inputs = torch.from_numpy((X - self.mean_) / self.scale_)
        each = np.array([self._output(network, inputs) for network in self.networks_])
        each = each.astype(np.float64) * self.slope_ + self.offset_
        return (each.mean(axis=0), each.std(axis=0)) if return_std else each.mean(axis=0)

    def _fit_one(self, inputs, scores, seed):
        import torch
        from torch import nn

        with torch.random.fork_rng(devices=[]):  # leave the global state as it was
            torch.manual_seed(seed)
            network = nn.Sequential(
                nn.Linear(inputs.shape[1], self.hidden), nn.ReLU(), nn.Linear(self.hidden, 1)
            )
        optimizer = torch.optim.AdamW(network.parameters(), lr=1e-2, weight_decay=1e-2)
        signs = torch.sign(scores[:, None] - scores[None])
        for _ in range(self.steps):
            output = network(inputs)[:, 0]
            margins = signs * (output[:, None] - output[None])
            loss = nn.functional.softplus(-margins)[signs != 0].sum() / max(len(scores) ** 2, 1)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        return network

    @staticmethod
    def _output(network, inputs):
        import torch

        with torch.no_grad():
            return network(inputs)[:, 0].numpy()


# %%
# The contract kit fits and predicts, clones, pickles and repeats it in another process.

available = importlib.util.find_spec("torch") is not None
if available:
    check_predictor(PairwiseNetwork(members=2, steps=100))
    print("all promises kept")
else:
    print("torch is not installed; install it with: pip install 'weaknas[train]'")

# %%
# Then it searches.

if available:
    budget = 20 if quick else 100
    network = PairwiseNetwork(steps=50 if quick else 200)
    benchmark = weaknas.get_benchmark("nasbench201", dataset="cifar100")
    search = weaknas.WeakNAS(
        benchmark.space, predictor=network, acquisition="ucb", batch_size=5, seed=0
    )
    result = weaknas.run(search, benchmark, budget=budget)
    print(f"{result.best.architecture.text}: regret {result.regret:.2f} after {budget} queries")

# %%
# What every training showed, and what would be returned after it.

if available:
    figure = plots.plot_result(result, benchmark.optimum().score)
    place = Path(tempfile.mkdtemp() if quick else ".") / "torch_model"
    plots.save(figure, place)
    print(f"picture: {place}.png")
