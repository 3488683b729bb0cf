"""
One search, many predictors
===========================

The predictor is one argument. Everything else, from the labels that a query shows to
the random numbers, stays the same.
"""

import argparse
import tempfile
from pathlib import Path

import weaknas
from weaknas.reports import plots

parser = argparse.ArgumentParser(description="One search, many predictors.")
parser.add_argument("--quick", action="store_true", help="seconds: a small budget")
quick = parser.parse_args().quick
budget = 30 if quick else 150

# %%
# These are installed here; ``weaknas list predictors`` says a word about each.

print(*weaknas.list_predictors(), sep=", ")

# %%
# One seed says little: ``weaknas compare`` repeats this over many, with intervals and
# tests, and ``weaknas rank`` measures how well each orders what it has not seen.

results = {}
benchmark = weaknas.get_benchmark("nasbench201", dataset="cifar10")
for predictor in ("gp", "bayesian-ridge", "random-forest"):
    search = weaknas.WeakNAS(benchmark.space, predictor=predictor, batch_size=5, seed=1)
    result = results[predictor] = weaknas.run(search, benchmark, budget=budget)
    seconds = result.seconds_strategy
    print(f"{predictor:>15}: regret {result.regret:.2f}, {seconds:.1f} s of the predictor")

# %%
# What each would return after so many trainings.

figure = plots.plot_results(results, benchmark.optimum().score)
place = Path(tempfile.mkdtemp() if quick else ".") / "swap_predictors"
plots.save(figure, place)
print(f"picture: {place}.png")
