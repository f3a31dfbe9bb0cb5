"""From a formula and a data frame to a fitted model."""

from __future__ import annotations

from typing import Any

from lmmtools.arguments import check_flag
from lmmtools.design import build_design
from lmmtools.errors import NotYetSupported
from lmmtools.formula import parse_residual
from lmmtools.results import LMMFit, estimate

__all__ = ["fit_lmm"]


def fit_lmm(
    formula: str,
    data: Any,
    *,
    reml: bool = True,
    weights: Any = None,
    offset: Any = None,
    residual: str | None = None,
    known: dict[str, Any] | None = None,
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
        Structure of R within groups; not supported by this version.
    known : dict, optional
        Known covariance matrices of grouping factors; not supported by this version.
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
    FormulaError, DataError, ModelError, NotYetSupported
        Each with what was found, what it means and what to do.

    References
    ----------
    Bates, Mächler, Bolker & Walker (2015), Fitting linear mixed-effects models using lme4, J. Stat. Softw. 67(1).

    Examples
    --------
    >>> import lmmtools as lt
    >>> fit = lt.fit_lmm("Reaction ~ Days + (Days | Subject)", lt.load_dataset("sleepstudy"))
    >>> round(fit.criterion, 4), round(float(fit.fixef["Days"]), 4)
    (1743.6283, 10.4673)
    """
    check_flag(reml, "reml")
    if residual is not None:
        parse_residual(residual)  # a mistake in it is told first
        raise NotYetSupported(
            f"fit_lmm: residual={residual!r}: residual structures are understood but not fitted by this version; "
            "fit with independent residuals (leave `residual` out), with `weights` where variances are known."
        )
    if known is not None:
        raise NotYetSupported(
            f"fit_lmm: known covariance matrices (for {', '.join(map(str, known))}) are not fitted by this version; "
            "leave `known` out to treat the levels as independent."
        )
    design = build_design(formula, data, weights=weights, offset=offset, contrasts=contrasts, missing=missing)
    return estimate(design, reml=reml)
