"""Ends of a search at which there is no estimate: a standard deviation of zero, a singular correlation matrix."""

from __future__ import annotations

from typing import Any

import numpy as np

from lmmtools.core.residual.parameters import out_of_numbers
from lmmtools.errors import ModelError

__all__ = ["refuse_unbounded"]

# Smallest eigenvalue of an unstructured or banded correlation matrix that is none, where a search has come to an end,
# and where it was still on its way.
_SINGULAR, _NEARLY = 1e-9, 1e-3


def refuse_unbounded(criterion: Any, psi: np.ndarray, *, converged: bool = True) -> None:
    """Refuse φ at which the likelihood grows without bound.

    Parameters
    ----------
    criterion : Criterion
    psi : ndarray, shape (m,)
        Where the search ended.
    converged : bool
        Whether nothing was left to gain there.

    Raises
    ------
    ModelError
        Naming the parameter or the structure.
    """
    form, residual = criterion.working.residual.form, criterion.design.residual
    if residual is None:
        return
    phi = form.natural(psi)
    if off := form.run_off(psi):
        name, value = residual.names[off[0]], phi[off[0]]
        what = "zero" if value < 1.0 else "infinity"
        why = (
            "the power adds to few rows what it takes from none, and the data do not determine the two: use varpower, "
            "varexp or varident instead."
            if ".const" in name
            else "the model meets some rows exactly, so their standard deviation can be zero and the likelihood has no "
            "maximum. Merge levels, leave out fixed or random effects, or use another variance function."
        )
        raise ModelError(
            f"`{name}` of `{residual.text}` runs off to {what} (it has reached {value:.1g}) while the criterion falls: "
            + why
        )
    c = residual.correlation
    if off := form.beyond(psi):
        raise ModelError(out_of_numbers(c, phi[off[0]]))
    if c is None or c.kind not in ("us", "toep"):
        return
    law = criterion.working.products.noise.law
    smallest = law.at(phi[: law.m]).smallest
    if smallest < (_SINGULAR if converged else _NEARLY):
        raise ModelError(
            f"the correlation matrix of `{c.label}` becomes singular (its smallest eigenvalue has reached "
            f"{smallest:.1g}) while the criterion falls: the residuals of the {int(c.codes.max()) + 1} groups of "
            f"`{c.group}` are too few for {len(c.occasions)} occasions, or one occasion is a combination of others, "
            "and the likelihood has no maximum. Use a structure with fewer parameters, such as toep, ar1 or cs, or "
            "fewer occasions."
        )
