"""Covariances of the random effects from stated standard deviations and correlations, in the terms' structures."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from lmmtools.core.covariance import LINEAR, combine, factor_basis, theta_of_covariance
from lmmtools.core.structures import form_of
from lmmtools.errors import LMMError
from lmmtools.formats import quoted
from lmmtools.planning.stated import check_number, entries_of
from lmmtools.varcorr import COMMON, SERIAL

__all__ = ["Factor", "read_covariances"]

# An eigenvalue of a correlation matrix, and a difference of correlations, that is rounding of stated decimals.
_ROUNDING = 1e-8
_UNCORRELATED = ("diag", "homdiag")


@dataclass(frozen=True)
class Factor:
    """A term's relative covariance factor.

    Attributes
    ----------
    Lambda : ndarray, shape (q, q)
        Var(b) = σ²ΛΛ'.
    theta : ndarray, shape (m,)
    """

    Lambda: np.ndarray
    theta: np.ndarray


@dataclass
class _Said:
    """What is stated of one term, in units of the response; NaN where nothing is."""

    sd: np.ndarray
    cor: np.ndarray
    rho: float | None = None
    stated: list[tuple[str, tuple[int, ...]]] = field(default_factory=list)


def read_covariances(
    sd: Any, cor: Any, terms: Sequence[Any], sigma: float, base: Sequence[np.ndarray] | None
) -> list[Factor | None]:
    """Each term's factor from what is stated.

    Parameters
    ----------
    sd, cor : Mapping, Series or None
        See `entries_of`.
    terms : sequence of RandomTerm
    sigma : float
        The residual sd that factors are relative to.
    base : sequence of ndarray, shape (q, q), or None
        Covariance matrices that hold where nothing is stated; None where every sd must be. Correlations that are not
        stated are zero then.

    Returns
    -------
    list of Factor or None
        None for a term of which nothing is stated.

    Raises
    ------
    LMMError
        If a name is unknown, an sd lacks, a value is impossible, or values do not belong together.
    """
    said = {}
    for k, term in enumerate(terms):
        q = len(term.names)
        said[term.group] = _Said(np.full(q, np.nan), np.full((q, q), np.nan)) if base is None else _said(base[k])
    for term, effects, value, name in entries_of(sd, "sd", terms):
        _take_sd(said[term.group], term, effects, value, name)
    for term, effects, value, name in entries_of(cor, "cor", terms):
        _take_cor(said[term.group], term, effects, value, name)
    found: list[Factor | None] = []
    for term in terms:
        mine = said[term.group]
        found.append(None if base is not None and not mine.stated else _factor(term, mine, sigma))
    return found


def _said(covariance: np.ndarray) -> _Said:
    sd = np.sqrt(np.diagonal(covariance))
    both = np.outer(sd, sd)
    cor = np.divide(covariance, both, out=np.full_like(both, np.nan), where=both > 0.0)
    return _Said(sd, cor)


def _take_sd(said: _Said, term: Any, effects: tuple[int, ...], value: Any, name: str) -> None:
    """A standard deviation, that of all effects of a term, or a covariance matrix."""
    common = isinstance(term.structure, str) and term.structure in COMMON
    if effects:
        number = _standard_deviation(value, name)
        others = said.sd[[i for kind, mine in said.stated if kind == "sd" for i in mine]]
        _once(said, "sd", effects, name)
        if common and np.any(others != number):
            raise LMMError(
                f"planned: {name} is {number:g}, another sd of {term.label} {others[0]:g}, but its effects have one "
                "variance."
            )
        said.sd[list(range(len(said.sd))) if common else list(effects)] = number
    elif np.ndim(value) == 2:
        matrix = _matrix(value, term, name)
        _once(said, "sd", (), name)
        _once(said, "cor", (), name)
        _refuse_negative(np.diagonal(matrix), name)
        own = _said(matrix)
        said.sd, said.cor = own.sd, own.cor
        _refuse_covariance_of_none(matrix, said, name)
    else:
        number = _standard_deviation(value, name)
        if len(term.names) > 1 and not common:
            raise LMMError(
                f"planned: {name} is one number, but {term.label} has an sd for each of {quoted(term.names)}: give "
                f"{{{term.names[0]!r}: …, {term.names[1]!r}: …}}, or their covariance matrix."
            )
        _once(said, "sd", (), name)
        said.sd[:] = number


def _standard_deviation(value: Any, name: str) -> float:
    number = check_number(value, name)
    if number < 0.0:
        raise LMMError(f"planned: {name} is a standard deviation and cannot be negative; got {value!r}.")
    return number


def _refuse_negative(variances: np.ndarray, name: str) -> None:
    if np.any(variances < 0.0):
        raise LMMError(f"planned: {name} is a covariance matrix and has the negative variance {variances.min():g}.")


def _refuse_covariance_of_none(matrix: np.ndarray, said: _Said, name: str) -> None:
    none = np.isnan(said.cor)
    if np.any(matrix[none] != 0.0):
        raise LMMError(f"planned: {name} has a covariance with an effect of variance zero, which must be zero.")


def _take_cor(said: _Said, term: Any, effects: tuple[int, ...], value: Any, name: str) -> None:
    """A correlation, the only one of a term, or a correlation matrix."""
    q = len(term.names)
    if q < 2 or (isinstance(term.structure, str) and term.structure in _UNCORRELATED):
        why = "has one effect" if q < 2 else f"is `{term.structure}`, whose effects are independent"
        raise LMMError(f"planned: {name} is stated, but {term.label} {why}: leave it out.")
    if np.ndim(value) == 2:
        matrix = _matrix(value, term, name)
        if np.abs(np.diagonal(matrix) - 1.0).max() > _ROUNDING:
            raise LMMError(f"planned: {name} is a correlation matrix, whose diagonal must be one.")
        _once(said, "cor", (), name)
        said.cor = matrix
    else:
        number = check_number(value, name)
        one = isinstance(term.structure, str) and term.structure not in LINEAR
        if not effects and not one and q > 2:
            raise LMMError(
                f"planned: {name} is one number, but {term.label} has {q * (q - 1) // 2} correlations: give "
                f"{{({term.names[0]!r}, {term.names[1]!r}): …}}, or their matrix."
            )
        if one and not any(kind == "cor" for kind, _ in said.stated):
            said.cor[:] = np.nan  # what a base has gives way: all follow from the one that is stated
        _once(said, "cor", effects, name)
        if one and not effects:
            said.rho = number
        elif effects:
            said.cor[effects] = said.cor[effects[::-1]] = number
        else:
            said.cor[:] = number
    stated = said.cor if said.rho is None else np.array([said.rho])
    outside = stated[np.abs(stated) > 1.0 + _ROUNDING]
    if len(outside):
        raise LMMError(f"planned: {name} must lie between −1 and 1, as correlations do; got {outside[0]:g}.")


def _once(said: _Said, kind: str, effects: tuple[int, ...], name: str) -> None:
    """Note a statement on some effects, or on a whole term; refuse a second one."""
    others = [mine for of, mine in said.stated if of == kind]
    if effects in others or () in others or (others and not effects):
        raise LMMError(f"planned: {name} is stated, and what is said elsewhere states it as well: leave one out.")
    said.stated.append((kind, effects))


def _matrix(value: Any, term: Any, name: str) -> np.ndarray:
    """A symmetric matrix over the term's effects, in their order."""
    names = list(term.names)
    if isinstance(value, pd.DataFrame):
        if sorted(map(str, value.index)) != sorted(names) or sorted(map(str, value.columns)) != sorted(names):
            raise LMMError(f"planned: {name} must have the effects {quoted(names)} as its index and columns.")
        value = value.rename(index=str, columns=str).loc[names, names]
    try:
        matrix = np.array(value, dtype=float)
    except (TypeError, ValueError) as error:
        raise LMMError(f"planned: {name} must hold numbers; got {value!r}.") from error
    if matrix.shape != (len(names),) * 2 or not np.all(np.isfinite(matrix)):
        raise LMMError(
            f"planned: {name} must be a {len(names)} × {len(names)} matrix of finite numbers, for {quoted(names)}; got "
            f"shape {matrix.shape}."
        )
    if np.abs(matrix - matrix.T).max() > _ROUNDING * np.abs(matrix).max():
        raise LMMError(f"planned: {name} is not symmetric, as a covariance or correlation matrix is.")
    return (matrix + matrix.T) / 2.0


def _factor(term: Any, said: _Said, sigma: float) -> Factor:
    """The factor of a term's structure that has these sds and correlations."""
    if not isinstance(term.structure, str):
        raise LMMError(
            f"planned: {term.label} has a structure of your own, whose parameters cannot be stated: fit it, and leave "
            "its sds, its correlations and sigma as they are."
        )
    lacking = [f"sd({term.group}, {name})" for name, sd in zip(term.names, said.sd, strict=True) if np.isnan(sd)]
    if lacking:
        raise LMMError(f"planned: sd lacks {quoted(lacking)}: state every standard deviation, zero for none.")
    if term.structure in LINEAR:
        return _linear(term, said, sigma)
    return _one_correlation(term, said, sigma)


def _linear(term: Any, said: _Said, sigma: float) -> Factor:
    R = np.where(np.isnan(said.cor), 0.0, said.cor)
    np.fill_diagonal(R, 1.0)
    T = R * np.outer(said.sd, said.sd) / sigma**2
    off = np.abs(R - np.eye(len(R))).max()
    if term.structure in _UNCORRELATED and off > 0.0:
        raise LMMError(
            f"planned: the covariance matrix stated of {term.label} has correlations, but `{term.structure}` has none."
        )
    if term.structure == "homdiag" and np.ptp(said.sd) > _ROUNDING * said.sd.max():
        raise LMMError(f"planned: {term.label} has one variance, but its sds are stated as {_numbers(said.sd)}.")
    _refuse_indefinite(R, term)
    theta = theta_of_covariance(term.structure, T)
    return Factor(combine(theta, factor_basis(term.structure, len(T))), theta)


def _refuse_indefinite(R: np.ndarray, term: Any) -> None:
    least = float(np.linalg.eigvalsh(R)[0])
    if least < -_ROUNDING:
        pairs = _numbers(R[np.tril_indices(len(R), -1)])
        raise LMMError(
            f"planned: the correlations of {term.label}, {pairs}, do not belong together: the matrix they form has the "
            f"eigenvalue {least:.3g}, and would give some combination of effects a negative variance."
        )


def _one_correlation(term: Any, said: _Said, sigma: float) -> Factor:
    """The factor of a structure with one correlation, with one variance or own ones."""
    form = form_of(term.structure, term.names, term.positions, term.label)
    common, q = term.structure in COMMON, len(term.names)
    if common and np.ptp(said.sd) > _ROUNDING * said.sd.max():
        raise LMMError(f"planned: {term.label} has one variance, but its sds are stated as {_numbers(said.sd)}.")
    sds = said.sd[:1] if common else said.sd
    if q == 1:
        return Factor(form.factor(sds / sigma), sds / sigma)
    rho = _rho(term, said, form)
    if not form.lower[-1] - _ROUNDING <= rho <= form.upper[-1] + _ROUNDING:
        raise LMMError(
            f"planned: the correlation of {term.label} must lie between {form.lower[-1]:.4g} and {form.upper[-1]:g} "
            f"for the matrix of {q} effects to be a correlation matrix; got {rho:g}."
        )
    theta = np.append(sds / sigma, np.clip(rho, form.lower[-1], form.upper[-1]))
    return Factor(form.factor(theta), theta)


def _rho(term: Any, said: _Said, form: Any) -> float:
    """The one correlation, of a lag of one for an autoregression, from all that is stated; zero for nothing."""
    if said.rho is not None:
        return said.rho
    i, j = np.tril_indices(len(said.sd), -1)
    there = ~np.isnan(said.cor[i, j])
    if not there.any():
        return 0.0
    i, j, values = i[there], j[there], said.cor[i, j][there]
    if term.structure not in SERIAL:
        rho = float(values[0])
    else:
        nearest = int(np.argmin(form.lag[i, j]))
        lag, value = int(form.lag[i[nearest], j[nearest]]), float(values[nearest])
        rho = float(np.copysign(abs(value) ** (1.0 / lag), value if lag % 2 else 1.0))
    matrix = form.correlation(rho)[0]
    if np.abs(matrix[i, j] - values).max() > 1e-6:
        raise LMMError(
            f"planned: `{term.structure}` has one correlation, from which all others follow, but those stated of "
            f"{term.label} differ: {_numbers(values)}."
        )
    return rho


def _numbers(values: np.ndarray) -> str:
    return ", ".join(f"{value:g}" for value in values[:6]) + (", …" if len(values) > 6 else "")
