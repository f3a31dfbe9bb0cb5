"""Sequential F tests by the fit's own V, with the denominators of nested designs: the table that nlme prints.

The tests of `lmmtools.inference.anova` are of hypotheses that do not depend on the variances; those of type I go by
X'X. Here a term is tested beyond those before it in the metric of V̂⁻¹: the F's add up to the Wald statistic of all
coefficients together. Where the design is balanced both are the same.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd

from lmmtools.design.fixed_terms import FixedTerm, fixed_terms
from lmmtools.errors import LMMError, ModelError
from lmmtools.formats import nearest, quoted
from lmmtools.frames import Frame, frame
from lmmtools.inference.contrasts import df_format
from lmmtools.inference.whitened import whitened

__all__ = ["containment_df", "sequential_anova"]

_DDF = {
    "containment": "denominators by the grouping factors that the terms vary within",
    "residual": "n − rank(X) as denominators",
    "normal": "χ² in place of F",
}
# A column that varies less than this within groups, relative to its size, is constant there.
_CONSTANT = 1e-12


def sequential_anova(fit: Any, ddf: str = "containment") -> Frame:
    """F tests of the fixed terms, each beyond those before it given the estimated covariance, the intercept first.

    Parameters
    ----------
    fit : LMMFit
    ddf : {"containment", "residual", "normal"}
        Denominator degrees of freedom, see `containment_df`.

    Returns
    -------
    Frame
        ``num_df, den_df, f_value, p_value``, a row a term. A term whose columns were all dropped has `num_df` 0.

    Raises
    ------
    LMMError
        If `ddf` is unknown.
    ModelError
        If grouping factors are not nested, for ``"containment"``.

    Notes
    -----
    With Var(β̂)⁻¹ = U'U, U upper triangular and the coefficients in the order of the terms, F of a term is the mean
    square of its elements of Uβ̂.

    References
    ----------
    Pinheiro & Bates (2000), Mixed-effects models in S and S-PLUS, sec. 2.4.2, Springer.

    Examples
    --------
    >>> import lmmtools as lt
    >>> fit = lt.fit_lmm("yield ~ nitro * Variety + (1 | Block/Variety)", lt.load_dataset("Oats"))
    >>> sequential_anova(fit)["den_df"].astype(int).to_dict()
    {'Intercept': 51, 'nitro': 51, 'Variety': 10, 'nitro:Variety': 51}
    """
    from scipy.special import chdtrc, fdtrc

    if ddf not in _DDF:
        raise LMMError(f"sequential_anova: ddf={ddf!r} is unknown{nearest(str(ddf), _DDF)}; use {quoted(_DDF)}.")
    terms = fixed_terms(fit.design)[0]
    order = [place for term in terms for place in term.columns]
    white = whitened(fit)
    turned = np.linalg.qr(np.linalg.inv(white.root)[:, order])[0] if order else np.zeros((0, 0))
    squares = iter((turned.T @ white.z) ** 2)
    if ddf == "containment":
        den_df = containment_df(fit, terms)
    else:
        every = np.inf if ddf == "normal" else float(fit.nobs - len(fit.beta))
        den_df = {term.name: every for term in terms}
    rows = {}
    for term in terms:
        own = [next(squares) for _ in term.columns]
        q, df = len(own), den_df[term.name]
        f_value = float(np.mean(own)) if own else np.nan
        p_value = np.nan if not own else chdtrc(q, q * f_value) if np.isinf(df) else fdtrc(q, df, f_value)
        rows[term.name] = (q, df, f_value, p_value)
    table = pd.DataFrame.from_dict(rows, orient="index", columns=["num_df", "den_df", "f_value", "p_value"])
    return frame(
        table,
        caption=f"Sequential analysis of variance given the estimated covariance, by {fit.method}; {_DDF[ddf]}",
        label="tbl-sequential",
        notes=("Each term is tested beyond those above it, so that their order matters.",),
        headings={"num_df": "df", "den_df": "Denominator df", "f_value": "F", "p_value": "p"},
        formats={"num_df": "int", "den_df": df_format(table["den_df"]), "f_value": "fixed3", "p_value": "p"},
    )


def containment_df(fit: Any, terms: Sequence[FixedTerm] | None = None) -> dict[str, float]:
    """Denominator degrees of freedom of each fixed term in a nested design.

    Parameters
    ----------
    fit : LMMFit
    terms : sequence of FixedTerm, optional
        Those of the fit.

    Returns
    -------
    dict of str to float
        By term. NaN where none are left.

    Raises
    ------
    ModelError
        If a grouping factor is not nested in the one with fewer levels.

    Notes
    -----
    Grouping factors 1, …, Q from the coarsest on have m_i groups; m_0 is 1 if there is an intercept and 0 if not, and
    the rows are the groups of a last one, m_{Q+1} = n. A term belongs to the first factor within whose groups all of
    its columns are constant, and has m_i − m_{i−1} − p_i degrees of freedom, p_i the number of columns of all terms
    that belong there; without an intercept nlme adds one at each level but the coarsest, and so does this. The
    intercept, to which every level contributes, has the largest number there is. This is a rule for balanced designs;
    for others, and for random slopes, Satterthwaite's and Kenward and Roger's methods go by the information in the
    data.

    References
    ----------
    Pinheiro & Bates (2000), Mixed-effects models in S and S-PLUS, p. 91, Springer.
    """
    terms = fixed_terms(fit.design)[0] if terms is None else terms
    X, groupings = fit.design.X, _nested(fit.design)
    place = {term.name: _stratum(X[:, list(term.columns)], groupings) for term in terms if not _is_intercept(term)}
    used = np.zeros(len(groupings) + 1)
    for term in terms:
        if term.name in place:
            used[place[term.name]] += len(term.columns)
    intercept = any(map(_is_intercept, terms))
    sizes = [float(intercept), *(codes.max() + 1.0 for codes in groupings), float(len(X))]
    left = np.diff(sizes) - used
    left[1:] += not intercept
    left = np.where(left > 0.0, left, np.nan)
    largest = float(np.nanmax(left)) if np.any(left > 0.0) else np.nan
    return {term.name: float(left[place[term.name]]) if term.name in place else largest for term in terms}


def _is_intercept(term: FixedTerm) -> bool:
    return not (term.factors or term.covariates)


def _nested(design: Any) -> list[np.ndarray]:
    """Codes of the grouping factors, the coarsest first."""
    found = {term.factor: np.unique(term.codes, return_inverse=True)[1] for term in design.terms}
    ordered = sorted(found.items(), key=lambda item: item[1].max())
    for (coarse, above), (fine, below) in pairwise(ordered):
        if not _constant_within(above[:, None].astype(float), below):
            raise ModelError(
                f"containment: `{fine}` is not nested in `{coarse}`, and the rule is one for nested designs: use "
                "Satterthwaite's or Kenward and Roger's method."
            )
    return [codes for _, codes in ordered]


def _stratum(columns: np.ndarray, groupings: Sequence[np.ndarray]) -> int:
    """The first grouping within whose groups all columns are constant; the number of groupings where none is."""
    return next((i for i, codes in enumerate(groupings) if _constant_within(columns, codes)), len(groupings))


def _constant_within(columns: np.ndarray, codes: np.ndarray) -> bool:
    """Whether columns, shape (n, k), are constant within groups."""
    _, first, group = np.unique(codes, return_index=True, return_inverse=True)
    away = np.abs(columns - columns[first[group]])
    return bool(np.all(away <= _CONSTANT * np.maximum(np.abs(columns).max(axis=0, initial=0.0), 1e-300)))
