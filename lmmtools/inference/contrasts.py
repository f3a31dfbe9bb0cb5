"""Linear functions of the fixed effects: estimates, standard errors, degrees of freedom and tests, by every method.

Everything that tests or bounds a fixed effect (coefficients, ANOVA hypotheses, marginal means, contrasts) comes here.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from lmmtools.arguments import check_level
from lmmtools.errors import LMMError, ModelError
from lmmtools.formats import estimate_format, nearest, quoted
from lmmtools.frames import Frame, frame
from lmmtools.inference.whitened import whitened

__all__ = [
    "DDF",
    "F_REFERENCE",
    "REFERENCE",
    "FTest",
    "Functions",
    "check_ddf",
    "df_format",
    "estimate_columns",
    "estimates_frame",
    "f_reference",
    "f_test",
    "linear_functions",
    "reference",
    "reference_notes",
    "t_quantile",
    "two_sided",
]

DDF = ("satterthwaite", "kenward-roger", "kenward-roger-observed", "residual", "normal")
_OBSERVED = ", with the observed information, as SAS PROC MIXED and mmrm"
# By `ddf`: what a caption says of the reference distribution, and what a note warns of.
REFERENCE = {
    "satterthwaite": ("t with Satterthwaite's degrees of freedom", ""),
    "kenward-roger": (
        "t with Kenward and Roger's adjusted standard errors and degrees of freedom", ""),
    "kenward-roger-observed": (
        "t with Kenward and Roger's adjusted standard errors and degrees of freedom" + _OBSERVED, ""),
    "residual": ("t with n − rank(X) degrees of freedom", "Residual degrees of freedom count rows as if they were "
                 "independent: with few groups the intervals are too short and the p-values too small."),
    "normal": ("normal", "The normal reference treats the variance parameters as known: with few groups the intervals "
               "are too short and the p-values too small."),
}  # fmt: skip
# What the caption of a table of F tests says of their denominators.
F_REFERENCE = {
    "satterthwaite": "Satterthwaite's degrees of freedom",
    "kenward-roger": "Kenward and Roger's scaled F",
    "kenward-roger-observed": "Kenward and Roger's scaled F" + _OBSERVED,
    "residual": "residual degrees of freedom",
    "normal": "χ² in place of F",
}
# Beyond it scipy's quantiles of t stay where they are.
_FARTHEST = 1e99
_BY_ML = (
    "Maximum likelihood makes variances, and with them standard errors, too small where groups are few; REML does not."
)
_UNDETERMINED = (
    "Degrees of freedom are missing where a standard error rests on a covariance that the data do not determine."
)
_NO_OPTIMUM = (
    "Degrees of freedom are missing where a standard error rests on a covariance along which the criterion still "
    "falls: this fit is no optimum (see its certificate)."
)
_LINEAR = (
    "KR (linear): the parameters are the variances and covariances of the response, in which its covariance is linear, "
    "so that Kenward and Roger's formula holds no second derivatives. "
)
_CURVED = (
    "The covariance of the response is not linear in {}: Kenward and Roger's formula of 1997 holds its second "
    "derivatives, and what it gives depends on the parameters the covariance is written in, here these, σ² and σ²T. "
)
_MADE_SMALLER = (
    "The adjustment makes standard errors smaller, to {:.2f} times what they are without it at the least: second "
    "derivatives weigh much beside what the data tell of these parameters. Satterthwaite's method does without them."
)
# Least share of an unadjusted variance that needs no remark.
_SMALLER = 0.9
# By `ddf`, of fits with a residual structure: which information it is, where V is linear and where it is not.
_INFORMATION = {
    "kenward-roger": (
        "The information about them is the expected one, as in their paper; SAS PROC MIXED takes the observed one, and "
        'its degrees of freedom differ: ddf="kenward-roger-observed" has those.',
        "The information about them is the expected one, as in their paper; SAS PROC MIXED takes the observed one, as "
        'ddf="kenward-roger-observed" does.'),
    "kenward-roger-observed": (
        "The information about them is the observed one, as SAS PROC MIXED takes it, and the R package mmrm "
        '(vcov = "Kenward-Roger-Linear"); their paper has the expected one.',
        "The information about them is the observed one, as SAS PROC MIXED and the R package mmrm take it; their paper "
        "has the expected one. Degrees of freedom do not depend on the parameters, adjusted standard errors do: SAS "
        "has variances where here are ratios of standard deviations."),
}  # fmt: skip
_OBSERVED_NOTE = (
    "The information about the variances and covariances of random effects is the observed one, as SAS PROC MIXED "
    "takes it; Kenward and Roger's paper, and the R package pbkrtest, have the expected one."
)
# By `ddf`, what of a fit has Kenward and Roger's inference.
_KENWARD_ROGER = {"kenward-roger": "kenward_roger", "kenward-roger-observed": "kenward_roger_observed"}
_NO_F = (
    "Kenward and Roger's F is missing where no F distribution has the mean and variance that they find for it, as with "
    "very few groups for the number of functions tested together."
)


@dataclass(frozen=True)
class Functions:
    """k linear functions of β, each alone.

    Attributes
    ----------
    estimate, std_error, df : ndarray, shape (k,)
        df is infinite for the normal reference.
    covariance : ndarray, shape (k, k)
        Of the estimates; adjusted by Kenward and Roger.
    """

    estimate: np.ndarray
    std_error: np.ndarray
    df: np.ndarray
    covariance: np.ndarray


@dataclass(frozen=True)
class FTest:
    """A test of several linear functions together.

    Attributes
    ----------
    f_value, num_df, den_df, p_value : float, int, float, float
        den_df is infinite for the normal reference, where F is χ²/num_df.
    scale : float
        What the Wald statistic was multiplied with: 1, but for Kenward and Roger.
    """

    f_value: float
    num_df: int
    den_df: float
    p_value: float
    scale: float = 1.0


def check_ddf(ddf: Any, fit: Any, what: str) -> str:
    """The name of a method for degrees of freedom, with everything it needs of the fit.

    Raises
    ------
    LMMError
        If it is unknown.
    ModelError
        If it is Kenward and Roger's, and the fit is by ML.
    """
    if ddf not in DDF:
        names = ", ".join(f'"{name}"' for name in DDF)
        raise LMMError(f"{what}: ddf={ddf!r} is unknown{nearest(str(ddf), DDF)}; use one of {names}.")
    if ddf in _KENWARD_ROGER and not fit.reml:
        raise ModelError(
            f'{what}: ddf="{ddf}" is defined for REML, whose covariance of the estimates it corrects, and this '
            'fit is by ML: use fit.refit(reml=True), or ddf="satterthwaite".'
        )
    return ddf


def linear_functions(fit: Any, L: np.ndarray, ddf: str) -> Functions:
    """Estimates of Lβ with standard errors and degrees of freedom, each row alone.

    Parameters
    ----------
    fit : LMMFit
    L : ndarray, shape (k, p)
    ddf : {"satterthwaite", "kenward-roger", "kenward-roger-observed", "residual", "normal"}
    """
    check_ddf(ddf, fit, "linear_functions")
    L = np.atleast_2d(np.asarray(L, dtype=float))
    white = whitened(fit)
    rows = L @ white.root
    # through a root, since Var(β̂) itself cancels where a covariate is far from zero
    adjusting = _kenward_roger(fit, ddf)
    covariance = rows @ (rows.T if adjusting is None else adjusting.adjusted @ rows.T)
    if ddf == "satterthwaite":
        df = fit.satterthwaite.df(L)
    elif adjusting is not None:
        df = adjusting.df(L)
    else:
        df = np.full(len(L), np.inf if ddf == "normal" else float(fit.nobs - len(fit.beta)))
    return Functions(L @ fit.beta, np.sqrt(np.diagonal(covariance)), df, covariance)


def f_test(fit: Any, L: np.ndarray, ddf: str) -> FTest:
    """Test Lβ = 0, all rows together.

    Parameters
    ----------
    fit : LMMFit
    L : ndarray, shape (k, p)
        Rows that repeat others are left out: num_df is its rank.
    ddf : {"satterthwaite", "kenward-roger", "kenward-roger-observed", "residual", "normal"}

    References
    ----------
    Fai & Cornelius (1996), J. Stat. Comput. Simul. 54 (Satterthwaite's, for several rows).
    Kenward & Roger (1997), Biometrics 53.
    """
    from scipy.special import chdtrc, fdtrc

    check_ddf(ddf, fit, "f_test")
    L = np.atleast_2d(np.asarray(L, dtype=float))
    scale = 1.0
    if (adjusting := _kenward_roger(fit, ddf)) is not None:
        value, q, df, scale = adjusting.f_test(L)
    else:
        value, q, df = fit.satterthwaite.f_test(L) if ddf == "satterthwaite" else _wald(fit, L, ddf)
    p_value = chdtrc(q, q * value) if np.isinf(df) else fdtrc(q, df, value)
    return FTest(float(value), int(q), float(df), float(p_value), float(scale))


def _kenward_roger(fit: Any, ddf: str) -> Any:
    """Kenward and Roger's inference of a fit where `ddf` is theirs, None where it is another."""
    return getattr(fit, _KENWARD_ROGER[ddf]) if ddf in _KENWARD_ROGER else None


def _wald(fit: Any, L: np.ndarray, ddf: str) -> tuple[float, int, float]:
    white = whitened(fit)
    found = white.independent(L)
    value = float(np.mean((white.axes(found) @ white.z) ** 2)) if len(found) else np.nan
    return value, len(found), np.inf if ddf == "normal" else float(fit.nobs - len(fit.beta))


def t_quantile(df: Any, level: float) -> np.ndarray:
    """Two-sided quantile of t at each df; of the normal where df is infinite, NaN where it is NaN.

    Infinite beyond what is computed, as df near zero make it.
    """
    from scipy.special import ndtri, stdtrit

    df, upper = np.asarray(df, dtype=float), 0.5 + check_level(level) / 2.0
    finite = np.isfinite(df)
    found = stdtrit(np.where(finite, df, 1.0), upper)
    found = np.where(found < _FARTHEST, found, np.inf)
    return np.where(finite, found, np.where(np.isnan(df), np.nan, ndtri(upper)))


def two_sided(statistic: Any, df: Any) -> np.ndarray:
    """Two-sided tail probability of t at each df; of the normal where df is infinite, NaN where it is NaN."""
    from scipy.special import ndtr, stdtr

    t, df = -np.abs(np.asarray(statistic, dtype=float)), np.asarray(df, dtype=float)
    finite = np.isfinite(df)
    normal = np.where(np.isnan(df), np.nan, 2.0 * ndtr(t))
    return np.where(finite, 2.0 * stdtr(np.where(finite, df, 1.0), t), normal)


def estimate_columns(functions: Functions, level: float) -> dict[str, np.ndarray]:
    """``estimate, std_error, df, statistic, p_value, ci_low, ci_high`` of linear functions."""
    half = t_quantile(functions.df, level) * functions.std_error
    with np.errstate(invalid="ignore", divide="ignore"):
        statistic = functions.estimate / functions.std_error
    return {
        "estimate": functions.estimate,
        "std_error": functions.std_error,
        "df": functions.df,
        "statistic": statistic,
        "p_value": two_sided(statistic, functions.df),
        "ci_low": functions.estimate - half,
        "ci_high": functions.estimate + half,
    }


def reference(fit: Any, ddf: str) -> str:
    """What a caption says of the reference distribution of single functions."""
    return REFERENCE[ddf][0] + _form(fit, ddf)


def f_reference(fit: Any, ddf: str) -> str:
    """What the caption of a table of F tests says of their denominators."""
    return F_REFERENCE[ddf] + _form(fit, ddf)


def _form(fit: Any, ddf: str) -> str:
    """With a residual structure, which of Kenward and Roger's formulas it is."""
    if ddf not in _KENWARD_ROGER or fit.design.residual is None:
        return ""
    linear = _kenward_roger(fit, ddf).linear
    said = "KR (linear)" if linear else "the formula of 1997 in the residual parameters as named"
    return f"{', ' if ddf == 'kenward-roger' else '; '}{said}"


def reference_notes(fit: Any, ddf: str, df: Any) -> tuple[str, ...]:
    """What must be said under a table of tests by this method."""
    notes = [REFERENCE[ddf][1]] if REFERENCE[ddf][1] else []
    if ddf == "satterthwaite" and not fit.reml:
        notes.append(_BY_ML)
    if ddf in _KENWARD_ROGER and fit.design.residual is not None:
        linear, (if_linear, if_curved) = _kenward_roger(fit, ddf).linear, _INFORMATION[ddf]
        curved = _CURVED.format(quoted(fit.residual_params.index)) + if_curved
        notes.append(_LINEAR + if_linear if linear else curved)
        if (least := _kenward_roger(fit, ddf).least) < _SMALLER:
            notes.append(_MADE_SMALLER.format(np.sqrt(least)))
    elif ddf == "kenward-roger-observed":
        notes.append(_OBSERVED_NOTE)
    if np.isnan(np.asarray(df, dtype=float)).any():
        unstable = fit.certificate.status == "not an optimum"
        notes.append(_NO_F if ddf in _KENWARD_ROGER else _NO_OPTIMUM if unstable else _UNDETERMINED)
    return tuple(notes)


def df_format(df: Any) -> str:
    """Format of a column of degrees of freedom."""
    df = np.asarray(df, dtype=float)
    finite = df[np.isfinite(df)]
    if not len(finite):
        return "text"
    return "int" if np.all(finite == np.round(finite)) else "fixed2" if finite.max() < 1e4 else "fixed0"


def estimates_frame(
    table: pd.DataFrame, level: float, ddf: str, *, caption: str, label: str, notes: tuple[str, ...]
) -> Frame:
    """A table of estimates with tests and intervals, estimate and limits sharing their decimals."""
    together = estimate_format(table[["estimate", "ci_low", "ci_high"]].to_numpy().ravel())
    percent = f"{100 * level:g} %"
    return frame(
        table,
        caption=caption,
        label=label,
        notes=notes,
        headings={"estimate": "Estimate", "std_error": "Std. error", "df": "df",
                  "statistic": "z" if ddf == "normal" else "t", "p_value": "p",
                  "ci_low": f"{percent} low", "ci_high": "high"},
        formats={"estimate": together, "std_error": "estimate", "df": df_format(table["df"]), "statistic": "fixed2",
                 "p_value": "p", "ci_low": together, "ci_high": together},
    )  # fmt: skip
