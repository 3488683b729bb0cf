"""Figures of comparisons, single searches, rankings and landscapes, as a paper would use them.

Every function returns a ``matplotlib.figure.Figure``, made without pyplot, so
that nothing global changes. `save` writes it as PNG, SVG or PDF. Imports statistics of the
laboratory; a figure reads no files.
"""

from weaknas.reports.plots._drawing import save, to_png
from weaknas.reports.plots.comparisons import (
    TOP_LEVELS,
    Panels,
    narrowing,
    plot_best,
    plot_found,
    plot_hypervolume,
    plot_narrowing,
    plot_regret,
)
from weaknas.reports.plots.landscapes import (
    plot_autocorrelation,
    plot_basins,
    plot_distances,
    plot_distribution,
    plot_effects,
    plot_neutrality,
    plot_volume,
)
from weaknas.reports.plots.measurements import (
    plot_calibration,
    plot_curves,
    plot_intervals,
    plot_ranking,
    plot_relation,
)
from weaknas.reports.plots.searches import (
    plot_certainty,
    plot_choices,
    plot_contenders,
    plot_front,
    plot_map,
    plot_result,
    plot_results,
    plot_search,
    projection,
)

__all__ = [
    "TOP_LEVELS",
    "Panels",
    "narrowing",
    "plot_autocorrelation",
    "plot_basins",
    "plot_best",
    "plot_calibration",
    "plot_certainty",
    "plot_choices",
    "plot_contenders",
    "plot_curves",
    "plot_distances",
    "plot_distribution",
    "plot_effects",
    "plot_found",
    "plot_front",
    "plot_hypervolume",
    "plot_intervals",
    "plot_map",
    "plot_narrowing",
    "plot_neutrality",
    "plot_ranking",
    "plot_regret",
    "plot_relation",
    "plot_result",
    "plot_results",
    "plot_search",
    "plot_volume",
    "projection",
    "save",
    "to_png",
]
