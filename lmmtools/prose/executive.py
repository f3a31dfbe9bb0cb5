"""The executive summary: what was found, how groups differ, and how far to trust it, before any table."""

from __future__ import annotations

from typing import Any

import numpy as np

from lmmtools.arguments import check_level
from lmmtools.formats import counted, listed
from lmmtools.prose.fixed import told
from lmmtools.prose.scatter import scattered
from lmmtools.prose.value import Prose, alert, literal
from lmmtools.prose.warnings import FEW_GROUPS, few_residual_groups
from lmmtools.prose.words import from_coarse, groups, in_unit, residual_groups

__all__ = ["summary"]

# Columns whose combination is this close to one contain the intercept.
_CONSTANT = 1e-6


def summary(fit: Any, focal: str = "", level: float = 0.95, ddf: str = "satterthwaite") -> Prose:
    """What the fit says, in sentences for someone who reads nothing else.

    Parameters
    ----------
    fit : LMMFit
    focal : str
        The coefficient that matters most, told first; empty for the formula's order.
    level : float
        Of the intervals.
    ddf : str
        Their degrees of freedom, as for `coef_table`.

    Returns
    -------
    Prose
        A sentence on the data, a list of findings, a sentence on how far they go. Every number is one of the
        fit's tables, rounded: estimates and intervals to the second digit of the standard error, standard
        deviations to three digits. What words would tell wrongly is left to the tables.

    Raises
    ------
    LMMError
        If `level` does not lie between 0 and 1.

    Examples
    --------
    >>> import lmmtools as lt
    >>> fit = lt.fit_lmm("Yield ~ 1 + (1 | Batch)", lt.load_dataset("Dyestuff"))
    >>> print(str(summary(fit)).splitlines()[2])
    - The mean of Yield is 1528 g (95 % interval 1478 to 1577).
    """
    level = check_level(level)
    if fit.certificate.status == "not an optimum":
        return Prose(f"{_lead(fit)}\n\n{_NOTHING}")
    findings = [f"- {sentence}" for sentence in (*told(fit, focal, level, ddf), *scattered(fit))]
    return Prose("\n\n".join([_lead(fit), "\n".join(findings), _trust(fit, level, ddf)]))


_NOTHING = alert(
    "CAUTION",
    "**Not an optimum.** The estimates are not where the criterion is smallest, so no finding is told from them; the "
    "certificate says what is left to gain.",
)


def _lead(fit: Any) -> str:
    """What is modelled, by what, from how much data."""
    design = fit.design
    about = [literal(design.descriptions[fit.response])] if design.descriptions.get(fit.response) else []
    about += [in_unit(design.units[fit.response])] if design.units.get(fit.response) else []
    response = literal(fit.response) + (f" ({', '.join(about)})" if about else "")
    columns = [literal(name) for name in _predictors(fit)]
    by = f" by {listed(columns)}{_through_zero(fit)}" if columns else " by its mean" if len(fit.fixef) else ""
    found = [groups(design, factor) for factor in from_coarse(design)] or [residual_groups(design)]
    of = f" of {listed(found)}" if any(found) else ""
    return f"The model describes {response}{by}, from {counted(fit.nobs, 'row')}{of}."


def _rest_on(ddf: str, few: str, fit: Any) -> str:
    """What the intervals rest on, and whether few groups make them too short."""
    if ddf == "normal":
        short = f"; with {few} they are too short" if few else ""
        return f"from the normal distribution, which takes the variances as known{short}"
    if ddf == "residual":
        short = f"; with {few} they are too short" if few else ""
        return f"from a t distribution that counts rows as if they were independent{short}"
    if ddf in ("kenward-roger", "kenward-roger-observed"):
        return "Kenward and Roger's, with standard errors and degrees of freedom that allow for estimated variances"
    why = "by maximum likelihood" if not fit.reml else "with a variance estimated as zero" if fit.is_singular else ""
    short = f"; {why} and {few} they may still be too short" if few and why else ""
    return f"from t distributions whose degrees of freedom (Satterthwaite's) allow for estimated variances{short}"


def _through_zero(fit: Any) -> str:
    """That the mean is held at zero where all columns are: no combination of the columns is a constant."""
    columns = fit.design.X / np.abs(fit.design.X).max(axis=0)
    constant = np.linalg.lstsq(columns, np.ones(len(columns)), rcond=None)[0]
    return "" if np.abs(columns @ constant - 1.0).max() < _CONSTANT else ", without an intercept"


def _predictors(fit: Any) -> list[str]:
    """Columns of the fixed part."""
    from lmmtools.formula.translate import columns

    names = (name for term in fit.design.parsed.fixed_terms for part in term for name in columns(part))
    return list(dict.fromkeys(names))


def _trust(fit: Any, level: float, ddf: str) -> str:
    """The certificate in a word, what the intervals rest on, and where doubts are spelt out."""
    status = fit.certificate.status
    certified = {
        "certified": "The fit is certified as an optimum.",
        "certified at the boundary": "The fit is certified as an optimum at the boundary"
        + (": it is singular (see @tbl-singular)." if fit.is_singular else "."),
        "flat direction": "The fit is one of several that are equally good; the certificate says what differs among "
        "them, and it is not told here.",
    }
    scarce = [groups(fit.design, f) for f in from_coarse(fit.design) if fit.ngroups[f] < FEW_GROUPS]
    if few_residual_groups(fit.design) and not fit.ngroups:
        scarce.append(residual_groups(fit.design))
    few = listed(scarce) if scarce else ""
    said = [certified[status]] if status in certified else []
    if len(fit.fixef):
        said.append(f"The {100 * level:g} % intervals are {_rest_on(ddf, few, fit)}.")
    if fit.design.offset is not None:
        said.append("All changes come on top of the known offset.")
    return " ".join(said)
