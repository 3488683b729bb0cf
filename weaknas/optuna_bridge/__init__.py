"""Both ways between weaknas and Optuna: `WeakNASSampler`, and runs exported as studies.

The baselines that are samplers of Optuna are in `weaknas.strategies.optuna`.
"""
