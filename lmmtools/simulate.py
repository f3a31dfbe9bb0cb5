"""Responses drawn from a fitted model."""

from __future__ import annotations

from typing import Any

import numpy as np

from lmmtools.arguments import check_count
from lmmtools.errors import LMMError

__all__ = ["simulate"]


def simulate(fit: Any, n: int, rng: np.random.Generator) -> np.ndarray:
    """Draw n responses from N(Xβ̂ + offset, V̂), with new random effects.

    Parameters
    ----------
    fit : LMMFit
    n : int
    rng : numpy.random.Generator

    Returns
    -------
    ndarray, shape (nobs, n)

    Raises
    ------
    LMMError
        If `rng` is no Generator or n no positive whole number.
    """
    if not isinstance(rng, np.random.Generator):
        raise LMMError(f"simulate: rng must be a numpy.random.Generator, such as default_rng(1); got {rng!r}.")
    n = check_count(n, "simulate: n, the number of responses,", at_least=1)
    design = fit.design
    mean = design.X @ fit.fixef.to_numpy()
    if design.offset is not None:
        mean = mean + design.offset
    scale = fit.sigma if design.weights is None else fit.sigma / np.sqrt(design.weights)[:, None]
    draws = mean[:, None] + scale * rng.standard_normal((fit.nobs, n))
    for term, Lambda in zip(design.terms, fit.Lambda, strict=True):
        root = term.known_root
        levels, q = len(term.levels) if root is None else root.shape[1], len(Lambda)
        for k in range(n):
            b = fit.sigma * rng.standard_normal((levels, q)) @ Lambda.T
            b = b if root is None else root @ b
            draws[:, k] += np.einsum("iq,iq->i", term.matrix, b[term.codes])
    return draws
