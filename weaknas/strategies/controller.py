"""An LSTM that draws architectures decision by decision, and REINFORCE, which teaches it.

Needs torch. The strategy `lstm-controller` and the samplers of supernets are made of it.
A controller is small: on the CPU it is faster than on a GPU, and the genotypes, which are
needed there, are there.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from weaknas.errors import check_number, check_whole
from weaknas.spaces import Genotypes, SearchSpace

Floats = npt.NDArray[np.float64]

_BLOCK = 64  # drawn together where some are not in the space


class Controller(nn.Module):
    """The probability of a genotype as a product over its decisions, each after those before.

    In each step a linear map of the hidden state and a softmax give the chances of the
    choices; the embedding of what was chosen is the next input (Zoph and Le, ICLR 2017,
    arXiv:1611.01578, section 3.1). Decisions have maps and embeddings of their own. As in
    ENAS (Pham et al., ICML 2018, arXiv:1802.03268) the logits l may be flattened,
    to ``c tanh(l / T)`` with a tanh constant c and a temperature T.

    Parameters
    ----------
    space : SearchSpace
        Its decisions are taken in the order of `SearchSpace.variables`.
    hidden : int
        Units of each layer.
    layers : int
    initial_range : float
        Weights are drawn uniformly between minus and plus this.
    temperature : float
        Above 0.
    tanh_constant : float
        Bound of the logits; 0 for none.
    seed : int
        Of the weights.

    Raises
    ------
    InputError
        When a number is out of range.
    """

    def __init__(
        self,
        space: SearchSpace,
        *,
        hidden: int = 35,
        layers: int = 2,
        initial_range: float = 0.08,
        temperature: float = 1.0,
        tanh_constant: float = 0.0,
        seed: int = 0,
    ) -> None:
        super().__init__()
        check_whole("hidden", hidden, most=10_000)
        check_whole("layers", layers, most=100)
        bound = check_number("initial_range", initial_range, least=0)
        self.temperature = check_number("temperature", temperature, above=0)
        self.tanh_constant = check_number("tanh_constant", tanh_constant, least=0)
        self.space = space
        decisions, most = space.n_variables, int(space.cardinalities.max())
        with torch.device("meta"):  # no weights are drawn from the generator of others
            self.lstm = nn.LSTM(hidden, hidden, layers, batch_first=True)
            self.start = nn.Parameter(torch.empty(hidden))
            self.embeddings = nn.Parameter(torch.empty(decisions, most, hidden))
            self.maps = nn.Parameter(torch.empty(decisions, most, hidden))
            self.biases = nn.Parameter(torch.empty(decisions, most))
        self.to_empty(device="cpu")
        generator = torch.Generator().manual_seed(seed)
        for weights in self.parameters():
            nn.init.uniform_(weights, -bound, bound, generator=generator)
        self.limit(np.arange(most) < space.cardinalities[:, None])

    def limit(self, choices: npt.NDArray[np.bool_]) -> None:
        """Give all other choices no chance from now on; shape (d, k), at least one a decision."""
        self._is_choice = torch.from_numpy(choices)
        self._last = torch.from_numpy(choices.shape[1] - 1 - choices[:, ::-1].argmax(axis=1))

    def states(self, genotypes: Tensor) -> Tensor:
        """Return the hidden states of the last layer as the choices of genotypes are read.

        Parameters
        ----------
        genotypes : Tensor of int64, shape (n, d)

        Returns
        -------
        Tensor, shape (n, d + 1, hidden)
            Before each of the d decisions, and after the last.
        """
        chosen = self.embeddings[torch.arange(genotypes.shape[1]), genotypes]
        first = self.start.expand(len(genotypes), 1, -1)
        states: Tensor = self.lstm(torch.cat([first, chosen], dim=1))[0]
        return states

    def log_probabilities(self, genotypes: Tensor) -> Tensor:
        """Return the log-probability of every choice given what a genotype has chosen before.

        Parameters
        ----------
        genotypes : Tensor of int64, shape (n, d)

        Returns
        -------
        Tensor, shape (n, d, k)
            Minus infinity where a decision has fewer than k choices.
        """
        states = self.states(genotypes)[:, :-1]
        return self._choose(torch.einsum("ndh,dkh->ndk", states, self.maps) + self.biases)

    def forward(self, genotypes: Tensor) -> Tensor:
        """Return the log-probability of each genotype, shape (n, d) to (n,)."""
        given = self.log_probabilities(genotypes)
        return given.gather(2, genotypes[:, :, None]).sum(dim=(1, 2))

    def _choose(self, logits: Tensor, decision: slice | int = slice(None)) -> Tensor:
        logits = logits / self.temperature
        if self.tanh_constant:
            logits = self.tanh_constant * logits.tanh()
        return logits.masked_fill(~self._is_choice[decision], -torch.inf).log_softmax(-1)

    @torch.no_grad()
    def draw(self, n: int, rng: np.random.Generator) -> Genotypes:
        """Draw genotypes, shape (n, d), which need not be in the space if that has limits."""
        uniform = torch.from_numpy(rng.random((n, self.space.n_variables), dtype=np.float32))
        inputs, memory, choices = self.start.expand(n, 1, -1), None, []
        with one_thread():
            for decision in range(self.space.n_variables):
                states, memory = self.lstm(inputs, memory)
                logits = states[:, 0] @ self.maps[decision].T + self.biases[decision]
                chances = self._choose(logits, decision).exp()
                # The last choice takes what rounding leaves.
                edges = chances.cumsum(1)[:, : int(self._last[decision])]
                choices.append((uniform[:, decision, None] >= edges).sum(1))
                inputs = self.embeddings[decision, choices[-1]][:, None]
        return torch.stack(choices, dim=1).numpy().astype(self.space.genotype_dtype)

    def draw_inside(self, n: int, rng: np.random.Generator) -> Genotypes:
        """Draw genotypes until some are in the space.

        Returns
        -------
        ndarray of int, shape (m, d)
            The first of them, at most n; none where a block has none.
        """
        for count in (n, n + _BLOCK):
            drawn = self.draw(count, rng)
            drawn = drawn[self.space.contains(drawn)][:n]
            if len(drawn):
                break
        return drawn


class PolicyGradient:
    """REINFORCE with a moving baseline, by Adam (Williams 1992; Kingma and Ba 2015).

    The gradient is the mean over the genotypes of a step of ``grad log p(a) (R - b)``
    (Zoph and Le 2017, section 3.2, with the baseline b). The entropy of the policy is
    the mean of ``-log p(a)``, so an entropy bonus is that much more reward.

    Parameters
    ----------
    controller : Controller
    learning_rate : float
        Above 0.
    momentum : float
        Of the baseline, in [0, 1): the weight of its previous value.
    entropy : float
        Weight of the entropy, 0 or more.

    Raises
    ------
    InputError
        When a number is out of range.
    """

    def __init__(
        self,
        controller: Controller,
        *,
        learning_rate: float,
        momentum: float = 0.95,
        entropy: float = 0.0,
    ) -> None:
        self.controller = controller
        self.momentum = check_number("momentum", momentum, least=0, below=1)
        self.entropy = check_number("entropy", entropy, least=0)
        rate = check_number("learning_rate", learning_rate, above=0)
        self.optimizer = torch.optim.Adam(controller.parameters(), lr=rate, fused=True)
        self.baseline: float | None = None

    def learn(
        self,
        genotypes: npt.NDArray[np.integer],
        rewards: Floats,
        replayed: npt.NDArray[np.integer] | None = None,
    ) -> None:
        """Take one step.

        Parameters
        ----------
        genotypes : ndarray of int, shape (n, d)
        rewards : ndarray of float, shape (n,)
            Larger is better.
        replayed : ndarray of int, shape (m, d), optional
            Made more likely besides: the mean of ``-log p`` is added to the loss.
        """
        with one_thread():
            likely = self.controller(_tensor(genotypes))
            gained = torch.from_numpy(np.asarray(rewards, dtype=np.float32))
            gained = gained - self.entropy * likely.detach()
            mean = float(gained.mean())
            baseline = mean if self.baseline is None else self.baseline
            loss = -(likely * (gained - baseline)).mean()
            if replayed is not None:
                loss = loss - self.controller(_tensor(replayed)).mean()
            self.optimizer.zero_grad(set_to_none=True)
            loss.backward()
            self.optimizer.step()
        self.baseline = self.momentum * baseline + (1 - self.momentum) * mean

    def state(self) -> dict[str, Any]:
        """Return what a checkpoint keeps."""
        return {
            "controller": self.controller.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "baseline": self.baseline,
        }

    def restore(self, saved: Mapping[str, Any]) -> None:
        """Take over what `state` returned."""
        self.controller.load_state_dict(saved["controller"])
        self.optimizer.load_state_dict(saved["optimizer"])
        self.baseline = saved["baseline"]


def _tensor(genotypes: npt.NDArray[np.integer]) -> Tensor:
    return torch.from_numpy(np.asarray(genotypes, dtype=np.int64))


@contextmanager
def one_thread() -> Iterator[None]:
    """Let torch use one thread: faster on matrices of this size, and the same sums anywhere."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)
