"""Pages and figures of finished runs, comparisons and rankings.

`plots` has the figures, the other files the pages. May import spaces, registry,
strategies, search, runs and laboratory; what is reported has been measured before, and
nothing but the command line asks for it.
"""
