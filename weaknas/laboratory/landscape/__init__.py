"""The landscape of a space: who is next to whom, and how scores lie on it.

`graph` has the architectures of a listed space and their neighbours, `measures` what is computed
of scores on it, `structure` what a space is without scores, `trainings` what a few scores tell of
the rest, `advice` a sentence of it; `summary` puts them together.
"""
