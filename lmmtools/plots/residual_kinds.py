"""Which residuals a picture shows, what they are called, and where they stand."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from lmmtools.formats import counted, with_unit

__all__ = ["binned_means", "kind_for", "left_out", "plural", "residual_of", "stands_at"]

# Points of a line of means; rows that each has at least, in bins and where few values are repeated.
_MOST_BINS, _IN_BIN, _AT_VALUE = 20, 20, 4
# Residuals about the population's mean, not about the group's.
_MARGINAL = ("marginal", "whitened")


def kind_for(fit: Any) -> str:
    """The kind to look at: over its sd where that differs by design, decorrelated where residuals are correlated."""
    if fit.design.correlation is not None:
        return "normalized"
    return "pearson" if fit.design.residual is not None or fit.design.weights is not None else "response"


def residual_of(fit: Any, kind: str | None = None) -> tuple[np.ndarray, str]:
    """Residuals and their axis label.

    Parameters
    ----------
    fit : LMMFit
    kind : str, optional
        See `lmmtools.residuals.residuals`; that which fits the model when left out.
    """
    kind = kind_for(fit) if kind is None else kind
    values = fit.residuals(kind).to_numpy()
    name = "Residual" if kind == "response" else f"{kind.capitalize()} residual"
    return values, with_unit(name, fit.design.units.get(fit.response) if kind in ("response", "marginal") else None)


def plural(label: str) -> str:
    """Residuals of a label, without its unit: ``"Residual (ms)"``, ``"Residuals"``."""
    return f"{label.partition(' (')[0]}s"


def left_out(missing: int) -> str:
    """That so many rows have no residual of the kind, as a row that a parameter fits alone has no standardized one."""
    rows = counted(missing, "row")
    return f" {rows} without such a residual {'is' if missing == 1 else 'are'} left out." if missing else ""


def stands_at(fit: Any, kind: str | None) -> tuple[np.ndarray, str]:
    """The fitted values that residuals of a kind are about, and their axis label."""
    unit = fit.design.units.get(fit.response)
    if kind in _MARGINAL:
        return fit.predict(random=False).to_numpy(), with_unit(f"Marginal mean of {fit.response}", unit)
    return fit.fitted.to_numpy(), with_unit(f"Fitted {fit.response}", unit)


def binned_means(x: np.ndarray, y: np.ndarray) -> pd.DataFrame:
    """Means in bins of x of about equal counts, or at each of a few values of x; none where rows are too few."""
    distinct, place = np.unique(x, return_inverse=True)
    bins = min(_MOST_BINS, len(x) // _IN_BIN)
    if len(distinct) > min(_MOST_BINS, len(x) // _AT_VALUE):
        if bins < 2:
            return pd.DataFrame({"x": [], "y": []})
        edges = np.unique(np.quantile(x, np.linspace(0, 1, bins + 1)[1:-1]))
        place = np.searchsorted(edges, x, side="right")
    table = pd.DataFrame({"x": x, "y": y}).groupby(place).mean()
    return table.reset_index(drop=True)
