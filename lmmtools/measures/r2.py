"""Marginal and conditional R²."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from lmmtools.arguments import check_count, check_level
from lmmtools.frames import Frame, frame
from lmmtools.inference.variances import check_weight, variances
from lmmtools.measures.intervals import fit_required, limits

__all__ = ["r2"]


def r2(
    fit: Any,
    *,
    weight: float | None = None,
    n: int = 0,
    rng: np.random.Generator | int | None = None,
    level: float = 0.95,
    workers: int = 1,
) -> Frame:
    """Share of the variance that the fixed part explains, and that fixed part and random effects explain together.

    Parameters
    ----------
    fit : LMMFit
    weight : float, optional
        For fits with weights: the weight of the residual that is meant; 1 by default.
    n : int
        Parametric bootstrap replicates for the intervals; none by default.
    rng : numpy.random.Generator or int, optional
        Needed when n > 0.
    level : float
    workers : int
        Processes for the bootstrap.

    Returns
    -------
    Frame
        One row: ``marginal, conditional, low, high, marginal_low, marginal_high``; ``low, high`` are limits of
        `conditional`; those of `marginal` are there with replicates only.

    Raises
    ------
    LMMError
        If `level` does not lie between 0 and 1, n is no whole number, or n > 0 without `rng`.

    Notes
    -----
    The fixed part's variance is that of Xβ̂ over the rows, the random effects' the mean over the rows of what they
    give each, tr(ZΣZ')/n. Offsets explain nothing. Both R² are of the response's own scale, and under ML, whose
    variances are too small with few groups, larger than under REML.

    References
    ----------
    Nakagawa & Schielzeth (2013), Methods Ecol. Evol. 4, 133-142; Johnson (2014), Methods Ecol. Evol. 5, eq. 10 (random
    slopes); Nakagawa, Johnson & Schielzeth (2017), J. R. Soc. Interface 14.

    Examples
    --------
    >>> import lmmtools as lt
    >>> fit = lt.fit_lmm("Reaction ~ Days + (Days | Subject)", lt.load_dataset("sleepstudy"))
    >>> lt.r2(fit)[["marginal", "conditional"]].round(4).values.tolist()
    [[0.2787, 0.7992]]
    """
    fit_required(fit, "r2")
    level, n = check_level(level), check_count(n, "r2: n, the number of bootstrap replicates,", at_least=0)
    weight, of_weight = check_weight(fit, weight, "r2")
    measure = _Shares(weight)
    marginal, conditional = measure(fit)
    low, high, notes = limits(fit, measure, 2, what="r2", n=n, rng=rng, level=level, workers=workers)
    table = {"marginal": marginal, "conditional": conditional, "low": low[1], "high": high[1],
             **({"marginal_low": low[0], "marginal_high": high[0]} if n else {})}  # fmt: skip
    percent = f"{100 * level:g} %"
    return frame(
        pd.DataFrame(table, index=[0]),
        caption=f"Share of the variance explained, by {fit.method}: marginal (fixed part) and conditional (with the "
        "random effects) R²",
        label="tbl-r2",
        notes=(*of_weight, *notes),
        index=False,
        headings={"marginal": "Marginal R²", "conditional": "Conditional R²", "low": f"Conditional {percent} low",
                  "high": "high", "marginal_low": f"Marginal {percent} low", "marginal_high": "high"},
        formats=dict.fromkeys(table, "fixed3"),
    )  # fmt: skip


@dataclass(frozen=True)
class _Shares:
    """Marginal and conditional R² at a residual's weight."""

    weight: float

    def __call__(self, fit: Any) -> np.ndarray:
        """Both, shape (2,)."""
        found = variances(fit, self.weight)
        return np.array([found.marginal, found.conditional])
