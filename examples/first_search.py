"""
A first search
==============

Find a good cell of NAS-Bench-201 for CIFAR-100 with a few queries of a table that
pip installs, and see what the search did.
"""

import argparse
import tempfile
from pathlib import Path

import numpy as np

import weaknas
from weaknas.reports import plots

parser = argparse.ArgumentParser(description="A first search.")
parser.add_argument("--quick", action="store_true", help="seconds: a small budget")
quick = parser.parse_args().quick
budget = 30 if quick else 150

# %%
# A benchmark knows its space and what trainings of it bring. Each shows the validation
# accuracy of one of the trainings of a cell in a table, as if the cell had just been trained.

benchmark = weaknas.get_benchmark("nasbench201", dataset="cifar100")
print(benchmark.space.name, "has", benchmark.space.size, "genotypes")
print(len(benchmark.space.architecture_fingerprints), "of them are different architectures")

# %%
# The search proposes, the benchmark answers, and `run` carries between them.

search = weaknas.WeakNAS(benchmark.space, seed=0)
result = weaknas.run(search, benchmark, budget=budget)
print("best cell:", result.best.architecture.text)
print(f"expected {result.best.score:.2f} %, regret {result.regret:.2f}")

# %%
# Trials are a table; rounds show how the queries move towards good cells.

scores = result.trials.scores
for part in np.array_split(np.arange(len(scores)), 5):
    span = f"queries {part[0] + 1} to {part[-1] + 1}"
    print(f"{span:>20}: mean {scores[part].mean():.2f}, best {scores[part].max():.2f}")

# %%
# What every training showed, and what would be returned after it.

figure = plots.plot_result(result, benchmark.optimum().score)
place = Path(tempfile.mkdtemp() if quick else ".") / "first_search"
plots.save(figure, place)
print(f"picture: {place}.png")
