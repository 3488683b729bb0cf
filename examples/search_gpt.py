"""
A small GPT of yours
====================

A decoder of transformer blocks becomes a search space by five changed lines, its learning
rate among them. It learns to write, letter by letter, from the text of Python's own help;
an architecture is scored by how well it predicts the part that it has not read. Needs
torch, and matplotlib for the picture.
"""

import argparse
import tempfile
from pathlib import Path
from pydoc_data.topics import topics

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

import weaknas
from weaknas.reports.plots import plot_result, save

parser = argparse.ArgumentParser(description="A small GPT of yours.")
parser.add_argument("--quick", action="store_true", help="seconds: a small budget")
quick = parser.parse_args().quick
torch.set_num_threads(1)

text = "\n".join(topics[name] for name in sorted(topics))
letters = sorted(set(text))
codes = torch.tensor([letters.index(letter) for letter in text[:100_000]])
train, valid = codes[:90_000], codes[90_000:]
context = 32

# %%
# The network; the number of heads and the width of the perceptron are decided block by block.


class Block(nn.Module):
    def __init__(self, width, rate):
        super().__init__()
        self.heads = weaknas.choose("heads", [1, 2, 4])  # 4
        hidden = width * weaknas.choose("ratio", [1, 2, 4])  # 4
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.qkv, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.mlp = nn.Sequential(nn.Linear(width, hidden), nn.GELU(), nn.Linear(hidden, width))

    def forward(self, x):
        parts = self.qkv(self.norm1(x)).unflatten(2, (3, self.heads, -1))
        q, k, v = parts.permute(2, 0, 3, 1, 4)
        mixed = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        x = x + self.out(mixed.transpose(1, 2).flatten(2))
        return x + self.mlp(self.norm2(x))


class GPT(nn.Module):
    def __init__(self):
        super().__init__()
        width = weaknas.choose("width", [16, 32, 48])  # 32
        self.rate = weaknas.number("rate", 3e-4, 3e-2, log=True)  # 1e-3
        self.token = nn.Embedding(len(letters), width)
        self.place = nn.Parameter(torch.zeros(context, width))
        depth = weaknas.repeat("depth", 1, 3)  # 2
        self.blocks = nn.Sequential(*(Block(width, self.rate) for _ in range(depth)))
        self.head = nn.Sequential(nn.LayerNorm(width), nn.Linear(width, len(letters)))

    def forward(self, codes):
        return self.head(self.blocks(self.token(codes) + self.place[: codes.shape[1]]))


# %%
# Your own training: anything that returns a number, larger being better. One that takes a
# seed may be asked for the same architecture again.

steps = 10 if quick else 150


def batch(data, size, rng):
    starts = rng.integers(len(data) - context - 1, size=size)
    rows = torch.stack([data[start : start + context + 1] for start in starts])
    return rows[:, :-1], rows[:, 1:]


def train_and_score(architecture, seed):
    torch.manual_seed(seed)
    rng = np.random.default_rng(seed)
    network = space.build(architecture)
    optimizer = torch.optim.AdamW(network.parameters(), lr=network.rate)
    for _ in range(steps):
        inputs, following = batch(train, 16, rng)
        loss = F.cross_entropy(network(inputs).flatten(0, 1), following.flatten())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    with torch.no_grad():
        inputs, following = batch(valid, 64, np.random.default_rng(0))
        loss = F.cross_entropy(network(inputs).flatten(0, 1), following.flatten())
    return -loss.item() / np.log(2)  # bits a letter


space = weaknas.trace(GPT, example=torch.zeros(1, context, dtype=torch.long))
print(f"{space.size} networks, decided by {', '.join(space.variables)}")
search = weaknas.WeakNAS(space, seed=0, initial=4 if quick else 6)
result = weaknas.run(search, train_and_score, budget=12 if quick else 30)
scores = result.trials.scores
print(f"best: {result.best.architecture.text}")
print(f"{-result.best.score:.2f} bits a letter; random {-scores[: search.initial].mean():.2f}")

# %%
# What the search did, as a picture.

figure = plot_result(result)
place = Path(tempfile.mkdtemp() if quick else ".") / "search_gpt"
save(figure, place)
print(f"picture: {place}.png")
