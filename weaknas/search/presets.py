"""Presets: what WeakNAS uses where the caller says nothing."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from weaknas.components import parse_label
from weaknas.encoders import VariablesEncoder
from weaknas.errors import unknown
from weaknas.predictors.regressor import ReadsGraphs, Regressor
from weaknas.registry import ENCODERS, get_predictor
from weaknas.search.acquisition import Acquisition, get_acquisition
from weaknas.search.candidates import Candidates, SampledCandidates
from weaknas.search.evolution import default_candidates
from weaknas.spaces import SearchSpace


@dataclass(frozen=True)
class Preset:
    """One complete setting of `WeakNAS`.

    Parameters
    ----------
    predictor, encoder, acquisition, targets : str
        Names.
    initial : int
        Random architectures before the first fit.
    batch_size : int
        Architectures of a round.
    predictor_options : mapping
        Options of predictors by name, where they differ from the predictor's own.
    acquisition_options : mapping
        The same of acquisitions.
    candidates : callable
        Called as ``candidates(space, encoder, seed=seed)`` for what is ranked.
    repeats : str
        See `WeakNAS`.
    """

    predictor: str
    encoder: str
    acquisition: str
    targets: str
    initial: int
    batch_size: int
    predictor_options: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    acquisition_options: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    candidates: Callable[..., Candidates] = default_candidates
    repeats: str = "auto"

    def build_acquisition(self, name: str) -> Acquisition:
        """Return an acquisition by name with the options of this preset."""
        return get_acquisition(name, **self.acquisition_options.get(name, {}))

    def build_predictor(self, label: str) -> Regressor:
        """Return a predictor, ``name:key=value``, with the options of this preset for others."""
        name, options = parse_label(label)
        built: Regressor = get_predictor(
            name, **{**self.predictor_options.get(name, {}), **options}
        )
        return built

    def encoder_for(self, predictor: Regressor) -> str:
        """Return the encoder where none is named: graphs first for a predictor that reads them."""
        reads_graphs = isinstance(predictor, ReadsGraphs) and predictor.reads_graphs
        return f"graphs+{self.encoder}" if reads_graphs else self.encoder


# Predictors of the published experiments: an MLP of four layers of 1,000, 1,000
# boosted trees of depth 20 with the library's learning rate, a forest of 1,000 trees of depth 10.
_PAPER_PREDICTORS: Mapping[str, Mapping[str, Any]] = {
    "mlp": {"hidden": (1000,) * 4, "max_iter": 100, "learning_rate": 1e-3, "members": 1},
    "xgboost": {"n_estimators": 1000, "max_depth": 20, "learning_rate": 0.3, "members": 1},
    "random-forest": {"n_estimators": 1000, "max_depth": 10},
}

_PAPER = Preset("mlp", "one-hot", "top-n", "standard", 10, 10, _PAPER_PREDICTORS, repeats="never")
#: Where the published setting depends on the space.
_PAPER_BY_SPACE = {
    "nasbench101": replace(_PAPER, encoder="adjacency", initial=100),
    # Raw choices; the pool is 10,000 random subnets within the limits.
    "mobilenetv3": replace(
        _PAPER,
        predictor="xgboost",
        encoder="ordinal",
        initial=100,
        batch_size=100,
        acquisition_options={"top-n": {"size": 1000}},
    ),
}


# Blocks of the default encoding, those of them that a space supports.
_GRAPH_BLOCKS: tuple[str, ...] = (
    "one-hot",
    "path-counts",
    "operation-counts",
    "graph-features",
    "operation-pairs",
    "costs",
)
_CHOICE_BLOCKS = ("variables", "one-hot", "value-counts", "costs")
# Where there are too many decisions to learn a length scale of each.
_MANY_CHOICES_BLOCKS = ("one-hot", "value-counts", "costs")
_MOST_LENGTHS = 20


def default_encoder(space: SearchSpace) -> str:
    """Return the encoding of a space that the default predictor works with."""
    blocks = _GRAPH_BLOCKS if space.has_graphs else _CHOICE_BLOCKS
    if not space.has_graphs and not _has_few_decisions(space):
        blocks = _MANY_CHOICES_BLOCKS
    return "+".join(name for name in blocks if ENCODERS.load(name).supports(space))


def _has_few_decisions(space: SearchSpace) -> bool:
    """Whether a length scale of each decision can be learnt."""
    return len(VariablesEncoder(space).groups) <= _MOST_LENGTHS


def _is_huge(space: SearchSpace) -> bool:
    """Whether a space is of choices, and too large to list."""
    return not (space.is_listable or space.has_graphs)


_GRAPHS: Mapping[str, Mapping[str, Any]] = {"gp": {"draws": 2}}
# What adds up over the decisions is learnt soonest where few of their combinations are seen.
_CHOICES: Mapping[str, Mapping[str, Any]] = {"gp": {"draws": 2, "additive": True}}
_HUGE: Mapping[str, Mapping[str, Any]] = {"gp": {"additive": True, "max_iter": 25}}


def _default(space: SearchSpace) -> Preset:
    encoder = default_encoder(space)
    if _is_huge(space):
        # Few at a time where few decisions are learnt soon, so that a number is followed.
        batch = 2 if _has_few_decisions(space) else 5
        return Preset("gp", encoder, "ei", "compressed", 10, batch, _HUGE)
    options = _GRAPHS if space.has_graphs else _CHOICES
    return Preset("gp", encoder, "ei", "rank-normal", 5, 2, options)


def _paper(space: SearchSpace) -> Preset:
    preset = _PAPER_BY_SPACE.get(space.name, _PAPER)
    return preset if space.is_listable else replace(preset, candidates=SampledCandidates)


PRESETS = {"default": _default, "paper": _paper}


def get_preset(name: str, space: SearchSpace) -> Preset:
    """Return a preset for a space by name.

    Raises
    ------
    InputError
        When the name is unknown.
    """
    if name not in PRESETS:
        raise unknown("preset", name, PRESETS)
    return PRESETS[name](space)
