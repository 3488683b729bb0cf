"""The loop between a strategy and an evaluator: journal, budget, resume, result.

`runner.run` is what most people need. May import spaces, registry, costs, strategies,
search, evaluators and execution; one run knows nothing of others, of reports and of commands.
"""
