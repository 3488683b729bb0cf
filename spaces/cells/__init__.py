"""What the networks of several spaces share: skeleton, layers and the formulas of their costs.

Imports the contract of spaces and the type of a cost; no single space.
"""
