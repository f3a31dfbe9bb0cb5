"""Likelihood-ratio tests of nested fits, each against the distribution that its null hypothesis has."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd

from lmmtools.arguments import check_count
from lmmtools.comparison.reference import DRAWS, reference, reference_notes
from lmmtools.comparison.together import (
    criteria_of,
    labels_of,
    own_fitted,
    recoded,
    require_comparable,
    require_fits,
    require_nested,
)
from lmmtools.frames import Frame, frame
from lmmtools.nesting import Nesting
from lmmtools.resampling.blocks import generator_of

__all__ = ["likelihood_ratio", "lrt"]

_FORMATS = {"loglik": "fixed3", "deviance": "fixed3", "chisq": "fixed3", "p_value": "p"}


def lrt(*fits: Any, draws: int = DRAWS, rng: np.random.Generator | int | None = None) -> Frame:
    """Likelihood-ratio tests of successively larger nested fits.

    Parameters
    ----------
    *fits : LMMFit
        Two or more, of the same rows; they are put in order of their number of parameters.
    draws : int
        How many draws the weights of a mixture are simulated from, where they have no closed form.
    rng : numpy.random.Generator or int, optional
        For these; the same draws each time when left out.

    Returns
    -------
    Frame
        A row a fit: ``npar, loglik, deviance, chisq, df, p_value, reference``; each row tests the fit above it
        against its own, and `reference` says against which distribution. `p_value` is the probability of a larger
        statistic.

    Raises
    ------
    ModelError
        If responses, rows, weights or methods differ, REML fits differ in the means they can take, or a fit is not
        nested in the next.
    LMMError
        If `draws` is no whole number of at least 1,000, or `rng` gives no random numbers.

    Notes
    -----
    The distribution is chosen for each comparison. Where the smaller model lies inside the larger's set of
    covariances, as with a correlation of zero, it is χ². Where it sets one variance to zero, with its q covariances and
    what else is tested inside, it is ½χ²_q + ½χ²_{q+1} (Self & Liang 1987, case 6; Stram & Lee 1994). Where it sets
    several to zero, the mixture's weights are simulated: projections of draws from N(0, I⁻¹), I the efficient
    information at the smaller fit, on the tangent cone of the covariances that the larger allows; `reference` shows the
    Monte-Carlo error of p. These hold for many groups; with few, `exact_lrt` and `bootstrap_lrt` are the better tests.
    Where a variance of the smaller model is itself estimated at zero none of this holds: p is then missing.

    Residual structures are nested as their covariances are, whatever they are called: compound symmetry in Toeplitz and
    unstructured correlations of the same occasions, an autoregression in ARMA(p, q), equal standard deviations in every
    variance function, a random intercept in free correlations. Tests of them refer to χ², but to ½χ²_{q−1} + ½χ²_q
    where the smaller model has one parameter on its bound (a nugget of zero, independence where a correlation cannot be
    negative); where a parameter of the larger has no part in the smaller (a range without correlation) p is missing.

    References
    ----------
    Self, S. G., Liang, K.-Y. (1987). Asymptotic properties of maximum likelihood estimators and likelihood ratio tests
    under nonstandard conditions. J. Am. Stat. Assoc. 82.
    Stram, D. O., Lee, J. W. (1994). Variance components testing in the longitudinal mixed effects model. Biometrics 50.

    Examples
    --------
    >>> import lmmtools as lt
    >>> data = lt.load_dataset("sleepstudy")
    >>> small, large = (lt.fit_lmm(f"Reaction ~ Days + ({x} | Subject)", data, reml=False) for x in ("1", "Days"))
    >>> lt.lrt(small, large)["reference"].iloc[1]
    '½ χ²(1) + ½ χ²(2)'
    """
    require_fits("lrt", fits, at_least=2)
    check_count(draws, "lrt: draws", at_least=1000)
    rng = None if rng is None else generator_of(rng, "lrt")
    ordered = sorted(fits, key=lambda f: f.npar)
    for small, large in pairwise(ordered):
        require_comparable("lrt", small, large)
    steps = [require_nested("lrt", small, large) for small, large in pairwise(ordered)]
    criteria = criteria_of(ordered)
    rows = [_first_row(fit, at) for fit, at in zip(ordered, criteria, strict=True)]
    for row, step, pair, values in zip(rows[1:], steps, pairwise(ordered), pairwise(criteria), strict=True):
        row |= likelihood_ratio(*pair, values, step, draws=draws, rng=rng)
    return frame(
        pd.DataFrame(rows, index=labels_of(ordered)),
        caption=f"Likelihood-ratio tests ({ordered[0].method} fits); each row against the one above",
        label="tbl-lrt",
        notes=(
            *reference_notes(row["reference"] for row in rows),
            *recoded(ordered, criteria),
            *own_fitted(ordered),
        ),
        headings={"npar": "Parameters", "loglik": "log-lik.", "deviance": "−2 log-lik.", "chisq": "χ²",
                  "df": "df", "p_value": "p", "reference": "Reference"},
        formats=_FORMATS | {"npar": "int", "df": "int", "reference": "text"},
    )  # fmt: skip


def _first_row(fit: Any, criterion: float) -> dict[str, Any]:
    numbers = {"npar": fit.npar, "loglik": -0.5 * criterion, "deviance": criterion}
    return numbers | {"chisq": np.nan, "df": pd.NA, "p_value": np.nan, "reference": ""}


def likelihood_ratio(
    small: Any | None,
    large: Any,
    criteria: tuple[float, float],
    step: Nesting,
    *,
    draws: int = DRAWS,
    rng: np.random.Generator | None = None,
) -> dict[str, Any]:
    """``chisq, df, p_value, reference`` of a test of nested models, from their criteria; see `reference`."""
    # A larger model can only fit better; what is left below zero is rounding of the two optima.
    chisq = max(criteria[0] - criteria[1], 0.0)
    found = reference(small, large, step, chisq, draws=draws, rng=rng)
    return {"chisq": chisq, "df": step.df, "p_value": found.p_value, "reference": found.words}
