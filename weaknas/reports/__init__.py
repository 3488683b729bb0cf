"""Pages and figures of finished runs, comparisons and rankings.

`plots` has the figures, the other files the pages. Reads what runs and the laboratory
wrote; nothing but the command line imports it.
"""
