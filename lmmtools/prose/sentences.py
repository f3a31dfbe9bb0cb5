"""What was fitted to what, what came out, and whether to believe it, in sentences."""

from __future__ import annotations

from typing import Any

import numpy as np

from lmmtools.errors import ModelError
from lmmtools.formats import counted, listed, spread
from lmmtools.prose.scatter import left, percent
from lmmtools.prose.value import Prose, alert, literal, told
from lmmtools.prose.words import in_unit

__all__ = ["certificate", "crosscheck", "data", "icc"]


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
    for term in {term.factor: term for term in design.terms}.values():
        sizes = np.bincount(term.codes, minlength=len(term.levels))
        sentences.append(f"{literal(term.factor)} has {counted(len(term.levels), 'level')} {_sizes(sizes)}.")
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
    from lmmtools.inference.icc import icc as shares

    try:
        table = shares(fit).table()
    except ModelError as error:
        text = str(error).removeprefix("icc: ")
        return Prose(alert("NOTE", told(text[:1].upper() + text[1:])))
    places = {column.name: j for j, column in enumerate(table.columns)}
    slopes = any(name != "Intercept" for term in fit.design.terms for name in term.names)
    mean = "averaged over the rows, " if slopes else ""
    said = []
    for row, cells in zip(table.rows, table.cells, strict=True):
        adjusted, whole = (percent(cells[places[name]]) for name in ("adjusted", "icc"))
        more = "" if left(fit) == "the variance" else f", {whole} of all variance, that of the fixed part included"
        said.append(
            f"Intraclass correlation of {literal(row[places['group']])}: {mean}{adjusted} of {left(fit)}{more}."
        )
    return Prose(" ".join(said))


def certificate(fit: Any) -> Prose:
    """The certificate's verdict and numbers; a box around it when the numbers cannot be taken as they are.

    A singular fit has a box of its own in `caveats`.
    """
    verdict = fit.certificate
    evaluations = counted(fit.n_evaluations, "evaluation")
    text = (
        f"**{literal(verdict.status.capitalize())}.** {literal(verdict.sentence)} "
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
    text = f"{counted(len(check), 'quantity', 'quantities')} compared{engine} (@tbl-crosscheck): {verdicts}."
    if check.ok:
        return Prose(f"{text} No difference is unexplained.")
    failed = check[check["verdict"] == "unexplained"]
    names = failed["quantity"] if "quantity" in failed else failed.index
    return Prose(alert("CAUTION", f"{text} Unexplained: {listed([literal(n) for n in names])}."))
