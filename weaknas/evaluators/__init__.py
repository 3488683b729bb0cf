"""Evaluators: architecture to score, by table, training, supernet or any callable.

`_base` is the contract, `benchmarks` names the tables. May import spaces, encoders,
training and supernets; an evaluator knows neither the strategy nor the journal.
"""

from weaknas.evaluators._base import (
    Evaluation,
    Evaluator,
    FunctionEvaluator,
    HasFidelities,
    HasTest,
    KeepsFiles,
    KnowsOptimum,
    Optimum,
    Repeatable,
    TrainsWinner,
    as_evaluator,
    evaluate_safely,
    evaluation_seed,
)
from weaknas.evaluators.ofa_predictor import OFAPredictor
from weaknas.evaluators.tabular import LABELS, TabularBenchmark

__all__ = [
    "LABELS",
    "Evaluation",
    "Evaluator",
    "FunctionEvaluator",
    "HasFidelities",
    "HasTest",
    "KeepsFiles",
    "KnowsOptimum",
    "OFAPredictor",
    "Optimum",
    "Repeatable",
    "TabularBenchmark",
    "TrainsWinner",
    "as_evaluator",
    "evaluate_safely",
    "evaluation_seed",
]
