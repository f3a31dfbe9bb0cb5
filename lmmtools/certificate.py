"""The verdict on a fit, in one status and one sentence, from the numbers of `core.optimality`."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from lmmtools.arguments import check_count
from lmmtools.collapsed import zero_directions
from lmmtools.core.criterion import Criterion
from lmmtools.core.optimality import Optimality, examine
from lmmtools.core.solution import Solution, TDerivatives
from lmmtools.errors import LMMError
from lmmtools.estimable import flat_directions
from lmmtools.estimable.endless import endless_ranges
from lmmtools.estimable.limits import copies_of, limit_of
from lmmtools.formats import counted, format_value, listed, shown
from lmmtools.tables import Column, Table

__all__ = ["Certificate", "certify", "certify_point"]

# Deviance that may be left: a thousandth of a thousandth changes no printed digit of any test.
_DEVIANCE_LEFT = 1e-6
# The same where a range runs on: the criterion falls without end, by ever less, and is known to fewer digits.
_LEFT_ENDLESS = 1e-3
# Relative standard deviation from which a flat direction is that of a residual variance on its way to zero.
_OVERWHELMING = 300.0
_OF_RESIDUALS = "the parameters of the residuals"
# A sentence that names more combinations of effects than this is not read.
_MOST_NAMED = 3


@dataclass(frozen=True)
class Certificate:
    """What was found at the fitted parameters: a proof of a local optimum, as all derivatives can give.

    Attributes
    ----------
    status : str
        ``certified``, ``certified at the boundary``, ``flat direction`` or ``not an optimum``.
    sentence : str
        The same for a reader, with its numbers.
    gradient : ndarray, shape (f,)
        Of the criterion along the free directions, in working parameters (columns centred and of unit size), those
        of effects that vary more than the residuals relative to their standard deviation.
    hessian_eigenvalues : ndarray, shape (f,)
        Of the observed Hessian there, increasing.
    deviance_left : float
        What a Newton step, and a step along the best feasible direction, would still gain.
    beta_shift : ndarray, shape (p,)
        What that Newton step would do to each β, in its standard errors.
    flat : tuple of str
        Directions in which the data do not determine the covariance, in words.
    flat_by : str
        ``"design"`` where the marginal covariance is the same all along them, so that everything but what `flat`
        names is determined; ``"data"`` where only the criterion is the same; empty where nothing is flat.
    restarts : int
        Other starts from which the model was fitted again; none of them ended lower, unless the sentence says so.
    """

    status: str
    sentence: str
    gradient: np.ndarray
    hessian_eigenvalues: np.ndarray
    deviance_left: float
    beta_shift: np.ndarray
    flat: tuple[str, ...]
    flat_by: str
    restarts: int = 0

    def table(self) -> Table:
        """The certificate as a table, its sentence below."""
        steepest = float(np.abs(self.gradient).max(initial=0.0))
        moved = float(np.abs(self.beta_shift).max(initial=0.0))
        rows = [
            ("Steepest slope along a free direction", format_value(steepest, "sci")),
            ("Least curvature along a free direction", shown(self.hessian_eigenvalues.min(initial=np.inf))),
            ("Free directions", format_value(len(self.gradient), "int")),
            ("Deviance left, at most", format_value(self.deviance_left, "sci")),
            ("Largest change of a fixed effect, in standard errors", format_value(moved, "sci")),
            ("Other starts tried", format_value(self.restarts, "int")),
        ]
        if not len(self.gradient):
            del rows[:2]
        return Table(
            columns=(Column("what", "", header=True), Column("value", "", "text")),
            rows=tuple(rows),
            caption=f"Certificate: {self.status}",
            label="tbl-certificate",
            notes=(self.sentence,),
        )

    def __repr__(self) -> str:
        return self.table().text()

    def _repr_mimebundle_(self, include: object = None, exclude: object = None) -> tuple[dict, dict]:
        """The renderings of the table."""
        return self.table()._repr_mimebundle_(include, exclude)


def certify(fit: Any, restarts: int = 0) -> Certificate:
    """Certify a fit again, from its parameters alone, and refit it from other starts.

    Parameters
    ----------
    fit : LMMFit
    restarts : int
        Number of other starts: small, large and correlated relative covariances, the same in every call.

    Returns
    -------
    Certificate
        ``not an optimum`` where another start ends more than 1e-6 of deviance lower.

    Raises
    ------
    LMMError
        If `fit` is no fitted model or `restarts` no whole number from 0 on.

    Examples
    --------
    >>> import lmmtools as lt
    >>> fit = lt.fit_lmm("Reaction ~ Days + (Days | Subject)", lt.load_dataset("sleepstudy"))
    >>> lt.certify(fit, restarts=3).status
    'certified'
    """
    if not isinstance(getattr(fit, "certificate", None), Certificate):
        raise LMMError(f"certify: takes a fit, as fit_lmm returns it; got {type(fit).__name__}.")
    restarts = check_count(restarts, "certify: restarts, the number of other starts,", at_least=0)
    criterion = Criterion(fit.design, reml=fit.reml, working=fit.working)
    solution = fit.solution
    d = criterion.differentiate(solution, fit.working.products.exact)
    found = certify_point(criterion, fit.working_theta, solution, d)
    if not restarts:
        return found
    from lmmtools.core.algorithms.restarts import lowest_of, restart_points

    best, _ = lowest_of(criterion, restart_points(fit.working, restarts))
    # beside very large variances the criterion itself is known to no more digits
    rounding = 1e-13 * float(np.abs(best.working).max()) ** 2
    return _after_restarts(found, fit.criterion - best.value - rounding, restarts)


def _after_restarts(found: Certificate, lower: float, restarts: int) -> Certificate:
    starts = counted(restarts, "other start")
    if lower > _DEVIANCE_LEFT:
        sentence = (
            f"This is not the lowest optimum: of {starts} one ends {shown(lower, 2)} of deviance lower; fit again from "
            "there, by minimize(criterion, start) and summarize."
        )
        return replace(found, status="not an optimum", sentence=sentence, deviance_left=lower, restarts=restarts)
    sentence = f"{found.sentence} From {starts} the search ended no lower."
    return replace(found, sentence=sentence, restarts=restarts)


def certify_point(
    criterion: Criterion, working: np.ndarray, solution: Solution, d: TDerivatives
) -> Certificate:
    """Certificate at working parameters θ̃, shape (m,), with the solution and derivatives there."""
    by_design = flat_directions(criterion)
    found = examine(criterion, working, solution, d, flat_by_design=len(by_design))
    flat, flat_by = by_design, "design" if by_design else ""
    if found.flat and not by_design:
        flat, flat_by = tuple(_describe(criterion, terms) for terms in found.flat), "data"
    endless = endless_ranges(criterion, working, solution)
    if endless and not flat:
        flat, flat_by = (_describe(criterion, (len(criterion.working.terms),)),), "data"
    ends = bool(endless) and found.deviance_left <= _LEFT_ENDLESS
    status = "flat direction" if ends else _status(found, flat)
    if status == "flat direction":
        sentence = _flat_sentence(criterion, working, flat, flat_by, endless)
    else:
        zero, held = _zero(criterion, working, solution, found), _held(criterion, working, found)
        copies = copies_of(criterion, working) if status == "not an optimum" else ""
        sentence = f"{_sentence(status, found, zero, held)} {copies}".rstrip()
    return Certificate(
        status,
        sentence,
        found.gradient,
        found.hessian_eigenvalues,
        found.deviance_left,
        found.beta_shift,
        flat,
        flat_by,
    )


def _flat_sentence(
    criterion: Criterion, working: np.ndarray, flat: tuple[str, ...], flat_by: str, endless: tuple[str, ...]
) -> str:
    """What is flat, and of what use the fit is."""
    ratio = float(np.abs(_of_terms(criterion, working)).max(initial=0.0))
    if flat_by == "data" and ratio > _OVERWHELMING:
        return _no_residual(ratio)
    if endless and flat_by == "data" and all(_OF_RESIDUALS in one and "(co)variances of" not in one for one in flat):
        return f"The fit is as good as any, but not the only one: {'; '.join(endless)}."
    sentence = _flat_by_design(flat) if flat_by == "design" else _flat_by_data(flat)
    return " ".join([sentence, *(f"Besides, {one}." for one in endless)])


def _of_terms(criterion: Criterion, working: np.ndarray) -> np.ndarray:
    """The parameters of the random terms, without those of the residuals."""
    w = criterion.working
    return working[: w.slices[-1].stop] if w.slices else working[:0]


def _describe(criterion: Criterion, parts: tuple[int, ...]) -> str:
    terms = criterion.design.terms
    labels = [terms[k].label for k in parts if k < len(terms)]
    named = [f"the (co)variances of {' and '.join(labels)}"] if labels else []
    if len(labels) < len(parts):
        named.append(f"{_OF_RESIDUALS} `{criterion.design.residual.text}`")
    return f"one combination of {listed(named)}"


def _status(found: Optimality, flat: tuple[str, ...]) -> str:
    if found.curvature < 0 or not found.deviance_left <= _DEVIANCE_LEFT:
        return "not an optimum"
    if flat:
        return "flat direction"
    return "certified at the boundary" if found.singular or found.held else "certified"


def _held(criterion: Criterion, working: np.ndarray, found: Optimality) -> list[str]:
    """Clauses: which parameters of structures are on a bound, and what they mean there."""
    w = criterion.working
    names = {(k, i): criterion.theta_names[w.places[k].start + i] for k, i in found.held}
    ends = [f"`{name}`" for (k, _), name in names.items() if k < len(w.terms)]
    are = "are" if len(ends) > 1 else "is"
    said = [f"{listed(ends)} {are} at the end of what the structure allows"] if ends else []
    for (k, i), name in names.items():
        if k >= len(w.terms):
            form, here = w.residual.form, working[w.places[k]]
            other = form.lower if form.on_bound(here)[i] > 0 else form.upper
            upper = bool(form.natural(here)[i] > form.natural(other)[i])
            said.append(f"`{name}` is {limit_of(name, upper=upper)}")
    return said


def _zero(criterion: Criterion, working: np.ndarray, solution: Solution, found: Optimality) -> str:
    """A clause: which random effects, or combinations of them, have variance zero."""
    w = criterion.working
    if not found.singular:
        return ""
    sigma = float(np.sqrt(solution.sigma2)) * w.y_scale * w.noise_scale
    clauses = [zero.clause for zero in zero_directions(criterion.design, w.factors(working), sigma)]
    if 1 <= len(clauses) <= _MOST_NAMED:
        return listed(clauses)
    return f"{len(clauses) or 'some'} combinations of random effects have variance zero"


def _sentence(status: str, found: Optimality, zero: str, held: list[str]) -> str:
    """One sentence that an applied reader understands."""
    left, directions = found.deviance_left, len(found.gradient)
    rest = f"at most {shown(left, 1)} of deviance is left to gain" if left > 1e-12 else "no deviance is left to gain"
    rises = f"in every one of {directions} directions" if directions > 1 else "to both sides"
    slope = shown(np.abs(found.gradient).max(initial=0.0), 1)
    if status == "certified":
        return f"This is an optimum: the criterion's slope is {slope} at most, it rises {rises}, and {rest}."
    if status == "certified at the boundary":
        inside = f"along it the criterion rises {rises}, " if directions else ""
        where = listed(filter(None, [zero, *held]))
        return f"This is an optimum on the boundary, where {where}: {inside}no step off it leads down, and {rest}."
    if not left <= _DEVIANCE_LEFT:
        where = " along a direction off the boundary or" if found.off_boundary else ""
        gain = f"about {shown(left, 2)} of deviance could still be gained"
        return f"This is not an optimum: {gain}{where} by further steps."
    bend = shown(found.curvature, 2)
    return f"This is not an optimum but a saddle: the criterion falls in some direction (curvature {bend})."


def _flat_by_design(flat: tuple[str, ...]) -> str:
    """V is the same all along the direction, and so is everything that depends on V alone."""
    return (
        "The fit is as good as any, but not the only one: the data do not determine "
        + "; nor ".join(dict.fromkeys(flat))
        + ". The criterion, the fixed effects, their standard errors and the marginal covariance are "
        "meaningful; what is named here, and the conditional modes as far as they rest on it, is not."
    )


def _flat_by_data(flat: tuple[str, ...]) -> str:
    """V changes along the direction, and the criterion does not notice."""
    return (
        "The fit is as good as any, but not the only one: given the fixed effects, the data say nothing about "
        + "; nor ".join(dict.fromkeys(flat))
        + f". Standard errors that rest on it mean nothing either; {_advice(flat)}."
    )


def _advice(flat: tuple[str, ...]) -> str:
    """What to leave out."""
    random = "leave the random effect out, or the fixed effects that already contain its groups"
    found = [*([random] if any("(co)variances of" in one for one in flat) else [])]
    if any(_OF_RESIDUALS in one for one in flat):
        found.append("take a residual structure with fewer parameters")
    return ", or ".join(found)


def _no_residual(ratio: float) -> str:
    """The criterion has a limit, which it comes ever nearer to as the residual variance goes to zero."""
    return (
        "The criterion falls on, by ever less, as the residual variance goes to zero: the random effects describe the "
        f"rows without residuals (their standard deviations have reached {shown(ratio, 2)} times the residuals'). "
        "The criterion, the fixed effects and the marginal covariance are meaningful, a residual variance is not."
    )
