"""Coefficient tables and Wald intervals from β̂ and Var(β̂)."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from lmmtools.arguments import check_level
from lmmtools.formats import interval_format
from lmmtools.frames import Frame, frame
from lmmtools.inference.contrasts import (
    check_ddf,
    estimate_columns,
    estimates_frame,
    linear_functions,
    reference,
    reference_notes,
    t_quantile,
)

__all__ = ["coef_table", "parameter_names", "wald_confint"]


def coef_table(fit: Any, *, ddf: str = "satterthwaite", level: float = 0.95) -> Frame:
    """Estimates, standard errors, tests of zero and intervals for each fixed effect.

    Parameters
    ----------
    fit : LMMFit
    ddf : {"satterthwaite", "kenward-roger", "kenward-roger-observed", "residual", "normal"}
        Reference distribution of estimate/std_error; Kenward and Roger's standard errors are adjusted.
    level : float
        Confidence level.

    Returns
    -------
    Frame
        ``estimate, std_error, df, statistic, p_value, ci_low, ci_high``, a row a coefficient.

    Raises
    ------
    LMMError
        For an unknown `ddf` or a level outside (0, 1).
    ModelError
        For Kenward and Roger's method, where it is not defined.

    References
    ----------
    Kuznetsova, Brockhoff & Christensen (2017), lmerTest package, J. Stat. Softw. 82(13).
    Kenward & Roger (1997), Biometrics 53.
    """
    check_ddf(ddf, fit, "coef_table")
    check_level(level)
    functions = linear_functions(fit, np.eye(len(fit.beta)), ddf)
    table = pd.DataFrame(estimate_columns(functions, level), index=list(fit.design.fixed_names))
    caption = f"Fixed effects by {fit.method}, with {_percent(level)} intervals; reference: {reference(fit, ddf)}"
    return estimates_frame(
        table, level, ddf, caption=caption, label="tbl-coef", notes=reference_notes(fit, ddf, functions.df)
    )


def wald_confint(fit: Any, level: float = 0.95) -> Frame:
    """Wald intervals of the fixed effects; rows of sd's, correlations and σ are empty.

    A variance is no place for a symmetric interval: near zero it reaches below it and covers too seldom. The
    rows are there so that the table lines up with those of other methods.
    """
    quantile = float(t_quantile(np.inf, level))
    names = [*fit.fixef.index, *parameter_names(fit)]
    low = (fit.fixef - quantile * fit.stderr).reindex(names)
    high = (fit.fixef + quantile * fit.stderr).reindex(names)
    return frame(
        pd.DataFrame({"low": low, "high": high}),
        caption=f"Wald {_percent(level)} intervals (normal), {fit.method}",
        label="tbl-confint",
        notes=(
            "A symmetric interval for a standard deviation or correlation covers too seldom near its bound; "
            "none is given.",
        ),
        headings={"low": "Low", "high": "High"},
        formats=dict.fromkeys(("low", "high"), interval_format(low, high)),
    )


def parameter_names(fit: Any) -> list[str]:
    """``sd(g, x)``, ``cor(g, x, z)``, …, ``sigma`` in the order of `varcorr`."""
    names = []
    for row in fit.varcorr.itertuples():
        if row.grp == "Residual":
            names.append("sigma")
        elif row.var2:
            names.append(f"cor({row.grp}, {row.var1}, {row.var2})")
        else:
            names.append(f"sd({row.grp}, {row.var1})")
    return names


def _percent(level: float) -> str:
    return f"{100 * level:g} %"
