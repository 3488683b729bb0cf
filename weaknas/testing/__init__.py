"""A contract kit: check your own space, encoder, predictor, strategy or evaluator.

``check_*`` runs every check and raises AssertionError with the first promise that
is broken; ``*_checks`` returns them one by one for ``pytest.mark.parametrize``.
May import spaces and evaluators; it needs neither pytest nor what weaknas is tested with.
"""

from weaknas.testing._check import Check, CheckSkippedWarning
from weaknas.testing.encoders import check_encoder, encoder_checks
from weaknas.testing.evaluators import check_evaluator, evaluator_checks
from weaknas.testing.predictors import check_predictor, predictor_checks
from weaknas.testing.spaces import check_space, space_checks
from weaknas.testing.strategies import check_strategy, strategy_checks

__all__ = [
    "Check",
    "CheckSkippedWarning",
    "check_encoder",
    "check_evaluator",
    "check_predictor",
    "check_space",
    "check_strategy",
    "encoder_checks",
    "evaluator_checks",
    "predictor_checks",
    "space_checks",
    "strategy_checks",
]
