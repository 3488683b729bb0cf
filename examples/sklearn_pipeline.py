"""
Your scikit-learn pipeline as predictor
=======================================

Whatever scikit-learn can clone, fit and predict with is a predictor: no subclass, no
registration. This one selects features, standardises them and fits a Bayesian
ridge regression.
"""

import argparse
import tempfile
from functools import partial
from pathlib import Path

from sklearn.feature_selection import VarianceThreshold
from sklearn.linear_model import BayesianRidge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import PolynomialFeatures, StandardScaler

import weaknas
from weaknas.laboratory.contestants import Contestant
from weaknas.laboratory.ranking import Measurer, Ranking
from weaknas.laboratory.ranking_results import Task
from weaknas.reports import plots
from weaknas.testing import check_predictor

parser = argparse.ArgumentParser(description="A scikit-learn pipeline as predictor.")
parser.add_argument("--quick", action="store_true", help="seconds: a small budget")
quick = parser.parse_args().quick
budget = 30 if quick else 100

pipeline = make_pipeline(
    PolynomialFeatures(degree=2, interaction_only=True, include_bias=False),
    VarianceThreshold(),
    StandardScaler(),
    BayesianRidge(),
)

# %%
# The contract kit says which promises it keeps. `BayesianRidge` predicts with
# ``return_std=True``, so that acquisitions which need an uncertainty have one.

check_predictor(pipeline)
print("all promises kept")

# %%
# It goes where a name would go. The encoder may be a name or a transformer of genotypes
# of yours as well.

benchmark = weaknas.get_benchmark("nasbench201", dataset="cifar100")
search = weaknas.WeakNAS(benchmark.space, predictor=pipeline, encoder="one-hot", seed=0)
result = weaknas.run(search, benchmark, budget=budget)
print(f"{result.best.architecture.text}: regret {result.regret:.2f} after {budget} queries")

# %%
# How well does it rank the cells it has not seen? `weaknas.laboratory.ranking` answers for any
# predictor; `weaknas rank` does so for registered ones from the command line.

design = Ranking(
    "nasbench201",
    partial(weaknas.get_benchmark, "nasbench201", dataset="cifar100", labels="mean"),
    {"mine": Contestant(pipeline, "one-hot"), "gp": Contestant(weaknas.get_predictor("gp"))},
    train_sizes=[50, 100],
)
measurer = Measurer(design)
for name in design.contestants:
    for row in measurer(Task(name, run=0)).rows.to_pylist():
        print(f"{name:>5} fitted to {row['train_size']}: tau {row['kendall_tau']:.3f}")

# %%
# What every training showed, and what would be returned after it.

figure = plots.plot_result(result, benchmark.optimum().score)
place = Path(tempfile.mkdtemp() if quick else ".") / "sklearn_pipeline"
plots.save(figure, place)
print(f"picture: {place}.png")
