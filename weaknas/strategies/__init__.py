"""Search strategies behind one contract: `ask` and `tell`.

The contract and the baselines; WeakNAS itself and its relatives are in `weaknas.search`.
Imports spaces alone.
"""

from weaknas.strategies._base import Fidelity, History, Scores, Strategy
from weaknas.strategies._contenders import Contender, Estimates
from weaknas.strategies._stepwise import StepwiseStrategy
from weaknas.strategies.bohb import BOHB
from weaknas.strategies.hyperband import Hyperband, SuccessiveHalving
from weaknas.strategies.local_search import LocalSearch
from weaknas.strategies.random import RandomSearch
from weaknas.strategies.regularized_evolution import RegularizedEvolution
from weaknas.strategies.reinforce import Reinforce
from weaknas.strategies.simulated_annealing import SimulatedAnnealing

__all__ = [
    "BOHB",
    "Contender",
    "Estimates",
    "Fidelity",
    "History",
    "Hyperband",
    "LocalSearch",
    "RandomSearch",
    "RegularizedEvolution",
    "Reinforce",
    "Scores",
    "SimulatedAnnealing",
    "StepwiseStrategy",
    "Strategy",
    "SuccessiveHalving",
]
