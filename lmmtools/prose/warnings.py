"""What limits the conclusions from a fit, as boxes that cannot be overlooked."""

from __future__ import annotations

from typing import Any

from lmmtools.formats import counted, listed
from lmmtools.prose.value import Prose, alert, literal

__all__ = ["caveats", "singularity"]

# Below this many levels a variance between them is known to no better than a factor of about two:
# the 95 % interval of a standard deviation from J − 1 = 9 degrees of freedom is 0.69 to 1.83 times its estimate.
_FEW_GROUPS = 10


def caveats(fit: Any) -> Prose:
    """Boxes for a singular fit, few groups and the fit's own messages; what `certificate` says is not repeated.

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
    boxes = [*_singular(fit), *_few_groups(fit, of_groups)]
    boxes += [alert("NOTE", literal(_sentence(message))) for message in messages if message not in of_groups]
    if boxes:
        return Prose("\n\n".join(boxes))
    groups = listed(f"{counted(n, 'level')} of {literal(factor)}" for factor, n in fit.ngroups.items())
    other = " besides the certificate's" if fit.messages else ""
    return Prose(f"The fit is not singular, it rests on {groups}, and it left no messages{other}.")


def singularity(fit: Any) -> str:
    """What is zero in a singular fit, as plain text without a stop."""
    zero = [f"{effect} by {group}" for group, effect in fit.zero_effects]
    if zero:
        return f"the variance of {listed(zero)} is estimated as zero"
    return "some combination of the random effects has an estimated variance of zero"


def _singular(fit: Any) -> list[str]:
    if not fit.is_singular:
        return []
    text = (
        f"**Singular fit:** {literal(singularity(fit))}. The data show no more variation between groups than the "
        "rest of the model explains; that is not evidence that there is none, and tests of the other terms take the "
        "zero as known."
    )
    return [alert("WARNING", text)]


def _is_of_groups(message: str, fit: Any) -> bool:
    """Whether a message of the fit is that a factor has few levels, which the box on few groups says too."""
    return any(message.startswith(f"`{factor}` has only {n} level") for factor, n in fit.ngroups.items())


def _few_groups(fit: Any, messages: list[str]) -> list[str]:
    few = [f"{counted(n, 'level')} of {literal(factor)}" for factor, n in fit.ngroups.items() if n < _FEW_GROUPS]
    if not few:
        return []
    found = [literal(message) for message in messages] or [
        f"With {listed(few)} the variance between them is poorly known."
    ]
    text = (
        f"**Few groups:** {' '.join(found)} The normal reference treats the variance parameters as known: with few "
        "groups the intervals are too short and the p-values too small."
    )
    return [alert("NOTE", text)]


def _sentence(message: str) -> str:
    return message[:1].upper() + message[1:]
