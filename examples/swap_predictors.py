"""
One search, many predictors
===========================

The predictor is one argument. Everything else, from the labels that a query shows to
the random numbers, stays the same.
"""

import argparse

import weaknas

parser = argparse.ArgumentParser(description="One search, many predictors.")
parser.add_argument("--quick", action="store_true", help="seconds: a small budget")
budget = 30 if parser.parse_args().quick else 150

# %%
# These are installed here; ``weaknas list predictors`` says a word about each.

print(*weaknas.list_predictors(), sep=", ")

# %%
# One seed says little: ``weaknas compare`` repeats this over many, with intervals and
# tests, and ``weaknas rank`` measures how well each orders what it has not seen.

benchmark = weaknas.get_benchmark("nasbench201", dataset="cifar10")
for predictor in ("gp", "bayesian-ridge", "random-forest"):
    search = weaknas.WeakNAS(benchmark.space, predictor=predictor, batch_size=5, seed=1)
    result = weaknas.run(search, benchmark, budget=budget)
    seconds = result.seconds_strategy
    print(f"{predictor:>15}: regret {result.regret:.2f}, {seconds:.1f} s of the predictor")
