"""WeakNAS: what happens between two evaluations.

`strategy` is the loop of the paper (fit, rank, choose), `candidates` and `evolution` say
what is ranked, `acquisition` what is wanted of it, `targets` what predictors are fitted
to, `presets` the settings; `published` has searches of other papers from the same parts.
May import spaces, predictors, registry, encoders and strategies; knows no evaluator, no
journal and no loop.
"""
