"""Searches from many starts, which tell whether the criterion has another, lower minimum."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from lmmtools.core.covariance import lower_factor, theta_of
from lmmtools.core.criterion import Criterion
from lmmtools.core.optimize import Optimum, minimize
from lmmtools.core.residual import ResidualForm
from lmmtools.core.starts import drawn
from lmmtools.core.terms import Term
from lmmtools.core.working import Working
from lmmtools.errors import ModelError

__all__ = ["lowest_of", "restart_points"]

# Relative sds of the starts, in working columns of unit size.
_SMALLEST, _LARGEST = 0.05, 20.0
_SEED = 20040429  # fixed: the same starts in every run


def restart_points(working: Working, k: int) -> list[np.ndarray]:
    """Starts spread over the cone, always the same: sds from small to large, with correlations of all kinds.

    Parameters
    ----------
    working : Working
    k : int

    Returns
    -------
    list of ndarray, shape (m,)
        Working parameters, `k` of them. The terms' sizes fill their ranges more and more finely, each at its own
        pace, so that the first k of a longer list are as well spread as a list of k (Halton 1960, Numer. Math. 2).
    """
    rng = np.random.default_rng(_SEED)
    bases = _primes(len(working.parts))
    return [
        np.concatenate([_start(t, _size(i + 1, base), rng) for t, base in zip(working.parts, bases, strict=True)])
        for i in range(k)
    ]


def lowest_of(criterion: Criterion, points: Iterable[np.ndarray]) -> tuple[Optimum, tuple[Optimum, ...]]:
    """The lowest of Newton's searches from each of these working parameters, and all of them in their order.

    A search that runs off to infinity is left out.

    Raises
    ------
    ModelError
        If all of them do.
    """
    found, last = [], None
    for point in points:
        try:
            found.append(minimize(criterion, start=criterion.working.to_theta(drawn(criterion, point))))
        except ModelError as error:
            last = error
    if not found:
        raise last or ModelError("restarts: there is no point to start from.")
    return min(found, key=lambda optimum: optimum.value), tuple(found)


def _size(i: int, base: int) -> float:
    """The i-th size of a term: its place in the range is i's digits to the base, mirrored at the point."""
    place, part = 0.0, 1.0 / base
    while i:
        i, digit = divmod(i, base)
        place, part = place + part * digit, part / base
    return _SMALLEST * (_LARGEST / _SMALLEST) ** place


def _primes(k: int) -> list[int]:
    """The first k primes."""
    found: list[int] = []
    i = 2
    while len(found) < k:
        if all(i % p for p in found):
            found.append(i)
        i += 1
    return found


def _start(term: Term, size: float, rng: np.random.Generator) -> np.ndarray:
    """Parameters of one term with relative sds about `size`."""
    if term.form is not None:
        return _start_of_form(term, size, rng)
    sds = size * np.exp(rng.normal(0.0, 0.7, term.q))
    if term.structure != "us":
        return theta_of(term.structure, np.diag(sds if term.structure == "diag" else np.full(term.q, size)))
    rows = rng.normal(size=(term.q, term.q + 1))
    return theta_of("us", lower_factor(sds[:, None] * rows / np.linalg.norm(rows, axis=1, keepdims=True)))


def _start_of_form(term: Term, size: float, rng: np.random.Generator) -> np.ndarray:
    """Between two bounds anywhere, from a single one `size` away, without any about where the structure starts."""
    if isinstance(term.form, ResidualForm):
        return term.form.scattered(rng)
    lower, upper = term.bounds
    base = np.asarray(term.form.other_starts([1.0])[0], dtype=float)
    share, away = rng.uniform(0.05, 0.95, len(base)), size * np.exp(rng.normal(0.0, 0.7, len(base)))
    both = np.isfinite(lower) & np.isfinite(upper)
    with np.errstate(invalid="ignore"):
        theta = np.where(both, lower + share * (upper - lower), base + away * np.sign(share - 0.5))
    theta = np.where(np.isfinite(lower) & ~both, lower + away, theta)
    theta = np.where(np.isfinite(upper) & ~both, upper - away, theta)
    return np.clip(theta, lower, upper)
