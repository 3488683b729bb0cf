"""An encoder, a predictor and a decoder of rows of choices: the networks of NAO."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from torch.nn import functional

from weaknas.predictors._training import choose_device, one_thread
from weaknas.predictors.labels import Floats

Rows = npt.NDArray[np.integer]

_CLIP = 5.0  # of the norm of gradients


class Latent(nn.Module):
    """Rows to a continuous space, scores and rows from there (Luo et al. 2018, section 3).

    An LSTM reads one token a decision; its outputs, of length one, are the latent
    representation, and their mean that of the row. A perceptron predicts the score from
    the mean. An LSTM that starts with the mean, and attends to the outputs, spells the row.

    Parameters
    ----------
    cardinalities : sequence of int
        Number of choices of each of the d decisions.
    hidden, embedding, width : int
        Units of the LSTMs, of the embedding of a choice, and of the perceptron's layers.
    """

    first: Tensor
    forbidden: Tensor

    def __init__(
        self, cardinalities: Sequence[int], hidden: int, embedding: int, width: int
    ) -> None:
        super().__init__()
        counts = torch.tensor(list(cardinalities))
        total = int(counts.sum())
        first = counts.cumsum(0) - counts
        self.register_buffer("first", first)
        tokens = torch.arange(total)
        allowed = (tokens >= first[:, None]) & (tokens < (first + counts)[:, None])
        self.register_buffer("forbidden", ~allowed)
        self.embedding = nn.Embedding(total + 1, embedding)  # the last one begins a row
        self.encoder = nn.LSTM(embedding, hidden, batch_first=True)
        self.predictor = nn.Sequential(
            nn.Linear(hidden, width),
            nn.ReLU(),
            nn.Linear(width, width),
            nn.ReLU(),
            nn.Linear(width, width),
            nn.ReLU(),
            nn.Linear(width, 1),
        )
        self.decoder = nn.LSTM(embedding, hidden, batch_first=True)
        self.attention = nn.Linear(hidden, hidden, bias=False)
        self.spelling = nn.Linear(2 * hidden, total)

    def encode(self, tokens: Tensor) -> Tensor:
        """Return the latent representation of tokens, shape (n, d); shape (n, d, h)."""
        outputs, _ = self.encoder(self.embedding(tokens))
        return functional.normalize(outputs, dim=-1)

    def score(self, latent: Tensor) -> Tensor:
        """Return the predicted scores in [0, 1], shape (n,)."""
        return torch.sigmoid(self.predictor(self.pool(latent))).squeeze(-1)

    @staticmethod
    def pool(latent: Tensor) -> Tensor:
        """Return the representation of rows, shape (n, h)."""
        return functional.normalize(latent.mean(dim=1), dim=-1)

    def spell(self, latent: Tensor, tokens: Tensor) -> Tensor:
        """Return the logits of all choices, given those before; shape (n, d, choices)."""
        begin = torch.full_like(tokens[:, :1], self.embedding.num_embeddings - 1)
        state = self.pool(latent)[None]
        hidden, _ = self.decoder(
            self.embedding(torch.cat([begin, tokens[:, :-1]], dim=1)), (state, state)
        )
        return self._logits(hidden, latent, slice(None))

    @torch.no_grad()
    def decode(self, latent: Tensor) -> Tensor:
        """Return the likeliest choice of each decision in turn, as tokens, shape (n, d)."""
        state = self.pool(latent)[None]
        memory = state, state
        last = torch.full_like(latent[:, :1, 0], self.embedding.num_embeddings - 1).long()
        spelled = []
        for place in range(len(self.first)):
            hidden, memory = self.decoder(self.embedding(last), memory)
            last = self._logits(hidden, latent, slice(place, place + 1)).argmax(dim=-1)
            spelled.append(last)
        return torch.cat(spelled, dim=1)

    def _logits(self, hidden: Tensor, latent: Tensor, places: slice) -> Tensor:
        weights = torch.softmax(self.attention(hidden) @ latent.transpose(1, 2), dim=-1)
        context = torch.cat([hidden, weights @ latent], dim=-1)
        logits: Tensor = self.spelling(context)
        return logits.masked_fill(self.forbidden[places], -torch.inf)


class LatentModel:
    """The networks, trained on rows and scores, that lead rows uphill.

    Parameters
    ----------
    cardinalities : sequence of int
    hidden, embedding, width : int
    learning_rate, weight_decay : float
        Of Adam.
    batch_size : int
    tradeoff : float
        Weight of the squared error of scores; the rest is that of the reconstruction.
    device : str or None
        None: the fastest there is.
    seed : int
        Of the first weights; no global random state is read or changed.
    """

    def __init__(
        self,
        cardinalities: Sequence[int],
        *,
        hidden: int,
        embedding: int,
        width: int,
        learning_rate: float,
        weight_decay: float,
        batch_size: int,
        tradeoff: float,
        device: str | None,
        seed: int,
    ) -> None:
        self.batch_size, self.tradeoff = batch_size, tradeoff
        self.device = choose_device(device)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.network = Latent(cardinalities, hidden, embedding, width).to(self.device)
        self._optimizer = torch.optim.Adam(
            self.network.parameters(), lr=learning_rate, weight_decay=weight_decay
        )

    def fit(
        self, rows: Rows, scores: Floats, others: Rows, epochs: int, rng: np.random.Generator
    ) -> None:
        """Go on training for some epochs.

        Parameters
        ----------
        rows : ndarray of int, shape (n, d)
        scores : ndarray of float, shape (n,)
            In [0, 1].
        others : ndarray of int, shape (m, d)
            Rows without scores, to be spelled alone; as many in a batch as have scores.
        epochs : int
        rng : numpy.random.Generator
            Draws the batches.
        """
        tokens, unscored = self._tokens(rows), self._tokens(others)
        targets = torch.from_numpy(scores.astype(np.float32)).to(self.device)
        with one_thread(self.device):
            for _ in range(epochs):
                order = torch.from_numpy(rng.permutation(len(rows))).to(self.device)
                for batch in order.split(self.batch_size):
                    drawn = torch.from_numpy(rng.integers(len(others), size=len(batch)))
                    both = torch.cat([tokens[batch], unscored[drawn.to(self.device)]])
                    self._step(both, targets[batch])

    def _step(self, tokens: Tensor, targets: Tensor) -> None:
        latent = self.network.encode(tokens)
        error = functional.mse_loss(self.network.score(latent[: len(targets)]), targets)
        logits = self.network.spell(latent, tokens)
        reconstruction = functional.cross_entropy(logits.flatten(0, 1), tokens.flatten())
        self._optimizer.zero_grad(set_to_none=True)
        (self.tradeoff * error + (1 - self.tradeoff) * reconstruction).backward()
        nn.utils.clip_grad_norm_(self.network.parameters(), _CLIP)
        self._optimizer.step()

    def ascend(self, rows: Rows, size: float) -> Rows:
        """Return what is decoded after a step up the predicted score (Luo et al. 2018, eq. 2).

        The step has the direction of the gradient, and its own length: the gradient of a
        sigmoid vanishes where the best are.

        Parameters
        ----------
        rows : ndarray of int, shape (n, d)
        size : float
            Of the step, where the representation of a decision has length 1; 0 decodes
            rows as they are.

        Returns
        -------
        ndarray of int64, shape (n, d)
            Each value is one of its decision.
        """
        with one_thread(self.device):
            latent = self.network.encode(self._tokens(rows)).detach().requires_grad_()
            (gradient,) = torch.autograd.grad(self.network.score(latent).sum(), latent)
            uphill = functional.normalize(gradient, dim=-1)
            moved = functional.normalize(latent.detach() + size * uphill, dim=-1)
            decoded = self.network.decode(moved) - self.network.first
        return np.asarray(decoded.cpu().numpy())

    def predict(self, rows: Rows) -> Floats:
        """Return the predicted scores of rows, shape (n,), in [0, 1]."""
        with one_thread(self.device), torch.no_grad():
            scores = self.network.score(self.network.encode(self._tokens(rows)))
        return np.asarray(scores.double().cpu().numpy())

    def _tokens(self, rows: Rows) -> Tensor:
        tokens = torch.from_numpy(np.asarray(rows, dtype=np.int64)).to(self.device)
        return tokens + self.network.first
