"""What language models share, in torch: an embedding, which is the last layer, too."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from weaknas.spaces.language.skeleton import LanguageSkeleton

_RANGE = 0.1  # of the embedding, as in the released code of ENAS and DARTS


class LanguageModel(nn.Module):
    """Maps tokens, int64 of shape (n, length), to logits, shape (n, classes, length).

    Parameters
    ----------
    skeleton : LanguageSkeleton
    body : Module
        Maps embedded tokens, shape (n, length, width), to the same shape; a place sees those
        before it only.
    """

    def __init__(self, skeleton: LanguageSkeleton, body: nn.Module) -> None:
        super().__init__()
        self.dropout = skeleton.dropout
        self.embedding = nn.Embedding(skeleton.classes, skeleton.width)
        nn.init.uniform_(self.embedding.weight, -_RANGE, _RANGE)
        self.body = body
        self.bias = nn.Parameter(torch.zeros(skeleton.classes))

    def forward(self, tokens: Tensor) -> Tensor:
        """Return the logits of what follows each token."""
        read = self._drop(self.body(self._drop(self.embedding(tokens))))
        return functional.linear(read, self.embedding.weight, self.bias).transpose(1, 2)

    def _drop(self, x: Tensor) -> Tensor:
        if not (self.training and self.dropout):
            return x
        # One mask a window.
        return x * functional.dropout(x.new_ones(len(x), 1, x.shape[2]), self.dropout)
