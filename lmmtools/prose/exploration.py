"""Data before a model in sentences: what a reader should know of rows, groups, variation, lines and candidates."""

from __future__ import annotations

from typing import Any

import numpy as np

from lmmtools.errors import LMMError
from lmmtools.figures import Figure, figure
from lmmtools.formats import counted, effect_unit, format_value, listed, nearest, quoted, shown, spread
from lmmtools.frames import Frame
from lmmtools.prose.value import Prose, alert, literal, told
from lmmtools.prose.words import in_unit

__all__ = [
    "exploration_candidates",
    "exploration_figure",
    "exploration_groups",
    "exploration_lines",
    "exploration_missing",
    "exploration_response",
    "exploration_summary",
    "exploration_table",
    "exploration_variation",
]


# More candidates than this of one verdict are counted, not listed.
_MOST_TERMS = 6
_BELOW = "; below zero, groups differ less than their rows would by chance, and a fit will find a variance of zero"


def exploration_figure(plot: Any, exploration: Any, **kw: Any) -> Figure | None:
    """The figure of a plot; nothing where there is nothing to draw, which the section's sentences then say.

    Parameters
    ----------
    plot : callable
        One of `lmmtools.plots` that takes an exploration.
    exploration : Exploration
    **kw
        For the plot.

    Returns
    -------
    Figure or None
    """
    drawn = plot.extract(exploration, **kw)
    return None if "nothing" in drawn.facts else figure(plot, exploration, **kw)


def exploration_table(exploration: Any, name: str) -> Frame | None:
    """A table of an exploration; nothing where it would have no rows.

    Returns
    -------
    Frame or None

    Raises
    ------
    LMMError
        If an exploration has no table of that name.
    """
    table = getattr(exploration, name, None)
    if not isinstance(table, Frame):
        known = sorted(field for field, value in vars(exploration).items() if isinstance(value, Frame))
        raise LMMError(
            f"an exploration has no table `{name}`{nearest(str(name), known)}; its tables are {quoted(known, 20)}."
        )
    return table if len(table) else None


def exploration_summary(exploration: Any) -> Prose:
    """What the data are, and what to look at before fitting."""
    variables = exploration.variables
    n, complete = len(variables.index), int(variables.complete.sum())
    whole = "all of them complete" if complete == n else f"{format_value(complete, 'int')} of them complete"
    y = variables.response
    unit = f", {in_unit(y.unit)}," if y.unit else ""
    sentences = [f"The data have {counted(n, 'row')}, {whole} in the columns of the formula."]
    sentences.append(f"The response {literal(y.name)}{unit} runs from {spread(y.values[y.present])}.")
    groups = [f"{literal(g.name)} ({counted(len(g.levels), 'level')})" for g in variables.groups]
    covariates = [literal(c.name) for c in variables.covariates]
    sentences.append(
        f"{'The covariate is' if len(covariates) == 1 else 'Covariates are'} {listed(covariates)}."
        if covariates
        else "The formula names no covariate."
    )
    sentences.append(
        f"Rows are grouped by {listed(groups)}."
        if groups
        else "The formula has no grouping factor: rows are taken as independent, and a linear model without random "
        "effects is what it asks for."
    )
    notes = [told(message[:1].upper() + message[1:]) for message in exploration.messages]
    text = "\n".join(f"- {note}" for note in notes) if len(notes) > 1 else "".join(notes)
    return Prose("\n\n".join([" ".join(sentences), *([alert("NOTE", text)] if notes else [])]))


def exploration_missing(exploration: Any) -> Prose:
    """How much is missing, and whether a missing response goes with something observed."""
    variables = exploration.variables
    n = len(variables.index)
    gone = {name: int(mask.sum()) for name, mask in variables.missing.items() if mask.any()}
    if not gone:
        return Prose(f"No value is missing: a fit would use all {counted(n, 'row')}.")
    complete = int(variables.complete.sum())
    said = [f"{literal(name)} in {counted(count, 'row')}" for name, count in gone.items()]
    text = f"Missing are {listed(said)}; {format_value(complete / n, 'percent')} of the rows are complete."
    table = exploration.missing_response
    clear = table[table["difference"].abs() >= 0.25]
    if len(clear):
        names = listed(
            f"{literal(row.column)} ({literal(row.what)} {shown(row.missing)} where it is missing, "
            f"{shown(row.observed)} where it is not)"
            for row in clear.itertuples()
        )
        text += f" A missing response goes with {names}: keep {'it' if len(clear) == 1 else 'them'} in the model."
    elif len(table):
        text += " Rows without a response differ little from the others in what is observed."
    return Prose(text)


def exploration_groups(exploration: Any) -> Prose:
    """Sizes of groups, how they lie to each other, and what is replicated."""
    variables = exploration.variables
    if not variables.groups:
        return Prose("The formula has no grouping factor.")
    sentences = []
    for row in exploration.groups.itertuples():
        if row.levels:
            each = f"each with {counted(row.smallest, 'row')}" if row.smallest == row.largest else (
                f"with {row.smallest} to {counted(row.largest, 'row')}"
            )  # fmt: skip
            sentences.append(f"{literal(row.factor)} has {counted(row.levels, 'level')}, {each}.")
    for pair in exploration.crossings:
        a, b = literal(pair.first), literal(pair.second)
        share = format_value(len(pair.counts) / pair.possible, "percent")
        sentences.append(
            {
                "nested": f"{a} is nested in {b}: each of its levels occurs with one level of {b} only.",
                "fully crossed": f"{a} and {b} are fully crossed: every pair of levels occurs.",
                "partially crossed": f"{a} and {b} are partially crossed: {share} of the pairs of levels occur.",
                "the same groups": f"{a} and {b} are the same groups under two names: use one.",
            }[pair.relation]
        )
    same = exploration.facts["replicates"]
    if same["cells"]:
        sentences.append(
            f"{counted(same['rows'], 'row')} share groups and covariates with another row, in "
            f"{counted(same['cells'], 'cell')}: replicates, from which the residual variance can be seen directly."
        )
    return Prose(" ".join(sentences))


def exploration_variation(exploration: Any) -> Prose:
    """Which covariates vary within groups, and may have random slopes, and which only between."""
    variables = exploration.variables
    sentences = []
    for group in variables.groups:
        factor = literal(group.name)
        own = exploration.splits[group.name, variables.response.name]
        sentences.append(
            f"Of the variation of {literal(variables.response.name)}, {format_value(own.share, 'percent')} lies within "
            f"levels of {factor}."
        )
        splits = {c.name: exploration.splits[group.name, c.name] for c in variables.covariates}
        within = [literal(name) for name, split in splits.items() if split.varying >= 2]
        between = [literal(name) for name, split in splits.items() if split.varying == 0 and split.total > 0]
        if within:
            vary = "varies" if len(within) == 1 else "vary"
            sentences.append(f"{listed(within)} {vary} within them, so slopes may differ between levels of {factor}.")
        if between:
            vary = "varies" if len(between) == 1 else "vary"
            sentences.append(f"{listed(between)} {vary} between them only and can have no slope by {factor}.")
    return Prose(" ".join(sentences) or "Without a grouping factor there is nothing to split.")


def exploration_lines(exploration: Any) -> Prose:
    """How far the groups' slopes differ, beside what their standard errors let expect."""
    if not exploration.lines:
        return Prose(_no_lines(exploration))
    variables = exploration.variables
    units = {v.name: v.unit for v in (variables.response, *variables.covariates) if v.unit}
    sentences = []
    for lines in exploration.lines:
        unit = effect_unit(units, variables.response.name, lines.covariate)
        text = (
            f"Against {literal(lines.covariate)}, {counted(len(lines.table), 'level')} of {literal(lines.factor)} "
            f"{'has a line' if len(lines.table) == 1 else 'have lines'}; the pooled slope is {shown(lines.pooled)}"
            f"{f' {literal(unit)}' if unit else ''}."
        )
        if np.isfinite(lines.heterogeneity):
            ratio = format_value(lines.heterogeneity, "fixed2")
            sd = shown(max(lines.slope_variance, 0.0) ** 0.5)
            text += (
                f" The slopes scatter about it {ratio} times as much as their standard errors let expect (in squares); "
                f"by moments, their true standard deviation is about {sd}."
                if lines.heterogeneity > 1
                else f" The slopes scatter about it no more than their standard errors let expect ({ratio} times, in "
                "squares), so a random slope would have little to explain."
            )
        else:
            text += " There are too few rows to give these slopes standard errors."
        sentences.append(text)
    return Prose("\n\n".join(sentences))


def _no_lines(exploration: Any) -> str:
    if not exploration.variables.groups:
        return "Without a grouping factor there are no lines to draw group by group."
    means = any(
        not c.is_number and exploration.splits[group.name, c.name].varying >= 2
        for group in exploration.variables.groups
        for c in exploration.variables.covariates
    )
    drawn = "; the means at the levels of a factor are drawn instead" if means else ""
    return f"No covariate is a number that varies within groups, so there are no slopes to compare{drawn}."


def exploration_candidates(exploration: Any) -> Prose:
    """The verdicts on random structures in sentences; no word on which to choose, which data alone cannot say."""
    table = exploration.candidates
    if not len(table):
        return Prose("Without a grouping factor there are no random structures to consider.")
    ways = {
        "estimable": "The design identifies",
        "weak": "It identifies, but hardly supports,",
        "not unique": "It leaves some variances open in",
        "not estimable": "It cannot identify",
    }
    said = []
    for verdict, start in ways.items():
        terms = [literal(term) for term in table.loc[table["verdict"] == verdict, "term"]]
        if terms:
            whole = "all" if len(terms) == len(table) else f"{len(terms)} of the"
            many = f"{whole} {counted(len(table), 'candidate')} in the table"
            said.append(f"{start} {many if len(terms) > _MOST_TERMS else listed(terms)}.")
    return Prose(" ".join(said))


def exploration_response(exploration: Any) -> Prose:
    """Shape of the response, rows that stand apart, and another scale only where the numbers show a need."""
    variables = exploration.variables
    own = exploration.response.iloc[0]
    name = literal(variables.response.name)
    skewness = [format_value(value, "fixed2") for value in exploration.response["skewness"]]
    about = f", about {literal(exploration.within.about)} {skewness[1]}" if len(skewness) > 1 else ""
    sentences = [
        f"{name} has mean {shown(own['mean'], 4)} and standard deviation {shown(own['sd'], 4)}; its skewness is "
        f"{skewness[0]}{about}."
    ]
    shares = [
        f"{format_value(value, 'fixed3')} by {literal(factor)}"
        for factor, value in exploration.facts["icc"].items()
        if np.isfinite(value)
    ]
    if shares:
        below = any(value < 0 for value in exploration.facts["icc"].values())
        sentences.append(
            "By the analysis-of-variance estimator its intraclass correlation, before any covariate, is "
            f"{listed(shares)}{_BELOW if below else ''}."
        )
    count = len(exploration.outliers)
    sentences.append("No row stands apart from the others." if not count else (
        f"{counted(count, 'row')} {'stands' if count == 1 else 'stand'} apart, overall or within "
        f"{'its' if count == 1 else 'their'} group."
    ))  # fmt: skip
    scales = dict(exploration.facts["scales"])
    if scales:
        own_scale = scales.pop("own")
        better = listed(f"on the {scale} scale {format_value(v, 'fixed2')}" for scale, v in scales.items())
        sentences.append(
            f"Within groups the skewness is {format_value(own_scale, 'fixed2')}, {better}: such a scale may suit "
            "better, if differences on it mean what the question asks."
        )
    return Prose(" ".join(sentences))
