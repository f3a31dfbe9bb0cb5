"""Whether the response is a straight line in each numeric covariate of the fixed part."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from lmmtools.assumptions.added import Enlarged, degrees, enlarge
from lmmtools.assumptions.look import picture
from lmmtools.assumptions.value import Finding, judged, untested
from lmmtools.design.fixed_terms import fixed_terms
from lmmtools.design.plain import INTERCEPT
from lmmtools.errors import ModelError
from lmmtools.formats import format_value, is_scale, shown
from lmmtools.formula.syntax import Name
from lmmtools.formula.translate import columns as columns_of

__all__ = ["Covariate", "deviations", "linearity", "numeric_covariates"]

CHECK = "Linearity"
# Where the knots of the curve lie, as shares of the rows (Harrell 2015, Table 2.3); inside which it is looked at.
_KNOTS = (0.05, 0.35, 0.65, 0.95)
_INSIDE = (0.05, 0.95)


@dataclass(frozen=True)
class Covariate:
    """A number in the fixed part.

    Attributes
    ----------
    name : str
        As its coefficient is called: ``"age"``, ``"log(x)"``.
    place : int
        Its column of X; −1 where it has none by itself.
    curved : bool
        Whether the model has a curve in it already, or several functions of its variable.
    """

    name: str
    place: int
    curved: bool


def numeric_covariates(design: Any) -> list[Covariate]:
    """The numbers of the fixed part, in its order."""
    parsed = [term for term in design.parsed.fixed_terms if term]
    try:
        terms = [term for term in fixed_terms(design)[0] if term.name != INTERCEPT]
    except ModelError:  # categories computed in the formula: what is left are the columns that are variables
        names = [term[0].value for term in parsed if len(term) == 1 and isinstance(term[0], Name)]
        return [Covariate(n, design.fixed_names.index(n), False) for n in names if n in design.fixed_names]
    spelled: dict[str, set[str]] = {}
    base: dict[str, tuple[str, ...]] = {}
    wide = {term.name for term in terms if len(term.covariates) == 1 and not term.factors and term.width > 1}
    for term, nodes in zip(terms, parsed, strict=True):
        texts = term.parts[0].variables if term.parts else ()
        for (text, _), node in zip(texts, nodes, strict=False):
            if text in term.covariates:
                base[text] = tuple(columns_of(node))
                for variable in base[text]:
                    spelled.setdefault(variable, set()).add(text)
    found: dict[str, Covariate] = {}
    alone = {t.name: t.columns[0] for t in terms if len(t.covariates) == 1 and not t.factors and len(t.columns) == 1}
    for text, variables in base.items():
        curved = text in wide or any(len(spelled[v]) > 1 for v in variables)
        name = ", ".join(variables) if curved else text
        found.setdefault(name, Covariate(name, alone.get(text, -1), curved))
    return list(found.values())


def linearity(fit: Any, ddf: str) -> Iterator[Finding]:
    """F of a curve added to the fixed part, covariate by covariate; none for a covariate of two values.

    References
    ----------
    Hastie, Tibshirani & Friedman (2009), The elements of statistical learning, eq. 5.4 (the curve).
    """
    for covariate in numeric_covariates(fit.design):
        of, see = covariate.name, picture("partial_residuals", covariate=covariate.name)
        if covariate.curved:
            yield untested(CHECK, of, "the model has a curve in it already")
            continue
        if covariate.place < 0:
            yield untested(CHECK, of, "it has no column by itself")
            continue
        x = fit.design.X[:, covariate.place]
        added = deviations(x)
        if not added.shape[1]:
            continue
        try:
            larger = enlarge(fit, added, [f"{of}: curve {k + 1}" for k in range(added.shape[1])])
            test = larger.test(ddf)
        except (ModelError, np.linalg.LinAlgError) as error:
            yield untested(CHECK, of, str(error).rstrip("."), see)
            continue
        said = f"{_departure(fit, x, added, larger)} {judged(test.p_value)}"
        yield Finding(CHECK, of, test.f_value, degrees(test), test.p_value, said, see)


def deviations(x: np.ndarray) -> np.ndarray:
    """Columns that a curve in x has beside the straight line, shape (n, k).

    Two of a natural cubic spline with four knots; of three different values one, the square; of fewer none.
    """
    values = np.unique(x)
    if len(values) < 3:
        return np.zeros((len(x), 0))
    u = (x - values[0]) / (values[-1] - values[0])
    if len(values) == 3:
        return ((u - 0.5) ** 2)[:, None]
    knots = np.quantile(u, _KNOTS)
    if len(np.unique(knots)) < len(_KNOTS):  # most rows share few values: by these, each counted once
        knots = np.quantile(np.unique(u), _KNOTS)

    def cubic(k: int) -> np.ndarray:
        parts = np.clip(u - knots[k], 0.0, None) ** 3 - np.clip(u - knots[-1], 0.0, None) ** 3
        return parts / (knots[-1] - knots[k])

    return np.column_stack([cubic(k) - cubic(len(knots) - 2) for k in range(len(knots) - 2)])


def _departure(fit: Any, x: np.ndarray, added: np.ndarray, larger: Enlarged) -> str:
    """How far the curve leaves the straight line nearest to it, where most rows are."""
    curve = added[:, list(larger.kept)] @ larger.fit.beta[list(larger.places)]
    centred = x - x.mean()
    rest = curve - curve.mean() - centred * (centred @ curve) / (centred @ centred)
    low, high = np.quantile(x, _INSIDE)
    most = float(np.abs(rest[(x >= low) & (x <= high)]).max(initial=0.0))
    unit = fit.design.units.get(fit.response, "")
    size = f"{shown(most)} {unit}" if unit and not is_scale(unit) else shown(most)
    what = "A parabola" if added.shape[1] == 1 else "A natural spline"
    return (
        f"{what} leaves the straight line by {size} at most over the middle 90 % of the rows, "
        f"{format_value(most / fit.sigma, 'fixed2')} residual sd."
    )
