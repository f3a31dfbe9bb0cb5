"""Is the fit right? The same model by other code, with every difference classified.

``engine="statsmodels"`` fits it in statsmodels' MixedLM, where nested factors are variance components and crossed ones
components of one group of all rows; correlated effects of a second factor, covariance structures, known matrices and
weights cannot be said there, and the table says so. ``engine="dense"`` takes every model: it evaluates the definition
(V built explicitly, up to 2000 rows) at our parameters, and follows its own slope and curvature downhill from there.
"""

from __future__ import annotations

from dataclasses import astuple
from typing import ClassVar

import pandas as pd

from lmmtools.crosscheck.verdicts import UNEXPLAINED, Row
from lmmtools.errors import LMMError, ModelError
from lmmtools.frames import Frame, frame
from lmmtools.results import LMMFit

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
    """The comparison as a table of quantity, ours, theirs, difference (theirs less ours), verdict, explanation.

    Attributes
    ----------
    ok : bool
        Whether no row has the verdict "unexplained".
    engine : str
        The other engine, with its version.
    """

    _metadata: ClassVar[list[str]] = [*Frame._metadata, "engine"]
    engine: str = ""

    @property
    def _constructor(self) -> type[CrossCheck]:
        return CrossCheck

    @property
    def ok(self) -> bool:
        """Whether no row has the verdict "unexplained"."""
        return not (self["verdict"] == UNEXPLAINED).any()


def cross_check(fit: LMMFit, engine: str = "statsmodels", *, seconds: float = 30.0) -> CrossCheck:
    """
    Check a fit against another implementation.

    Parameters
    ----------
    fit : LMMFit
    engine : {"statsmodels", "dense"}
        statsmodels' MixedLM, or the dense definition (at most 2000 rows).
    seconds : float
        Time allowed to statsmodels: it is not run when rows, groups and effects say that it would need more.

    Returns
    -------
    CrossCheck
        With statsmodels, a row for every fixed effect, standard error, variance and covariance, the residual
        variance, and log-likelihoods at either engine's parameters. With the dense definition, rows for conditional
        modes, their covariances, fitted values and the descent from our parameters take the place of covariances
        and log-likelihoods. The verdict "unexplained" is the only failure; `ok` says that there is none.

    Raises
    ------
    ModelError
        If `fit` is not a fit made by `fit_lmm`.
    LMMError
        If there is no such engine.

    Examples
    --------
    >>> import lmmtools as lt
    >>> fit = lt.fit_lmm("Yield ~ 1 + (1 | Batch)", lt.load_dataset("Dyestuff"))
    >>> lt.cross_check(fit, engine="dense").ok
    True
    """
    if not isinstance(fit, LMMFit):
        raise ModelError(f"cross_check: takes a fit made by fit_lmm; got {type(fit).__name__}.")
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
    check.engine = version
    return check


def _run(fit: LMMFit, engine: str, seconds: float) -> tuple[list[Row], list[str], str]:
    if engine == "dense":
        from lmmtools.crosscheck.against_dense import check_dense

        return *check_dense(fit), "the definition, evaluated densely"
    if engine == "statsmodels":
        from importlib.metadata import version

        from lmmtools.crosscheck.side_by_side import check_statsmodels

        return *check_statsmodels(fit, seconds), f"statsmodels {version('statsmodels')} MixedLM"
    raise LMMError(f'cross_check: there is no engine {engine!r}; use "statsmodels" or "dense".')
