"""What the models that are simpler than a singular fit would change, in sentences."""

from __future__ import annotations

from typing import Any

import numpy as np

from lmmtools.formats import counted, shown
from lmmtools.prose.value import Prose, literal, told

__all__ = ["singular"]

# A move of less than this many standard errors is one of rounding.
_NOTHING = 1e-4
# More models than this are counted.
_MOST_NAMED = 3


def singular(fit: Any, simpler: Any = None) -> Prose | None:
    """What simpler random effects would change, under a heading of its own; None where the fit is not singular.

    Parameters
    ----------
    fit : LMMFit
    simpler : Frame, optional
        What `explain_singular` gives for the fit.

    Returns
    -------
    Prose or None

    Examples
    --------
    >>> import lmmtools as lt
    >>> fit = lt.fit_lmm("Yield ~ 1 + (1 | Batch)", lt.load_dataset("Dyestuff2"))
    >>> print(str(singular(fit, lt.explain_singular(fit))).splitlines()[0])
    ### What would simpler random effects change?
    """
    if not fit.is_singular or simpler is None:
        return None
    names = list(dict.fromkeys(simpler["model"]))
    heading = "### What would simpler random effects change?"
    if not names:
        return Prose(f"{heading}\n\n{_none(fit, simpler)}")
    models = "in one model" if len(names) == 1 else f"in {counted(len(names), 'model')}"
    found = (
        f"What does not vary here is left out in @tbl-singular, {models}: by how much −2 × log-likelihood rises, and "
        "what becomes of the fixed effects, their change in standard errors of this fit and the ratio of the standard "
        "errors."
    )
    good = simpler[simpler["criterion_change"] <= 2.0 * (fit.npar - simpler["npar"])]
    return Prose(f"{heading}\n\n{found} {_gained(good, len(names))}")


def _none(fit: Any, simpler: Any) -> str:
    """Why there is no model to compare with."""
    if not len(fit.fixef):
        return "The model has no fixed effects that simpler random effects could change (@tbl-singular)."
    return f"There is no simpler model to compare with (@tbl-singular). {' '.join(map(told, simpler.notes[-1:]))}"


def _gained(good: Any, tried: int) -> str:
    """Which of the models are as good by AIC, and what changes with them."""
    names = [f"without {literal(name)}" for name in dict.fromkeys(good["model"])]
    if not names:
        return f"By AIC, {'it' if tried == 1 else 'each of them'} is worse than this fit."
    if tried == 1:
        return f"By AIC, it is no worse than this fit. With it, {_moved(good)}"
    if len(names) == 1:
        return f"By AIC, the one {names[0]} is no worse than this fit. With it, {_moved(good)}"
    many = "all of them" if len(names) == tried else f"{len(names)} of them"
    which = f": {'; '.join(names)}" if len(names) <= _MOST_NAMED and len(names) < tried else ""
    return f"By AIC, {many} are no worse than this fit{which}. Among these, {_moved(good)}"


def _moved(good: Any) -> str:
    """The largest changes, and of what under which model."""
    shift, ratio = good["shift"].abs().to_numpy(), good["se_ratio"].to_numpy()
    far, other = int(np.argmax(shift)), int(np.argmax(np.abs(np.log(ratio))))
    moved, widened = shift[far] >= _NOTHING, abs(ratio[other] - 1.0) >= _NOTHING
    several = good["model"].nunique() > 1
    first = (
        f"the largest change of a fixed effect is {shown(shift[far], 2)} standard errors ({_which(good, far, several)})"
        if moved
        else "no fixed effect changes"
    )
    second = (
        f"the largest of a standard error is to {shown(ratio[other])} times what it is ({_which(good, other, several)})"
        if widened
        else "no standard error changes"
    )
    if not moved and not widened:
        return "neither a fixed effect nor a standard error changes."
    return f"{first}, and {second}."


def _which(good: Any, place: int, several: bool) -> str:
    row = good.iloc[place]
    return literal(row["coefficient"]) + (f" without {literal(row['model'])}" if several else "")
