"""Cross-validation seen: scores by model, whether predictive distributions are right, observed against predicted."""

from __future__ import annotations

from types import MappingProxyType
from typing import Any

import numpy as np
import pandas as pd

from lmmtools.errors import LMMError, ModelError
from lmmtools.figures import Description
from lmmtools.formats import counted, nearest, shortened, shown, visible, with_unit
from lmmtools.plots.drawing import BLUE, INK, VERMILLION, PlotData, plot, points, tiles
from lmmtools.validation import CrossValidation
from lmmtools.validation.folds import plural

__all__ = ["cross_validation"]

SHOWS = ("scores", "pit", "predicted")
_SCORES = {"rmse": "RMSE", "mae": "MAE", "crps": "CRPS", "log_score": "Log score"}
_BINS, _MODELS = 10, 12


def _extract(found: Any, show: str = "scores", score: Any = None) -> PlotData:
    if not isinstance(found, CrossValidation):
        raise ModelError(f"plots.cross_validation: takes what cross_validate returns; got {type(found).__name__}.")
    if show not in SHOWS:
        raise LMMError(f"plots.cross_validation: show={show!r} is unknown{nearest(str(show), SHOWS)}; use one of "
                       f"{', '.join(map(repr, SHOWS))}.")  # fmt: skip
    wanted = [score] if isinstance(score, str) else list(score or ("rmse", "crps", "log_score"))
    if lost := [one for one in wanted if one not in _SCORES]:
        raise LMMError(f"plots.cross_validation: score={lost[0]!r} is unknown; use one of "
                       f"{', '.join(map(repr, _SCORES))}.")  # fmt: skip
    models = [str(name) for name in found.scores.index]
    what = plural(found.by)
    facts = {"show": show, "models": tuple(models[:_MODELS]), "of_models": len(models), "what": what,
             "folds": found.folds, "response": found.response, "scores": tuple(wanted)}  # fmt: skip
    labels = {"response": with_unit(found.response, found.unit)}
    labels |= {one: with_unit(text, found.unit if one != "log_score" else None) for one, text in _SCORES.items()}
    if show == "scores":
        return PlotData(pd.DataFrame(found.scores), MappingProxyType(labels), MappingProxyType(facts))
    rows = pd.DataFrame(found.rows).dropna(subset=["mean"])
    rows = _bars(rows, models[:_MODELS]) if show == "pit" else rows[rows["repeat"] == 1]
    return PlotData(rows, MappingProxyType(labels), MappingProxyType(facts))


def _bars(rows: pd.DataFrame, models: list[str]) -> pd.DataFrame:
    """Shares of the rows of each model in tenths of their predictive distributions, over those of a uniform one."""
    parts = []
    for name in models:
        counts, edges = np.histogram(rows.loc[rows["model"] == name, "pit"], _BINS, (0, 1))
        density = counts / max(counts.sum(), 1) * _BINS
        parts.append(pd.DataFrame({"model": name, "left": edges[:-1], "width": np.diff(edges), "density": density}))
    return pd.concat(parts, ignore_index=True)


def _describe(data: PlotData) -> Description:
    facts = data.facts
    left, shown_models = f"{counted(facts['folds'], 'fold')} of {facts['what']}", len(facts["models"])
    some = f" The first {shown_models} of {facts['of_models']} models." if facts["of_models"] > shown_models else ""
    what, alt, height = {"scores": _of_scores, "pit": _of_pit, "predicted": _of_predicted}[facts["show"]](data)
    panels = len(facts["scores"]) if facts["show"] == "scores" else len(facts["models"])
    return Description(
        caption=f"{what} Left out: {left}.{some}", label=f"fig-validation-{facts['show']}", alt=alt,
        size=(6.6 if panels > 1 else 4.4, height),
    )  # fmt: skip


def _of_scores(data: PlotData) -> tuple[str, str, float]:
    facts = data.facts
    said = [
        f"{_SCORES[one]}: " + ", ".join(f"{visible(name)} {shown(row[one])} (SE {shown(row[f'{one}_se'])})"
                                        for name, row in data.table.iloc[:_MODELS].iterrows())
        for one in facts["scores"]
    ]  # fmt: skip
    what = (
        f"Scores of predictions of {visible(facts['response'])} by model, each with plus and minus one standard error; "
        "the smaller, the better (filled: the smallest). Errors of models on the same rows go together: their "
        "differences have standard errors of their own."
    )
    return what, "; ".join(said) + ".", 0.9 + 0.3 * max(len(facts["models"]), 2)


def _of_pit(data: PlotData) -> tuple[str, str, float]:
    said = [
        f"{visible(name)}: {', '.join(f'{100 * k / _BINS:.0f} %' for k in part['density'])}"
        for name, part in data.table.groupby("model", sort=False)
    ]
    what = (
        f"Where observed {visible(data.facts['response'])} falls in its predictive distribution; dashed: all tenths "
        "alike. A hump is a distribution too wide, a bowl one too narrow, a slope a bias."
    )
    alt = f"Shares of rows in tenths of their predictive distributions. {'; '.join(said)}."
    return what, alt, _tall(data, 2.1)


def _of_predicted(data: PlotData) -> tuple[str, str, float]:
    said = []
    for name in data.facts["models"]:
        mine = data.table[data.table["model"] == name]
        varies = len(mine) > 2 and min(mine["observed"].std(), mine["mean"].std()) > 0
        r = mine["observed"].corr(mine["mean"]) if varies else np.nan
        said.append(f"{visible(name)}: {counted(len(mine), 'row')}" + ("" if np.isnan(r) else f", correlation {r:.2f}"))
    of = visible(data.facts["response"])
    what = f"Observed {of} against its prediction by the model fitted without it; dashed: equal."
    return what, "Observed against predicted. " + "; ".join(said) + ".", _tall(data, 2.4)


def _tall(data: PlotData, each: float) -> float:
    count = len(data.facts["models"])
    return min(0.8 + each * -(-count // min(count, 3)), 8.6) if count > 1 else 3.2


@plot(_extract, _describe)
def cross_validation(data: PlotData, ax: Any) -> Any:
    """Scores by model with their standard errors, histograms of the PIT, or observed against predicted.

    Parameters
    ----------
    found : CrossValidation
        What `lmmtools.cross_validate` returns.
    ax : matplotlib Axes, optional
        Where the panels go.
    show : {"scores", "pit", "predicted"}
        The probability integral transform (PIT) is the predictive distribution function at the observed value.
    score : str or sequence of str, optional
        Of ``rmse, mae, crps, log_score``: a panel each; three by default.

    Returns
    -------
    Axes, or the Figure when there are several panels

    Raises
    ------
    ModelError
        If `found` is something else.
    LMMError
        If `show` or `score` is unknown.

    References
    ----------
    Gneiting, Balabdaoui & Raftery (2007), Probabilistic forecasts, calibration and sharpness, J. R. Stat. Soc. B 69,
    243-268 (the PIT histogram).
    """
    names = data.facts["scores"] if data.facts["show"] == "scores" else data.facts["models"]
    columns = min(len(names), 3)
    shared = {"sharey": True} if data.facts["show"] != "predicted" else {"sharex": True, "sharey": True}
    axes = tiles(ax, len(names), columns, **shared)
    {"scores": _scores, "pit": _pit, "predicted": _predicted}[data.facts["show"]](data, axes, names)
    if data.facts["show"] != "scores":
        for k, here in enumerate(axes):
            if len(names) > 1:
                here.set_title(shortened(names[k], 30), loc="left", parse_math=False)
            here.xaxis.set_tick_params(labelbottom=True)
    return ax if len(names) == 1 else ax.figure


def _scores(data: PlotData, axes: list[Any], scores: Any) -> None:
    models = data.facts["models"]
    rows = np.arange(len(models))
    for one, here in zip(scores, axes, strict=True):
        values, se = (data.table[name].to_numpy()[: len(models)] for name in (one, f"{one}_se"))
        here.hlines(rows, values - se, values + se, color=BLUE, linewidth=1.1)
        best = int(np.nanargmin(values))
        for k in rows:
            here.plot(values[k], k, color=BLUE, marker="o", linestyle="none", markeredgewidth=0.9,
                      markerfacecolor=BLUE if k == best else "none")  # fmt: skip
        here.set_xlabel(data.labels[one], parse_math=False)
        here.tick_params(axis="y", length=0)
        here.locator_params(axis="x", nbins=4)
    axes[0].set_yticks(rows, [shortened(name, 30) for name in models], parse_math=False)
    axes[0].set_ylim(len(models) - 0.4, -0.6)


def _pit(data: PlotData, axes: list[Any], models: Any) -> None:
    for name, here in zip(models, axes, strict=True):
        mine = data.table[data.table["model"] == name]
        here.bar(mine["left"], mine["density"], mine["width"], align="edge", color=BLUE, alpha=0.45, edgecolor=BLUE,
                 linewidth=0.8)  # fmt: skip
        here.axhline(1.0, color=VERMILLION, linestyle="--", linewidth=1.2)
        here.set(xlim=(0, 1), xlabel="PIT")
        here.set_xticks([0.0, 0.5, 1.0], ["0", "0.5", "1"])
    axes[0].set_ylabel("Density")


def _predicted(data: PlotData, axes: list[Any], models: Any) -> None:
    low, high = data.table["mean"].min(), data.table["mean"].max()
    for k, (name, here) in enumerate(zip(models, axes, strict=True)):
        mine = data.table[data.table["model"] == name]
        points(here, mine["mean"], mine["observed"], total=len(data.table))
        here.plot([low, high], [low, high], color=INK, linestyle="--", linewidth=1.0)
        here.set_xlabel("Predicted", parse_math=False)
        if k % min(len(models), 3) == 0:
            here.set_ylabel(shortened(f"Observed {data.labels['response']}", 40), parse_math=False)
