"""Means and variances of predictions at rows of a design's columns, from the mixed model equations' solution.

Given θ̂, the error of x'β̂ + z'b̂ is (x − X'V⁻¹ZTz)'(β̂ − β) + z'(b̂(β) − b), two independent parts, so its variance is
a'Var(β̂)a + z'Var(b | y)z (Henderson 1975, Biometrics 31, sec. 3). For a level that was not seen Var(b | y) is Var(b).

A residual ε₀ that is correlated with those seen, r = Cov(ε, ε₀)/σ², is predicted by k'(y − Xβ̂ − Zb̂), k = R⁻¹r
(Goldberger 1962, J. Am. Stat. Assoc. 57, eq. 3.12). As ε₀ − k'ε is independent of y, all of it is the prediction of a
row x − X'k, z − Z'k, to which k'y is added, with the variance σ²(s₀² − r'R⁻¹r) of its own.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from lmmtools.core.modes import mode_sensitivity, random_variance, rows_by_factor, terms_by_factor
from lmmtools.core.residual import cross_correlations
from lmmtools.core.residual.multipliers import Multiplying
from lmmtools.errors import DataError, LMMError

__all__ = ["between_variance", "mean_variance", "point", "residual_sd", "with_residuals"]

# Numbers in the correlations with rows seen that are held at once.
_AT_ONCE = 4_000_000
# A variance below zero by less than this, over that of the residual, is rounding.
_ROUNDING = 1e-8


def point(fit: Any, rows: Any, random: bool) -> np.ndarray:
    """x'β̂ + o, and z'b̂ with it if `random`, of rows with ``X``, ``offset`` and ``terms``; shape (m,)."""
    value = rows.X @ fit.beta
    if rows.offset is not None:
        value = value + rows.offset
    if random:
        for term, b in zip(rows.terms, fit.modes, strict=True):
            value = value + np.einsum("iq,iq->i", term.matrix, _take(b, term.codes))
    return value


def mean_variance(fit: Any, rows: Any, random: bool) -> np.ndarray:
    """Variance of the error of x'β̂, or of x'β̂ + z'b̂ if `random`; shape (m,)."""
    if not (random and rows.terms):
        return np.einsum("ij,jk,ik->i", rows.X, fit.beta_cov, rows.X)
    parts = rows_by_factor(fit.working, rows.terms)
    a = rows.X
    for (z, codes), sensitivity in zip(parts, mode_sensitivity(fit.working, fit.Lambda, fit.solution), strict=True):
        a = a - np.einsum("iq,iqj->ij", z, _take(sensitivity, codes))
    known = fit.sigma**2 * random_variance(fit.working, fit.Lambda, fit.solution, parts)
    return np.einsum("ij,jk,ik->i", a, fit.beta_cov, a) + known + between_variance(fit, rows, unseen=True)


def between_variance(fit: Any, rows: Any, *, unseen: bool = False) -> np.ndarray:
    """z'Var(b)z of all terms, or of those whose level was not in the data; shape (m,).

    Raises
    ------
    LMMError
        If a level is new whose variance is in a known covariance matrix.
    """
    value = np.zeros(len(rows.X))
    for t, term, L in zip(rows.terms, fit.design.terms, fit.Lambda, strict=True):
        new = t.codes < 0
        if unseen and not new.any():
            continue
        own = fit.sigma**2 * np.sum((t.matrix @ L) ** 2, axis=1)
        if term.known_root is not None:
            if new.any():
                raise LMMError(
                    f"predict: an interval needs the variance of a level, and `{term.factor}` has one for those in its "
                    "known covariance matrix only; predict rows of those, or without `interval`."
                )
            own = own * np.sum(term.known_root**2, axis=1)[t.codes]
        value += np.where(new, own, 0.0) if unseen else own
    return value


def residual_sd(fit: Any, variances: tuple[Any, ...], value: np.ndarray) -> np.ndarray:
    """Standard deviations over σ of residuals of weight one, shape (m,).

    Parameters
    ----------
    fit : LMMFit
    variances : tuple of Variance
        The variance functions at the rows.
    value : ndarray, shape (m,)
        Predictions of their means, for functions of ``fitted()``.

    Raises
    ------
    DataError
        If a standard deviation is zero or infinite.
    """
    residual = fit.design.residual
    if residual is None or not residual.variances:
        return np.ones(len(value))
    parts = tuple(replace(part, values=value) if part.fitted else part for part in variances)
    phi = fit.phi[residual.slices[0].stop :] if residual.correlation is not None else fit.phi
    try:
        return np.exp(Multiplying(parts, len(value)).at(phi).log_s)
    except np.linalg.LinAlgError as error:
        raise DataError(
            f"predict: `{residual.text}` gives some of the new rows a residual standard deviation of zero or infinity, "
            "as where a power is taken of a prediction of zero: predict other rows, or the mean."
        ) from error


def with_residuals(fit: Any, rows: Any, other: Any, sd: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Predictions of new responses, and the variances of their errors, given also the residuals seen in their groups.

    Parameters
    ----------
    fit : LMMFit
        With correlated residuals.
    rows : NewRows
        m rows with ``X``, ``offset`` and ``terms``.
    other : Correlation
        Where these rows stand; codes of the fit's residual groups, −1 for a new one.
    sd : ndarray, shape (m,)
        Standard deviations over σ of their residuals.

    Returns
    -------
    value, variance : ndarray, shape (m,)
        NaN where a row's correlations with the residuals of its group are none that residuals together can have, as
        where compound symmetry is negative and its group grows beyond those fitted.
    """
    K, left = _weights(fit, other)
    K = K.multiply(sd[:, None]).tocsr()
    y = fit.design.y if fit.design.offset is None else fit.design.y - fit.design.offset
    X = rows.X - K @ fit.design.X
    value = X @ fit.beta + K @ y + (0.0 if rows.offset is None else rows.offset) + 0.0 * left
    own = fit.sigma**2 * sd**2 * left
    if not rows.terms:
        return value, np.einsum("ij,jk,ik->i", X, fit.beta_cov, X) + own
    a, spherical, widths = X, [], []
    sensitivities = mode_sensitivity(fit.working, fit.Lambda, fit.solution)
    factors = fit.working.by_factor(fit.Lambda)
    pairs = zip(*(rows_by_factor(fit.working, r.terms) for r in (rows, fit.design)), strict=True)
    for f, (mine, (new, seen)) in enumerate(zip(terms_by_factor(fit.working), pairs, strict=True)):
        J, Q = sensitivities[f].shape[:2]
        Z = _spread(*new, J) - K @ _spread(*seen, J)
        value = value + Z @ np.hstack([fit.modes[k] for k in mine]).ravel()
        a = a - Z @ sensitivities[f].reshape(J * Q, -1)
        spherical.append(Z @ _root(fit.design.terms[mine[0]].known_root, factors[f], J))
        widths.append(Q)
    from scipy.sparse import hstack

    Lambda = fit.working.own_factor(fit.Lambda, fit.phi)
    known = fit.working.products.exact.joint_variance(Lambda, fit.solution, hstack(spherical, format="csr"), widths)
    variance = np.einsum("ij,jk,ik->i", a, fit.beta_cov, a) + fit.sigma**2 * known + own
    return value, variance + between_variance(fit, rows, unseen=True)


def _weights(fit: Any, other: Any) -> tuple[Any, np.ndarray]:
    """k over the new rows' sds as a sparse array (m, n), and what of their residuals' variance is left, shape (m,)."""
    from scipy.sparse import coo_array

    noise, seen, m = fit.noise, fit.design.correlation, len(other.codes)
    order, n = noise.order, len(noise.order)
    groups = cross_correlations(seen, other, fit.phi[fit.design.residual.slices[0]])
    left, entries = np.ones(m), [(np.zeros(0, dtype=int), np.zeros(0, dtype=int), np.zeros(0))]
    most = max((len(mine) for _, mine, _ in groups), default=0)
    step = max(_AT_ONCE // n, 1)
    for start in range(0, most, step):  # a column for one new row of every group: groups do not see each other
        some = [(rows, mine[start : start + step], C[:, start : start + step]) for rows, mine, C in groups]
        cross = np.zeros((n, min(step, most - start)))
        for rows, mine, C in some:
            cross[rows, : len(mine)] = C
        solved, white = np.empty_like(cross), np.empty_like(cross)
        solved[order] = noise.at.correlation.inverse(cross[order])
        white[order] = noise.at.correlation.whiten(cross[order])  # squares keep digits that products with C⁻¹ lose
        for rows, mine, _ in some:
            k = solved[rows, : len(mine)]
            left[mine] -= np.sum(white[rows, : len(mine)] ** 2, axis=0)
            # of an autoregression only the rows before and after have a weight, all others what rounding leaves
            at, of = np.nonzero(np.abs(k) > np.finfo(float).eps * np.abs(k).max(axis=0))
            entries.append((mine[of], rows[at], k[at, of] / noise.sd[rows[at]]))
    left[left < -_ROUNDING] = np.nan
    i, j, k = (np.concatenate(part) for part in zip(*entries, strict=True))
    return coo_array((k, (i, j)), shape=(m, n)).tocsr(), np.maximum(left, 0.0)


def _take(values: np.ndarray, codes: np.ndarray) -> np.ndarray:
    """Rows of `values` by code; zero where the code is −1 (an unseen level)."""
    taken = values[codes]
    if len(codes) and codes.min() < 0:
        taken[codes < 0] = 0.0
    return taken


def _spread(z: np.ndarray, codes: np.ndarray, J: int) -> Any:
    """Rows z, shape (m, Q), in the columns of their level, sparse of shape (m, J·Q)."""
    from scipy.sparse import csr_array

    keep, Q = codes >= 0, z.shape[1]
    columns = (codes[keep, None] * Q + np.arange(Q)).ravel()
    ends = np.concatenate([[0], np.cumsum(keep * Q)])
    return csr_array((z[keep].ravel(), columns, ends), shape=(len(z), J * Q))


def _root(known: np.ndarray | None, Lambda: np.ndarray, J: int) -> Any:
    """I ⊗ Λ of a factor, or the root of its levels' known covariance in the place of I."""
    from scipy.sparse import csr_array, eye_array, kron

    return kron(eye_array(J) if known is None else csr_array(known), csr_array(Lambda), format="csr")
