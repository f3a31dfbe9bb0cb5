"""Responses drawn from a fitted model."""

from __future__ import annotations

from typing import Any

import numpy as np

from lmmtools.arguments import check_count
from lmmtools.errors import LMMError

__all__ = ["add_effects", "simulate"]

# Random effects that are drawn at a time.
_AT_ONCE = 4_000_000


def simulate(fit: Any, n: int, rng: np.random.Generator | int) -> np.ndarray:
    """Draw n responses from N(Xβ̂ + offset, V̂), with new random effects and residuals of the fitted structure.

    Parameters
    ----------
    fit : LMMFit
        Or a model with stated parameters, as `planned` makes it.
    n : int
    rng : numpy.random.Generator or int
        Or its seed.

    Returns
    -------
    ndarray, shape (nobs, n)

    Raises
    ------
    LMMError
        If `rng` is neither or n no positive whole number.
    """
    if isinstance(rng, int | np.integer) and not isinstance(rng, bool) and rng >= 0:
        rng = np.random.default_rng(rng)
    if not isinstance(rng, np.random.Generator):
        raise LMMError(f"simulate: rng must be a numpy.random.Generator or a seed such as rng=1; got {rng!r}.")
    n = check_count(n, "simulate: n, the number of responses,", at_least=1)
    design = fit.design
    mean = design.mean(fit.fixef.to_numpy())
    draws = mean[:, None] + fit.sigma * fit.noise.colour(rng.standard_normal((fit.nobs, n)))
    for term, Lambda in zip(design.terms, fit.Lambda, strict=True):
        root = term.known_root
        levels, q = len(term.levels) if root is None else root.shape[1], len(Lambda)
        step = max(_AT_ONCE // (levels * q), 1)
        for start in range(0, n, step):
            u = rng.standard_normal((min(step, n - start), levels, q))
            b = (fit.sigma * u @ Lambda.T).transpose(2, 1, 0)
            add_effects(draws[:, start : start + step], term, b if root is None else root @ b)
    return draws


def add_effects(responses: np.ndarray, term: Any, b: np.ndarray) -> None:
    """Add a term's effects b, shape (q, levels, m), to m responses, shape (n, m), in place."""
    for column, effects in zip(term.matrix.T, b, strict=True):
        part = effects[term.codes]
        part *= column[:, None]
        responses += part
