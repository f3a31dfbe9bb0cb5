"""Our fit and statsmodels' fit of the same design, row by row, each difference with its cause."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from lmmtools.core.covariance import cholesky_psd, theta_of
from lmmtools.core.criterion import Criterion
from lmmtools.crosscheck.bygroup import GroupedModel, Point, condition_of, grouped_model, relative_factor
from lmmtools.crosscheck.layout import layout_of
from lmmtools.crosscheck.ridge import is_flat_by_data, open_covariances
from lmmtools.crosscheck.statsmodels import (
    OtherFit,
    estimate_seconds,
    fit_there,
    loglike_there,
    why_not_expressible,
)
from lmmtools.crosscheck.verdicts import (
    EQUAL,
    ILL,
    INEXPRESSIBLE,
    MEANINGS,
    NOT_RUN,
    UNEXPLAINED,
    Gap,
    Row,
    Witness,
    compare_numbers,
    standard_error_rows,
)
from lmmtools.formats import shown

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["check_statsmodels"]

_AWAY = 1e-8  # a singular T is moved so far for statsmodels, whose likelihood is infinite there
_PSEUDO = 1e-10  # eigenvalue below which statsmodels takes a pseudo-inverse for its fixed effects
_FAR = 1e-3  # deviance short of the optimum from which a second run, from a smaller start, is made


@dataclass(frozen=True)
class _Problem:
    """The fit and the two witnesses: the law by group, and statsmodels' likelihood."""

    fit: Any
    law: GroupedModel

    def bound(self, *points: Point) -> float:
        """Rounding of our log-likelihood: 1e-9 of its size, millions of times one rounding of each row's part."""
        return 1e-9 * max(self.fit.nobs, *(abs(point.criterion) / 2 for point in points))

    def bound_law(self, point: Point) -> float:
        """Rounding of the law's by group, which does not centre anything: that of log sigma^2 besides."""
        return self.bound(point) + 0.5 * self.fit.nobs * point.variance_rounding

    def bound_there(self, point: Point) -> float:
        """Rounding of statsmodels': what inverting T costs each group besides."""
        groups, condition = len(self.law.starts) - 1, condition_of(_away(self.fit.design, point.T))
        return self.bound_law(point) + 10 * groups * float(np.finfo(float).eps) * condition

    def loglike_there(self, point: Point) -> float:
        """Statsmodels' log-likelihood at a point; at a singular one, moved back from a step beside it."""
        T = _away(self.fit.design, point.T)
        beside = point if T is point.T else self.law.at_covariance(T)
        value = loglike_there(self.fit.design, T, point.beta, reml=self.fit.reml)
        # the law's own beta beside: its likelihood there, at this beta, is lower in second order only
        return value + 0.5 * (beside.criterion - point.criterion)

    def criterion_at(self, T: NDArray) -> float:
        """Our criterion at a relative covariance of theirs."""
        theta, start = [], 0
        for term in self.fit.design.terms:
            stop = start + term.matrix.shape[1]
            theta.append(theta_of(term.structure, cholesky_psd(T[start:stop, start:stop])))
            start = stop
        return Criterion(self.fit.design, reml=self.fit.reml)(np.concatenate(theta))


def check_statsmodels(fit: Any, seconds: float) -> tuple[list[Row], list[str]]:
    """
    Compare a fit with statsmodels' MixedLM.

    Parameters
    ----------
    fit : LMMFit
    seconds : float
        Statsmodels is not run when it would need more.

    Returns
    -------
    rows : list of Row
    notes : list of str
        What the verdicts mean, which run is shown, and what statsmodels warned of.
    """
    design = fit.design
    reason = why_not_expressible(design)
    if reason:
        return [Row("the model", np.nan, np.nan, INEXPRESSIBLE, reason)], [MEANINGS[INEXPRESSIBLE]]
    layout = layout_of(design)
    cost = estimate_seconds(fit.nobs, layout.n_groups, sum(layout.sizes), layout.width)
    if cost > seconds:
        text = f"it would take about {shown(cost, 2)} s; the limit is {shown(seconds)} s"
        return [Row("the model", np.nan, np.nan, NOT_RUN, text)], [MEANINGS[NOT_RUN]]
    problem = _Problem(fit, grouped_model(design, reml=fit.reml))
    here = problem.law.at(relative_factor(design, fit.theta))
    try:
        at_ours = problem.loglike_there(here)
    except np.linalg.LinAlgError as error:
        text = f"its likelihood cannot be computed at our parameters, in raw columns ({error})"
        return [Row("the model", np.nan, np.nan, NOT_RUN, text)], [MEANINGS[NOT_RUN]]
    other, history = _best_run(problem, at_ours)
    if other.error:
        rows = [_at_ours(problem, here, at_ours), Row("the fit", np.nan, np.nan, NOT_RUN, other.error)]
    else:
        rows = _rows(problem, here, other, at_ours)
    used = [MEANINGS[v] for v in MEANINGS if any(row.verdict == v for row in rows)]
    said = [f"statsmodels said: {text}" for text in other.warnings]
    return rows, [*used, *history, *said]


def _best_run(problem: _Problem, at_ours: float) -> tuple[OtherFit, list[str]]:
    """Statsmodels' fit from its default start; when it gives up or stops far off, a second one as well."""
    design, reml = problem.fit.design, problem.fit.reml
    first = fit_there(design, reml=reml)
    short = 2 * (at_ours - first.loglik)
    if not first.error and (short < _FAR or not np.isfinite(short)):
        return first, []
    size = np.concatenate([np.mean(t.matrix**2, axis=0) for t in design.terms])
    second = fit_there(design, reml=reml, start=np.diag(0.1 / np.maximum(size, np.finfo(float).tiny)))
    ended = f"failed ({first.error})" if first.error else f"stopped {shown(short, 4)} deviance short of our optimum"
    history = f"statsmodels' default run {ended}; its second run, from a tenth of the residual variance, "
    if second.error or not (first.error or second.loglik > first.loglik):
        how = f"failed ({second.error})" if second.error else "ended no better"
        return first, [history + how + ". The first run is shown."]
    reached = 2 * (at_ours - second.loglik)
    return second, [history + f"ended {shown(max(reached, 0.0), 2)} short and is the one shown."]


def _rows(problem: _Problem, here: Point, other: OtherFit, at_ours: float) -> list[Row]:
    fit = problem.fit
    there = problem.law.at_covariance(other.T)
    at_theirs, ours_at_theirs = problem.loglike_there(there), problem.criterion_at(other.T)
    gap = _gap(problem, here, there, at_ours - at_theirs, ours_at_theirs - fit.criterion)
    # statsmodels inverts T, which costs its condition on top of V's, or takes a pseudo-inverse
    inverted = np.linalg.eigvalsh(other.T).min() >= _PSEUDO
    exact = replace(there, condition=there.condition + float(np.linalg.cond(other.T)) if inverted else np.inf)
    return [
        *_fixed_effects(fit, here, exact, other, gap),
        *standard_error_rows(
            tuple(fit.fixef.index), fit.stderr.to_numpy(), other.variances, here, exact, gap, flat=is_flat_by_data(fit)
        ),
        *_variances(fit, here, exact, other, gap),
        _at_optima(problem, there, other, at_theirs, gap),
        _at_ours(problem, here, at_ours),
        _at_theirs(problem, there, ours_at_theirs, at_theirs),
    ]


def _gap(problem: _Problem, here: Point, there: Point, loglik: float, deviance: float) -> Gap:
    """The distance of the two optima in deviance: by both engines, and by slope and curvature at ours."""
    shift = np.array([(there.T - here.T)[np.nonzero(E)][0] for E in problem.law.directions])
    curvature = here.curvature()
    bound = 2 * problem.bound(here, there)
    rounding = here.residual_rounding * float(np.abs(shift) @ np.abs(curvature) @ np.abs(shift))
    return Gap(
        ours=deviance,
        theirs=2 * loglik,
        predicted=float(here.gradient() @ shift + 0.5 * shift @ curvature @ shift),
        bound=bound,
        bound_theirs=2 * (problem.bound_there(here) + problem.bound_there(there)),
        bound_predicted=10 * bound + rounding,  # ten: the quadratic leaves out the third order
    )


def _fixed_effects(fit: Any, here: Point, there: Point, other: OtherFit, gap: Gap) -> list[Row]:
    witnesses = [
        [Witness(*of) for of in zip(p.beta, p.rounding()[0], np.sqrt(np.diag(p.vcov)), strict=True)]
        for p in (here, there)
    ]
    flat = is_flat_by_data(fit)
    return [
        compare_numbers(f"fixed effect {name}", ours, theirs, at_ours, at_theirs, gap, flat=flat)
        for name, ours, theirs, at_ours, at_theirs in zip(
            fit.fixef.index, fit.fixef.to_numpy(), other.beta, *witnesses, strict=True
        )
    ]


def _variances(fit: Any, here: Point, there: Point, other: OtherFit, gap: Gap) -> list[Row]:
    """Rows for every variance and covariance of the random effects, then the residual variance."""
    rows, start, flat = [], 0, open_covariances(fit)
    for term in fit.design.terms:
        ours = fit.random_covariance[term.group].to_numpy()
        q = len(ours)
        pairs = [(i, j) for i in range(q) for j in range(i + 1)] if term.structure == "us" else []
        for i, j in pairs or [(i, i) for i in range(q)]:
            label = f"variance {term.group} {term.names[i]}"
            if i != j:
                label = f"covariance {term.group} {term.names[j]}, {term.names[i]}"
            a, b = start + i, start + j
            theirs = other.sigma2 * other.T[a, b]
            witness = [Witness(p.sigma2 * p.T[a, b], *p.covariance_rounding(a, b)) for p in (here, there)]
            rows.append(compare_numbers(label, float(ours[i, j]), float(theirs), *witness, gap, flat=bool(flat[a, b])))
        start += q
    witness = [Witness(p.sigma2, p.variance_rounding * p.sigma2, p.sigma2) for p in (here, there)]
    return [*rows, compare_numbers("residual variance", fit.sigma**2, other.sigma2, *witness, gap)]


def _at_optima(problem: _Problem, there: Point, other: OtherFit, at_theirs: float, gap: Gap) -> Row:
    fit, label = problem.fit, "log-likelihood"
    if not np.isfinite(other.loglik):
        verdict, text = gap.verdict()
        text = f"infinite at a singular covariance; {shown(at_theirs, 9)} beside it; {text}"
        return Row(label, fit.loglik, other.loglik, verdict, text)
    if np.linalg.eigvalsh(other.T).min() < _PSEUDO and other.loglik < at_theirs:
        text = f"a pseudo-inverse there costs {shown(2 * (at_theirs - other.loglik), 2)} deviance"
        return Row(label, fit.loglik, other.loglik, ILL, text)
    if not abs(other.loglik - at_theirs) <= problem.bound_there(there):
        text = f"a new model gives {shown(at_theirs, 9)} at their parameters"
        return Row(label, fit.loglik, other.loglik, UNEXPLAINED, text)
    if gap.agreed and abs(fit.loglik - other.loglik) <= gap.bound / 2:
        return Row(label, fit.loglik, other.loglik, EQUAL, "")
    return Row(label, fit.loglik, other.loglik, *gap.verdict())


def _at_ours(problem: _Problem, here: Point, theirs: float) -> Row:
    """Both likelihoods at our parameters: the same function, whoever stopped where."""
    return _same_function(problem, "log-likelihood at our parameters", here, problem.fit.loglik, theirs)


def _at_theirs(problem: _Problem, there: Point, criterion: float, theirs: float) -> Row:
    return _same_function(problem, "log-likelihood at their parameters", there, -0.5 * criterion, theirs)


def _same_function(problem: _Problem, label: str, point: Point, ours: float, theirs: float) -> Row:
    """Our log-likelihood, theirs and the law's at one point."""
    law, rounding = -0.5 * point.criterion, problem.bound_there(point)
    if not abs(ours - law) <= problem.bound_law(point):
        return Row(label, ours, theirs, UNEXPLAINED, f"the law, by group, gives {shown(law, 9)}")
    if rounding > _FAR:
        text = f"rounding may reach {shown(rounding, 1)} in its log-likelihood"
        return Row(label, ours, theirs, ILL, text)
    if not abs(ours - theirs) <= rounding:
        return Row(label, ours, theirs, UNEXPLAINED, f"the law, by group, gives {shown(law, 9)}, as ours")
    return Row(label, ours, theirs, EQUAL, "")


def _away(design: Any, T: NDArray) -> NDArray:
    """T, or where it is singular on the scale of its columns, T moved by 1e-8 of the residual variance."""
    steps = []
    for term in design.terms:
        size = np.maximum(np.mean(term.matrix**2, axis=0), np.finfo(float).tiny)
        steps.append(np.full(len(size), size.max()) if term.structure == "homdiag" else size)
    root = np.sqrt(np.concatenate(steps))
    smallest = np.linalg.eigvalsh(root[:, None] * T * root).min()
    return T if smallest > _AWAY else T + np.diag(_AWAY / root**2)
