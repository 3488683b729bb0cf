"""Losses of batches of scores."""

from __future__ import annotations

from torch import Tensor, nn

LOSSES = ("squared", "hinge", "logistic")


def loss_of(name: str, scores: Tensor, labels: Tensor, weights: Tensor) -> Tensor:
    """Return the sum over members of the mean loss of a batch, all of shape (m, b).

    Parameters
    ----------
    name : {"squared", "hinge", "logistic"}
        Squared error, or a loss of all pairs, see `loss_of_margins`.
    scores, labels, weights : Tensor, shape (m, b)
    """
    if name == "squared":
        return (weights * (scores - labels) ** 2).mean(dim=1).sum()
    return loss_of_margins(name, scores[:, :, None] - scores[:, None, :], labels, weights)


def loss_of_margins(name: str, margins: Tensor, labels: Tensor, weights: Tensor) -> Tensor:
    """Return the sum over members of the mean loss of the pairs of a batch.

    Parameters
    ----------
    name : {"hinge", "logistic"}
        How far a margin is below 1, or the negative log-likelihood of the order
        where the margin is its log-odds (RankNet, Burges et al., ICML 2005).
    margins : Tensor, shape (m, b, b)
        By how much each row is better than each other one.
    labels, weights : Tensor, shape (m, b)
        Pairs of equal labels do not count; a pair has the weight of its better row.
    """
    pairs = (labels[:, :, None] > labels[:, None, :]) * weights[:, :, None]
    function = nn.functional.relu if name == "hinge" else nn.functional.softplus
    losses = function(1.0 - margins if name == "hinge" else -margins)
    return ((losses * pairs).sum(dim=(1, 2)) / pairs.sum(dim=(1, 2)).clamp_min(1e-6)).sum()
