"""Information criteria of fits to the same rows, with what each leaves out."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pandas as pd

from lmmtools.arguments import check_flag
from lmmtools.comparison.together import (
    criteria_of,
    labels_of,
    named_fits,
    own_fitted,
    recoded,
    require_comparable,
    require_fits,
)
from lmmtools.errors import ModelError
from lmmtools.formats import counted
from lmmtools.frames import Frame, frame

__all__ = ["compare"]


_MARGINAL = (
    "AIC, AICc and BIC judge predictions of new groups; cAIC (Greven & Kneib 2010) those of new rows of these groups, "
    "its degrees of freedom counting what the random effects use and that their variances are estimated."
)
_ROWS = (
    "AICc and BIC take the number of rows for the sample size; for what differs between groups alone the number of "
    "groups would be nearer."
)
_REML = "These are of restricted likelihoods, which compare covariances of the same fixed effects and no others."
_SINGULAR = (
    "AIC, AICc and BIC of a singular fit count a variance at zero, at the boundary of what is possible, as a parameter "
    "like any other, and so lean towards models without it; cAIC does not count it."
)


def compare(*fits: Any, conditional: bool = True) -> Frame:
    """Information criteria of fits to the same rows, nested or not.

    Parameters
    ----------
    *fits : LMMFit or Mapping[str, LMMFit]
        One or more, all by ML, or all by REML with the same means; or one mapping of names to them, as
        `fit_models` makes it.
    conditional : bool
        Whether conditional AIC is computed, which takes about as long as a fit; missing otherwise.

    Returns
    -------
    Frame
        ``npar, loglik, aic, aicc, bic, caic, delta, weight, note``, in the order given; `delta` and `weight` (Akaike's)
        are of AIC; aicc uses the number of rows (Hurvich & Tsai 1989, Biometrika 76); `caic` is the conditional AIC of
        Greven & Kneib (2010, Biometrika 97), missing where it has no value, which `note` then says.

    Raises
    ------
    ModelError
        As `lrt`, nesting apart.
    LMMError
        If `conditional` is neither true nor false.
    """
    check_flag(conditional, "compare: conditional")
    labels, fits = named_fits(fits)
    require_fits("compare", fits, at_least=1)
    for other in fits[1:]:
        require_comparable("compare", fits[0], other)
    criteria = np.array(criteria_of(fits))
    npar = np.array([f.npar for f in fits])
    aic = criteria + 2.0 * npar
    delta = aic - aic.min()
    weight = np.exp(-0.5 * delta)
    caic, why = zip(*(_conditional(f) if conditional else (np.nan, "") for f in fits), strict=True)
    table = pd.DataFrame(
        {
            "npar": npar,
            "loglik": -0.5 * criteria,
            "aic": aic,
            "aicc": [_aicc(value, f) for value, f in zip(aic, fits, strict=True)],
            "bic": criteria + np.log(fits[0].nobs) * npar,
            "caic": np.array(caic, dtype=float),
            "delta": delta,
            "weight": weight / weight.sum(),
            "note": ["; ".join(filter(None, [_note(f), no])) for f, no in zip(fits, why, strict=True)],
        },
        index=labels or labels_of(fits),
    )
    return frame(
        table,
        caption=f"Information criteria ({fits[0].method} fits of {counted(fits[0].nobs, 'row')})",
        label="tbl-compare",
        notes=(*_caveats(fits, conditional), *recoded(fits, criteria), *own_fitted(fits)),
        headings={"npar": "Parameters", "loglik": "log-lik.", "aic": "AIC", "aicc": "AICc", "bic": "BIC",
                  "caic": "cAIC", "delta": "ΔAIC", "weight": "Weight", "note": "Note"},
        formats={"npar": "int", "loglik": "fixed3", "aic": "fixed2", "aicc": "fixed2", "bic": "fixed2",
                 "caic": "fixed2", "delta": "fixed2", "weight": "fixed3", "note": "text"},
    )  # fmt: skip


def _caveats(fits: Sequence[Any], conditional: bool) -> Iterator[str]:
    """What the criteria leave out, where it concerns these fits."""
    if conditional:
        yield _MARGINAL
    yield _ROWS
    if fits[0].reml:
        yield _REML
    if any(fit.is_singular for fit in fits):
        yield _SINGULAR


def _conditional(fit: Any) -> tuple[float, str]:
    """Conditional AIC, or that it has no value and why."""
    from lmmtools.inference.conditional_aic import conditional_aic

    try:
        return conditional_aic(fit).caic, ""
    except ModelError as error:
        return np.nan, f"no cAIC: {error}"


def _aicc(aic: float, fit: Any) -> float:
    k, n = fit.npar, fit.nobs
    return aic + 2.0 * k * (k + 1) / (n - k - 1) if n > k + 1 else np.inf


def _note(fit: Any) -> str:
    status = fit.certificate.status
    return "singular: AIC counts a variance at zero as a parameter" if fit.is_singular else status
