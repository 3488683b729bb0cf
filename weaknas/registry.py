"""Names of spaces, encoders, predictors, strategies, evaluators and benchmarks.

A registry maps names to what they stand for without importing it: the value is
``"module:attribute"``, imported when first asked for. Third parties add theirs
through entry points of the groups ``weaknas.spaces``, ``weaknas.encoders``,
``weaknas.predictors``, ``weaknas.strategies``, ``weaknas.evaluators``,
``weaknas.datasets``, ``weaknas.metrics`` and ``weaknas.benchmarks``. Spaces, evaluators,
data sets and metrics may also be named ``module:attribute``, in the code of whoever calls.
"""

from __future__ import annotations

import fnmatch
import importlib
import inspect
import os
import sys
from collections.abc import Callable, Iterable
from importlib.metadata import EntryPoint, entry_points
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

from weaknas.components import parse_reference
from weaknas.errors import InputError, check_switch, unknown

if TYPE_CHECKING:
    from weaknas.spaces import SearchSpace


class Registry:
    """The names of one role.

    Parameters
    ----------
    kind : str
        The role in the singular, for messages.
    builtin : dict of str to str
        Name to ``"module:attribute"``.
    """

    def __init__(self, kind: str, builtin: dict[str, str]) -> None:
        self.kind = kind
        self._builtin = builtin

    @property
    def group(self) -> str:
        """Name of the entry point group."""
        plural = f"{self.kind[:-1]}ies" if self.kind.endswith("y") else f"{self.kind}s"
        return f"weaknas.{plural}"

    @property
    def builtin(self) -> tuple[str, ...]:
        """The names that no plug-in brings."""
        return tuple(self._builtin)

    def names(self, pattern: str = "*") -> list[str]:
        """Return the names that match a shell-style pattern, sorted."""
        installed = {entry.name for entry in entry_points(group=self.group)}
        return sorted(fnmatch.filter(installed | set(self._builtin), pattern))

    def load(self, name: str) -> Any:
        """Import what a name stands for.

        Raises
        ------
        InputError
            When the name is unknown; the message has the closest match.
        """
        if name in self._builtin:
            return _import(self._builtin[name])
        for entry in entry_points(group=self.group):
            if entry.name == name:
                return _load(entry)
        raise unknown(self.kind, name, self.names())

    def build(self, name: str, *arguments: Any, **options: Any) -> Any:
        """Call what a name stands for.

        Raises
        ------
        InputError
            When the name or an option is unknown, or one that is true or false is neither.
        """
        factory = self.load(name)
        known = inspect.signature(factory).parameters
        if not any(each.kind is inspect.Parameter.VAR_KEYWORD for each in known.values()):
            names = list(known)[len(arguments) :]
            for option in options:
                if option not in names:
                    raise unknown(f"option of the {self.kind} {name!r}:", option, names)
        for option, value in options.items():
            if option in known and isinstance(known[option].default, bool):
                check_switch(f"option of the {self.kind} {name!r}: {option!r}", value)
        return factory(*arguments, **options)

    def summary(self, name: str) -> str:
        """Return the first line of the documentation of what a name stands for.

        For a plug-in that cannot be loaded: why.
        """
        try:
            documentation = self.load(name).__doc__ or ""
        except InputError as error:
            return f"({error})"
        return documentation.strip().partition("\n")[0]


def _import(path: str) -> Any:
    module, _, attribute = path.partition(":")
    return getattr(importlib.import_module(module), attribute)


def _load(entry: EntryPoint) -> Any:
    return _run_foreign(f"the plug-in {entry.name!r} ({entry.value})", entry.load)


def _run_foreign(what: str, load: Callable[[], Any]) -> Any:
    try:
        return load()
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # also a module that calls sys.exit
        reason = str(error) if isinstance(error, Exception) else repr(error)
        raise InputError(f"{what} failed: {reason}") from error


def is_own(name: str) -> bool:
    """Tell whether a name is ``module:attribute``, of a user's own code."""
    return ":" in name


def load_own(name: str) -> Any:
    """Import what ``module:attribute`` names, from this folder too.

    Raises
    ------
    InputError
        When there is no such module or attribute, or the module cannot be imported.
    """
    if os.getcwd() not in sys.path:  # worker processes are given the path
        sys.path.insert(0, os.getcwd())
    return _run_foreign(name, lambda: _import(name))


SPACES = Registry(
    "space",
    {
        "activation": "weaknas.spaces.activation:ActivationSpace",
        "augmentation": "weaknas.spaces.augmentation:AugmentationSpace",
        "darts": "weaknas.spaces.darts:DARTS",
        "graph": "weaknas.spaces.graph:GraphNetworks",
        "mobilenetv3": "weaknas.spaces.mobilenetv3:MobileNetV3",
        "nasbench101": "weaknas.spaces.nasbench101:NASBench101",
        "nasbench201": "weaknas.spaces.nasbench201:NASBench201",
        "nats-size": "weaknas.spaces.nats_size:NATSSize",
        "randaugment": "weaknas.spaces.augmentation:RandAugmentSpace",
        "recurrent": "weaknas.spaces.recurrent:Recurrent",
        "transformer": "weaknas.spaces.transformer:Transformer",
    },
)

ENCODERS = Registry(
    "encoder",
    {
        "adjacency": "weaknas.encoders:AdjacencyEncoder",
        "costs": "weaknas.encoders:CostsEncoder",
        "graph-features": "weaknas.encoders:GraphFeaturesEncoder",
        "graphs": "weaknas.encoders:GraphsEncoder",
        "one-hot": "weaknas.encoders:OneHotEncoder",
        "operation-counts": "weaknas.encoders:OperationCountsEncoder",
        "operation-pairs": "weaknas.encoders:OperationPairsEncoder",
        "ordinal": "weaknas.encoders:OrdinalEncoder",
        "path": "weaknas.encoders:PathEncoder",
        "path-counts": "weaknas.encoders:PathCountsEncoder",
        "path-statistics": "weaknas.encoders:PathStatisticsEncoder",
        "truncated-path": "weaknas.encoders:TruncatedPathEncoder",
        "value-counts": "weaknas.encoders:ValueCountsEncoder",
        "variables": "weaknas.encoders:VariablesEncoder",
        "zero-cost": "weaknas.encoders:ZeroCostEncoder",
    },
)

PREDICTORS = Registry(
    "predictor",
    {
        "auto": "weaknas.predictors.combination:BestOfRound",
        "bayesian-last-layer": "weaknas.predictors.bayesian_last_layer:BayesianLastLayer",
        "bayesian-ridge": "weaknas.predictors.linear:BayesianLinear",
        "deep-ensemble": "weaknas.predictors.deep_ensemble:DeepEnsemble",
        "ensemble": "weaknas.predictors.combination:WeightedEnsemble",
        "extra-trees": "weaknas.predictors.extra_trees:ExtraTrees",
        "gcn": "weaknas.predictors.gcn:GCN",
        "gp": "weaknas.predictors.gaussian_process:GaussianProcess",
        "graph-ensemble": "weaknas.predictors.graph_ensemble:GraphEnsemble",
        "graph-transformer": "weaknas.predictors.graph_transformer:GraphTransformer",
        "histogram-boosting": "weaknas.predictors.histogram_boosting:HistogramBoosting",
        "kernel-ridge": "weaknas.predictors.kernel_ridge:KernelRidge",
        "linear": "weaknas.predictors.linear:Linear",
        "mlp": "weaknas.predictors.mlp:MLP",
        "nearest-neighbors": "weaknas.predictors.nearest_neighbors:NearestNeighbors",
        "pairwise-relation": "weaknas.predictors.pairwise_relation:PairwiseRelation",
        "pairwise-ridge": "weaknas.predictors.linear:PairwiseRidge",
        "random-forest": "weaknas.predictors.random_forest:RandomForest",
        "self-training": "weaknas.predictors.self_training:SelfTraining",
        "stacking": "weaknas.predictors.combination:Stacking",
        "svr": "weaknas.predictors.svr:SVR",
        "tabicl": "weaknas.predictors.pretrained:TabICL",
        "tabpfn": "weaknas.predictors.pretrained:TabPFN",
        "xgboost": "weaknas.predictors.xgboost:XGBoost",
        "xgboost-ranking": "weaknas.predictors.xgboost_ranking:XGBoostRanking",
    },
)

STRATEGIES = Registry(
    "strategy",
    {
        "bananas": "weaknas.search.published:bananas",
        "bohb": "weaknas.strategies:BOHB",
        "brp-nas": "weaknas.search.published:brp_nas",
        "hyperband": "weaknas.strategies:Hyperband",
        "local-search": "weaknas.strategies:LocalSearch",
        "lstm-controller": "weaknas.strategies:LSTMController",
        "multi-fidelity": "weaknas.search.fidelities:MultiFidelity",
        "nao": "weaknas.search.nao:NAO",
        "npenas": "weaknas.search.published:npenas",
        "nsga2": "weaknas.strategies:NSGA2",
        "optuna-cmaes": "weaknas.strategies.optuna:cmaes",
        "optuna-gp": "weaknas.strategies.optuna:gp",
        "optuna-nsga2": "weaknas.strategies.optuna:nsga2",
        "optuna-tpe": "weaknas.strategies.optuna:tpe",
        "progressive": "weaknas.search.progressive:Progressive",
        "random": "weaknas.strategies:RandomSearch",
        "regularized-evolution": "weaknas.strategies:RegularizedEvolution",
        "reinforce": "weaknas.strategies:Reinforce",
        "simulated-annealing": "weaknas.strategies:SimulatedAnnealing",
        "successive-halving": "weaknas.strategies:SuccessiveHalving",
        "weaknas": "weaknas.search.strategy:WeakNAS",
    },
)

#: Where scores come from in a space without a table; each is built for a space.
EVALUATORS = Registry(
    "evaluator",
    {
        "ofa-predictor": "weaknas.evaluators:OFAPredictor",
        "supernet": "weaknas.evaluators.supernet:SupernetEvaluator",
        "train": "weaknas.evaluators.train:TrainEvaluator",
        "train-inherit": "weaknas.evaluators.inheritance:InheritingEvaluator",
        "zero-cost": "weaknas.evaluators.zero_cost:ZeroCostEvaluator",
    },
)

#: Each reads splits; is given ``path`` and ``validation`` where it has these parameters.
DATASETS = Registry(
    "dataset",
    {
        "cifar10": "weaknas.training.data.cifar:read_cifar10",
        "cifar100": "weaknas.training.data.cifar:read_cifar100",
        "digits": "weaknas.training.data.digits:read",
        "fashion-mnist": "weaknas.training.data.fashion_mnist:read",
        "imagenet-folder": "weaknas.training.data.folder:read",
        "imagenet16-120": "weaknas.training.data.imagenet16:read",
        "pydoc": "weaknas.training.data.text:read_pydoc",
        "pydoc-characters": "weaknas.training.data.text:read_pydoc_characters",
        "text": "weaknas.training.data.text:read_words",
        "text-characters": "weaknas.training.data.text:read_characters",
    },
)

#: What networks are compared by on a split.
METRICS = Registry(
    "metric",
    {
        "accuracy": "weaknas.training.metrics:ACCURACY",
        "auc": "weaknas.training.metrics:AUC",
        "balanced-accuracy": "weaknas.training.metrics:BALANCED_ACCURACY",
        "f1": "weaknas.training.metrics:F1",
        "mae": "weaknas.training.metrics:MAE",
        "mse": "weaknas.training.metrics:MSE",
        "perplexity": "weaknas.training.metrics:PERPLEXITY",
    },
)

BENCHMARKS = Registry(
    "benchmark",
    {
        "darts": "weaknas.evaluators.benchmarks:darts",
        "graph": "weaknas.evaluators.benchmarks:graph",
        "mobilenetv3": "weaknas.evaluators.benchmarks:mobilenetv3",
        "nasbench101": "weaknas.evaluators.benchmarks:nasbench101",
        "nasbench201": "weaknas.evaluators.benchmarks:nasbench201",
        "nats-size": "weaknas.evaluators.benchmarks:nats_size",
    },
)

#: What reads a source that is named ``name:text``, or is an object of the package of that name.
SOURCES = Registry("source", {"optuna": "weaknas.optuna_bridge.studies:read_study"})

_REPEATING = ("repeats", "confirm")


def list_spaces(pattern: str = "*") -> list[str]:
    """Return the names of the search spaces that match a shell-style pattern."""
    return SPACES.names(pattern)


def list_encoders(pattern: str = "*") -> list[str]:
    """Return the names of the encoders that match a shell-style pattern."""
    return ENCODERS.names(pattern)


def list_predictors(pattern: str = "*") -> list[str]:
    """Return the names of the predictors that match a shell-style pattern."""
    return PREDICTORS.names(pattern)


def list_strategies(pattern: str = "*") -> list[str]:
    """Return the names of the strategies that match a shell-style pattern."""
    return STRATEGIES.names(pattern)


def list_evaluators(pattern: str = "*") -> list[str]:
    """Return the names of the evaluators that match a shell-style pattern."""
    return EVALUATORS.names(pattern)


def list_benchmarks(pattern: str = "*") -> list[str]:
    """Return the names of the benchmarks that match a shell-style pattern."""
    return BENCHMARKS.names(pattern)


def is_space_file(name: str) -> bool:
    """Tell whether a name stands for a TOML file, rather than for something registered."""
    return name.endswith(".toml")


def parse_space(label: str) -> tuple[str, dict[str, Any]]:
    """Split a label such as ``mobilenetv3:width=1.2`` into name and options.

    The path of a TOML file is a name without options; ``module:attribute`` is a name.

    Raises
    ------
    InputError
        When an option is not of this form.
    """
    return (label, {}) if is_space_file(label) else parse_reference(label)


def get_space(name: str, **options: Any) -> SearchSpace:
    """Return a search space by name, or the one that a TOML file describes.

    ``module:attribute`` is a space of your own, or a builder with marks, which is traced.
    ``nasbench201+augmentation`` is a `ProductSpace`; an option goes to the parts that take it.

    Raises
    ------
    InputError
        When the name is unknown, or the file missing or malformed.
    """
    space: SearchSpace
    if is_space_file(name):
        if options:
            raise InputError(f"{name} is a file, which has no options, not {', '.join(options)}")
        space = _import("weaknas.spaces.choices.toml:read_space")(name)
    elif is_product(name):
        space = _product(name, options)
    elif is_own(name):
        space = _own_space(name, options)
    else:
        space = SPACES.build(name, **options)
    return space


def is_product(name: str) -> bool:
    """Tell whether a name stands for several spaces that are searched as one."""
    return "+" in name and not is_space_file(name)


def _product(name: str, options: dict[str, Any]) -> SearchSpace:
    names = [part.strip() for part in name.split("+")]
    taken: dict[str, list[str]] = {part: [] for part in names}
    for part in names:
        if not is_own(part) and not is_space_file(part):
            taken[part] = list(inspect.signature(SPACES.load(part)).parameters)
    known = [option for found in taken.values() for option in found]
    for option in options:
        if option not in known:
            raise unknown(f"option of the space {name!r}:", option, known)
    parts = [
        get_space(part, **{option: options[option] for option in taken[part] if option in options})
        for part in names
    ]
    space: SearchSpace = _import("weaknas.spaces.product:ProductSpace")(parts)
    return space


def _own_space(name: str, options: dict[str, Any]) -> SearchSpace:
    from weaknas.spaces import SearchSpace

    found = load_own(name)
    if isinstance(found, type) and issubclass(found, SearchSpace):
        return found(**options)
    if options:
        raise unknown(f"option of the space {name!r}:", next(iter(options)), [])
    if isinstance(found, SearchSpace):
        return found
    space: SearchSpace = _import("weaknas.spaces.traced:trace")(found)
    return space


def get_sources(value: Any, space: SearchSpace, *, same_problem: bool = False) -> list[Any]:
    """Return the sources that a value stands for, as `weaknas.runs.sources.read_sources` does.

    Raises
    ------
    InputError
        When nothing can be made of the value for this space.
    """
    read = _import("weaknas.runs.sources:read_sources")
    found: list[Any] = read(value, space, same_problem=same_problem)
    return found


def get_source(value: Any, space: SearchSpace, *, same_problem: bool = False) -> Any:
    """Return what was measured before, as `weaknas.runs.sources.read_source` reads it.

    Raises
    ------
    InputError
        When nothing can be made of the value for this space.
    """
    read = _import("weaknas.runs.sources:read_source")
    return read(value, space, same_problem=same_problem)


def get_encoder(name: str, space: SearchSpace, **options: Any) -> Any:
    """Return an encoder for a space by name; ``"a+b"`` puts several side by side.

    Raises
    ------
    InputError
        When a name is unknown or an encoder does not fit the space; the message
        lists those that do.
    """
    if "+" in name:
        parts = [get_encoder(part.strip(), space, **options) for part in name.split("+")]
        return _import("weaknas.encoders:ConcatenatedEncoder")(parts)
    encoder = ENCODERS.load(name)
    if not _supports(encoder, space):
        fitting = ", ".join(list_encoders_for(space))
        raise InputError(
            f"the encoder {name!r} needs {encoder.needs}, which {space.name!r} is not"
            f" (encoders for it: {fitting})"
        )
    return ENCODERS.build(name, space, **options)


def list_encoders_for(space: SearchSpace) -> list[str]:
    """Return the names of the encoders that work with a space."""
    return [name for name in ENCODERS.names() if _encodes(name, space)]


def _encodes(name: str, space: SearchSpace) -> bool:
    try:
        return _supports(ENCODERS.load(name), space)
    except InputError:  # a plug-in that cannot be loaded
        return False


@runtime_checkable
class _Selective(Protocol):
    """An encoder that does not fit every space."""

    def supports(self, space: SearchSpace) -> bool: ...


def _supports(encoder: Any, space: SearchSpace) -> bool:
    return not isinstance(encoder, _Selective) or bool(encoder.supports(space))


def get_predictor(name: str, **options: Any) -> Any:
    """Return a new, unfitted predictor by name.

    Raises
    ------
    InputError
        When the name or an option is unknown.
    """
    return PREDICTORS.build(name, **options)


def check_strategy_options(name: str, options: Iterable[str]) -> None:
    """Refuse options that a strategy does not take; ``repeats`` and ``confirm`` every one does.

    Raises
    ------
    InputError
        When the name is unknown, or an option; the message has the closest match.
    """
    parameters = inspect.signature(STRATEGIES.load(name)).parameters.values()
    if any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters):
        return
    known = {parameter.name: None for parameter in parameters} | dict.fromkeys(_REPEATING)
    names = [option for option in known if option not in ("space", "seed")]
    for option in options:
        if option not in names:
            raise unknown(f"option of the strategy {name!r}:", option, names)


def get_strategy(
    name: str,
    space: SearchSpace,
    *,
    repeats: int | str | None = None,
    confirm: int | str | None = None,
    **options: Any,
) -> Any:
    """Return a new strategy by name.

    Parameters
    ----------
    name : str
    space : SearchSpace
    repeats : {"never", "auto"} or int, optional
        Whether architectures are trained again: never, the default of all but WeakNAS, as the
        search decides, or every one so often at once.
    confirm : int or "auto", optional
        How many of the best are trained again at the end of the budget, or as it seems
        worth it at any time; see `weaknas.strategies.Repeating`.
    **options
        Of the strategy.

    Raises
    ------
    InputError
        When the name or an option is unknown.
    """
    if "repeats" in inspect.signature(STRATEGIES.load(name)).parameters:  # it decides by itself
        by_itself = repeats is None or isinstance(repeats, str)
        options["repeats"], repeats = (repeats, None) if by_itself else ("never", repeats)
    strategy = STRATEGIES.build(name, space, **options)
    return _import("weaknas.strategies:with_repeats")(strategy, repeats, confirm)


def get_evaluator(name: str, space: SearchSpace, **options: Any) -> Any:
    """Return an evaluator for a space by name.

    Raises
    ------
    InputError
        When the name or an option is unknown, or the evaluator does not know the space.
    """
    return EVALUATORS.build(name, space, **options)


def get_benchmark(name: str, **options: Any) -> Any:
    """Return a benchmark by name, e.g. ``get_benchmark("nasbench201", dataset="cifar100")``.

    A name that ends in ``.toml`` is a file that describes a space and its table.

    Raises
    ------
    InputError
        When the name, the data set or an option is unknown.
    """
    if is_space_file(name):
        return _import("weaknas.evaluators.benchmarks:from_file")(name, **options)
    return BENCHMARKS.build(name, **options)
