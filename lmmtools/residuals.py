"""Residuals of a fit."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from lmmtools.errors import LMMError, NotYetSupported

__all__ = ["residuals"]

_KINDS = ("response", "marginal", "pearson", "normalized")


def residuals(fit: Any, kind: str = "response") -> pd.Series:
    """Residuals on the rows used, with the data's index.

    Parameters
    ----------
    fit : LMMFit
    kind : {"response", "marginal", "pearson", "normalized"}
        y − fitted; y − Xβ̂ − offset; √w (y − fitted)/σ̂; as pearson, decorrelated by R, which is diagonal here,
        so the same numbers.

    Raises
    ------
    NotYetSupported
        For ``"standardized"``.
    LMMError
        For an unknown kind.
    """
    design = fit.design
    if kind == "marginal":
        mean = design.X @ fit.fixef.to_numpy()
        value = design.y - (mean if design.offset is None else mean + design.offset)
    elif kind in _KINDS:
        value = fit.resid.to_numpy()
        if kind != "response":
            value = value / fit.sigma if design.weights is None else value * np.sqrt(design.weights) / fit.sigma
    elif kind == "standardized":
        raise NotYetSupported(
            'residuals: "standardized" divides by √(1 − leverage), which this version does not compute; '
            'use "pearson".'
        )
    else:
        raise LMMError(f"residuals: kind={kind!r} is unknown; use one of {', '.join(map(repr, _KINDS))}.")
    return pd.Series(value, index=design.index, name=f"{kind} residual")
