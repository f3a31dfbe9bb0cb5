"""Likelihood-ratio tests of growth curve models, the smaller nested in the larger."""

from __future__ import annotations

import numpy as np
import pandas as pd

from lmmtools.errors import ModelError
from lmmtools.frames import Frame, frame
from lmmtools.growth.result import GmanovaFit
from lmmtools.growth.structures import RANDOM, lies_in

__all__ = ["ratio_table"]

_INSIDE = 1e-8  # of a column of length one
_ROUNDING = 1e-12  # of σ², within which T ⪰ σ²I binds


def ratio_table(smaller: GmanovaFit, larger: GmanovaFit) -> Frame:
    """Test a smaller model against a larger one.

    Parameters
    ----------
    smaller, larger : GmanovaFit
        Of the same Y; G, X and Σ of the smaller in those of the larger.

    Returns
    -------
    Frame
        A row a fit: ``npar, loglik, deviance, chisq, df, p_value``.

    Raises
    ------
    ModelError
        If the responses differ, the models are not nested, or the smaller lies on the boundary of the larger, where the
        statistic has no χ² distribution: Ω = 0 in Ω ⪰ 0, random coefficients fewer than the larger's, or an Ω that is
        singular at its estimate, against a structure that needs none.

    Notes
    -----
    χ² holds for many subjects and no parameter of the smaller model on a boundary of the larger.
    """
    from scipy.special import chdtrc

    for fit in (smaller, larger):
        if not isinstance(fit, GmanovaFit):
            raise ModelError(f"lrt: takes growth curve models; got {type(fit).__name__}.")
    if smaller.Y.shape != larger.Y.shape or not np.array_equal(smaller.Y, larger.Y):
        raise ModelError("lrt: the two models were fitted to different responses, or to these in another order.")
    outside = [
        what
        for what, small, large in (
            ("between", smaller.problem.between[0], larger.problem.between[0]),
            ("within", smaller.problem.within[0], larger.problem.within[0]),
        )
        if np.linalg.norm(small - large @ (large.T @ small), axis=0).max() > _INSIDE
    ]
    if not lies_in(smaller.structure, larger.structure):
        outside.append("sigma")
    if outside:
        raise ModelError(
            f"lrt: the smaller model is not nested in the larger: its {' and '.join(outside)} can do what the larger's "
            "cannot. Exchange the two, or compare them by aic."
        )
    _refuse_boundary(smaller, larger)
    df, chisq = larger.npar - smaller.npar, max(smaller.deviance - larger.deviance, 0.0)
    if not df:
        raise ModelError("lrt: the two are the same model, so there is nothing to test.")
    rows = [(f.npar, f.loglik, f.criterion, np.nan, pd.NA, np.nan) for f in (smaller, larger)]
    rows[1] = (*rows[1][:3], chisq, df, float(chdtrc(df, chisq)))
    table = pd.DataFrame(
        rows, columns=["npar", "loglik", "deviance", "chisq", "df", "p_value"],
        index=[f"{f.between_text}, {f.within_text}, {f.structure}" for f in (smaller, larger)],
    ).astype({"df": "Int64"})  # fmt: skip
    return frame(
        table,
        caption="Likelihood-ratio test of growth curve models (ML)",
        label="tbl-lrt",
        notes=("The χ² reference holds for many subjects.",),
        headings={"npar": "Parameters", "loglik": "log-lik.", "deviance": "−2 log-lik.", "chisq": "χ²", "df": "df",
                  "p_value": "p"},
        formats={"npar": "int", "loglik": "fixed3", "deviance": "fixed3", "chisq": "fixed3", "df": "int",
                 "p_value": "p"},
    )  # fmt: skip


def _refuse_boundary(smaller: GmanovaFit, larger: GmanovaFit) -> None:
    """Raise where the smaller model puts a covariance matrix Ω of random coefficients on the edge of what it can be."""
    pair = f"sigma='{smaller.structure}' in sigma='{larger.structure}'"
    fewer = smaller.problem.p < larger.problem.p
    if larger.structure == "random" and (smaller.structure == "scalar" or fewer):
        raise ModelError(
            f"lrt: {pair}{' with more columns in within' if fewer else ''} puts variances of Ω at zero, the edge of "
            "what they can be, where χ² is no reference. Fit the larger by fit_lmm, the smaller by fit_lmm or fit_gls, "
            "reml=False, and compare them by lt.lrt, which has the mixture; or take sigma='random, unrestricted'."
        )
    if larger.structure == "random" or smaller.structure != "random":
        return
    if larger.structure in RANDOM and not fewer:
        raise ModelError(f"lrt: {pair} is an inequality, Ω ⪰ 0, and no parameters fewer: compare the two deviances.")
    QX = smaller.problem.within[0]
    if np.linalg.eigvalsh(QX.T @ smaller.Sigma.to_numpy() @ QX)[0] <= smaller.sigma2 * (1.0 + _ROUNDING):
        raise ModelError(
            f"lrt: {pair}, and Ω is estimated on the edge of what it can be (it is singular), where χ² is no "
            "reference. Fit the smaller model with sigma='random, unrestricted'."
        )
