"""The table of variances and covariances of a fit, in lme4's layout."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations
from typing import Any

import numpy as np
import pandas as pd

from lmmtools.formats import counted, listed
from lmmtools.frames import Frame, frame
from lmmtools.residual_parameters import sigma_is

__all__ = ["COMMON", "SERIAL", "is_short", "shown_elements", "variance_table"]

# Structures with one variance for all effects; with one correlation that falls off with the distance of positions.
COMMON, SERIAL = ("homdiag", "homcs", "ar1"), ("ar1", "hetar1")
_ONE_CORRELATION = ("cs", "homcs", "ar1", "hetar1")
_UNCORRELATED = ("diag", "homdiag")
# Effects up to which a structure with one correlation has a row for each pair.
_MOST_EFFECTS = 4


def variance_table(fit: Any) -> Frame:
    """``grp, var1, var2, vcov, sdcor``; see `LMMFit.varcorr`."""
    rows = [row for term in fit.design.terms for row in _rows(fit, term)]
    rows.append(("Residual", "", "", fit.sigma**2, fit.sigma))
    flat = fit.certificate.flat
    undetermined = (f"Not determined by the data, one choice among equals: {'; '.join(flat)}.",) if flat else ()
    return frame(
        pd.DataFrame(rows, columns=["grp", "var1", "var2", "vcov", "sdcor"]),
        caption=f"{_what(fit)} ({fit.method})",
        label="tbl-varcorr",
        notes=(*undetermined, *_notes(fit), *_of_residuals(fit)),
        index=False,
        headings={"grp": "Group", "var1": "Effect", "var2": "with", "vcov": "(Co)variance",
                  "sdcor": "SD or correlation"},
        formats={"vcov": "estimate", "sdcor": "estimate"},
    )  # fmt: skip


def _what(fit: Any) -> str:
    return "Variances and covariances of the random effects" if fit.design.terms else "Residual variance"


def _of_residuals(fit: Any) -> Iterator[str]:
    """Of which rows the residual's variance is, where it is not of all."""
    if fit.design.residual is not None and (said := sigma_is(fit)):
        yield f"Residual: σ² and σ, {said}; the parameters of the residuals say what follows for the other rows."


def is_short(term: Any) -> bool:
    """Whether a term's variances or correlations follow from fewer rows than there are of them."""
    return isinstance(term.structure, str) and term.structure in _ONE_CORRELATION and len(term.names) > _MOST_EFFECTS


def _rows(fit: Any, term: Any) -> Iterator[tuple[str, str, str, float, float]]:
    cov = fit.random_covariance[term.group].to_numpy()
    sd = np.sqrt(np.diagonal(cov))
    for i, j in shown_elements(term):
        if i == j:
            yield term.group, term.names[i], "", cov[i, i], sd[i]
            continue
        both = sd[i] * sd[j]
        yield term.group, term.names[i], term.names[j], cov[i, j], cov[i, j] / both if both else np.nan


def shown_elements(term: Any) -> list[tuple[int, int]]:
    """Elements of a term's covariance matrix that have a row: variances, then pairs of effects."""
    q, short = len(term.names), is_short(term)
    variances = [(i, i) for i in range(1 if short and term.structure in COMMON else q)]
    if isinstance(term.structure, str) and term.structure in _UNCORRELATED:
        return variances
    return variances + ([_nearest(term)] if short else list(combinations(range(q), 2)))


def _nearest(term: Any) -> tuple[int, int]:
    """The first two effects, of positions those with the shortest distance."""
    if term.structure not in SERIAL:
        return 0, 1
    order = np.argsort(_positions(term))
    k = int(np.argmin(np.diff(_positions(term)[order])))
    return int(order[k]), int(order[k + 1])


def _positions(term: Any) -> np.ndarray:
    return np.arange(len(term.names)) if term.positions is None else np.asarray(term.positions)


def _notes(fit: Any) -> Iterator[str]:
    """What the rows that are left out would say, and what the levels' variances are relative to."""
    for term in fit.design.terms:
        if is_short(term):
            q = len(term.names)
            same = f"the variance is that of all {counted(q, 'effect')}" if term.structure in COMMON else ""
            each = "that of any two" if term.structure not in SERIAL else _falling(term)
            said = f"{same}; the correlation is {each}" if same else f"the correlation is {each}"
            yield f"{term.label}: {said}."
    if known := [term.group for term in fit.design.terms if term.known_root is not None]:
        yield (
            f"{listed(known)}: times the known covariances of the levels; a level's own variance is this times its "
            "diagonal element."
        )


def _falling(term: Any) -> str:
    i, j = _nearest(term)
    step = int(abs(_positions(term)[i] - _positions(term)[j]))
    if step == 1:
        return "that of neighbours; k steps apart it is the k-th power"
    return f"that of positions {step} steps apart; k times as far apart it is the k-th power"
