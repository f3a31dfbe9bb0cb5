"""Why a coefficient cannot be estimated within a level."""

from __future__ import annotations

import numpy as np
import pandas as pd

from lmmtools.formats import counted, shown
from lmmtools.groupwise.columns import Columns

__all__ = ["reasons"]

# Values this near one another, relative to their size, are one value.
_SAME = 1e-10


def reasons(columns: Columns, determined: np.ndarray) -> pd.DataFrame:
    """A row for each coefficient that is not determined: ``level, effect, rows, reason``.

    Parameters
    ----------
    columns : Columns
    determined : ndarray of bool, shape (J, Q)
    """
    found = []
    lacking = np.flatnonzero(~determined.all(axis=1))
    order = np.argsort(columns.codes, kind="stable")
    counts = columns.rows
    starts = np.cumsum(counts) - counts
    for j in lacking:
        Z = columns.Z[order[starts[j] : starts[j] + counts[j]]]
        for k in np.flatnonzero(~determined[j]):
            found.append((columns.levels[j], columns.names[k], int(counts[j]), _reason(Z, k, columns.names)))
    return pd.DataFrame(found, columns=["level", "effect", "rows", "reason"])


def _reason(Z: np.ndarray, k: int, names: tuple[str, ...]) -> str:
    n, Q = Z.shape
    where = "its row" if n == 1 else f"its {n} rows"
    size = np.abs(Z).max(axis=0)
    if size[k] == 0.0 or size[k] <= _SAME * size.max():
        return f"{names[k]} is zero in {where}"
    flat = np.ptp(Z, axis=0) <= _SAME * size
    if n > 1 and flat[k] and "Intercept" in names and names[k] != "Intercept":
        return f"{names[k]} has one value, {shown(Z[0, k])}, in {where}"
    constant = [names[i] for i in range(Q) if i != k and flat[i] and size[i] > 0]
    if n > 1 and flat[k] and constant:
        return f"{constant[0]} has one value in {where}, so that it cannot be told from {names[k]}"
    if n < Q:
        return f"{counted(n, 'row')} for {Q} coefficients"
    return f"a combination of the others in {where}"
