"""Pages and figures of finished runs, comparisons and rankings.

`plots` has the figures, the other files the pages. May import spaces, registry, search,
runs and laboratory; what is reported has been measured before, and only commands ask.
"""
