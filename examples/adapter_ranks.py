"""
Ranks of adapters, layer by layer
=================================

A small transformer has read the help of Python. It is adapted to another text, Python's own
source, by low-rank adapters (Hu et al., "LoRA", 2021, arXiv:2106.09685), its own weights at
rest. How large is the rank of each adapter to be, when half the parameters of rank 8 everywhere
are allowed? Needs torch, optuna for comparison, and matplotlib for the picture.
"""

import argparse
import copy
import inspect
import string
import tempfile
from pathlib import Path
from pydoc_data.topics import topics

import numpy as np
import torch
from torch import nn

import weaknas
from weaknas.reports.plots import plot_result, save
from weaknas.spaces import ConstrainedSpace
from weaknas.training import Dataset, Protocol
from weaknas.training.data import windows
from weaknas.training.measure import Examination
from weaknas.training.trainer import Trainer

parser = argparse.ArgumentParser(description="Ranks of adapters, layer by layer.")
parser.add_argument("--quick", action="store_true", help="seconds: a small budget")
quick = parser.parse_args().quick
length, size, budget, again = (32, 2_000, 3, 1) if quick else (32, 60_000, 16, 3)
torch.set_num_threads(1)

# %%
# Two texts, letter by letter: one to learn the language from, one to adapt to.

letters = string.printable


def read(name, text):
    codes = np.array([max(letters.find(letter), 0) for letter in text[:size]])
    cuts = np.array_split(codes, [size * 8 // 10, size * 9 // 10])
    splits = [windows(part, length) for part in cuts]
    return Dataset(name, *splits, tuple(letters), (length,), (), (), task="language")


known = read("help", "\n".join(topics[name] for name in sorted(topics)))
new = read("source", inspect.getsource(argparse))

# %%
# The model, trained before.

text = "depth=4,positions=rotary,heads=4,head_width=16,ratio=4"
shape = {"classes": len(letters), "shape": (length,), "width": 48}
space = weaknas.get_space("transformer", shared=True)
protocol = Protocol(
    epochs=1 if quick else 8,
    batch_size=32,
    optimizer="adamw",
    learning_rate=3e-3,
    weight_decay=0.01,
    decay_all=False,
    gradient_clipping=1.0,
)
base = Trainer(lambda: space.network(text, **shape), known, protocol, threads=1).run().network
base.requires_grad_(False)

# %%
# An adapter adds to a layer x W the product x A B, of which B begins as zeros.


class Adapter(nn.Module):
    def __init__(self, layer, rank):
        super().__init__()
        self.layer = layer
        self.A = nn.Parameter(torch.randn(layer.in_features, rank) / layer.in_features**0.5)
        self.B = nn.Parameter(torch.zeros(rank, layer.out_features))

    def forward(self, x):
        return self.layer(x) + x @ self.A @ self.B


def adapt(ranks):
    network = copy.deepcopy(base)
    for place, layer in enumerate(network.body.layers):
        for part, parent, name in (
            ("attention", layer.attention, "input"),
            ("attention", layer.attention, "output"),
            ("mlp", layer.mlp, "0"),
            ("mlp", layer.mlp, "2"),
        ):
            rank = ranks[f"{part}{place}"]
            if rank:
                setattr(parent, name, Adapter(getattr(parent, name), rank))
    return network


def count(ranks):
    return sum(weights.numel() for weights in adapt(ranks).parameters() if weights.requires_grad)


# %%
# A rank for the attention and one for the MLP of each layer, and a limit on what they cost.

ranks = [0, 4, 8, 16]
names = [f"{part}{place}" for place in range(4) for part in ("attention", "mlp")]
a_rank = np.array([count(dict.fromkeys(names, 0) | {name: 1}) for name in names])
whole = weaknas.ChoiceSpace(
    dict.fromkeys(names, ranks),
    name="ranks",
    costs={"params": lambda rows: np.array(ranks)[rows] @ a_rank},
)
limit = count(dict.fromkeys(names, 8)) // 2
choices = ConstrainedSpace(whole, [f"params<={limit}", "params>=1"])
adapting = protocol.with_options({"epochs": 2, "learning_rate": 5e-3})


def train(ranks, seed):
    return Trainer(lambda: adapt(ranks), new, adapting, seed=seed, threads=1).run()


def perplexity(architecture, seed):
    # A search makes scores large.
    return -np.log(train(whole.decode(architecture), seed).value)


# %%
# Searches by weaknas and by Optuna's TPE; what each returns is adapted again with other seeds,
# and tested on a part of the text that nothing was chosen by.

answers = {"rank 8": dict.fromkeys(names, 8), "rank 4": dict.fromkeys(names, 4)}
for strategy in ("weaknas", "optuna-tpe"):
    search = weaknas.registry.get_strategy(strategy, choices, seed=0)
    result = weaknas.run(search, perplexity, budget=budget)
    answers[strategy] = whole.decode(result.best.architecture)
    if strategy == "weaknas":
        found = result

test = Examination(new.test, new, torch.device("cpu"))
print(f"unadapted: perplexity {test.value(base):.3f}")
for name, answer in answers.items():
    values = [test.value(train(answer, 100 + seed).network) for seed in range(again)]
    spread = f"{np.mean(values):.3f} (from {min(values):.3f} to {max(values):.3f})"
    print(f"{name:>10}: {count(answer):6d} parameters, perplexity {spread}, ranks"
          f" {' '.join(str(answer[one]) for one in names)}")  # fmt: skip

# %%
# What the search met.

figure = plot_result(found)
place = Path(tempfile.mkdtemp() if quick else ".") / "adapter_ranks"
save(figure, place)
print(f"picture: {place}.png")
