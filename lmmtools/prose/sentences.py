"""What was fitted to what, what came out, and whether to believe it, in sentences."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from lmmtools.errors import ModelError
from lmmtools.formats import counted, format_value, listed, spread
from lmmtools.prose.scatter import left, percent, shares
from lmmtools.prose.value import Prose, alert, literal, told
from lmmtools.prose.words import from_coarse, in_unit, noun

__all__ = ["certificate", "crosscheck", "data", "icc", "not_compared"]


def data(fit: Any) -> Prose:
    """Rows used and left out, the response with its unit and range, groups and their sizes."""
    design = fit.design
    dropped = len(design.dropped_rows)
    left_out = f"; {counted(dropped, 'row')} with missing values {_were(dropped)} left out" if dropped else ""
    unit = design.units.get(fit.response)
    sentences = [
        f"The fit uses {counted(fit.nobs, 'row')}{left_out}.",
        f"The response is {literal(fit.response)}{f', {in_unit(unit)}' if unit else ''}, from {spread(design.y)}.",
    ]
    by_factor = {term.factor: term for term in design.terms}
    for term in (by_factor[factor] for factor in from_coarse(design)):
        sizes = np.bincount(term.codes, minlength=len(term.levels))
        sentences.append(f"{literal(term.factor)} has {counted(len(term.levels), 'level')} {_sizes(sizes)}.")
    c = design.correlation
    if c is not None and c.group and c.group not in by_factor:
        sizes = np.bincount(c.codes, minlength=len(c.levels))
        groups = counted(len(c.levels), *noun(design, c.group))
        sentences.append(f"Residuals are correlated within {groups} {_sizes(sizes)}.")
    return Prose(" ".join(sentences))


def _were(n: int) -> str:
    return "was" if n == 1 else "were"


def _sizes(sizes: np.ndarray) -> str:
    low, high = int(sizes.min()), int(sizes.max())
    if low == high:
        return f"of {counted(low, 'row')} each" if len(sizes) > 1 else f"of {counted(low, 'row')}"
    return f"of {low} to {counted(high, 'row')}, {np.median(sizes):g} in the median"


def icc(fit: Any) -> Prose:
    """The share of the variance that lies between groups, or why there is no such number."""
    from lmmtools.measures import icc as intraclass

    try:
        shares(fit)
    except ModelError as error:
        return Prose(alert("NOTE", told(str(error))) if fit.design.terms else told(str(error)))
    table = intraclass(fit).table()
    places = {column.name: j for j, column in enumerate(table.columns)}
    cells = {row[places["group"]]: shown for row, shown in zip(table.rows, table.cells, strict=True)}
    adjusted, whole = ({g: percent(c[places[name]]) for g, c in cells.items()} for name in ("adjusted", "icc"))
    slopes = any(name != "Intercept" for term in fit.design.terms for name in term.names)
    mean = "averaged over the rows, " if slopes else ""
    if len(cells) > 1:
        said = [_of_several(fit, adjusted, whole, mean), *_within(fit, intraclass(fit), slopes)]
        return Prose(" ".join(said))
    (group,) = cells
    more = "" if left(fit) == "the variance" else f", {whole[group]} of all variance, that of the fixed part included"
    return Prose(f"Intraclass correlation of {literal(group)}: {mean}{adjusted[group]} of {left(fit)}{more}.")


def _of_several(fit: Any, adjusted: dict[str, str], whole: dict[str, str], mean: str) -> str:
    """The share of each factor."""
    order = from_coarse(fit.design)
    parts = [
        f"{adjusted[f]} {'' if place else 'lies '}between {noun(fit.design, f)[1]}" for place, f in enumerate(order)
    ]
    text = f"Of {left(fit)}, {mean}{listed(parts)}."
    if left(fit) == "the variance":
        return text
    return f"{text} Of all variance, that of the fixed part included, these are {listed(whole[f] for f in order)}."


def _within(fit: Any, table: Any, slopes: bool) -> Iterator[str]:
    """How rows of one group correlate where what they share is more than their group's own effect."""
    correlated = fit.design.correlation is not None
    if slopes or correlated or any(term.known_root is not None for term in fit.design.terms):
        return
    share = dict(zip(table["group"], table["adjusted"], strict=True))
    codes = {factor: fit.design.factors[factor][0].codes for factor in from_coarse(fit.design)}
    for inner in codes:
        outer = [f for f in codes if f != inner and _nested(codes[inner], codes[f])]
        if outer:
            total = percent(format_value(share[inner] + sum(share[f] for f in outer), "fixed3"))
            one, others = noun(fit.design, inner)[0], listed(noun(fit.design, f)[0] for f in outer)
            yield (
                f"Rows of the same {one} have the {others} in common too: their intraclass correlation is the sum, "
                f"{total}."
            )


def _nested(inner: np.ndarray, outer: np.ndarray) -> bool:
    """Whether each level of one factor lies in one level of another, which has fewer."""
    pairs = np.unique(np.column_stack([inner, outer]), axis=0)
    levels = len(np.unique(inner))
    return len(pairs) == levels > len(np.unique(outer))


def certificate(fit: Any) -> Prose:
    """The certificate's verdict and numbers; a box around it when the numbers cannot be taken as they are.

    A singular fit has a box of its own in `caveats`.
    """
    verdict = fit.certificate
    evaluations = counted(fit.n_evaluations, "evaluation")
    text = (
        f"**{literal(verdict.status.capitalize())}.** {told(verdict.sentence)} "
        f"The optimiser needed {evaluations} of the criterion."
    )
    kinds = {"certified": None, "certified at the boundary": None, "flat direction": "WARNING"}
    kind = kinds.get(verdict.status, "CAUTION")
    return Prose(alert(kind, text) if kind else text)


def crosscheck(check: Any) -> Prose:
    """How many quantities were compared, how each difference was classified, and what stays unexplained.

    Parameters
    ----------
    check : CrossCheck or None
        None when none was made, which is then said.
    """
    if check is None:
        return Prose("No cross-check was asked for.")
    counts = check["verdict"].astype(str).value_counts(sort=False)
    engine = f" with {literal(check.engine)}" if getattr(check, "engine", "") else ""
    verdicts = listed([f"{literal(verdict)} ({n})" for verdict, n in counts.items()]) if len(counts) else "none"
    if not_compared(check):
        why = "; ".join(literal(text) for text in dict.fromkeys(check["explanation"].astype(str)))
        return Prose(f"No number could be compared{engine} (@tbl-crosscheck): {why}.")
    text = f"{counted(len(check), 'quantity', 'quantities')} compared{engine} (@tbl-crosscheck): {verdicts}."
    if check.ok:
        return Prose(f"{text} No difference is unexplained.")
    failed = check[check["verdict"] == "unexplained"]
    names = failed["quantity"] if "quantity" in failed else failed.index
    return Prose(alert("CAUTION", f"{text} Unexplained: {listed([literal(n) for n in names])}."))


def not_compared(check: Any) -> bool:
    """Whether a cross-check has verdicts on the model as a whole only: no number of the other engine."""
    return len(check) > 0 and "explanation" in check and bool((check["quantity"] == "the model").all())
