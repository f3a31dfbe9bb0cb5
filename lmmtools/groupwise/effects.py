"""Conditional modes of the random effects as a table, each with its standard error and interval."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from lmmtools.arguments import check_flag, check_level
from lmmtools.core.modes import mode_sensitivity, term_columns
from lmmtools.frames import Frame, frame
from lmmtools.groupwise.columns import factor_of, refuse_without_effects

__all__ = ["conditional_modes", "mode_errors"]


def conditional_modes(fit: Any, factor: str | None = None, level: float = 0.95, *, given_beta: bool = True) -> Frame:
    """Conditional modes of the random effects with standard errors and intervals.

    Parameters
    ----------
    fit : LMMFit
    factor : str, optional
        One grouping factor; all when left out.
    level : float
    given_beta : bool
        Whether β is taken as known, as lme4's ``condVar`` has it. Without, the uncertainty of β̂ is added: SAS's
        standard errors of prediction.

    Returns
    -------
    Frame
        ``factor, level, effect, mode, std_error, low, high``.

    Raises
    ------
    ModelError
        If the fit has no random effects.
    LMMError
        If it has no grouping factor of that name, or level lies outside (0, 1).

    Notes
    -----
    Given θ̂, Var(b̂ − b) = σ²(T − TZ'V⁻¹ZT) + D Var(β̂) D', D = TZ'V⁻¹X, whose first part is Var(b | y) at known β; T
    and V over σ². Neither has the uncertainty of θ̂, and where a variance is estimated as zero both are zero, which
    does not mean that the effects are known. Intervals are normal, for each level alone.

    A mode is drawn towards zero, the more the less its level's rows say, so that modes spread less than the effects:
    their distribution is no estimate of that of the effects.

    References
    ----------
    Bates, Mächler, Bolker & Walker (2015), Fitting linear mixed-effects models using lme4, J. Stat. Softw. 67(1), eqs.
    56 and 58; Henderson (1975), Best linear unbiased estimation and prediction under a selection model, Biometrics 31,
    sec. 3.

    Examples
    --------
    >>> import lmmtools as lt
    >>> fit = lt.fit_lmm("Yield ~ 1 + (1 | Batch)", lt.load_dataset("Dyestuff"))
    >>> lt.conditional_modes(fit)[["mode", "std_error", "low", "high"]].iloc[0].round(2).tolist()
    [-17.61, 19.59, -56.0, 20.78]
    """
    from scipy.special import ndtri

    refuse_without_effects(fit, "conditional_modes")
    check_level(level)
    check_flag(given_beta, "given_beta")
    factors = list(fit.design.factors) if factor is None else [factor_of(fit, factor, "conditional_modes")]
    errors = mode_errors(fit, given_beta)
    quantile = float(ndtri(0.5 + level / 2))
    parts = []
    for name in factors:
        modes = fit.ranef[name]
        J, Q = modes.shape
        b, se = modes.to_numpy().ravel(), errors[name].ravel()
        parts.append(pd.DataFrame({
            "factor": name, "level": np.repeat(modes.index.astype(str), Q), "effect": np.tile(modes.columns, J),
            "mode": b, "std_error": se, "low": b - quantile * se, "high": b + quantile * se,
        }))  # fmt: skip
    percent = f"{100 * level:g} %"
    known = "β̂ and the covariance parameters" if given_beta else "the covariance parameters"
    return frame(
        pd.concat(parts, ignore_index=True),
        caption=f"Conditional modes of the random effects of {fit.response} ({fit.method}) with {percent} intervals",
        label="tbl-modes",
        notes=(
            f"Standard errors take {known} as known.",
            "Modes are drawn towards zero and spread less than the effects.",
        ),
        headings={"factor": "Factor", "level": "Level", "effect": "Effect", "mode": "Mode", "std_error": "Std. error",
                  "low": f"{percent} low", "high": "high"},
        index=False,
    )  # fmt: skip


def mode_errors(fit: Any, given_beta: bool) -> dict[str, np.ndarray]:
    """Standard errors of the modes by grouping factor, shape (J, Q), columns as in ``fit.ranef``."""
    variances = {name: np.diagonal(cov, axis1=1, axis2=2).copy() for name, cov in fit.ranef_cov.items()}
    if not given_beta and len(fit.beta):
        sensitivity = mode_sensitivity(fit.working, fit.Lambda, fit.solution)
        done = dict.fromkeys(variances, 0)
        for term, (home, mine) in zip(fit.design.terms, term_columns(fit.working), strict=True):
            D, q, at = sensitivity[home][:, mine], len(term.names), done[term.factor]
            variances[term.factor][:, at : at + q] += np.einsum("jqp,pr,jqr->jq", D, fit.beta_cov, D)
            done[term.factor] = at + q
    return {name: np.sqrt(np.maximum(v, 0.0)) for name, v in variances.items()}
