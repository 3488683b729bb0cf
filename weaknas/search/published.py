"""Published predictor-based searches as configurations of the parts of WeakNAS."""

from __future__ import annotations

import numpy as np

from weaknas.encoders import Transformer, encode
from weaknas.errors import check_seed
from weaknas.registry import ENCODERS, get_encoder, get_predictor
from weaknas.search.candidates import Candidates
from weaknas.search.pool import Pool
from weaknas.search.strategy import WeakNAS
from weaknas.spaces import SearchSpace
from weaknas.strategies import History


class MutatedCandidates(Candidates):
    """Architectures one mutation away from the best, drawn anew each round.

    Parameters
    ----------
    space : SearchSpace
    encoder : transformer
        Fitted here, to a sample.
    parents : int
        How many of the best architectures have offspring.
    offspring : int
        Mutants of each.
    seed : int
        For the sample the encoder is fitted to.
    """

    def __init__(
        self, space: SearchSpace, encoder: Transformer, parents: int, offspring: int, seed: int
    ) -> None:
        self.space, self.parents, self.offspring = space, parents, offspring
        sample = space.sample(1000, np.random.default_rng(check_seed(seed)))
        self.encoder = encoder.fit(space.canonicalize(sample))

    def pool(self, history: History, rng: np.random.Generator) -> Pool:
        """Return what was told and the mutants; random ones while nothing was told."""
        genotypes, scores = history.successful
        best = genotypes[np.argsort(-scores, kind="stable")[: self.parents]]
        drawn = (
            self.space.mutate(np.repeat(best, self.offspring, axis=0), rng)
            if len(best)
            else self.space.sample(self.parents * self.offspring, rng)
        )
        rows = self.space.canonicalize(np.vstack([history.genotypes, drawn]))
        codes, places = np.unique(self.space.fingerprint(rows), return_index=True)
        return Pool(rows[places], codes, encode(self.encoder, rows[places]))


def bananas(
    space: SearchSpace, *, seed: int = 0, batch_size: int = 10, initial: int = 10
) -> WeakNAS:
    """BANANAS (White et al., AAAI 2021, arXiv:1910.11858).

    Five networks of ten layers of 20 units, path encoding (one-hot where the
    architectures are not graphs), independent Thompson sampling among mutants of
    the best. Unlike in the paper the networks are bagged and their loss is squared.

    Parameters
    ----------
    space : SearchSpace
    seed : int
    batch_size : int
        Architectures of a round.
    initial : int
        Random architectures before the first fit.
    """
    encoder = get_encoder(whole_encoding("truncated-path", space), space)
    return WeakNAS(
        space,
        repeats="never",
        predictor=get_predictor(
            "mlp", hidden=(20,) * 10, max_iter=150, learning_rate=0.01, members=5
        ),
        encoder=encoder,
        acquisition="thompson",
        targets="standard",
        candidates=MutatedCandidates(space, encoder, 10, 20, seed),
        seed=seed,
        batch_size=batch_size,
        initial=initial,
    )


def brp_nas(
    space: SearchSpace, *, seed: int = 0, batch_size: int = 20, initial: int = 20
) -> WeakNAS:
    """BRP-NAS (Dudziak et al., NeurIPS 2020, arXiv:2007.08668); needs torch.

    A graph network that says which of two architectures is better ranks the space;
    half of a batch are the predicted best, the rest is drawn from a top that halves
    each round. Where architectures are no graphs it sees them one-hot.

    Parameters
    ----------
    space : SearchSpace
    seed : int
    batch_size : int
        Architectures of a round.
    initial : int
        Random architectures before the first fit.
    """
    return WeakNAS(
        space,
        repeats="never",
        predictor="pairwise-relation",
        encoder=whole_encoding("graphs", space),
        acquisition="halved-top",
        targets="standard",
        seed=seed,
        batch_size=batch_size,
        initial=initial,
    )


def npenas(
    space: SearchSpace, *, seed: int = 0, batch_size: int = 10, initial: int = 10
) -> WeakNAS:
    """Evolution guided by a predictor, as NPENAS-NP (Wei et al., TNNLS 2022, arXiv:2003.12857).

    The ten best have ten mutants each, and the predicted best of these are
    evaluated. The paper's predictor is a graph network; ours is an ensemble of
    perceptrons on the adjacency encoding (one-hot where there is none).

    Parameters
    ----------
    space : SearchSpace
    seed : int
    batch_size : int
        Architectures of a round.
    initial : int
        Random architectures before the first fit.
    """
    encoder = get_encoder(whole_encoding("adjacency", space), space)
    return WeakNAS(
        space,
        repeats="never",
        predictor="mlp",
        encoder=encoder,
        acquisition="greedy",
        targets="standard",
        candidates=MutatedCandidates(space, encoder, 10, 10, seed),
        seed=seed,
        batch_size=batch_size,
        initial=initial,
    )


def whole_encoding(name: str, space: SearchSpace) -> str:
    """Return an encoding of graphs that says all: one-hot what graphs do not show."""
    if not ENCODERS.load(name).supports(space):
        return "one-hot"
    return f"{name}+one-hot" if space.outside_graphs.any() else name
