"""
A ResNet of yours
=================

A residual network as it is written everywhere becomes a search space by five changed
lines; each says what stood there before. Every architecture is trained on the digits of
scikit-learn, in a second or two on a CPU. Needs torch, and matplotlib for the picture.
"""

import argparse
import tempfile
from pathlib import Path

import torch
from torch import nn

import weaknas
from weaknas.reports.plots import plot_result, save

parser = argparse.ArgumentParser(description="A ResNet of yours.")
parser.add_argument("--quick", action="store_true", help="seconds: a small budget")
quick = parser.parse_args().quick

# %%
# The network. Block by block another kernel, with or without squeeze-and-excitation; one
# activation for all.


class SqueezeExcite(nn.Module):
    def __init__(self, channels):
        super().__init__()
        self.reduce = nn.Conv2d(channels, channels // 4, 1)
        self.expand = nn.Conv2d(channels // 4, channels, 1)

    def forward(self, x):
        scale = x.mean((2, 3), keepdim=True)
        return x * torch.sigmoid(self.expand(torch.relu(self.reduce(scale))))


class BasicBlock(nn.Module):
    def __init__(self, inputs, outputs, stride):
        super().__init__()
        kernel = weaknas.choose("kernel", [3, 5])  # 3
        attention = weaknas.choose("attention", [nn.Identity, SqueezeExcite])  # nn.Identity
        self.act = weaknas.choose("act", [nn.ReLU, nn.SiLU, nn.GELU], share=True)()  # nn.ReLU()
        self.conv1 = nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, bias=False)
        self.bn1 = nn.BatchNorm2d(outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(outputs)
        self.attention = attention(outputs)
        self.shortcut = nn.Identity()
        if stride > 1 or inputs != outputs:
            conv = nn.Conv2d(inputs, outputs, 1, stride, bias=False)
            self.shortcut = nn.Sequential(conv, nn.BatchNorm2d(outputs))

    def forward(self, x):
        out = self.bn2(self.conv2(self.act(self.bn1(self.conv1(x)))))
        return self.act(self.attention(out) + self.shortcut(x))


class ResNet(nn.Module):
    def __init__(self, classes=10, shape=(1, 8, 8)):
        super().__init__()
        width = weaknas.choose("width", [4, 8, 12])  # 8
        self.stem = nn.Conv2d(shape[0], width, 3, padding=1)
        stages, inputs = [], width
        for outputs, stride in [(width, 1), (2 * width, 2)]:
            for layer in range(weaknas.repeat("depth", 1, 2)):  # range(2)
                stages.append(BasicBlock(inputs, outputs, stride if layer == 0 else 1))
                inputs = outputs
        self.stages = nn.Sequential(*stages)
        self.head = nn.Linear(inputs, classes)

    def forward(self, x):
        return self.head(self.stages(self.stem(x)).mean((2, 3)))


# %%
# The code works as it stands, and is a space once it is traced. Parameters and multiply-adds
# are counted without training, for limits.

space = weaknas.trace(ResNet, example=(1, 8, 8))
print(f"{space.size} networks, decided by {', '.join(space.variables)}")
for name, cost in space.costs().items():
    print(f"{name} of the plain network: {cost(space.genotypes([[0] * space.n_variables]))[0]:g}")

# %%
# Search: each query is one training.

evaluator = weaknas.get_evaluator("train", space, dataset="digits", epochs=1 if quick else 4)
search = weaknas.WeakNAS(space, seed=0, initial=4 if quick else 6)
result = weaknas.run(search, evaluator, budget=12 if quick else 24)
scores = result.trials.scores
random = scores[: search.initial].mean()
print(f"best: {result.best.architecture.text}")
print(f"validation accuracy {result.best.score:.3f}; random networks {random:.3f} on average")
network = space.network(result.best.architecture)  # untrained; `weaknas train` trains it in full

# %%
# What the search did, as a picture.

figure = plot_result(result)
place = Path(tempfile.mkdtemp() if quick else ".") / "search_resnet"
save(figure, place)
print(f"picture: {place}.png")
