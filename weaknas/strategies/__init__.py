"""Search strategies behind one contract: ask and tell.

`_base` is the contract, `repeating` has architectures of any strategy trained more than once,
the other files are baselines; WeakNAS and its relatives are in
`weaknas.search`. May import spaces; a strategy knows neither who evaluates nor the journal.
"""

from weaknas.strategies._base import Fidelity, History, Scores, Strategy
from weaknas.strategies._contenders import Contender, Estimates
from weaknas.strategies._stepwise import StepwiseStrategy
from weaknas.strategies.bohb import BOHB
from weaknas.strategies.hyperband import Hyperband, SuccessiveHalving
from weaknas.strategies.local_search import LocalSearch
from weaknas.strategies.lstm_controller import LSTMController
from weaknas.strategies.nsga2 import NSGA2
from weaknas.strategies.random import RandomSearch
from weaknas.strategies.regularized_evolution import RegularizedEvolution
from weaknas.strategies.reinforce import Reinforce
from weaknas.strategies.repeating import Repeating, with_repeats
from weaknas.strategies.simulated_annealing import SimulatedAnnealing

__all__ = [
    "BOHB",
    "NSGA2",
    "Contender",
    "Estimates",
    "Fidelity",
    "History",
    "Hyperband",
    "LSTMController",
    "LocalSearch",
    "RandomSearch",
    "RegularizedEvolution",
    "Reinforce",
    "Repeating",
    "Scores",
    "SimulatedAnnealing",
    "StepwiseStrategy",
    "Strategy",
    "SuccessiveHalving",
    "with_repeats",
]
