"""Tests of C B D = T.

Σ free: given Y_2 = YQ_2 the estimate is that of a multivariate regression of YX(X'X)⁻¹ on G and Y_2, so the hypothesis
is a MANOVA's, of c and d degrees of freedom with n − rank(G) − (m − p) for error (Khatri 1966; Grizzle & Allen 1969),
whatever Y_2 is: Wilks' Λ = |E| / |E + H| has its usual distribution, and −n log Λ is the likelihood ratio. Σ scalar:
the F test of ordinary least squares. Σ diagonal: the likelihood ratio, from a constrained fit.

Σ = XΩX' + σ²I: YX(X'X)⁻¹ on G alone, a MANOVA with n − rank(G) degrees of freedom. It is exact whether Ω is restricted
or not; the likelihood ratio is another statistic where Ω ⪰ 0 binds, and is found from a constrained fit.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from scipy.linalg import solve_triangular

from lmmtools.core.rank import column_rank
from lmmtools.errors import LMMError
from lmmtools.formats import counted, nearest
from lmmtools.frames import Frame, frame
from lmmtools.growth.estimators import Constraint, alternating, regression
from lmmtools.growth.problem import Problem
from lmmtools.growth.structures import RANDOM, TITLES
from lmmtools.inference.testing import contrast_matrix

__all__ = ["TESTS", "hypothesis_tests"]

_MULTIVARIATE = ("wilks", "lrt", "pillai", "hotelling-lawley", "roy")
TESTS = {
    "free": _MULTIVARIATE,
    "scalar": ("f", "lrt"),
    "diagonal": ("lrt",),
    "random": _MULTIVARIATE,
    "random, unrestricted": _MULTIVARIATE,
}
_NAMES = {
    "wilks": "Wilks' Λ",
    "lrt": "likelihood ratio, χ²",
    "pillai": "Pillai's trace",
    "hotelling-lawley": "Hotelling–Lawley trace",
    "roy": "Roy's largest root",
    "f": "F",
}


@dataclass(frozen=True, eq=False)
class _Hypothesis:
    """C and D over the columns of G and of X, of full rank, what C B D is, and how it is written."""

    C: np.ndarray
    D: np.ndarray
    T: np.ndarray
    text: str
    notes: tuple[str, ...]

    @property
    def size(self) -> tuple[int, int]:
        """Rows of C and columns of D."""
        return len(self.C), self.D.shape[1]


def hypothesis_tests(fit: Any, C: Any, D: Any, rhs: Any, test: str | Sequence[str] | None) -> Frame:
    """The table of `GmanovaFit.test`, which see."""
    names = _chosen(test, fit.structure)
    hypothesis = _hypothesis(fit, C, D, rhs)
    rows = {"scalar": _least_squares, "diagonal": _ratio}.get(fit.structure, _manova)(fit, hypothesis, names)
    c, d = hypothesis.size
    notes = [*hypothesis.notes, *_about(rows, fit, c, d)]
    table = pd.DataFrame(rows, index=[_NAMES[name] for name in names])
    whole = bool(np.all(np.mod(table["den_df"].dropna(), 1) == 0))
    return frame(
        table,
        caption=f"Test of {hypothesis.text}; {TITLES[fit.structure]}",
        label="tbl-test",
        notes=tuple(notes),
        headings={"statistic": "Statistic", "f_value": "F", "num_df": "df", "den_df": "Denominator df",
                  "p_value": "p", "exact": "Reference"},
        formats={"statistic": "sig4", "f_value": "fixed3", "num_df": "int", "den_df": "int" if whole else "fixed2",
                 "p_value": "p", "exact": "text"},
    )  # fmt: skip


def _chosen(test: Any, structure: str) -> tuple[str, ...]:
    known = TESTS[structure]
    if test is None:
        return known[:1]
    if isinstance(test, str):
        test = known if test == "all" else (test,)
    for name in test:
        if name not in known:
            words = ", ".join(f'"{word}"' for word in (*known, "all"))
            raise LMMError(
                f"test={name!r} is not defined for a {structure} Σ{nearest(str(name), known)}: use one of {words}."
            )
    if not test:
        raise LMMError("test: none was named.")
    return tuple(test)


def _hypothesis(fit: Any, C: Any, D: Any, rhs: Any) -> _Hypothesis:
    left, rows = _functions(C, list(fit.between.columns), "C")
    right, columns = _functions(D, list(fit.within.columns), "D")
    try:
        T = np.broadcast_to(np.asarray(0.0 if rhs is None else rhs, dtype=float), (len(left), len(right)))
    except (TypeError, ValueError) as error:
        raise LMMError(
            f"rhs must be a number, or {len(left)} × {len(right)} of them, as C B D has; got {rhs!r}."
        ) from error
    if not np.isfinite(T).all():
        raise LMMError("rhs holds a value that is missing or infinite.")
    notes = []
    for name, matrix in (("C", left), ("D", right)):
        independent = len(column_rank(matrix.T).kept)
        if independent < len(matrix):
            if T.any():
                raise LMMError(f"{name} has {len(matrix)} functions, {independent} of them independent: with rhs, "
                               "leave the others out.")  # fmt: skip
            notes.append(f"Of the {len(matrix)} functions of {name} {independent} are independent.")
    kept_rows, kept_columns = column_rank(left.T).kept, column_rank(right.T).kept
    T = T[np.ix_(kept_rows, kept_columns)]
    many = f"{_spoken(rows, 'between')} × {_spoken(columns, 'within')}"
    text = f"{many} = {'0' if not T.any() else 'rhs'}"
    return _Hypothesis(left[kept_rows], right[kept_columns].T, T, text, tuple(notes))


def _functions(given: Any, names: list[str], what: str) -> tuple[np.ndarray, list[str]]:
    """Linear functions as rows, and their names; matrices of D come with functions as columns."""
    if given is None:
        return np.eye(len(names)), names
    if what == "D" and not isinstance(given, str | Mapping | pd.Series):
        if isinstance(given, pd.DataFrame):
            given = given.T
        elif not (isinstance(given, Sequence) and all(isinstance(name, str) for name in given)):
            given = np.asarray(given, dtype=object).T
    try:
        return contrast_matrix(given, names)
    except LMMError as error:
        raise LMMError(f"{what}: {error}") from error


def _spoken(names: list[str], side: str) -> str:
    return f"({', '.join(names)})" if len(names) <= 4 else f"{counted(len(names), 'function')} {side}"


# --- Σ free, Σ = XΩX' + σ²I ----------------------------------------------------------------------------


def _manova(fit: Any, hypothesis: _Hypothesis, names: tuple[str, ...]) -> list[dict]:
    problem: Problem = fit.problem
    found = regression(problem, fit.structure)
    df = found.df
    C, D = _orthonormal(problem, hypothesis)
    c, d = hypothesis.size
    if df < d:
        raise LMMError(
            f"test: n − rank(G) = {df} degrees of freedom are left for the covariance of {counted(d, 'function')} of "
            f"the coefficients, and {d} are needed. Use fewer columns in between, or test fewer functions at a time."
        )
    off = C @ found.A @ D - hypothesis.T
    error, product = D.T @ found.W @ D, off.T @ np.linalg.solve(C @ found.M @ C.T, off)
    root = np.linalg.cholesky(error)
    half = solve_triangular(root, product, lower=True)
    roots = np.linalg.eigvalsh(solve_triangular(root, half.T, lower=True)).clip(0.0)[::-1]
    rows = {name: _multivariate(name, roots, c, d, df, problem.n) for name in names}
    if fit.structure == "random" and "lrt" in rows:  # no function of the roots where Ω ⪰ 0 binds
        rows["lrt"] = _ratio(fit, hypothesis, ("lrt",))[0]
    return [rows[name] for name in names]


def _orthonormal(problem: Problem, hypothesis: _Hypothesis) -> tuple[np.ndarray, np.ndarray]:
    """C̃ and D̃ with C B D = C̃ A D̃."""
    RG, RX = problem.between[1], problem.within[1]
    return solve_triangular(RG, hypothesis.C.T, trans="T").T, solve_triangular(RX, hypothesis.D, trans="T")


def _multivariate(name: str, roots: np.ndarray, c: int, d: int, df: int, n: int) -> dict:
    """A MANOVA's test from the eigenvalues of E⁻¹H.

    F of Wilks' Λ is Rao's (1951), exact if c or d is at most 2; the others' are Pillai's, all exact if c or d is 1.
    """
    s = min(c, d)
    if name == "lrt":
        return _chi2(n * float(np.sum(np.log1p(roots))), c * d)
    if name == "roy":
        value, top = float(roots[0]), max(c, d)
        num, den = top, df - top + c
        return _f(value, value * den / num, num, den, "exact" if s == 1 else "bound")
    if name == "wilks":
        value = float(np.exp(-np.sum(np.log1p(roots))))
        spread = c * c + d * d - 5
        t = float(np.sqrt((c * c * d * d - 4) / spread)) if spread > 0 else 1.0
        num, den = c * d, t * (df - (d - c + 1) / 2) - (c * d - 2) / 2
        return _f(value, float(np.expm1(np.sum(np.log1p(roots)) / t)) * den / num, num, den,
                  "exact" if s <= 2 else "Rao")  # fmt: skip
    a, b = (abs(c - d) - 1) / 2, (df - d - 1) / 2
    if name == "pillai":
        value = float(np.sum(roots / (1.0 + roots)))
        num, den = s * (2 * a + s + 1), s * (2 * b + s + 1)
        return _f(value, value / (s - value) * den / num, num, den, "exact" if s == 1 else "Pillai")
    value = float(np.sum(roots))
    num, den = s * (2 * a + s + 1), 2 * (s * b + 1)
    return _f(value, value * den / (s * num), num, den, "exact" if s == 1 else "Pillai")


def _f(value: float, f: float, num: float, den: float, exact: str) -> dict:
    from scipy.special import fdtrc

    p = float(fdtrc(num, den, f)) if den > 0 else np.nan
    return {"statistic": value, "f_value": f if den > 0 else np.nan, "num_df": round(num), "den_df": float(den),
            "p_value": p, "exact": exact}  # fmt: skip


def _chi2(value: float, df: int) -> dict:
    from scipy.special import chdtrc

    return {"statistic": value, "f_value": np.nan, "num_df": df, "den_df": np.nan, "p_value": float(chdtrc(df, value)),
            "exact": "asymptotic"}  # fmt: skip


# --- Σ scalar, Σ diagonal ------------------------------------------------------------------------------


def _least_squares(fit: Any, hypothesis: _Hypothesis, names: tuple[str, ...]) -> list[dict]:
    problem: Problem = fit.problem
    C, D = _orthonormal(problem, hypothesis)
    A = problem.least_squares
    off = C @ A @ D - hypothesis.T
    rss = float(np.sum(problem.residuals(A) ** 2))
    more = float(np.sum(np.linalg.solve(C @ C.T, off) * np.linalg.solve(D.T @ D, off.T).T))
    c, d = hypothesis.size
    den, nm = problem.n * problem.m - problem.g * problem.p, problem.n * problem.m
    f = more / (c * d) / (rss / den)
    return [_f(f, f, c * d, den, "exact") if name == "f" else _chi2(nm * np.log1p(more / rss), c * d) for name in names]


def _ratio(fit: Any, hypothesis: _Hypothesis, names: tuple[str, ...]) -> list[dict]:
    problem: Problem = fit.problem
    C, D = _orthonormal(problem, hypothesis)
    under = alternating(problem, fit.structure, Constraint(C, D, hypothesis.T))
    c, d = hypothesis.size
    return [_chi2(max(under.deviance - fit.deviance, 0.0), c * d) for _ in names]


def _about(rows: list[dict], fit: Any, c: int, d: int) -> list[str]:
    """What the references are."""
    kinds = {row["exact"] for row in rows}
    notes = []
    if fit.structure in ("free", *RANDOM) and kinds - {"asymptotic"}:
        what, left, why = " of the subjects' least-squares coefficients", "n − rank(G)", ""
        if fit.structure == "free":
            what, left = "", "n − rank(G) − (m − p)"
            why = ": what X leaves of the occasions is taken out as covariates (Khatri 1966)"
        df = regression(fit.problem, fit.structure).df
        many = f"{counted(c, 'function')} between and {d} within"
        notes.append(f"A MANOVA of {many}{what}, with {left} = {df} degrees of freedom for error{why}.")
    if "Rao" in kinds:
        notes.append("Of Wilks' Λ the F is Rao's approximation; it is exact where C or D has at most two functions.")
    if "Pillai" in kinds:
        notes.append("Of the traces the F is Pillai's approximation.")
    if "bound" in kinds:
        notes.append("Of Roy's root the F is an upper bound, so p is a lower one.")
    if "asymptotic" in kinds:
        small = "; with few subjects it is too small" if fit.structure in ("free", *RANDOM) else ""
        notes.append(f"The χ² of a likelihood ratio holds for many subjects: its p is approximate{small}.")
    return notes
