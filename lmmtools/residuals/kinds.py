"""What each kind of residual is."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from types import MappingProxyType
from typing import Any

import numpy as np
import pandas as pd

from lmmtools.errors import LMMError, LMMWarning, ModelError
from lmmtools.formats import counted, nearest, quoted
from lmmtools.projection import projection
from lmmtools.residuals.whitening import whitened

__all__ = ["residuals"]

# Below this share of a residual's own variance, and of r², nothing but rounding is left.
_NOTHING = 1e-9
# Rows that a warning names.
_NAMED = 5


def residuals(fit: Any, kind: str = "response") -> pd.Series:
    """Residuals on the rows used, with the data's index.

    Parameters
    ----------
    fit : LMMFit
    kind : str
        | kind | definition |
        |---|---|
        | ``"response"`` | e = y − ŷ, ŷ = Xβ̂ + Zb̂ + offset |
        | ``"marginal"`` | y − Xβ̂ − offset |
        | ``"pearson"`` | eᵢ/(σ̂√Rᵢᵢ), Var(ε) = σ²R: over the standard deviation of the error |
        | ``"standardized"`` | eᵢ/(σ̂√(R𝒫R)ᵢᵢ): over its own standard deviation (internally studentized) |
        | ``"studentized"`` | the same with σ̂₍ᵢ₎ of the other rows in place of σ̂ (externally studentized) |
        | ``"normalized"`` | L⁻¹e/σ̂, R = LL': decorrelated as far as R says |
        | ``"whitened"`` | K⁻¹(y − Xβ̂ − offset)/σ̂, V = KK', V = ZTZ' + R: the marginal ones decorrelated |

        𝒫 = V⁻¹ − V⁻¹X(X'V⁻¹X)⁻¹X'V⁻¹. L and K are lower triangular in the order of residual group and position, or as
        rows stand where residuals have no correlation: each number is what a row has beyond those before it.

    Returns
    -------
    Series
        In units of the response for the first two kinds, without unit for the others. NaN for a standardized or
        studentized residual that is zero by construction, with an `LMMWarning` that names the rows.

    Raises
    ------
    LMMError
        For an unknown kind.
    ModelError
        For ``"studentized"`` if no degree of freedom is left without a row; for ``"whitened"``, and with a residual
        structure for ``"standardized"`` and ``"studentized"``, if rows that hang together are too many.

    Notes
    -----
    σ̂²₍ᵢ₎ = (νσ̂² − (𝒫y)ᵢ²/𝒫ᵢᵢ)/(ν − 1) is the estimate without the row at θ̂ (Christensen, Pearson & Johnson 1992),
    ν = n − p under REML and n under ML. Where errors are independent eᵢ/√(R𝒫R)ᵢᵢ = (𝒫y)ᵢ/√𝒫ᵢᵢ, and given θ, under REML,
    a studentized residual has Student's t distribution with ν − 1 degrees of freedom. lme4's ``rstudent`` divides by
    the full σ̂: it is ``"standardized"`` here.

    Given the random effects residuals are shrunken: ``"normalized"`` ones are not independent, in spite of their
    name in nlme, ``"whitened"`` ones would be at the true parameters. Without random effects the two are the same.
    nlme's normalized residuals differ for compound symmetry, where it takes another root of R than a triangular one.

    References
    ----------
    Pinheiro & Bates (2000), Mixed-effects models in S and S-PLUS, sec. 5.3.4 and 5.4.3, Springer; Nobre & Singer
    (2007), Residual analysis for linear mixed models, Biometrical Journal 49(6), 863-875; Christensen, Pearson &
    Johnson (1992), Case-deletion diagnostics for mixed models, Technometrics 34(1), 38-45; Houseman, Ryan & Coull
    (2004), Cholesky residuals for assessing normal errors in a linear model with correlated outcomes, JASA 99(466),
    383-394.

    Examples
    --------
    >>> import lmmtools as lt
    >>> fit = lt.fit_lmm("Yield ~ 1 + (1 | Batch)", lt.load_dataset("Dyestuff"))
    >>> fit.residuals("standardized").head(2).round(3).tolist()
    [0.775, -1.544]
    """
    if not isinstance(kind, str) or kind not in _KINDS:
        near = nearest(kind, _KINDS) if isinstance(kind, str) else ""
        raise LMMError(f"residuals: kind={kind!r} is unknown{near}; use one of {', '.join(map(repr, _KINDS))}.")
    return pd.Series(_KINDS[kind](fit), index=fit.design.index, name=f"{kind} residual")


def _response(fit: Any) -> np.ndarray:
    return fit.resid.to_numpy()


def _marginal(fit: Any) -> np.ndarray:
    return fit.design.y - fit.design.mean(fit.beta)


def _pearson(fit: Any) -> np.ndarray:
    return _response(fit) / (fit.sigma * fit.noise.sd)


def _normalized(fit: Any) -> np.ndarray:
    return fit.noise.whiten(_response(fit)) / fit.sigma


def _whitened(fit: Any) -> np.ndarray:
    return whitened(fit, _marginal(fit)) / fit.sigma


def _standardized(fit: Any) -> np.ndarray:
    return _over_own_sd(fit, projection(fit, what='residuals of kind="standardized"'), "standardized")


def _studentized(fit: Any) -> np.ndarray:
    nu = fit.solution.nu
    if nu < 2:
        raise ModelError(
            f"residuals: {counted(fit.nobs, 'row')} and {counted(len(fit.beta), 'coefficient')} leave "
            f"{counted(nu, 'degree')} of freedom, none without a row, so there is no σ̂ of the others for studentized "
            'residuals; use "standardized".'
        )
    P = projection(fit, what='residuals of kind="studentized"')
    value = _over_own_sd(fit, P, "studentized")
    with np.errstate(divide="ignore", invalid="ignore"):
        left = (nu - (P.response / fit.sigma) ** 2 / P.diagonal) / (nu - 1)
        alone = np.isfinite(value) & (left <= _NOTHING)
        _tell(fit, alone, "studentized", "without which the fit is perfect, so that there is no σ̂ of the others")
        return np.where(alone, np.nan, value / np.sqrt(np.maximum(left, _NOTHING)))


def _over_own_sd(fit: Any, P: Any, kind: str) -> np.ndarray:
    """Conditional residuals over their standard deviations; NaN where that is zero."""
    sure = P.residual_variance <= _NOTHING * fit.noise.sd**2
    _tell(fit, sure, kind, "of leverage one, which the fit reproduces whatever is observed")
    return _response(fit) / (fit.sigma * np.sqrt(np.where(sure, np.nan, P.residual_variance)))


def _tell(fit: Any, rows: np.ndarray, kind: str, why: str) -> None:
    if rows.any():
        names = fit.design.index[rows]
        warnings.warn(
            f"residuals: no {kind} residual (NaN) for {counted(len(names), 'row')} ({quoted(names, _NAMED)}) {why}.",
            LMMWarning,
            stacklevel=6,
        )


_KINDS: MappingProxyType[str, Callable[[Any], np.ndarray]] = MappingProxyType(
    {
        "response": _response,
        "marginal": _marginal,
        "pearson": _pearson,
        "standardized": _standardized,
        "studentized": _studentized,
        "normalized": _normalized,
        "whitened": _whitened,
    }
)
