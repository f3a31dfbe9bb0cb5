"""Bootstrap intervals of a measure."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from lmmtools.errors import LMMError
from lmmtools.formats import counted
from lmmtools.resampling import Quick, bootstrap
from lmmtools.results import LMMFit

__all__ = ["fit_required", "limits"]


def limits(
    fit: Any, measure: Callable[[Any], np.ndarray], k: int, *, what: str, n: int, rng: Any, level: float, workers: int
) -> tuple[np.ndarray, np.ndarray, tuple[str, ...]]:
    """Lower and upper limits of k numbers, each (k,), and what to say of them.

    Parameters
    ----------
    fit : LMMFit
    measure : callable
        Of a fit or refit, giving k numbers; picklable.
    what : str
        The function that was called, for the sentence on how to get intervals.
    n : int
        Parametric bootstrap replicates; without any there are no intervals.
    """
    if not n:
        nothing = np.full(k, np.nan)
        return nothing, nothing, (f"Intervals need replicates: {what}(fit, n=1000, rng=numpy.random.default_rng(1)).",)
    done = bootstrap(fit, n, rng, statistic=Quick(measure), workers=workers)
    table = done.confint("percentile", level)
    notes = [f"Percentile intervals of a parametric bootstrap with {counted(n, 'replicate')}."]
    if len(done.failures):
        notes.append(f"{len(done.failures):,} of {counted(n, 'refit')} failed and are left out.")
    if done.singular:
        notes.append(f"{done.singular:,} of {counted(n, 'refit')} are singular; they count.")
    return table["low"].to_numpy(), table["high"].to_numpy(), tuple(notes)


def fit_required(fit: Any, what: str) -> None:
    """Refuse what is no fit.

    Raises
    ------
    LMMError
        If it is none.
    """
    if not isinstance(fit, LMMFit):
        raise LMMError(f"{what}: takes a fit made by fit_lmm; got {type(fit).__name__}.")
