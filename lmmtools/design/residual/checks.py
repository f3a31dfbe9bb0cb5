"""A residual structure beside the rest of a model: the same thing said twice, or a part only of what was meant."""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np

from lmmtools.design.crossing import is_within
from lmmtools.design.levels import Levels
from lmmtools.design.residual.value import Correlation, Residual, Variance
from lmmtools.design.value import RandomTerm
from lmmtools.errors import ModelError
from lmmtools.formats import counted, quoted

__all__ = ["check_fitted_exactly", "check_unstructured", "check_with_terms", "check_within", "correlation_note"]

# Structures of random effects in which the variance of the intercept, or of any effect, is free.
_FREE = ("us", "diag", "cs")
_FACTOR = re.compile(r"^(?:C|factor|as\.factor|ordered)\((.*)\)$")
_EXACT = 1e-10  # of the response's size: residuals that rounding leaves
_SMALL = 200  # rows of a level up to which its own fit is looked at


def correlation_note(correlation: Correlation | None, variances: Sequence[Variance]) -> str | None:
    """What ``us`` and ``toep`` are without a variance of each occasion; None where there is nothing to say."""
    if correlation is None or correlation.kind not in ("us", "toep"):
        return None
    occasion = Levels(*_occasion_codes(correlation))
    if np.bincount(occasion.codes).min() < 2:  # no variance of each could be told
        return None
    for variance in variances:
        if variance.kind == "varident" and is_within(Levels(variance.codes, variance.levels), occasion):
            return None
    name = of = _FACTOR.sub(r"\1", correlation.variables[0])  # varident takes the column itself
    what = "a Toeplitz covariance with a variance for each occasion"
    if correlation.kind == "us":
        what = "the unstructured covariance of a mixed model for repeated measures (MMRM)"
    name = ":".join((name, *([correlation.by] if correlation.by else [])))
    return (
        f"`{correlation.label}` is a correlation, and all occasions of `{of}` have one residual variance"
        f"{', but for what the variance functions say' if variances else ''}: {what} is "
        f"{correlation.label} * varident({name})."
    )


def _occasion_codes(correlation: Correlation) -> tuple[np.ndarray, np.ndarray]:
    levels, codes = np.unique(correlation.positions[:, 0], return_inverse=True)
    return codes.astype(np.intp), levels


def check_within(variances: Sequence[Variance]) -> None:
    """Raise ModelError where the levels of one ``varident`` are combinations of another's, and say all it says."""
    idents = [variance for variance in variances if variance.kind == "varident"]
    for coarse in idents:
        for fine in idents:
            if fine is coarse or len(fine.levels) < len(coarse.levels):
                continue
            if is_within(Levels(fine.codes, fine.levels), Levels(coarse.codes, coarse.levels)):
                raise ModelError(
                    f"`{coarse.label}` adds nothing to `{fine.label}`, each of whose levels has one level of "
                    f"`{':'.join(coarse.variables)}`: their sds cannot be told apart. Leave `{coarse.label}` out."
                )


def check_fitted_exactly(variances: Sequence[Variance], X: np.ndarray, y: np.ndarray, random: bool) -> None:
    """Raise ModelError where the mean can meet every row of a level exactly, so that its sd would shrink to zero.

    Parameters
    ----------
    variances : sequence of Variance
    X : ndarray, shape (n, p)
    y : ndarray, shape (n,)
        Without offsets.
    random : bool
        Whether the model has random effects, whose variance keeps the likelihood finite in small levels.
    """
    for variance in variances:
        if variance.kind != "varident" or random:
            continue
        order = np.argsort(variance.codes, kind="stable")
        ends = np.cumsum(np.bincount(variance.codes, minlength=len(variance.levels)))
        exact = []
        for k, (start, end) in enumerate(zip((0, *ends[:-1]), ends, strict=True)):
            rows = order[start:end]
            here = y[rows]
            if len(rows) > max(_SMALL, 2 * X.shape[1]) and here.min() != here.max():
                continue
            fit = X[rows] @ np.linalg.lstsq(X[rows], here, rcond=None)[0]
            if np.abs(here - fit).max() <= _EXACT * np.abs(here).max():
                exact.append((variance.levels[k], len(rows)))
        if exact:
            name, rows = ":".join(variance.variables), counted(sum(n for _, n in exact), "row")
            raise ModelError(
                f"`{variance.label}`: where `{name}` is {quoted(level for level, _ in exact)} ({rows}), the fixed "
                f"effects can meet the response exactly, so the sd there could be zero and the likelihood has no "
                "maximum: merge levels, or use fewer fixed effects."
            )


def check_unstructured(residual: Residual, X: np.ndarray, random: bool) -> None:
    """Raise ModelError where a free covariance of the occasions has fewer groups than its likelihood needs.

    With every group seen at every occasion, and fixed effects that are those of r covariates of the groups at each
    occasion, some combination of the T occasions is met exactly in all J groups where J < T + r: its variance can then
    be zero, and the likelihood has no maximum.

    Parameters
    ----------
    residual : Residual
    X : ndarray, shape (n, p)
    random : bool
        Whether the model has random effects, which are not looked at.
    """
    correlation = residual.correlation
    if random or correlation is None or correlation.kind != "us" or not _is_free(correlation, residual.variances):
        return
    T, occasion = len(correlation.occasions), correlation.positions[:, 0]
    for k, level in enumerate(correlation.by_levels):
        rows = np.flatnonzero(correlation.by_codes == k)
        J = len(np.unique(correlation.codes[rows]))
        if len(rows) != J * T or J > T + X.shape[1]:
            continue
        rows = rows[np.lexsort((correlation.codes[rows], occasion[rows]))]
        at_each = X[rows].reshape(T, J, -1)
        r = max(np.linalg.matrix_rank(x) for x in at_each)
        if J < T + r and np.linalg.matrix_rank(np.hstack(list(at_each))) == r:
            where = f" where `{correlation.by}` is `{level}`" if correlation.by else ""
            raise ModelError(
                f"`{correlation.label}` with an sd of each occasion is a free covariance of {counted(T, 'occasion')} "
                f"of `{correlation.variables[0]}` ({counted(T * (T + 1) // 2, 'parameter')}), and there are "
                f"{counted(J, 'group')} of `{correlation.group}`{where}, with {counted(int(r), 'fixed effect')} at "
                f"each occasion: {T} + {r} groups are the fewest for which the likelihood has a maximum. Use a "
                "structure with fewer parameters, merge occasions, or use fewer fixed effects."
            )


def _is_free(correlation: Correlation, variances: Sequence[Variance]) -> bool:
    """Whether the occasions have sds of their own."""
    codes, occasions = _occasion_codes(correlation)
    one = len(variances) == 1 and variances[0].kind == "varident"
    return one and is_within(Levels(variances[0].codes, variances[0].levels), Levels(codes, occasions))


def check_with_terms(residual: Residual, terms: Sequence[RandomTerm], weighted: bool) -> None:
    """Raise ModelError for random effects that the correlation of the residuals holds already.

    Parameters
    ----------
    residual : Residual
    terms : sequence of RandomTerm
    weighted : bool
        Whether there are precision weights, which the random effects do not have.
    """
    correlation = residual.correlation
    if correlation is None or weighted:
        return
    groups = Levels(correlation.codes, correlation.levels)
    for term in terms:
        if len(term.levels) != len(groups.levels) or term.known_root is not None:
            continue
        if not is_within(Levels(term.codes, term.levels), groups):
            continue
        if correlation.kind == "us":
            _check_unstructured(correlation, residual.variances, term)
        if not residual.variances:
            _check_intercept(correlation, term)


def _check_unstructured(correlation: Correlation, variances: Sequence[Variance], term: RandomTerm) -> None:
    """With an sd of each occasion, every covariance is there, that of effects that depend on the occasion too."""
    if not _is_free(correlation, variances):
        return
    codes, occasions = _occasion_codes(correlation)
    first = np.zeros((len(occasions), term.matrix.shape[1]))
    first[codes] = term.matrix
    if np.array_equal(first[codes], term.matrix):
        raise ModelError(
            f"`{correlation.label} * {variances[0].label}` leaves the covariance of the occasions of "
            f"`{correlation.variables[0]}` free, and that of {term.label} is part of it: they are the same model. "
            f"Leave {term.label} out, or give the residuals a structure with fewer parameters."
        )


def _check_intercept(correlation: Correlation, term: RandomTerm) -> None:
    """A random intercept adds one number to every covariance of a group, which these structures can do alone."""
    constant = (term.matrix == term.matrix[:1]).all(axis=0) & (term.matrix[0] != 0)
    free = term.structure in _FREE or len(term.names) == 1
    codes, occasions = _occasion_codes(correlation) if correlation.kind == "toep" else (None, ())
    all_lags = (
        correlation.kind == "toep" and (correlation.lag_codes(_distances(correlation, codes, occasions)) >= 0).all()
    )
    if not (constant.any() and free and (correlation.kind in ("cs", "us") or all_lags)):
        return
    of = "" if not correlation.by else f" in each level of `{correlation.by}`"
    name = term.label if len(term.names) == 1 else f"the intercept of {term.label}"
    raise ModelError(
        f"`{correlation.label}` and {name} are the same model{of}: both add one number to every covariance within a "
        f"group of `{correlation.group}`, and the two cannot be told apart. Leave one out: without the random "
        "intercept the correlation may be negative too; without the structure there are random effects to predict."
    )


def _distances(correlation: Correlation, codes: np.ndarray, occasions: np.ndarray) -> np.ndarray:
    """The largest distance within each group: where that has a parameter, all have."""
    low, high = np.full(len(correlation.levels), np.inf), np.full(len(correlation.levels), -np.inf)
    np.minimum.at(low, correlation.codes, occasions[codes])
    np.maximum.at(high, correlation.codes, occasions[codes])
    return (high - low)[high > low]
