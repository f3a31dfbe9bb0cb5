"""Intraclass correlations."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from lmmtools.arguments import check_count, check_level
from lmmtools.errors import LMMError, ModelError
from lmmtools.frames import Frame, frame

__all__ = ["icc"]


def icc(fit: Any, *, n: int = 0, rng: np.random.Generator | None = None, level: float = 0.95) -> Frame:
    """Share of the variance that lies between the levels of each grouping factor.

    Parameters
    ----------
    fit : LMMFit
    n : int
        Parametric bootstrap replicates for the interval of the adjusted ICC; none by default.
    rng : numpy.random.Generator, optional
        Needed when n > 0.
    level : float

    Returns
    -------
    Frame
        ``group, icc, adjusted, low, high``: `adjusted` leaves the variance of the fixed part out of the
        denominator, `icc` has it in. With random slopes the variance between levels depends on the covariates;
        its mean over the rows, tr(ZΣZ')/n, is used.

    Raises
    ------
    ModelError
        With weights, or for n > 0 without `rng`.
    LMMError
        If `level` does not lie between 0 and 1, or n is no whole number.

    References
    ----------
    Nakagawa, Johnson & Schielzeth (2017), J. R. Soc. Interface 14, eqs. 2-4; Johnson (2014), Methods Ecol.
    Evol. 5, eq. 10 (random slopes).
    """
    if not hasattr(fit, "varcorr"):
        raise LMMError(f"icc: takes a fit made by fit_lmm; got {type(fit).__name__}.")
    level, n = check_level(level), check_count(n, "icc: n, the number of bootstrap replicates,", at_least=0)
    if fit.design.weights is not None:
        raise ModelError(
            "icc: with weights the residual variance σ²/w differs from row to row, so there is no single "
            "intraclass correlation; compute it from `varcorr` at the weight you mean."
        )
    shares, adjusted = _shares(fit)
    low, high = _bootstrap(fit, n, rng, level) if n else (np.full(len(adjusted), np.nan),) * 2
    notes = () if n else ("Intervals need replicates: icc(fit, n=1000, rng=numpy.random.default_rng(1)).",)
    return frame(
        pd.DataFrame(
            {"group": list(fit.ngroups), "icc": shares, "adjusted": adjusted, "low": low, "high": high}
        ),
        caption="Intraclass correlation: share of variance between groups",
        label="tbl-icc",
        notes=notes,
        index=False,
        headings={
            "group": "Group",
            "icc": "ICC",
            "adjusted": "Adjusted",
            "low": f"{100 * level:g} % low",
            "high": "high",
        },
        formats=dict.fromkeys(("icc", "adjusted", "low", "high"), "fixed3"),
    )


def _shares(fit: Any) -> tuple[np.ndarray, np.ndarray]:
    """(icc, adjusted) by grouping factor."""
    between = dict.fromkeys(fit.ngroups, 0.0)
    for term, Lambda in zip(fit.design.terms, fit.Lambda, strict=True):
        between[term.factor] += fit.sigma**2 * float(np.mean(relative_variance(term, Lambda)))
    random = np.array(list(between.values()))
    fixed = float(np.var(fit.design.X @ fit.fixef.to_numpy(), ddof=1))
    residual = fit.sigma**2
    return random / (fixed + random.sum() + residual), random / (random.sum() + residual)


def relative_variance(term: Any, Lambda: np.ndarray) -> np.ndarray:
    """Variance that a term gives each row, over σ²; a known covariance matrix says how large a level's own is."""
    own = np.sum((term.matrix @ Lambda) ** 2, axis=1)
    return own if term.known_root is None else own * np.sum(term.known_root**2, axis=1)[term.codes]


def _bootstrap(fit: Any, n: int, rng: Any, level: float) -> tuple[np.ndarray, np.ndarray]:
    if rng is None:
        raise ModelError("icc: a bootstrap needs rng=numpy.random.default_rng(seed), so that it can be repeated.")
    draws = np.array([_shares(fit.refit(y=y))[1] for y in fit.simulate(n, rng).T])
    tail = (1.0 - level) / 2.0
    return tuple(np.quantile(draws, [tail, 1.0 - tail], axis=0))
