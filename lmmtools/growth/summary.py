"""What a notebook shows of a growth curve model: facts, B, Σ, and Ω of random coefficients."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from lmmtools.formats import counted, format_value
from lmmtools.frames import Frame, frame
from lmmtools.growth.structures import RANDOM, TITLES
from lmmtools.summary import Summary
from lmmtools.tables import Column, Table

__all__ = ["GrowthSummary"]


class GrowthSummary(Summary):
    """The tables of a growth curve model, rendered one under the other in every medium."""

    def tables(self) -> tuple[Table, ...]:
        """Facts of the fit, B, Σ with correlations below the variances, Ω where there is one."""
        fit = self.fit
        tested = fit.structure not in RANDOM or fit.problem.n > fit.problem.g
        coefficients = fit.coef_table() if tested else _estimates(fit)
        random = (_omega(fit).table(),) if fit.structure in RANDOM else ()
        return (_facts(fit), coefficients.table(), _sigma(fit).table(), *random)


def _facts(fit: Any) -> Table:
    problem = fit.problem
    aic, bic = (format_value(value, "fixed2") for value in (fit.aic, fit.bic))
    sizes = f"{counted(problem.n, 'subject')} × {counted(problem.m, 'occasion')}"
    rows = (
        ("Response", f"{fit.response} ({sizes})"),
        ("Between subjects", f"{fit.between_text} ({counted(problem.g, 'column')})"),
        ("Within subjects", f"{fit.within_text} ({counted(problem.p, 'column')})"),
        ("−2 log-likelihood", format_value(fit.criterion, "fixed4")),
        ("Deviance without constants", format_value(fit.deviance, "fixed4")),
        ("AIC, BIC", f"{aic}, {bic} ({fit.npar} parameters)"),
        ("Algorithm", fit.algorithm),
    )
    return Table(
        columns=(Column("what", "", header=True), Column("value", "")),
        rows=rows,
        caption=f"Growth curve model Y = GBX' + E fitted by ML, {TITLES[fit.structure]}",
        label="tbl-fit",
        notes=fit.messages,
    )


def _estimates(fit: Any) -> Frame:
    """B where nothing is left to judge it by."""
    return frame(
        fit.B.rename_axis("between"),
        caption=f"Coefficients B ({TITLES[fit.structure]})",
        label="tbl-coef",
        notes=("G leaves no degrees of freedom for how coefficients vary, so there are no standard errors.",),
        headings={"between": "Between"},
    )


def _sigma(fit: Any) -> Frame:
    """Standard deviations and correlations by occasion; for σ²I one line."""
    if fit.structure == "scalar":
        made = pd.DataFrame({"variance": [fit.sigma2], "sd": [np.sqrt(fit.sigma2)]}, index=["each"])
    else:
        variances = np.diagonal(fit.Sigma)
        made = pd.DataFrame({"variance": variances, "sd": np.sqrt(variances)}, index=map(str, fit.Sigma.index))
    headings, formats = {"variance": "Variance", "sd": "Std. dev."}, {"variance": "estimate", "sd": "estimate"}
    correlated = fit.structure not in ("scalar", "diagonal")
    for j, name in enumerate(fit.Sigma.columns[:-1] if correlated else ()):
        column = fit.correlations.iloc[:, j].to_numpy().copy()
        column[: j + 1] = np.nan
        made[f"cor {name}"] = column
        formats[f"cor {name}"] = "fixed3"
    made.index.name = "occasion"
    return frame(
        made, caption=f"Σ: variances{' and correlations' if correlated else ''} (divisor n)",
        label="tbl-sigma", headings={"occasion": "Occasion", **headings}, formats=formats,
    )  # fmt: skip


def _omega(fit: Any) -> Frame:
    """Ω as it is: where it is indefinite it has no standard deviations."""
    return frame(
        fit.Omega.rename_axis("within"),
        caption=f"Ω, covariance of the subjects' coefficients, beside σ² = {format_value(fit.sigma2, 'estimate')}",
        label="tbl-omega",
        headings={"within": ""},
    )
