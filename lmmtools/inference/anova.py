"""Analysis of variance: an F test of each fixed term."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from lmmtools.design.fixed_terms import FixedTerm
from lmmtools.errors import LMMError
from lmmtools.formats import listed, quoted
from lmmtools.frames import Frame, frame
from lmmtools.inference.contrasts import check_ddf, df_format, f_reference, f_test, reference_notes
from lmmtools.inference.hypotheses.derive import check_type, hypothesis_matrices
from lmmtools.inference.hypotheses.overparameterised import overparameterise

__all__ = ["anova"]

_TYPES = {
    1: ("Type I", "Type I tests each term beyond those above it, so that their order matters."),
    2: ("Type II", "Type II tests each term beyond all others that do not contain it."),
    3: ("Type III", "Type III averages over the other factors with equal weights, however many rows each cell has."),
}
_MOST = 4  # pairs that are told of in one sentence


def anova(fit: Any, *, type: int = 3, ddf: str = "satterthwaite") -> Frame:
    """F tests of the fixed terms: the hypotheses of lmerTest, derived from the design.

    Parameters
    ----------
    fit : LMMFit
    type : {1, 2, 3}
        1: a term beyond those before it. 2: beyond all terms that do not contain it. 3: averaged over the other
        factors with equal weights, covariates that a term lacks at zero. None depends on how factors are coded.
    ddf : {"satterthwaite", "kenward-roger", "kenward-roger-observed", "residual", "normal"}
        Denominator degrees of freedom; for the normal reference they are infinite, and F is χ²/num_df.

    Returns
    -------
    Frame
        ``sum_sq, mean_sq, num_df, den_df, f_value, p_value``, a row a term, but for the intercept: `mean_sq` is Fσ̂²,
        and `sum_sq` that times `num_df`. A term of which nothing can be tested has `num_df` 0 and no other number.

    Raises
    ------
    LMMError
        If `fit` is none, or `type` or `ddf` is unknown.
    ModelError
        For Kenward and Roger's method of a fit by ML, or where hypotheses are not defined; see `hypotheses`.

    Notes
    -----
    ``lmmtools.hypotheses(fit, type)`` has the matrices. The hypotheses are Goodnight's (SAS's),
    and lmerTest's but in two cases. Where a factor has no main effect, or there is no intercept (``a/b``, ``x + x:a``,
    ``0 + a + b``), lmerTest 3.1 tests coefficients, whose meaning changes with the reference level; and in type II it
    takes a covariate that is a matrix (``poly(x, 2)``, ``scale(x)``) for a factor.

    Degrees of freedom by Satterthwaite's method for several rows together depend a little on the rows by which a
    hypothesis is written. These are lmerTest's for treatment contrasts, whichever the model has.

    References
    ----------
    Goodnight (1980), Tests of hypotheses in fixed effects linear models, Commun. Statist. A9, 167-180.
    Kuznetsova, Brockhoff & Christensen (2017), lmerTest package, J. Stat. Softw. 82(13), sec. 2.2.

    Examples
    --------
    >>> import lmmtools as lt
    >>> fit = lt.fit_lmm("distance ~ Sex * age + (age | Subject)", lt.load_dataset("Orthodont"))
    >>> fit.anova()["f_value"].round(3).to_dict()
    {'Sex': 0.418, 'age': 87.999, 'Sex:age': 5.119}
    """
    if not hasattr(fit, "beta_cov"):
        raise LMMError(f"anova: takes a fit made by fit_lmm; got {fit.__class__.__name__}.")
    type, ddf = check_type(type), check_ddf(ddf, fit, "anova")
    cells = overparameterise(fit.design)
    found = hypothesis_matrices(fit.design, cells, type)
    table = pd.DataFrame(
        [_row(fit, L, ddf) for L in found.values()],
        index=pd.Index(list(found), dtype=object),
        columns=["sum_sq", "mean_sq", "num_df", "den_df", "f_value", "p_value"],
    ).astype({"num_df": int, **dict.fromkeys(("sum_sq", "mean_sq", "den_df", "f_value", "p_value"), float)})
    tested = table["num_df"] > 0
    notes = [_TYPES[type][1], *_at_zero(cells.terms, type)] if len(table) else [_nothing(cells.terms)]
    notes += _untested(fit, cells.terms, found)
    return frame(
        table,
        caption=f"{_TYPES[type][0]} analysis of variance by {fit.method}; {f_reference(fit, ddf)}",
        label="tbl-anova",
        notes=(*notes, *reference_notes(fit, ddf, table.loc[tested, "den_df"])),
        headings={
            "sum_sq": "Sum of squares",
            "mean_sq": "Mean square",
            "num_df": "df",
            "den_df": "Denominator df",
            "f_value": "F",
            "p_value": "p",
        },
        formats={
            "sum_sq": "estimate",
            "mean_sq": "estimate",
            "num_df": "int",
            "den_df": df_format(table["den_df"]),
            "f_value": "fixed3",
            "p_value": "p",
        },
    )


def _row(fit: Any, L: np.ndarray, ddf: str) -> tuple[float, ...]:
    if not len(L):
        return np.nan, np.nan, 0, np.nan, np.nan, np.nan
    test = f_test(fit, L, ddf)
    mean_sq = test.f_value * fit.sigma**2
    return mean_sq * test.num_df, mean_sq, test.num_df, test.den_df, test.f_value, test.p_value


def _at_zero(terms: Sequence[FixedTerm], type: int) -> list[str]:
    """At which covariates' zero a term is tested, because it interacts with them."""
    if type == 1:
        return []
    pairs = {}
    for term in terms:
        within = [
            other
            for other in terms
            if (term.factors or term.covariates)
            and set(term.factors) <= set(other.factors)
            and set(term.covariates) < set(other.covariates)
        ]
        held = dict.fromkeys(name for other in within for name in other.covariates if name not in term.covariates)
        if held:
            pairs[term.name] = list(held)
    if not pairs:
        return []
    told = [f"`{name}` at {listed(f'`{x}` = 0' for x in held)}" for name, held in list(pairs.items())[:_MOST]]
    more = f", and {len(pairs) - _MOST} more terms likewise" if len(pairs) > _MOST else ""
    return [f"Terms that interact with a covariate are tested where it is zero: {'; '.join(told)}{more}."]


def _nothing(terms: Sequence[FixedTerm]) -> str:
    what = "an intercept only" if terms else "no terms"
    return f"The fixed part has {what}, so there is nothing to test."


def _untested(fit: Any, terms: Sequence[FixedTerm], found: Mapping[str, np.ndarray]) -> list[str]:
    """Terms of which nothing, or less than all, can be tested."""
    notes = []
    none = [name for name, L in found.items() if not len(L)]
    if none:
        notes.append(
            f"Nothing of {quoted(none)} can be tested with these data: other terms determine it, or cells that its "
            "hypothesis compares have no rows."
        )
    if fit.design.dropped_columns:
        less = [
            f"{len(found[t.name])} of {t.width} of `{t.name}`"
            for t in terms
            if t.name in found and 0 < len(found[t.name]) < t.width
        ]
        if less:
            notes.append(f"Degrees of freedom that these data leave to test: {listed(less)}.")
    return notes
