"""Experiments of many runs: compare strategies, rank predictors, tune them; statistics.

Imports runs and all below; draws nothing (that is `weaknas.reports`) and does not know
the command line.
"""
