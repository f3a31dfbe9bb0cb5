"""Partial residuals: what a covariate's part of the fixed effects has, and what is left, in one picture."""

from __future__ import annotations

from numbers import Real
from typing import Any, ClassVar

import numpy as np
import pandas as pd

from lmmtools.assumptions.bends import numeric_covariates
from lmmtools.assumptions.smooth import local_linear
from lmmtools.design.frame import missing_mask, numbers, take
from lmmtools.design.observed import fixed_variables, is_number
from lmmtools.errors import LMMError, ModelError
from lmmtools.formats import counted, listed, nearest, quoted, with_unit
from lmmtools.formula.translate import columns as columns_of
from lmmtools.frames import Frame, frame
from lmmtools.inference.means.grid import reference_grid

__all__ = ["PartialResiduals", "numeric_names", "partial_residuals"]

_WHAT = "partial_residuals"
# Values of a covariate evaluated at a time.
_AT_ONCE = 5_000


class PartialResiduals(Frame):
    """The table of `partial_residuals`.

    Attributes
    ----------
    covariate, response : str
    unit, response_unit : str
        Empty where none is known.
    smooth : DataFrame
        ``x, height``: lines fitted locally to the partial residuals.
    span : float
        Share of the rows each is fitted to.
    averaged : tuple of str
        Variables that the covariate interacts with, over which its component is averaged.
    random : bool
        Whether random effects are taken out.
    """

    _metadata: ClassVar[list[str]] = [
        *Frame._metadata, "covariate", "response", "unit", "response_unit", "smooth", "span", "averaged", "random"
    ]  # fmt: skip
    covariate: str = ""
    response: str = ""
    unit: str = ""
    response_unit: str = ""
    smooth: pd.DataFrame = pd.DataFrame()
    span: float = np.nan
    averaged: tuple[str, ...] = ()
    random: bool = False

    @property
    def _constructor(self) -> type[PartialResiduals]:
        return PartialResiduals


def partial_residuals(fit: Any, covariate: str, *, data: Any = None, span: float = 2 / 3) -> PartialResiduals:
    """A covariate's fitted component with the residual added to it, row by row.

    Parameters
    ----------
    fit : LMMFit
    covariate : str
        A number of the fixed part: a variable, such as ``"age"``, or a function of one as its coefficient is called,
        such as ``"log(x)"``.
    data : frame, optional
        What was fitted; needed for a variable of which the model has functions only.
    span : float
        Share of the rows that each local line of the smooth is fitted to, in (0, 1].

    Returns
    -------
    PartialResiduals
        ``x, partial, component``, a row a row used, with the data's index: the fixed part as a function of the
        covariate, less its mean over the rows; and that with y − ŷ added, the random effects taken out of it. Where the
        covariate interacts, its component is averaged over the rows' levels of factors, and other numbers are at their
        means. ``.smooth`` is the curve that the partial residuals follow.

    Raises
    ------
    LMMError
        If there is no such covariate, or `span` is not in (0, 1].
    ModelError
        If the covariate is a factor, or its values are not to be had without `data`.

    Notes
    -----
    The curve is flatter than the truth where the covariate goes with others that bend, and where random slopes have
    taken part of it up (Cook 1993).

    References
    ----------
    Larsen & McCleary (1972), The use of partial residual plots in regression analysis, Technometrics 14; Cook (1993),
    Exploring partial residual plots, Technometrics 35; Cleveland (1979), J. Am. Stat. Assoc. 74.

    Examples
    --------
    >>> import lmmtools as lt
    >>> fit = lt.fit_lmm("Reaction ~ Days + (Days | Subject)", lt.load_dataset("sleepstudy"))
    >>> found = lt.partial_residuals(fit, "Days")
    >>> found["component"].iloc[[0, 9]].round(3).tolist()
    [-47.103, 47.103]
    """
    if not hasattr(fit, "beta_cov"):
        raise LMMError(f"{_WHAT}: takes a fit made by fit_lmm; got {type(fit).__name__}.")
    if not (isinstance(span, Real) and 0.0 < span <= 1.0):
        raise LMMError(f"{_WHAT}: span must lie above 0 and be at most 1; got {span!r}.")
    _check_covariate(fit.design, covariate)
    if covariate in fixed_variables(fit.design.parsed):
        x = _values(fit.design, covariate, data)
        beside = _beside(fit.design, covariate)
        component = _component(fit, covariate, x, beside)
    else:
        place = fit.design.fixed_names.index(covariate)
        x, beside = fit.design.X[:, place], ()
        component = x * fit.beta[place]
    component = component - component.mean()
    table = pd.DataFrame(
        {"x": x, "partial": component + fit.resid.to_numpy(), "component": component}, index=fit.design.index
    )
    return _shown(fit, table, covariate, beside, float(span))


def numeric_names(design: Any) -> list[str]:
    """Numbers of the fixed part, as variables and as columns."""
    return list(dict.fromkeys([
        *(name for name in fixed_variables(design.parsed) if is_number(design, name)),
        *(found.name for found in numeric_covariates(design) if found.place >= 0),
    ]))  # fmt: skip


def _check_covariate(design: Any, covariate: Any) -> None:
    """Refuse what is no number of the fixed part."""
    known = numeric_names(design)
    if covariate in known:
        return
    if covariate in fixed_variables(design.parsed):
        raise ModelError(
            f"{_WHAT}: `{covariate}` is a factor, whose levels have means and no curve; look at "
            f"marginal_means(fit, {covariate!r})."
        )
    if not known:
        raise LMMError(f"{_WHAT}: the fixed part has no numeric covariate, so none named `{covariate}`.")
    raise LMMError(
        f"{_WHAT}: `{covariate}` is no numeric covariate of the fixed part{nearest(str(covariate), known)}, which has "
        f"{quoted(known)}."
    )


def _values(design: Any, name: str, data: Any) -> np.ndarray:
    """The variable at the rows used."""
    if name in design.fixed_names:
        return design.X[:, design.fixed_names.index(name)]
    for term in design.terms:
        if name in term.names:
            return term.matrix[:, term.names.index(name)]
    if data is None:
        raise ModelError(
            f"{_WHAT}: the model has functions of `{name}` only, so its values are not kept: pass the data fitted, "
            "data=…."
        )
    columns = take(data, [name])
    series = columns.series[name]
    if len(series) == len(design.index) + len(design.dropped_rows) and columns.index.is_unique:
        series = series[~columns.index.isin(design.dropped_rows)]
    if len(series) != len(design.index) or missing_mask(series) is not None:
        raise LMMError(
            f"{_WHAT}: data has {counted(len(columns.index), 'row')}, where {len(design.index):,} were used and "
            f"{len(design.dropped_rows):,} left out: pass the frame that was fitted."
        )
    return numbers(name, series, "the column")


def _beside(design: Any, covariate: str) -> tuple[str, ...]:
    """Variables that the covariate interacts with."""
    found: dict[str, None] = {}
    for term in design.parsed.fixed_terms:
        names = [name for node in term for name in columns_of(node)]
        if covariate in names:
            found |= dict.fromkeys(name for name in names if name != covariate)
    return tuple(found)


def _component(fit: Any, covariate: str, x: np.ndarray, beside: tuple[str, ...]) -> np.ndarray:
    """The fixed part as a function of the covariate, at each row, the others held or averaged."""
    design = fit.design
    values, place = np.unique(x, return_inverse=True)
    levels = design.recipe.observed.factors
    # a factor that the covariate does not interact with moves all of it by the same amount
    held = {name: [levels[name].levels[0]] for name in levels if name not in beside and name != covariate}
    heights = [
        _heights(fit, covariate, reference_grid(design, {covariate: some, **held}))
        for some in np.array_split(values, -(-len(values) // _AT_ONCE))
    ]
    return np.concatenate(heights)[place]


def _heights(fit: Any, covariate: str, grid: Any) -> np.ndarray:
    columns = grid.columns([covariate])[:, :, fit.design.recipe.kept] @ fit.beta
    rest = [axis for axis in grid.rest([covariate]) if len(axis) > 1]
    if not rest:
        return columns[:, 0]
    joint = np.ravel_multi_index([axis.codes for axis in rest], [len(axis) for axis in rest])
    return columns @ (np.bincount(joint, minlength=columns.shape[1]) / len(joint))


def _shown(fit: Any, table: pd.DataFrame, covariate: str, beside: tuple[str, ...], span: float) -> PartialResiduals:
    units, at = fit.design.units, local_linear(table["x"].to_numpy(), table["partial"].to_numpy(), span)
    averaged = (f"The component is averaged over {listed(beside)}.",) if beside else ()
    made = frame(
        table,
        caption=f"Partial residuals of {with_unit(fit.response, units.get(fit.response))} in "
        f"{with_unit(covariate, units.get(covariate))}",
        label="tbl-partial",
        notes=("Component: less its mean over the rows. Partial: component and residual together.", *averaged),
        headings={"x": covariate, "partial": "Partial residual", "component": "Component"},
        formats={"x": "data", "partial": "estimate", "component": "estimate"},
        cls=PartialResiduals,
    )
    made.covariate, made.response, made.unit = covariate, fit.response, units.get(covariate, "")
    made.response_unit, made.averaged, made.span = units.get(fit.response, ""), beside, span
    made.smooth = pd.DataFrame({"x": at[0], "height": at[1]})
    made.random = bool(fit.design.terms)
    return made
