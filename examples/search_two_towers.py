"""
Two towers of yours
===================

Two perceptrons, one for either half of an image of a digit, learn embeddings by which the
halves find each other among a hundred others, as recommenders find items for users. Five
changed lines make them a search space; the size of the embedding is one decision of both
(``share=True``). Needs torch, and matplotlib for the picture.
"""

import argparse
import tempfile
from pathlib import Path

import torch
from sklearn.datasets import load_digits
from torch import nn
from torch.nn import functional as F

import weaknas
from weaknas.reports.plots import plot_result, save

parser = argparse.ArgumentParser(description="Two towers of yours.")
parser.add_argument("--quick", action="store_true", help="seconds: a small budget")
quick = parser.parse_args().quick
torch.set_num_threads(1)

images = torch.tensor(load_digits().images, dtype=torch.float32) / 16
left, right = images[:, :, :4].flatten(1), images[:, :, 4:].flatten(1)

# %%
# The network. The towers differ: names that are met again are numbered.


class Tower(nn.Sequential):
    def __init__(self, inputs):
        layers = []
        for _ in range(weaknas.repeat("depth", 1, 3)):  # range(2)
            hidden = weaknas.choose("hidden", [32, 64, 128])  # 64
            layers += [nn.Linear(inputs, hidden), nn.ReLU()]
            inputs = hidden
        size = weaknas.choose("embedding", [4, 8, 16, 32], share=True)  # 16
        super().__init__(*layers, nn.Linear(inputs, size))


class TwoTowers(nn.Module):
    def __init__(self):
        super().__init__()
        self.left, self.right = Tower(32), Tower(32)
        self.temperature = weaknas.number("temperature", 0.02, 1, log=True)  # 0.1
        self.rate = weaknas.number("rate", 1e-4, 1e-1, log=True)  # 1e-3

    def forward(self, left, right):
        one, other = F.normalize(self.left(left)), F.normalize(self.right(right))
        return one @ other.T / self.temperature


space = weaknas.trace(TwoTowers)
print(f"{space.size} networks, decided by {', '.join(space.variables)}")

# %%
# Your own training: the share of left halves of unseen digits whose right half is found first.


def train_and_score(architecture, seed):
    torch.manual_seed(seed)
    network = space.build(architecture)
    optimizer = torch.optim.Adam(network.parameters(), lr=network.rate)
    for _ in range(10 if quick else 200):
        rows = torch.randint(1200, (128,))
        loss = F.cross_entropy(network(left[rows], right[rows]), torch.arange(128))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    with torch.no_grad():
        found = [
            network(left[rows], right[rows]).argmax(1) == torch.arange(100)
            for rows in torch.arange(1200, 1700).split(100)
        ]
    return torch.cat(found).float().mean().item()


search = weaknas.WeakNAS(space, seed=0, initial=4 if quick else 6)
result = weaknas.run(search, train_and_score, budget=14 if quick else 50)
scores = result.trials.scores
print(f"best: {result.best.architecture.text}")
print(f"{result.best.score:.3f} are found; by random ones {scores[: search.initial].mean():.3f}")

# %%
# What the search did, as a picture.

figure = plot_result(result)
place = Path(tempfile.mkdtemp() if quick else ".") / "search_two_towers"
save(figure, place)
print(f"picture: {place}.png")
