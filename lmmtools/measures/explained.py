"""Share of the variance that each term explains."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from lmmtools.arguments import check_count, check_level
from lmmtools.design.fixed_terms import FixedTerm, fixed_terms
from lmmtools.frames import Frame, frame
from lmmtools.inference.variances import check_weight, variances
from lmmtools.measures.intervals import fit_required, limits
from lmmtools.resampling.refits import Refits
from lmmtools.results import estimate

__all__ = ["variance_explained"]

# What a column keeps beside others, against its own length, below which it is a combination of them.
_SPANNED = 1e-8


def variance_explained(
    fit: Any,
    *,
    weight: float | None = None,
    n: int = 0,
    rng: np.random.Generator | int | None = None,
    level: float = 0.95,
    workers: int = 1,
) -> Frame:
    """Share of the variance that each fixed and each random term explains, and what is left.

    Parameters
    ----------
    fit, weight, n, rng, level, workers
        As `r2`.

    Returns
    -------
    Frame
        ``term, part, share, low, high, inclusive, inclusive_low, inclusive_high``, a row a term and one for the
        residuals; `part` is ``fixed``, ``random`` or ``residual``. Limits of inclusive R² come with replicates only.

    Raises
    ------
    ModelError, LMMError
        As `r2`.

    Notes
    -----
    Of a fixed term, `share` is its part R² (semi-partial R²): marginal R² less that of the model fitted again without
    the term and without every interaction that holds all of its variables, so that it does not depend on how factors
    are coded. It counts what no other term can explain: parts of terms that are correlated add up to less than
    marginal R², and can even be negative, since the variances are estimated anew. `inclusive` is the inclusive R²: the
    squared structure coefficient (the correlation of the term with Xβ̂; the multiple correlation of all of its columns)
    times marginal R², which counts what it shares with others too.

    Of a random term, `share` is its variance over the total, in the mean over the rows.

    References
    ----------
    Stoffel, Nakagawa & Schielzeth (2021), PeerJ 9:e11414 (part and inclusive R²).

    Examples
    --------
    >>> import lmmtools as lt
    >>> fit = lt.fit_lmm("distance ~ age + Sex + (1 | Subject)", lt.load_dataset("Orthodont"))
    >>> lt.variance_explained(fit)[["term", "share", "inclusive"]].round(3).values.tolist()
    [['age', 0.248, 0.249], ['Sex', 0.146, 0.149], ['Subject', 0.37, nan], ['Residual', 0.232, nan]]
    """
    fit_required(fit, "variance_explained")
    level = check_level(level)
    n = check_count(n, "variance_explained: n, the number of bootstrap replicates,", at_least=0)
    weight, of_weight = check_weight(fit, weight, "variance_explained")
    terms = [term for term in fixed_terms(fit.design)[0] if term.factors or term.covariates]
    measure = _Shares(
        weight, tuple(Refits(estimate(_without(fit.design, term), reml=fit.reml)) for term in terms), tuple(terms)
    )
    values = measure(fit)
    low, high, notes = limits(
        fit, measure, len(values), what="variance_explained", n=n, rng=rng, level=level, workers=workers
    )
    names = [*(t.name for t in terms), *(t.group for t in fit.design.terms), "Residual"]
    parts = ["fixed"] * len(terms) + ["random"] * len(fit.design.terms) + ["residual"]
    rows, k = len(names), len(terms)
    empty = np.full(rows - k, np.nan)
    numbers = {"share": values[:rows], "low": low[:rows], "high": high[:rows]}
    limited = (("inclusive_low", low), ("inclusive_high", high)) if n else ()
    for name, found in (("inclusive", values), *limited):
        numbers[name] = np.append(found[rows:], empty)
    return _table(pd.DataFrame({"term": names, "part": parts, **numbers}), fit, (*of_weight, *notes), level)


def _table(table: pd.DataFrame, fit: Any, notes: tuple[str, ...], level: float) -> Frame:
    fixed = (
        "Shares of fixed terms are part R²: marginal R² less that of the model without the term and the interactions "
        "that hold it; inclusive R² counts what it has in common with other terms too (Stoffel, Nakagawa & Schielzeth "
        "2021).",
    )
    percent = f"{100 * level:g} %"
    return frame(
        table,
        caption=f"Share of the variance explained by each term, by {fit.method}",
        label="tbl-variance-explained",
        notes=(*(fixed if (table["part"] == "fixed").any() else ()), *notes),
        index=False,
        headings={"term": "Term", "part": "Part", "share": "Share", "low": f"{percent} low", "high": "high",
                  "inclusive": "Inclusive R²", "inclusive_low": f"{percent} low", "inclusive_high": "high"},
        formats=dict.fromkeys(table.columns[2:], "fixed3"),
    )  # fmt: skip


def _without(design: Any, term: FixedTerm) -> Any:
    """The design without a term and every interaction that holds all of its variables; a constant stays."""
    own = set(term.factors) | set(term.covariates)
    gone = {j for t in fixed_terms(design)[0] if own <= set(t.factors) | set(t.covariates) for j in t.columns}
    keep = [j for j in range(design.X.shape[1]) if j not in gone]
    columns, names = design.X[:, keep], tuple(design.fixed_names[j] for j in keep)
    ones = np.ones((len(columns), 1))
    if _spans(design.X, ones) and not _spans(columns, ones):  # `0 + f` holds the constant in f's columns
        columns, names = np.hstack([ones, columns]), ("Intercept", *names)
    return dataclasses.replace(design, X=np.asfortranarray(columns), fixed_names=names)


def _spans(columns: np.ndarray, column: np.ndarray) -> bool:
    """Whether a column is a combination of others."""
    if not columns.shape[1]:
        return False
    left = column - columns @ np.linalg.lstsq(columns, column, rcond=None)[0]
    return bool(np.linalg.norm(left) <= _SPANNED * np.linalg.norm(column))


@dataclass(frozen=True)
class _Shares:
    """Shares of all terms and of the residuals, then inclusive R² of the fixed ones.

    Attributes
    ----------
    weight : float
    reduced : tuple of Refits
        The model without each fixed term.
    terms : tuple of FixedTerm
    """

    weight: float
    reduced: tuple[Refits, ...]
    terms: tuple[FixedTerm, ...]

    def __call__(self, fit: Any) -> np.ndarray:
        """All of them, shape (rows + fixed terms,)."""
        found = variances(fit, self.weight)
        less = [variances(next(model(fit.design.y[:, None])), self.weight).marginal for model in self.reduced]
        random = np.append(found.random, found.residual) / found.total
        mean = fit.design.X @ fit.beta
        squared = [_correlation(fit.design.X[:, term.columns], mean) for term in self.terms]
        return np.concatenate([found.marginal - np.array(less), random, found.marginal * np.array(squared)])


def _correlation(columns: np.ndarray, mean: np.ndarray) -> float:
    """Squared multiple correlation of a mean with columns; zero where either is constant."""
    columns, mean = columns - columns.mean(axis=0), mean - mean.mean()
    size = float(mean @ mean)
    if not columns.shape[1] or size == 0.0:
        return 0.0
    fitted = columns @ np.linalg.lstsq(columns, mean, rcond=None)[0]
    return float(fitted @ fitted) / size
