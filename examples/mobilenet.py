"""
MobileNets under a budget of multiply-adds
==========================================

The space of once-for-all has 10^19 networks: it cannot be listed, so candidates are
grown around the best so far, and every one of them is within the limits.
"""

import argparse
import tempfile
from pathlib import Path

import numpy as np

import weaknas
from weaknas.evaluators import OFAPredictor
from weaknas.reports import plots
from weaknas.spaces import ConstrainedSpace

parser = argparse.ArgumentParser(description="MobileNets under a budget of multiply-adds.")
parser.add_argument("--quick", action="store_true", help="seconds: a small budget")
quick = parser.parse_args().quick
budget = 25 if quick else 200

# %%
# Costs are properties of the network alone: multiply-adds, parameters, peak activations
# and, with a table of a device, latency.

whole = weaknas.get_space("mobilenetv3", width=1.2)
drawn = whole.sample(1000, np.random.default_rng(0))
for name, cost in whole.costs().items():
    low, high = np.quantile(cost(drawn), [0.05, 0.95])
    print(f"{name}: 90 % of random networks have {low:.4g} to {high:.4g}")

# %%
# A constrained space is a space: sampling, mutation and crossover stay inside.

space = ConstrainedSpace(whole, "550e6<=macs<=600e6")
inside = whole.costs()["macs"](space.sample(200, np.random.default_rng(1)))
print(f"multiply-adds of 200 samples: {inside.min():.4g} to {inside.max():.4g}")

# %%
# Scores come from once-for-all's published accuracy predictor, an optimistic stand-in
# for the supernet that ranks well. Its file is not part of weaknas: put
# ``ofa_acc_predictor_w1.2.pth`` into ``mobilenet/`` in a folder named by ``WEAKNAS_DATA``.

result = None
try:
    judge = OFAPredictor(space)
except weaknas.InputError:
    print("left out: the file is not in a data folder")
else:
    search = weaknas.WeakNAS(space, seed=0, batch_size=10)
    result = weaknas.run(search, judge, budget=budget)
    print(f"best {result.best.score:.4f}:", result.best.architecture.text)

# %%
# What every training showed, and what would be returned after it.

if result is not None:
    figure = plots.plot_result(result)
    place = Path(tempfile.mkdtemp() if quick else ".") / "mobilenet"
    plots.save(figure, place)
    print(f"picture: {place}.png")
