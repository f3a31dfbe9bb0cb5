"""Residual structures that are worth a look where only the time and the groups are known."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from lmmtools.design.frame import take
from lmmtools.errors import LMMError
from lmmtools.formula import parse_formula

__all__ = ["candidates"]

# Occasions, and distances between them, up to which each has parameters of its own among the candidates.
_MOST_OCCASIONS = 8


def candidates(formula: str, fit: Any, data: Any, time: str | None, group: str | None) -> list[str | None]:
    """Structures over time within groups, as far as these are known.

    Parameters
    ----------
    formula : str
    fit : LMMFit or None
        Whose structure is one of them, and has a time and groups.
    data : frame
    time, group : str or None
        Columns.

    Returns
    -------
    list of str or None
        None for independent residuals.

    Raises
    ------
    LMMError
        If there are no groups.
    """
    factors = [bar.factor for bar in parse_formula(formula).random]
    own = None if fit is None or fit.design.residual is None else fit.design.residual
    if own is not None and own.correlation is not None:
        group = group or own.correlation.group or None
        time = time or (own.correlation.variables[0] if len(own.correlation.variables) == 1 else None)
    if group is None and len(set(factors)) == 1:
        group = factors[0]
    if group is None:
        raise LMMError(
            "residual_structures: name the candidates by structures=[…], or the columns they are made of by "
            'time="…" and group="…".'
        )
    found: list[str | None] = [None]
    if group not in factors:  # beside a random intercept compound symmetry is the same once more
        found.append(f"cs({group})")
    if time is not None:
        found += _over_time(data, time, group, with_effects=group in factors)
    if own is not None and own.text not in found:
        found.append(own.text)
    return found


def _over_time(data: Any, time: str, group: str, *, with_effects: bool) -> list[str]:
    """Autoregressions, and what has parameters for each distance or pair of occasions where these are few."""
    values = take(data, [time]).series[time].dropna()
    at = f"({time} | {group})"
    occasions = np.unique(values.to_numpy()) if pd.api.types.is_numeric_dtype(values) else None
    count = int(values.nunique())
    whole = occasions is None or np.allclose(occasions, np.round(occasions))
    found = [f"ar1{at}" if whole else f"car1{at}"]
    if not 2 < count <= _MOST_OCCASIONS:
        return found
    if with_effects:
        return [*found, f"varident({time})", f"{found[0]} * varident({time})"]
    apart = 0 if occasions is None else len(np.unique(np.abs(np.subtract.outer(occasions, occasions)).round(9))) - 1
    toep = [f"toep{at}"] if occasions is None or apart < count * (count - 1) // 2 else []
    own_sds = [f"{one} * varident({time})" for one in (f"cs({group})", found[0], f"us{at}")]
    return [*found, *toep, f"us{at}", *own_sds]
