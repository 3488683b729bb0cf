"""What spaces of cells share: skeleton, layers and the formulas of their costs."""
