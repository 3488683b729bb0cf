"""Both ways between weaknas and Optuna: a sampler, and runs as studies.

The baselines that are samplers of Optuna are in `weaknas.strategies.optuna`. May import
spaces, registry, encoders, predictors, strategies, search and runs; nothing else knows
this bridge.
"""
