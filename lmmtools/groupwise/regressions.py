"""A regression within each level of a grouping factor: nlme's lmList."""

from __future__ import annotations

from typing import Any

import numpy as np

from lmmtools.design import Design, build_design
from lmmtools.errors import FormulaError, LMMError
from lmmtools.formats import quoted
from lmmtools.formula import parse_formula
from lmmtools.groupwise.columns import Columns, columns_of, factor_of, refuse_without_effects, units_of, whitening
from lmmtools.groupwise.leastsquares import within
from lmmtools.groupwise.own import GroupFits

__all__ = ["fit_groups"]


def fit_groups(
    fit_or_formula: Any,
    data: Any = None,
    factor: str | None = None,
    *,
    weights: Any = None,
    offset: Any = None,
    contrasts: dict[str, Any] | None = None,
    missing: str = "drop",
) -> GroupFits:
    """Least-squares regressions within each level of a grouping factor.

    Parameters
    ----------
    fit_or_formula : LMMFit or str
        A fit, whose response is regressed on the random effects' columns of the factor, in each level by itself; or a
        formula ``y ~ x | g``, as of nlme's ``lmList``.
    data : frame, optional
        For a formula.
    factor : str, optional
        A grouping factor of the fit. By default the one of most effects a level, the first of these.
    weights, offset, contrasts, missing
        For a formula, as of `lmmtools.fit_lmm`; a fit has its own.

    Returns
    -------
    GroupFits

    Raises
    ------
    FormulaError
        If the formula is none of this kind.
    DataError
        If the data do not hold what it needs, or there is one group only.
    ModelError
        If the fit has no random effects, or its residuals are correlated across levels.
    LMMError
        If the model has no grouping factor of that name, or arguments do not go together.

    Notes
    -----
    Each level has its own coefficients and nothing in common with the others but, for pooled standard errors, the
    residual variance. Rows have the weights of the fit, and where it has a residual structure, its covariance at the
    estimates: the regressions then are generalised least squares. An offset is taken off the response.

    A coefficient that a level's rows do not determine has no value, and one that they determine has it also where
    others are not. R's ``lm`` instead leaves out columns from the right, so that the intercept of a level with one
    row is that row's response, which is the intercept only where the slope is zero. ``poly`` and its like are built
    from all rows, so that coefficients of different levels mean the same; nlme builds them anew in each.

    References
    ----------
    Pinheiro & Bates (2000), Mixed-effects models in S and S-PLUS, sec. 4.1, Springer.

    Examples
    --------
    >>> import lmmtools as lt
    >>> groups = lt.fit_groups("distance ~ age | Subject", lt.load_dataset("Orthodont"))
    >>> groups.coef.loc["M13"].round(2).tolist(), round(groups.pooled_sigma, 4), groups.pooled_df
    ([2.8, 1.95], 1.31, 54)
    """
    if isinstance(fit_or_formula, str):
        if data is None:
            raise LMMError(f"fit_groups: `{fit_or_formula}` needs data: fit_groups(formula, data).")
        options = {"weights": weights, "offset": offset, "contrasts": contrasts, "missing": missing}
        design = build_design(_as_mixed(fit_or_formula), data, **options)
        return _of_design(design, factor)
    fit = fit_or_formula
    refuse_without_effects(fit, "fit_groups")
    if data is not None or weights is not None or offset is not None or contrasts is not None:
        raise LMMError("fit_groups: a fit has its own data, weights, offset and contrasts; leave them out, or pass a "
                       "formula.")  # fmt: skip
    columns = columns_of(fit.design, factor_of(fit, factor, "fit_groups"))
    whiten = whitening(fit, columns, "fit_groups")
    structure = fit.design.residual
    said = () if structure is None else (f"Generalised least squares with the fitted {structure.text}.",)
    others = [name for name in fit.design.factors if name != columns.factor]
    if others:
        said += (f"Effects of {quoted(others)} are not taken off: they are part of the residuals.",)
    return _regressed(fit.design, columns, whiten, fit, said)


def _as_mixed(formula: str) -> str:
    """``y ~ x | g`` as ``y ~ 1 + (x | g)``, which a design can be built from."""
    left, tilde, right = formula.partition("~")
    try:
        mixed = parse_formula(formula)
    except FormulaError:
        if not tilde or "|" not in right:
            raise
        return f"{left.strip()} ~ 1 + ({right.strip()})"
    if not mixed.random:
        raise FormulaError(
            f"fit_groups: `{formula}` names no groups: write `{formula} | g`, g the column that has them."
        )
    if mixed.fixed_terms != ((),) or mixed.offset_nodes:
        raise FormulaError(
            f"fit_groups: `{formula}` is the formula of a mixed model. Pass the model fitted to it, or write what is "
            f"to be regressed on within groups, and these, as `{mixed.response} ~ x | g`."
        )
    return formula


def _of_design(design: Design, factor: str | None) -> GroupFits:
    if len(design.factors) > 1 and factor is None:
        raise LMMError(f"fit_groups: the formula has several grouping factors; choose one by factor: "
                       f"{quoted(design.factors)}.")  # fmt: skip
    root = None if design.weights is None else np.sqrt(design.weights)[:, None]
    columns = columns_of(design, factor_of(design, factor, "fit_groups"))
    return _regressed(design, columns, lambda A: A if root is None else root * A, None, design.messages)


def _regressed(design: Design, columns: Columns, whiten: Any, fit: Any, notes: tuple[str, ...]) -> GroupFits:
    y = design.y if design.offset is None else design.y - design.offset
    both = whiten(np.column_stack([columns.Z, y]))
    found = within(both[:, :-1], both[:, -1:], columns.codes, len(columns.levels))
    return GroupFits(design.response, columns, units_of(design, columns.names), found, fit, notes)
