"""Evaluators: architecture to score, by table, training, supernet or any callable.

`_base` is the contract, `benchmarks` names the tables. May import spaces, encoders,
training and supernets; an evaluator knows neither the strategy nor the journal.
"""

from weaknas.evaluators._base import (
    Evaluation,
    Evaluator,
    FunctionEvaluator,
    KnowsOptimum,
    Optimum,
    Repeatable,
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
    "KnowsOptimum",
    "OFAPredictor",
    "Optimum",
    "Repeatable",
    "TabularBenchmark",
    "as_evaluator",
    "evaluate_safely",
    "evaluation_seed",
]
