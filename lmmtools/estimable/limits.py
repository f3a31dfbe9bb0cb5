"""What it means, in words, that a parameter of a residual structure is on a bound."""

from __future__ import annotations

import numpy as np

from lmmtools.core.criterion import Criterion

__all__ = ["copies_of", "limit_of"]

# By what the parameter is called: at its lower bound, at its upper one.
_LIMITS = {
    "ar1.phi": ("minus one to seven digits, the limit of stationarity",
                "one to seven digits, the limit of stationarity"),
    "car1.phi": ("zero, so that rows at different times are uncorrelated",
                 "one to seven digits, so that residuals of a group are all the same"),
    "arma.phi": ("at the limit of stationarity", "at the limit of stationarity"),
    "arma.theta": ("at the limit of invertibility", "at the limit of invertibility"),
    "cs.rho": ("the lowest correlation that residuals of the largest group can have",
               "one to seven digits, so that residuals of a group are all the same"),
    "toep.rho": ("minus one to seven digits, the least there is", "one to seven digits, the most there is"),
    "us.cor": ("minus one to seven digits, the least there is", "one to seven digits, the most there is"),
    ".range": ("so short that no two rows are correlated", "so long that rows of a group are all correlated alike"),
    ".nugget": ("zero, so that residuals of rows at one place are the same", "one, so that no two rows are correlated"),
    ".const": ("zero, so that the power alone is left", "so large that the residual sd is the same everywhere"),
    "varident": ("zero, so that these rows have no residuals", "infinite, so that only these rows have residuals"),
}  # fmt: skip


def limit_of(name: str, *, upper: bool) -> str:
    """What a parameter is on its lower or upper bound, to follow "is".

    Parameters
    ----------
    name : str
        As `Residual.names` has it.
    upper : bool

    Examples
    --------
    >>> limit_of("ar1.phi[M]", upper=True)
    'one to seven digits, the limit of stationarity'
    """
    for what, sides in _LIMITS.items():
        if (name.startswith(what) or what.startswith(".")) and what in name.partition("[")[0]:
            return sides[upper]
    return "at the end of what the structure allows"


# A nugget that is none, and is only found where copies of rows want it so.
_NO_NUGGET = 1e-12


def copies_of(criterion: Criterion, working: np.ndarray) -> str:
    """A sentence: rows at one place are copies, and the likelihood rises without bound; empty where none are.

    Parameters
    ----------
    criterion : Criterion
    working : ndarray, shape (m,)
        Where the search ended.
    """
    structure = criterion.design.residual
    c = None if structure is None else structure.correlation
    if c is None or not c.nugget:
        return ""
    phi = criterion.working.residual.form.natural(working[criterion.working.places[-1]])
    gone = [name for name, value in zip(structure.names, phi, strict=True) if ".nugget" in name and value < _NO_NUGGET]
    _, times = np.unique(np.column_stack([c.codes, c.positions]), axis=0, return_counts=True)
    if not gone or times.max(initial=1) < 2:
        return ""
    return (
        f"Rows at one place have equal residuals, as copies of a row have, and the likelihood rises without bound as "
        f"`{gone[0]}` goes to zero: leave the copies out."
    )
