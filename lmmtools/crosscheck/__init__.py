"""Is the fit right? The same model by other code, with every difference classified.

``engine="statsmodels"`` fits it in statsmodels' MixedLM; ``engine="dense"`` evaluates the definition (V built
explicitly, up to 2000 rows) at our parameters and searches for a better optimum around them.
"""

from __future__ import annotations

import time
from dataclasses import astuple
from typing import Any, ClassVar

import pandas as pd

from lmmtools.crosscheck.verdicts import UNEXPLAINED, Row
from lmmtools.errors import LMMError
from lmmtools.frames import Frame, frame

__all__ = ["CrossCheck", "cross_check"]

_FORMATS = {"ours": "sig8", "theirs": "sig8", "difference": "sci"}
_HEADINGS = {
    "quantity": "Quantity",
    "ours": "lmmtools",
    "difference": "Difference",
    "verdict": "Verdict",
    "explanation": "Explanation",
}


class CrossCheck(Frame):
    """The comparison as a table: quantity, ours, theirs, difference (theirs less ours), verdict, explanation.

    Attributes
    ----------
    ok : bool
        Whether no row is "unexplained".
    engine : str
        The other engine, with its version.
    seconds : float
        What the check took.
    """

    _metadata: ClassVar[list[str]] = [*Frame._metadata, "engine", "seconds"]
    engine: str = ""
    seconds: float = 0.0

    @property
    def _constructor(self) -> type[CrossCheck]:
        return CrossCheck

    @property
    def ok(self) -> bool:
        """Whether every difference has a cause."""
        return not (self["verdict"] == UNEXPLAINED).any()


def cross_check(fit: Any, engine: str = "statsmodels", *, seconds: float = 30.0) -> CrossCheck:
    """Check a fit against another implementation.

    Parameters
    ----------
    fit : LMMFit
    engine : {"statsmodels", "dense"}
        statsmodels' MixedLM, or the dense definition (at most 2000 rows).
    seconds : float
        statsmodels is not run when it would take longer, by an estimate from rows, groups and effects.

    Returns
    -------
    CrossCheck
        A row for every fixed effect, standard error, variance, covariance, residual variance and
        log-likelihood. The verdict "unexplained" is the only failure; `ok` says that there is none.

    Raises
    ------
    LMMError
        If there is no such engine.

    Examples
    --------
    >>> import lmmtools as lt
    >>> fit = lt.fit_lmm("Yield ~ 1 + (1 | Batch)", lt.load_dataset("Dyestuff"))
    >>> lt.cross_check(fit, engine="dense").ok
    True
    """
    began = time.perf_counter()
    rows, notes, version = _run(fit, engine, seconds)
    table = pd.DataFrame([astuple(row) for row in rows], columns=list(Row.__dataclass_fields__))
    table.insert(3, "difference", table["theirs"] - table["ours"])
    check = frame(
        table,
        caption=f"Cross-check of the {fit.method} fit with {version}",
        label="tbl-crosscheck",
        notes=tuple(notes),
        headings={**_HEADINGS, "theirs": engine},
        formats=_FORMATS,
        index=False,
        cls=CrossCheck,
    )
    check.engine, check.seconds = version, time.perf_counter() - began
    return check


def _run(fit: Any, engine: str, seconds: float) -> tuple[list[Row], list[str], str]:
    if engine == "dense":
        from lmmtools.crosscheck.against_dense import check_dense

        return *check_dense(fit), "the definition, evaluated densely"
    if engine == "statsmodels":
        from importlib.metadata import version

        from lmmtools.crosscheck.side_by_side import check_statsmodels

        return *check_statsmodels(fit, seconds), f"statsmodels {version('statsmodels')} MixedLM"
    raise LMMError(f'cross_check: there is no engine {engine!r}; use "statsmodels" or "dense".')
