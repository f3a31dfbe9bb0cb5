"""What deleting single rows, or whole levels, would change, in sentences."""

from __future__ import annotations

from typing import Any

import numpy as np

from lmmtools.errors import LMMError
from lmmtools.formats import counted, shown
from lmmtools.prose.value import Prose, literal

__all__ = ["influence"]

# Moves of less than this many standard errors are not told one by one.
_SMALL = 0.1
# Levels whose deletion turns a sign that are named.
_MOST_NAMED = 3


def influence(found: Any) -> Prose:
    """Whether single rows, or levels, decide what a model says.

    Parameters
    ----------
    found : Influence
        What `lmmtools.influence` returns.

    Returns
    -------
    Prose
        Three to five sentences: what moves the fixed effects most, and the standard deviations; whose deletion turns
        the sign of a coefficient that is told from zero; what cannot be deleted.

    Raises
    ------
    LMMError
        If it is something else.

    Examples
    --------
    >>> import lmmtools as lt
    >>> fit = lt.fit_lmm("Yield ~ 1 + (1 | Batch)", lt.load_dataset("Dyestuff"))
    >>> print(str(influence(lt.influence(fit, "Batch"))).split(": ")[1])
    Intercept from 1528 to 1513, 0.75 of its standard errors. sd(Batch, Intercept) goes from 42.0 to 28.1 without E.
    """
    if not hasattr(found, "reasons") or not hasattr(found, "parameters"):
        raise LMMError(f"prose.influence: takes what influence returns; got {type(found).__name__}.")
    noun = "level" if found.by else "row"
    of = f" of {literal(found.by)}" if found.by else ""
    sets = f"{counted(len(found), noun)}{of}"
    reasons = _not_deleted(found, noun)
    if len(reasons) and len(found.reasons) == len(found):
        return Prose(reasons)
    said = [_most(found, sets), _deviations(found), _signs(found, noun), *map(literal, found.told), reasons]
    return Prose(" ".join(one for one in said if one))


def _most(found: Any, sets: str) -> str:
    """The largest Cook's distance, and what moves most there."""
    fit, names = found.fit, list(found.fit.fixef.index)
    if not names:
        return f"Of the {sets}, none has fixed effects to move."
    at = int(np.nanargmax(found["cooks_distance"].to_numpy()))
    moves = (found.parameters[names].iloc[at] - fit.fixef) / fit.stderr
    far = moves.abs().idxmax()
    size = float(moves.abs()[far])
    first = (
        f"Of the {sets}, deleting {_name(found, at)} changes the fixed effects most (Cook's distance "
        f"{shown(found['cooks_distance'].iloc[at], 2)})"
    )
    if size < _SMALL:
        return f"{first}, none of them by more than {shown(size, 2)} of its standard errors."
    to = found.parameters[far].iloc[at]
    return (
        f"{first}: {literal(far)} from {shown(fit.fixef[far])} to {shown(to)}, {shown(size, 2)} of its standard errors."
    )


def _deviations(found: Any) -> str:
    """The standard deviation that changes by the largest factor."""
    whole = found.estimates
    names = [name for name in whole.index if name.startswith("sd(") and whole[name] > 0.0]
    if not names:
        return ""
    with np.errstate(divide="ignore"):
        ratios = np.abs(np.log((found.parameters[names] / whole[names]).to_numpy()))
    if not np.isfinite(ratios).any():
        return ""
    at, which = np.unravel_index(np.nanargmax(np.where(np.isinf(ratios), 1e300, ratios)), ratios.shape)
    name = names[which]
    to = found.parameters[name].iloc[at]
    return f"{literal(name)} goes from {shown(whole[name])} to {shown(to)} without {_name(found, at)}."


def _signs(found: Any, noun: str) -> str:
    """Whose deletion takes a coefficient that is two standard errors from zero to its other side."""
    fit = found.fit
    clear = [name for name in fit.fixef.index if name != "Intercept" and abs(fit.fixef[name]) > 2.0 * fit.stderr[name]]
    if not clear:
        return ""
    turned = (found.parameters[clear] * np.sign(fit.fixef[clear]) < 0.0).to_numpy()
    if not turned.any():
        which = literal(clear[0]) if len(clear) == 1 else "any coefficient two standard errors from zero"
        return f"No single {noun} turns the sign of {which}."
    rows = np.flatnonzero(turned.any(axis=1))
    labels = [_name(found, i) for i in rows[:_MOST_NAMED]]
    more = f" and {len(rows) - _MOST_NAMED} more" if len(rows) > _MOST_NAMED else ""
    coefficients = ", ".join(literal(clear[j]) for j in np.flatnonzero(turned.any(axis=0)))
    return f"The sign of {coefficients} turns without {', '.join(labels)}{more}."


def _not_deleted(found: Any, noun: str) -> str:
    reasons = found.reasons
    if not len(reasons):
        return ""
    first = literal(str(reasons.index[0]))
    return f"{counted(len(reasons), noun)} cannot be deleted (the first: {first}. {literal(reasons.iloc[0])})"


def _name(found: Any, at: int) -> str:
    label = literal(str(found.index[at]))
    return label if found.by else f"row {label}"
