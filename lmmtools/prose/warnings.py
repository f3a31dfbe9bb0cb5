"""What limits the conclusions from a fit, as boxes that cannot be overlooked."""

from __future__ import annotations

from typing import Any

from lmmtools.formats import counted, is_missing
from lmmtools.prose.value import Prose, alert, listed, literal

__all__ = ["caveats"]

# Below this many levels a variance between them is known to no better than a factor of about two:
# the 95 % interval of a standard deviation from J − 1 = 9 degrees of freedom is 0.69 to 1.83 times its estimate.
_FEW_GROUPS = 10


def caveats(fit: Any) -> Prose:
    """Boxes for a singular fit, flat directions, few groups and the fit's own messages.

    Parameters
    ----------
    fit : LMMFit

    Returns
    -------
    Prose
        GitHub alerts; a sentence that says what was looked for when there are none.
    """
    boxes = [*_singular(fit), *_flat(fit), *_few_groups(fit)]
    said = fit.certificate.sentence
    boxes += [alert("NOTE", literal(message)) for message in fit.messages if message != said]
    if boxes:
        return Prose("\n\n".join(boxes))
    groups = listed([f"{counted(n, 'level')} of {literal(factor)}" for factor, n in fit.ngroups.items()])
    return Prose(f"The fit is not singular, it rests on {groups}, and it left no messages.")


def _singular(fit: Any) -> list[str]:
    if not fit.is_singular:
        return []
    zero = [
        f"{literal(row.var1)} by {literal(row.grp)}"
        for row in fit.varcorr.itertuples()
        if row.grp != "Residual" and (is_missing(row.var2) or row.var2 == "") and row.sdcor <= 1e-5 * fit.sigma
    ]
    found = f"the variance of {listed(zero)} is estimated as zero" if zero else (
        "some combination of the random effects has an estimated variance of zero"
    )  # fmt: skip
    text = (
        f"**Singular fit:** {found}. The data show no more variation between groups than the rest of the model "
        "explains; that is not evidence that there is none, and tests of the other terms take the zero as known."
    )
    return [alert("WARNING", text)]


def _flat(fit: Any) -> list[str]:
    directions = getattr(fit.certificate, "flat", ())
    if not directions:
        return []
    named = listed([literal(direction) for direction in directions])
    text = (
        f"**Not identified:** {named}. The data do not tell these apart: criterion, fixed effects and the "
        "covariance of the responses are as estimated, single variances and conditional modes are one choice "
        "among equals."
    )
    return [alert("WARNING", text)]


def _few_groups(fit: Any) -> list[str]:
    few = [f"{counted(n, 'level')} of {literal(factor)}" for factor, n in fit.ngroups.items() if n < _FEW_GROUPS]
    if not few:
        return []
    text = (
        f"**Few groups:** with {listed(few)} the variance between them is poorly known, and tests and intervals "
        "based on the normal distribution are too sure."
    )
    return [alert("NOTE", text)]
