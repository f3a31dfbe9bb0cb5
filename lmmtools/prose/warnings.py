"""What limits the conclusions from a fit, as boxes that cannot be overlooked."""

from __future__ import annotations

from typing import Any

import numpy as np

from lmmtools.collapsed import zero_directions
from lmmtools.formats import counted, listed
from lmmtools.prose.value import Prose, alert, told
from lmmtools.prose.words import from_coarse, groups, noun, residual_groups
from lmmtools.varcorr import SERIAL

__all__ = ["FEW_GROUPS", "caveats", "few_residual_groups", "singularity"]

# Below this many levels a variance between them is known to no better than a factor of about two:
# the 95 % interval of a standard deviation from J − 1 = 9 degrees of freedom is 0.69 to 1.83 times its estimate.
FEW_GROUPS = 10
# The largest group has this many times the rows of the smallest.
_UNEQUAL = 3
# A correlation this close to one in size is one.
_ROUNDING = 1e-6


def caveats(fit: Any) -> Prose:
    """Boxes for a singular fit, few or unequal groups and the fit's messages; not what `certificate` says already.

    Parameters
    ----------
    fit : LMMFit

    Returns
    -------
    Prose
        GitHub alerts; a sentence that says what was looked for when there are none.
    """
    messages = [message for message in fit.messages if message != fit.certificate.sentence]
    of_groups = [message for message in messages if _is_of_groups(message, fit)]
    notes = [*_few_groups(fit, of_groups), *_unequal_groups(fit)]
    notes += [told(_sentence(message)) for message in messages if message not in of_groups]
    boxes = _singular(fit) + ([alert("NOTE", "\n\n".join(notes))] if notes else [])
    if boxes:
        return Prose("\n\n".join(boxes))
    found = [groups(fit.design, factor) for factor in from_coarse(fit.design)]
    rests_on = listed(found or [residual_groups(fit.design) or counted(fit.nobs, "row")])
    other = " besides the certificate's" if fit.messages else ""
    first = "The fit is not singular, it" if fit.design.terms else "The fit"
    return Prose(f"{first} rests on {rests_on}, and it left no messages{other}.")


def singularity(fit: Any) -> str:
    """What is zero in a singular fit, as plain text without a stop."""
    zero = [f"{effect} by {group}" for group, effect in fit.zero_effects]
    if zero:
        return f"the variance of {listed(zero)} is estimated as zero"
    perfect = list(dict.fromkeys(
        f"the correlation of {_pair(row, fit)} by {row.grp} is estimated as {'1' if row.sdcor > 0 else '−1'}"
        for row in _perfect(fit)
    ))  # fmt: skip
    if perfect:
        return listed(perfect)
    lowest = [t.group for t in fit.design.terms if t.structure in ("cs", "homcs") and _is_singular(fit, t)]
    if lowest:
        return (
            f"the correlation of effects by {listed(lowest)} is estimated at the lowest value there can be, where a "
            "combination of them has variance zero"
        )
    return "some combination of the random effects has an estimated variance of zero"


def _pair(row: Any, fit: Any) -> str:
    """The effects a correlation is of: all of a term's where it has one correlation only."""
    term = next(term for term in fit.design.terms if term.group == row.grp)
    if len(term.names) > 2 and term.structure in ("cs", "homcs"):
        return "effects"
    if len(term.names) > 2 and term.structure in SERIAL:
        return "neighbouring effects"
    return f"{row.var1} and {row.var2}"


def _is_singular(fit: Any, term: Any) -> bool:
    """Whether some combination of a term's effects has variance zero."""
    values = np.linalg.eigvalsh(fit.random_covariance[term.group].to_numpy())
    return bool(values[0] <= _ROUNDING * values[-1])


def _singular(fit: Any) -> list[str]:
    if not fit.is_singular:
        return []
    if fit.zero_effects:
        means = (
            "That is not evidence that the variance is zero. Tests of the other terms take the zero as known; a test "
            "of the variance itself"
        )
    else:
        found = (
            "These data do not tell the correlated effects apart, which is not evidence that they are one."
            if _perfect(fit)
            else "These data do not show that combination to differ between levels, which is not evidence that it does "
            "not."
        )
        means = f"{found} Tests of the other terms take the correlation as known; a test of one of these variances"
    rest = f"{means} has no plain χ² reference [@self1987; @stram1994]. What simpler models say is in @tbl-singular."
    what = [told(zero.sentence) for zero in zero_directions(fit.design, fit.Lambda, fit.sigma)]
    if len(what) == 1:
        return [alert("WARNING", f"**Singular fit:** {what[0]} {rest}")]
    combinations = "\n".join(f"- {one}" for one in what)
    return [alert("WARNING", f"**Singular fit:** {told(singularity(fit))}.\n\n{combinations}\n\n{rest}")]


def _perfect(fit: Any) -> list[Any]:
    """Rows of correlations that are one in size."""
    return [row for row in fit.varcorr.itertuples() if row.var2 and abs(row.sdcor) > 1.0 - _ROUNDING]


def _is_of_groups(message: str, fit: Any) -> bool:
    """Whether a message of the fit is that a factor has few levels, which the box on few groups says too."""
    return any(message.startswith(f"`{factor}` has only {n} level") for factor, n in fit.ngroups.items())


def _few_groups(fit: Any, messages: list[str]) -> list[str]:
    few = [groups(fit.design, f) for f in from_coarse(fit.design) if fit.ngroups[f] < FEW_GROUPS]
    if not few and few_residual_groups(fit.design) and not fit.ngroups:
        return [
            f"**Few groups:** With {residual_groups(fit.design)} the correlation of residuals within them is poorly "
            "known. Intervals and p-values that take variances as known are too sure."
        ]
    if not few:
        return []
    found = [told(message) for message in messages] or [
        f"With {listed(few)} the variance between them is poorly known."
    ]
    return [f"**Few groups:** {' '.join(found)} Intervals and p-values that take variances as known are too sure."]


def few_residual_groups(design: Any) -> bool:
    """Whether the groups that residuals are correlated in are few."""
    c = design.correlation
    return c is not None and bool(c.group) and len(c.levels) < FEW_GROUPS


def _unequal_groups(fit: Any) -> list[str]:
    """Groups of very different sizes, whose conditional modes are not equally good."""
    said = []
    for factor in from_coarse(fit.design):
        sizes = np.bincount(fit.design.factors[factor][0].codes)
        if sizes.max() >= _UNEQUAL * sizes.min():
            _, many = noun(fit.design, factor)
            said.append(f"{many} have from {sizes.min()} to {counted(sizes.max(), 'row')}")
    if not said:
        return []
    return [f"**Unequal groups:** {listed(said)}; the conditional modes of the small ones are drawn most towards zero."]


def _sentence(message: str) -> str:
    return message[:1].upper() + message[1:]
