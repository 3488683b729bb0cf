"""The page of a landscape, and its facts in a line each."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from weaknas.errors import InputError
from weaknas.files import read_json
from weaknas.reports import plots
from weaknas.reports.page import Page, join_pairs

_MOST_OPTIMA = 15  # in the table


def landscape_page(folder: Path) -> Page:
    """Return the page of a landscape.

    Parameters
    ----------
    folder : path
        The output folder of ``weaknas landscape``.

    Raises
    ------
    InputError
        When ``landscape.json`` is damaged.
    """
    summary = read_json(folder / "landscape.json")
    try:
        return _page(summary)
    except (AttributeError, KeyError, IndexError, TypeError, ValueError) as error:
        raise InputError(f"{folder / 'landscape.json'} is damaged: {error!r}") from error


def _page(summary: dict[str, Any]) -> Page:
    facts = {"command": summary["command"], "scores": summary["scores"] or "none"}
    page = Page(
        f"Landscape of {summary['space']}", facts | {"versions": join_pairs(summary["versions"])}
    )
    rows = landscape_facts(summary)
    advice = rows.pop("advice", "")
    page.add_table("In short", ("measure", "value"), rows.items())
    page.add_text(
        "Isomorphic architectures count once. Two are neighbours if one decision makes one of the"
        " other."
    )
    if advice:
        page.add_text(f"Advice: {advice}")
    if summary["correlation_length"] is not None:
        page.add_figure(
            "Autocorrelation along a random walk",
            "autocorrelation",
            plots.plot_autocorrelation(summary),
            "How alike the scores are of architectures so many steps apart. Correlation length:"
            " -1 / ln of the value after one step.",
        )
    if "distances" in summary:
        _add_exact(page, summary)
    if "quantiles" in summary:
        page.add_figure(
            "Distribution of the scores",
            "distribution",
            plots.plot_distribution(summary),
            "The share of architectures whose mean score is at most so large.",
        )
    if summary["volume"]:
        page.add_figure(
            "Volume near the peaks",
            "volume",
            plots.plot_volume(summary),
            "How much of the space is so near to a peak: an architecture that was given or, where"
            " none was, one of the best in a thousand.",
        )
    return page


def _add_exact(page: Page, summary: dict[str, Any]) -> None:
    """Add what is known where every architecture has a score."""
    page.add_figure(
        "Score and distance to the best",
        "distance",
        plots.plot_distances(summary),
        "Steps from neighbour to neighbour. Their correlation with the score is the"
        " fitness-distance correlation: near -1, each step towards the best is one upwards.",
    )
    page.add_figure(
        "Local optima and their basins",
        "basins",
        plots.plot_basins(summary),
        "Steepest ascent from every architecture ends at one of these; its basin is where it"
        " began.",
    )
    optima = summary["basins"]["optima"][:_MOST_OPTIMA]
    cells = [[f"{o['score']:.5g}", f"{o['size']:,}", o["architecture"]] for o in optima]
    page.add_table("The best local optima", ("score", "basin", "architecture"), cells)
    if summary["neutrality"] is not None:
        noise = summary["noise"]["full"]
        bound = "whose mean scores are equal" if noise is None else (
            "whose mean scores differ by no more than the standard deviation of the difference of"
            f" two trainings; that of one is {noise:.3g}"
        )  # fmt: skip
        page.add_figure(
            "Neutrality",
            "neutrality",
            plots.plot_neutrality(summary),
            f"The share of neighbours {bound}, by tenths of the space.",
        )
    page.add_figure(
        "Main effects",
        "effects",
        plots.plot_effects(summary),
        "How much of the variance each decision explains by itself; a sum of one effect a decision"
        f" explains {_number(summary['additivity'], '.0%')}.",
    )


def landscape_facts(summary: dict[str, Any]) -> dict[str, str]:
    """Return what a landscape is by a name and a few words each; what is unknown is left out."""
    shape = summary["structure"]
    genotypes = f"{shape['genotypes']:,} genotypes"
    near = shape["neighbors"]
    facts = {
        "space": genotypes
        if shape["architectures"] is None
        else f"{shape['architectures']:,} architectures, {genotypes}",
        "neighbours": f"{near['mean']:.1f} of an architecture ({near['least']} to {near['most']})",
        "": _of_sample(shape),
        "trainings": _number(summary.get("trainings"), ",d"),
        "best": _best(summary.get("best")),
        "autocorrelation": _autocorrelation(summary),
        "correlation length": _number(summary["correlation_length"], ".2f"),
        "distance correlation": _number(summary["fitness_distance_correlation"], ".2f"),
        "local optima": _optima(summary),
        "additivity": _additivity(summary),
        "noise": _noise(summary["noise"] or {}),
        "neutrality": _number(summary["neutrality"], ".1%", " of neighbours within noise"),
        "near the peaks": _volume(summary),
        "advice": summary["advice"] or "",
    }
    return {name or "isomorphs": text for name, text in facts.items() if text}


def _number(value: float | None, form: str, unit: str = "") -> str:
    return "" if value is None else f"{value:{form}}{unit}"


def _of_sample(shape: dict[str, Any]) -> str:
    if shape["architectures"] is not None:
        largest = shape["largest_class"]
        return f"up to {largest:,} genotypes are one architecture" if largest > 1 else ""
    apart = shape["decisions_apart"]
    return (
        f"{shape['redundancy']:.1%} of single changes leave an architecture the same; two random"
        f" ones differ in {apart['median']} decisions ({apart['p10']} to {apart['p90']})"
    )


def _best(best: dict[str, Any] | None) -> str:
    return "" if best is None else f"{best['score']:.5g}, {best['architecture']}"


def _autocorrelation(summary: dict[str, Any]) -> str:
    values = summary["autocorrelation"]
    if values is None or values[1] is None:
        return ""
    steps = [step for step in (1, 2, 3, 5, 10) if step < len(values)]
    told = ", ".join(f"{values[step]:.2f} after {step}" for step in steps)
    if "walk" not in summary:
        return f"{told} (most likely, by decisions)"
    low, high = summary["walk"]["ci95"][1]
    walk = summary["walk"]["autocorrelation"][1]
    return f"{told} steps (walks, after 1: {walk:.2f}, {low:.2f} to {high:.2f})"


def _optima(summary: dict[str, Any]) -> str:
    if summary["local_optima"] is None:
        return ""
    basins = summary["basins"]
    text = (
        f"{summary['local_optima']:,}; steepest ascent ends at the best from"
        f" {basins['best_share']:.0%} of the space"
    )
    if "sampled" in basins:
        low, high = basins["ci95"]
        return f"about {text} ({low:,.0f} to {high:,.0f}, of {basins['sampled']:,} drawn)"
    held, alone = summary["structure"]["held"], basins["isolated"]
    if held is not None and held < 1:
        text += (
            f"; the table holds {held:.0%} of the neighbours, and {alone:,} architectures have none"
        )
    return text


def _additivity(summary: dict[str, Any]) -> str:
    how = "explains" if summary["exact"] else "predicts"
    unit = f" of the variance a sum of one effect a decision {how}"
    return _number(summary["additivity"], ".0%", unit)


def _noise(noise: dict[str, float | None]) -> str:
    told = [
        f"{value:.3g}" + ("" if name == "full" else f" after {name} epochs")
        for name, value in noise.items()
        if value is not None
    ]
    return ", ".join(told) and f"standard deviation of a training {', '.join(told)}"


def _volume(summary: dict[str, Any]) -> str:
    shares, peaks = summary["volume"], summary.get("peaks")
    if not shares:
        return ""
    unit = "decisions" if summary["structure"]["architectures"] is None else "steps"
    told = ", ".join(f"{share:.2g} within {d}" for d, share in enumerate(shares) if 0 < d <= 6)
    return told and f"share of the space {told} {unit} of {_peaks(peaks)}"


def _peaks(count: int | None) -> str:
    return "the peak" if count == 1 else f"one of {count} peaks"
