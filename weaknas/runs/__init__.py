"""The loop between a strategy and an evaluator: journal, budget, resume, result.

`runner.run` is what most people need. Imports strategies, evaluators and execution;
nothing of the laboratory, of reports or of the command line.
"""
