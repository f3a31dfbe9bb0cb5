"""Residuals of a fit."""

from __future__ import annotations

from typing import Any

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
        y − fitted; y − Xβ̂ − offset; y − fitted over the residual's own standard deviation, which is σ̂ times its
        multiplier, over √w with weights; the same decorrelated, L⁻¹(y − fitted)/σ̂ with R = LL'. L is lower triangular
        in the order of residual group and position: each residual less what those before it in its group say of it. Of
        a model whose residuals are uncorrelated these are the same numbers as ``"pearson"``. nlme's are the same but
        for compound symmetry, where it takes an orthogonal basis in place of a triangular one.

    Raises
    ------
    NotYetSupported
        For ``"standardized"``.
    LMMError
        For an unknown kind.

    References
    ----------
    Pinheiro & Bates (2000), Mixed-effects models in S and S-PLUS, sec. 5.3.4 and 5.4.3, Springer.
    """
    design = fit.design
    if kind == "marginal":
        mean = design.X @ fit.fixef.to_numpy()
        value = design.y - (mean if design.offset is None else mean + design.offset)
    elif kind == "normalized":
        value = fit.noise.whiten(fit.resid.to_numpy()) / fit.sigma
    elif kind in _KINDS:
        value = fit.resid.to_numpy()
        if kind == "pearson":
            value = value / (fit.sigma * fit.noise.sd)
    elif kind == "standardized":
        raise NotYetSupported(
            'residuals: "standardized" divides by √(1 − leverage), which this version does not compute; '
            'use "pearson".'
        )
    else:
        raise LMMError(f"residuals: kind={kind!r} is unknown; use one of {', '.join(map(repr, _KINDS))}.")
    return pd.Series(value, index=design.index, name=f"{kind} residual")
