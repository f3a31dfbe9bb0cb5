"""Conditional modes of the random effects, labelled, and their covariances."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from lmmtools.core.modes import across_homes

__all__ = ["ranef", "ranef_cov"]


def ranef(fit: Any) -> dict[str, pd.DataFrame]:
    """Conditional modes by grouping factor, a row a level, the terms of one factor side by side.

    Effects that several terms of a factor have are told apart by the term's number: ``Intercept``,
    ``Intercept.1``.
    """
    found = {}
    for factor, places in _by_factor(fit).items():
        names: list[str] = []
        for k in places:
            term = fit.design.terms[k]
            number = term.group.removeprefix(term.factor)
            names += [f"{name}{number}" if name in names else name for name in term.names]
        modes = np.hstack([fit.modes[k] for k in places])
        found[factor] = pd.DataFrame(modes, index=fit.design.terms[places[0]].levels, columns=names)
    return found


def ranef_cov(fit: Any) -> dict[str, np.ndarray]:
    """Var(b | y) at β̂ and θ̂ by grouping factor, shape (levels, q, q), columns as in `ranef`."""
    found = {}
    for factor, places in _by_factor(fit).items():
        homes = list(dict.fromkeys(fit.working.homes[k] for k in places))
        found[factor] = fit.mode_cov[homes[0]] if len(homes) == 1 else across_homes(fit, homes)
    return found


def _by_factor(fit: Any) -> dict[str, list[int]]:
    """Places of each grouping factor's terms."""
    found: dict[str, list[int]] = {}
    for k, term in enumerate(fit.design.terms):
        found.setdefault(term.factor, []).append(k)
    return found
