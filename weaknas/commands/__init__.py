"""The commands of the command line, one file a command.

A command reads options, calls what a user of the library could call, and prints. May
import spaces, registry, costs, strategies, training, supernets, evaluators, execution, runs,
optuna_bridge, laboratory and reports; nothing imports it: `weaknas.cli` names it.
"""
