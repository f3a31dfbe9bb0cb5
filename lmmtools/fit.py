"""From a formula and a data frame to a fitted model, with random effects and without."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lmmtools.arguments import check_flag
from lmmtools.design import build_design
from lmmtools.errors import FormulaError
from lmmtools.formula import parse_formula
from lmmtools.results import LMMFit, estimate

__all__ = ["fit_gls", "fit_lmm", "fit_model"]


def fit_lmm(
    formula: str,
    data: Any,
    *,
    reml: bool = True,
    weights: Any = None,
    offset: Any = None,
    residual: str | None = None,
    known: Mapping[str, Any] | None = None,
    structures: Mapping[str, Any] | None = None,
    contrasts: dict[str, Any] | None = None,
    missing: str = "drop",
) -> LMMFit:
    """Fit a linear mixed model.

    Parameters
    ----------
    formula : str
        lme4's notation, such as ``"Reaction ~ Days + (Days | Subject)"``.
    data : frame
        Any frame narwhals understands (pandas, polars, pyarrow); only the columns named are read.
    reml : bool
        Restricted maximum likelihood (default) or maximum likelihood.
    weights : str or array_like, shape (n,), optional
        Precision weights: Var(εᵢ) = σ²/wᵢ. A column's name or one value a row.
    offset : str or array_like, shape (n,), optional
        Added to the mean with coefficient one; adds to ``offset(…)`` in the formula.
    residual : str, optional
        Structure of R within groups, variance functions, or both: ``"ar1(time | Subject) * varident(Sex)"``; see
        `lmmtools.parse_residual`.
    known : Mapping[str, object], optional
        Known covariance matrices of grouping factors' levels (kinship, phylogeny, space): Var(b) = σ²(T ⊗ A) instead of
        σ²(T ⊗ I). A DataFrame with the levels as index and columns, or a pair (labels, matrix), which may be of
        scipy.sparse: ``{"animal": A}``. Levels are matched by name; levels of A without rows are left out. A key is a
        grouping factor, or a term's name in ``varcorr``: with ``(1 | id) + (1 | id)`` and
        ``{"id": A, "id.1": B}`` the covariance is ω₁²A + ω₂²B + σ²I; without ``"id.1"`` the second term's levels are
        independent.
    structures : Mapping[str, object], optional
        Covariance structures of your own, by their names in the formula: with ``{"mine": structure}``,
        ``mine(0 + f | g)`` is a random term; see `lmmtools.Structure`.
    contrasts : dict, optional
        Coding of factors, such as ``{"temp": "poly", "recipe": "sum"}``; treatment contrasts otherwise, for
        ordered factors too (R's default for those is ``"poly"``).
    missing : {"drop", "raise"}
        Rows with missing values in the columns used are dropped, and counted in `messages`, or refused.

    Returns
    -------
    LMMFit

    Raises
    ------
    FormulaError
        If the formula cannot be read, or has no random effects.
    DataError
        If the data do not hold what the formula needs, or a known matrix is no covariance matrix of the levels.
    ModelError
        If the data cannot identify the model: a variance confounded with the residual's, more fixed effects than
        rows, a response without residual variance; with the largest model that can be estimated, where there is one.

    References
    ----------
    Bates, Mächler, Bolker & Walker (2015), Fitting linear mixed-effects models using lme4, J. Stat. Softw. 67(1).

    Examples
    --------
    >>> import lmmtools as lt
    >>> fit = lt.fit_lmm("Reaction ~ Days + (Days | Subject)", lt.load_dataset("sleepstudy"))
    >>> round(fit.criterion, 4), round(float(fit.fixef["Days"]), 4)
    (1743.6283, 10.4673)

    Two crossed factors:

    >>> fit = lt.fit_lmm("diameter ~ 1 + (1 | plate) + (1 | sample)", lt.load_dataset("Penicillin"))
    >>> fit.ngroups, round(fit.criterion, 4)
    ({'plate': 24, 'sample': 6}, 330.8606)
    """
    check_flag(reml, "reml")
    design = build_design(
        formula, data, weights=weights, offset=offset, residual=residual, known=known, structures=structures,
        contrasts=contrasts, missing=missing,
    )  # fmt: skip
    if not design.terms:
        instead = "a model of correlated residuals without them is fitted by fit_gls"
        instead = instead if residual is None else "residual structures alone are fitted by fit_gls"
        raise FormulaError(
            f"`{design.formula}` has no random effects, and a linear mixed model needs at least one, such as "
            f"(1 | group); {instead}."
        )
    return estimate(design, reml=reml)


def fit_gls(
    formula: str,
    data: Any,
    *,
    reml: bool = True,
    weights: Any = None,
    offset: Any = None,
    residual: str | None = None,
    contrasts: dict[str, Any] | None = None,
    missing: str = "drop",
) -> LMMFit:
    """Fit a linear model with correlated residuals, residuals of unequal variance, or both.

    Parameters
    ----------
    formula : str
        Fixed effects alone: ``"distance ~ Sex * age"``.
    data, reml, weights, offset, contrasts, missing
        As of `fit_lmm`.
    residual : str, optional
        Structure of R: ``"us(visit | id) * varident(visit)"`` for a mixed model of repeated measures; see
        `lmmtools.parse_residual`. Without one the fit is that of (weighted) least squares.

    Returns
    -------
    LMMFit
        Without random terms; all else is as of `fit_lmm`.

    Raises
    ------
    FormulaError
        If the formula or the structure cannot be read, or has random effects.
    DataError, ModelError
        If the data do not hold, or cannot identify, what the formula and the structure need.

    References
    ----------
    Pinheiro & Bates (2000), Mixed-effects models in S and S-PLUS, ch. 5, Springer.

    Examples
    --------
    >>> import lmmtools as lt
    >>> fit = lt.fit_gls("distance ~ Sex * age", lt.load_dataset("Orthodont"), residual="cs(Subject)")
    >>> round(fit.criterion, 4), round(float(fit.residual_params["cs.rho"]), 4)
    (433.7572, 0.6318)
    """
    check_flag(reml, "reml")
    design = build_design(
        formula, data, weights=weights, offset=offset, residual=residual, contrasts=contrasts, missing=missing
    )
    if design.terms:
        raise FormulaError(
            f"`{design.formula}` has random effects ({', '.join(t.label for t in design.terms)}): fit it by fit_lmm, "
            "which takes the same `residual`."
        )
    return estimate(design, reml=reml)


def fit_model(
    formula: str,
    data: Any,
    *,
    residual: str | None = None,
    known: Mapping[str, Any] | None = None,
    structures: Mapping[str, Any] | None = None,
    **options: Any,
) -> LMMFit:
    """Fit by `fit_lmm` a formula that has random effects, by `fit_gls` one that has none.

    Parameters
    ----------
    formula : str
    data : frame
    residual : str, optional
        Structure of R; empty is none. A formula without random effects needs one.
    known, structures : Mapping, optional
        As of `fit_lmm`, for random effects.
    **options
        As of both.

    Returns
    -------
    LMMFit

    Raises
    ------
    FormulaError
        If the formula cannot be read, or has neither random effects nor a residual structure.
    DataError, ModelError
        As of both.

    Examples
    --------
    >>> import lmmtools as lt
    >>> fit = lt.fit_model("distance ~ age", lt.load_dataset("Orthodont"), residual="cs(Subject)")
    >>> len(fit.ranef)
    0
    """
    residual = residual or None
    if residual is not None and not parse_formula(formula, structures).random:
        return fit_gls(formula, data, residual=residual, **options)
    return fit_lmm(formula, data, residual=residual, known=known, structures=structures, **options)
