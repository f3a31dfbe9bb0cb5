"""Tables of a residual structure: its parameters in words, and the correlations of occasions as a matrix."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd

from lmmtools.errors import LMMError
from lmmtools.formats import format_value, listed, shown, with_unit
from lmmtools.frames import Frame, frame
from lmmtools.residual_parameters.implied import OccasionMatrix, by_lag, deviations, neighbours, occasions
from lmmtools.residual_parameters.words import apart, meanings, sigma_is

__all__ = ["residual_correlations", "residual_table"]


def residual_table(fit: Any) -> Frame:
    """The parameters of a fit's residual structure, with what each means.

    Parameters
    ----------
    fit : LMMFit

    Returns
    -------
    Frame
        ``estimate, meaning`` by parameter, named as in `residual_params`; no row where the structure has none. The
        notes say what σ is the standard deviation of, and how far the standard deviations of the rows range.

    Raises
    ------
    LMMError
        If `fit` is no fitted model.

    Examples
    --------
    >>> import lmmtools as lt
    >>> fit = lt.fit_gls("distance ~ Sex * age", lt.load_dataset("Orthodont"), residual="cs(Subject) * varident(Sex)")
    >>> print(fit.residual_params.round(3).to_dict())
    {'cs.rho': 0.734, 'varident[Female]': 0.582}
    >>> lt.residual_table(fit)["meaning"].iloc[0]
    'correlation of any two residuals of one child'
    """
    _check(fit)
    structure = fit.design.residual
    names = [] if structure is None else list(structure.names)
    data = pd.DataFrame(
        {"estimate": fit.phi.copy(), "meaning": list(meanings(fit))}, index=pd.Index(names, name="parameter")
    )
    text = "independent, of one variance" if structure is None else structure.text
    return frame(
        data,
        caption=f"Parameters of the residuals ({fit.method}): {text}",
        label="tbl-residual",
        notes=tuple(_notes(fit)),
        headings={"parameter": "Parameter", "estimate": "Estimate", "meaning": "What it is"},
        formats={"estimate": "sig4"},
    )


def _check(fit: Any) -> None:
    if not hasattr(getattr(fit, "design", None), "residual"):
        raise LMMError(f"residual_table: takes a fit, as fit_lmm or fit_gls returns it; got {type(fit).__name__}.")


def _notes(fit: Any) -> Iterator[str]:
    structure = fit.design.residual
    if structure is None:
        return
    if said := sigma_is(fit):
        low, high = deviations(fit)
        spread = f"; over the rows used it runs from {shown(low)} to {shown(high)}" if high > low else ""
        yield f"σ = {shown(fit.sigma)} is the residual sd {said}{spread}."
    else:
        yield f"σ = {shown(fit.sigma)} is the residual sd of every row."
    c = fit.design.correlation
    if c is not None and c.kind == "arma":
        for level, values in by_lag(fit).items():
            which = f" where {c.by} is {level}" if level else ""
            numbers = ", ".join(format_value(value, "fixed3") for value in values)
            yield f"Correlations{which} at lags 1, 2 and 3: {numbers}."
    if c is not None and c.kind in ("ar1", "car1"):
        yield from _between_neighbours(fit, c)
    for part in structure.variances:
        if part.kind == "varfixed":
            yield f"{part.label}: residual variances are σ² times {part.variables[0]}, which has no parameter."


def _between_neighbours(fit: Any, c: Any) -> Iterator[str]:
    """The correlation of neighbouring rows, where these are not one unit apart."""
    gap, same = neighbours(fit)
    if same and abs(gap - 1.0) <= 1e-9:
        return
    numbers = [format_value(phi**gap, "fixed3") for phi in fit.phi[: len(c.by_levels)]]
    levels = [f" where {c.by} is {level}" if level else "" for level in c.by_levels]
    found = listed(f"{number}{level}" for number, level in zip(numbers, levels, strict=True))
    median = "" if same else " in the median"
    far = apart(fit.design, c, f"{gap:.3g}")
    yield f"Neighbouring rows of a group are {far}{median}; residuals so far apart have a correlation of {found}."


def residual_correlations(fit: Any) -> Frame | None:
    """The residual correlations of a group's occasions as a matrix, with the standard deviation at each.

    Parameters
    ----------
    fit : LMMFit

    Returns
    -------
    Frame or None
        A row and a column for each occasion of a ``us`` or ``toep`` structure of up to eight; a column ``sd`` where
        the standard deviation depends on the occasion alone, and rows for each level of ``by``. None for other
        structures.
    """
    _check(fit)
    found = occasions(fit)
    if not found:
        return None
    c = fit.design.correlation
    labels = list(found[0].labels)
    rows = pd.concat([_rows(one, labels, c.by) for one in found], ignore_index=True)
    has_sd = all(one.sd is not None for one in found)
    place = c.variables[0] if c.kind == "us" else f"{c.variables[0]}, from the first on"
    headings = {"occasion": place, "sd": with_unit("SD", fit.design.units.get(fit.response))}
    unseen = any(np.isnan(one.correlation).any() for one in found)
    return frame(
        rows if has_sd else rows.drop(columns="sd"),
        caption=f"Residual correlations{'' if not has_sd else ' and standard deviations'} ({fit.method})",
        label="tbl-residual-matrix",
        notes=("No two rows of a group are as far apart as where there is no number.",) if unseen else (),
        headings=headings | ({"by": c.by} if c.by else {}),
        formats={"sd": "estimate", **dict.fromkeys(labels, "fixed3"), "occasion": "text"},
        index=False,
    )


def _rows(one: OccasionMatrix, labels: list[str], by: str) -> pd.DataFrame:
    data = pd.DataFrame(one.correlation, columns=labels)
    data.insert(0, "sd", np.nan if one.sd is None else one.sd)
    data.insert(0, "occasion", labels)
    if by:
        data.insert(0, "by", one.level)
    return data
