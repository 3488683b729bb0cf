"""Experiments of many runs: compare, rank, tune; their folders and statistics.

May import spaces, predictors, registry, strategies, search, evaluators and runs; it
draws nothing (that is `weaknas.reports`) and does not know the command line.
"""
