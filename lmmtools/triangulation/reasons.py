"""Why a method decides otherwise than the one it is held against, in a clause with its numbers."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from lmmtools.formats import counted, format_value, listed, shown
from lmmtools.triangulation.methods import Asked, Said

__all__ = ["decision", "reference_of"]

# Which method the others are held against: the first of these that answers.
_REFERENCES = ("kenward-roger", "satterthwaite", "exact", "bootstrap test", "ratio", "profile")
# p-values within this factor of the level are on its edge.
_EDGE = 2.0


def reference_of(said: Sequence[Said], asked: Asked) -> Said | None:
    """The method that the others are held against; None where none answers."""
    answering = [one for one in said if one.finds(asked) is not None]
    for kind in _REFERENCES:
        for one in answering:
            if one.kind == kind:
                return one
    return answering[0] if answering else None


def decision(said: Sequence[Said], reference: Said | None, asked: Asked) -> tuple[str, ...]:
    """Where the methods agree, where the decision flips and why: a sentence each."""
    if np.isnan(asked.null):
        return (f"`{asked.name}` is not tested: no value of it says that there is nothing.",)
    if reference is None:
        return (f"No method answers for `{asked.name}`.",)
    answering = [one for one in said if one.finds(asked) is not None]
    other = [one for one in answering if one.finds(asked) != reference.finds(asked)]
    percent = f"{100 * (1 - asked.level):g} %"
    null = f"{asked.null:g}"
    p_values = [one.p_value for one in answering if np.isfinite(one.p_value)]
    if not other:
        finding = f"differs from {null}" if reference.finds(asked) else f"does not clearly differ from {null}"
        between = _between(p_values)
        return (f"All {len(answering)} methods agree that `{asked.name}` {finding} at the {percent} level{between}.",)
    yes = [_spoken(one) for one in answering if one.finds(asked)]
    no = [_spoken(one) for one in answering if not one.finds(asked)]
    lead = (
        f"At the {percent} level the decision turns on the method: `{asked.name}` differs from {null} by "
        f"{listed(yes)}; not by {listed(no)}."
    )
    kinds = dict.fromkeys(one.kind for one in other)
    reasons = [_reason([one for one in other if one.kind == kind], reference, asked) for kind in kinds]
    edge = 1 - asked.level
    near = [p for p in p_values if edge / _EDGE <= p <= edge * _EDGE]
    end = ["All p-values lie near the level: the evidence is the same by every method, and the line is thin."]
    return (lead, *reasons, *(end if len(near) == len(p_values) else []))


def _spoken(one: Said) -> str:
    """The method's name within a sentence."""
    if one.kind == "robust":
        return one.method.replace("Cluster-robust CR2", "cluster-robust standard errors (CR2)")
    more = " by REML" if one.method.endswith("(REML)") else ""
    name = one.method if one.method.startswith("BCa") else one.method[:1].lower() + one.method[1:]
    return _SPOKEN.get(one.kind, f"the {name}") + more


_SPOKEN = {
    "residual": "residual degrees of freedom",
    "satterthwaite": "Satterthwaite's degrees of freedom",
    "kenward-roger": "Kenward and Roger's method",
    "profile": "the profile likelihood",
}


def _between(p_values: Sequence[float]) -> str:
    if not p_values:
        return ""
    low, high = (format_value(p, "p") for p in (min(p_values), max(p_values)))
    if low == high:
        return f" (p {low})"
    return f" (p at most {high})" if low.startswith("<") else f" (p from {low} to {high})"


def _reason(group: Sequence[Said], reference: Said, asked: Asked) -> str:
    """What sets methods of one kind apart from the reference, with the widths of their intervals."""
    clause = _CLAUSES[group[0].kind](group[0], reference, asked)
    return f"{listed(one.method for one in group)}: {clause}{_widths(group, reference)}."


def _df(reference: Said) -> str:
    if np.isfinite(reference.df):
        return f"the data hold {shown(reference.df)} degrees of freedom for this coefficient"
    return "they are estimated"


def _normal(one: Said, reference: Said, asked: Asked) -> str:
    return f"takes the variances as known, where {_df(reference)}"


def _residual(one: Said, reference: Said, asked: Asked) -> str:
    return f"counts {counted(asked.fit.nobs, 'row')} as if they were independent, where {_df(reference)}"


def _satterthwaite(one: Said, reference: Said, asked: Asked) -> str:
    grown = 100.0 * (reference.std_error / one.std_error - 1.0)
    adjusts = f"leaves the standard error as it is, which Kenward and Roger make {shown(grown, 2)} % larger, and "
    return f"{adjusts if grown > 0.05 else ''}has {shown(one.df)} degrees of freedom against {shown(reference.df)}"


def _profile(one: Said, reference: Said, asked: Asked) -> str:
    return (
        "is by maximum likelihood, whose variances are smaller than REML's where groups are few, and refers to χ², "
        "which holds for many groups"
    )


def _bootstrap(one: Said, reference: Said, asked: Asked) -> str:
    return "taken from refits around the estimates, without allowing for how uncertain their standard errors are"


def _bootstrap_test(one: Said, reference: Said, asked: Asked) -> str:
    return "simulates the distribution of the likelihood ratio under the null instead of approximating it"


def _robust(one: Said, reference: Said, asked: Asked) -> str:
    ratio = one.std_error / reference.std_error
    return (
        f"has a standard error from how the clusters' residuals scatter, {shown(ratio)} times that of the model, with "
        f"{shown(one.df)} degrees of freedom; where the model's covariance is right the two differ by noise only"
    )


def _ratio(one: Said, reference: Said, asked: Asked) -> str:
    return "refers to a distribution that holds for many groups"


def _exact(one: Said, reference: Said, asked: Asked) -> str:
    return "simulates the distribution of the likelihood ratio in samples of this size"


_CLAUSES = {
    "normal": _normal,
    "residual": _residual,
    "satterthwaite": _satterthwaite,
    "profile": _profile,
    "bootstrap": _bootstrap,
    "bootstrap test": _bootstrap_test,
    "robust": _robust,
    "ratio": _ratio,
    "exact": _exact,
}


def _widths(group: Sequence[Said], reference: Said) -> str:
    """How the intervals' lengths compare with the reference's, in per cent."""
    theirs = reference.high - reference.low
    found = [100.0 * ((one.high - one.low) / theirs - 1.0) for one in group]
    found = [change for change in found if np.isfinite(change) and abs(change) >= 0.5]
    if not found or min(found) < 0 < max(found):
        return ""
    low, high = sorted((shown(abs(min(found)), 2), shown(abs(max(found)), 2)), key=float)
    way = "shorter" if found[0] < 0 else "longer"
    size = low if low == high else f"{low} to {high}"
    return f" (interval {size} % {way} than that of {reference.method})"
