"""Our fit and statsmodels' fit of the same design, row by row, each difference with its cause."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from lmmtools.core.covariance import cholesky_psd, theta_of
from lmmtools.core.criterion import Criterion
from lmmtools.crosscheck.bygroup import GroupedModel, Point, grouped_model, relative_covariance
from lmmtools.crosscheck.statsmodels import (
    OtherFit,
    estimate_seconds,
    fit_there,
    loglike_there,
    why_not_expressible,
)
from lmmtools.crosscheck.verdicts import (
    EQUAL,
    INEXPRESSIBLE,
    MEANINGS,
    NOT_RUN,
    UNEXPLAINED,
    Gap,
    Row,
    compare_numbers,
    standard_error_rows,
)

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["check_statsmodels"]

_AWAY = 1e-8  # a singular T is moved so far for statsmodels, whose likelihood is infinite there
_FAR = 1e-3  # deviance short of the optimum from which a second run, from a smaller start, is made


@dataclass(frozen=True)
class _Problem:
    """The fit and the two witnesses: the law by group, and statsmodels' likelihood."""

    fit: Any
    law: GroupedModel

    def bound(self, *points: Point) -> float:
        """Rounding of a log-likelihood: 1e-9 of its size, and what inverting T costs each group."""
        size = max(self.fit.nobs, *(abs(point.criterion) / 2 for point in points))
        groups = len(self.law.starts) - 1
        cost = max(np.linalg.cond(_away(self.fit.design, point.T)) for point in points)
        return 1e-9 * size + 10 * groups * np.finfo(float).eps * float(cost)

    def loglike_there(self, point: Point, beta: NDArray) -> float:
        """Statsmodels' log-likelihood at a point; at a singular one, moved back from a step beside it."""
        beside = self.law.at(_away(self.fit.design, point.T))
        value = loglike_there(self.fit.design, beside.T, beta, reml=self.fit.reml)
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
    """Compare a fit with statsmodels' MixedLM: rows of the table, and its notes."""
    design = fit.design
    reason = why_not_expressible(design)
    if reason:
        return [Row("the model", np.nan, np.nan, INEXPRESSIBLE, reason)], [MEANINGS[INEXPRESSIBLE]]
    q = sum(term.matrix.shape[1] for term in design.terms)
    cost = estimate_seconds(fit.nobs, len(design.terms[0].levels), q)
    if cost > seconds:
        text = f"it would take about {cost:.0f} s; the limit is {seconds:g} s"
        return [Row("the model", np.nan, np.nan, NOT_RUN, text)], [MEANINGS[NOT_RUN]]
    problem = _Problem(fit, grouped_model(design, reml=fit.reml))
    here = problem.law.at(relative_covariance(design, fit.theta))
    at_ours = problem.loglike_there(here, here.beta)
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
    ended = f"failed ({first.error})" if first.error else f"stopped {short:.4g} deviance short of our optimum"
    history = f"statsmodels' default run {ended}; its second run, from a tenth of the residual variance, "
    if second.error or not (first.error or second.loglik > first.loglik):
        how = f"failed ({second.error})" if second.error else "ended no better"
        return first, [history + how + ". The first run is shown."]
    reached = 2 * (at_ours - second.loglik)
    return second, [history + f"ended {max(reached, 0.0):.2g} short and is the one shown."]


def _rows(problem: _Problem, here: Point, other: OtherFit, at_ours: float) -> list[Row]:
    fit = problem.fit
    there = problem.law.at(other.T)
    # statsmodels inverts T, which costs its condition on top of V's; the law by group never does
    there = replace(there, condition=there.condition + float(np.linalg.cond(other.T)))
    at_theirs, ours_at_theirs = problem.loglike_there(there, other.beta), problem.criterion_at(other.T)
    shift = np.array([(other.T - here.T)[np.nonzero(E)][0] for E in problem.law.directions])
    gap = Gap(
        ours=ours_at_theirs - fit.criterion,
        theirs=2 * (at_ours - at_theirs),
        predicted=float(here.gradient() @ shift + 0.5 * shift @ here.curvature() @ shift),
        bound=2 * problem.bound(here, there),
        flat=fit.certificate.status == "flat direction",
    )
    names = tuple(fit.fixef.index)
    return [
        *_fixed_effects(fit, here, there, other, gap),
        *standard_error_rows(names, fit.stderr.to_numpy(), other.variances, here, there, gap),
        *_variances(fit, here, there, other, gap),
        _at_optima(fit, other, at_theirs, gap),
        _at_ours(problem, here, at_ours),
        _at_theirs(problem, there, ours_at_theirs, at_theirs),
    ]


def _fixed_effects(fit: Any, here: Point, there: Point, other: OtherFit, gap: Gap) -> list[Row]:
    at_ours, at_theirs = here.rounding()[0], there.rounding()[0]
    return [
        compare_numbers(
            f"fixed effect {name}",
            float(fit.fixef.iloc[j]),
            float(other.beta[j]),
            (here.beta[j], at_ours[j]),
            (there.beta[j], at_theirs[j]),
            gap,
        )
        for j, name in enumerate(fit.fixef.index)
    ]


def _variances(fit: Any, here: Point, there: Point, other: OtherFit, gap: Gap) -> list[Row]:
    """Rows for every variance and covariance of the random effects, then the residual variance."""
    rows, start = [], 0
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
            witness = [(p.sigma2 * p.T[a, b], p.covariance_rounding(a, b)) for p in (here, there)]
            rows.append(compare_numbers(label, float(ours[i, j]), float(theirs), *witness, gap))
        start += q
    witness = [(p.sigma2, p.variance_rounding * p.sigma2) for p in (here, there)]
    return [*rows, compare_numbers("residual variance", fit.sigma**2, other.sigma2, *witness, gap)]


def _at_optima(fit: Any, other: OtherFit, at_theirs: float, gap: Gap) -> Row:
    label = "log-likelihood"
    if not np.isfinite(other.loglik):
        verdict, text = gap.verdict
        text = f"infinite at an exactly singular covariance; {at_theirs:.9g} beside it; {text}"
        return Row(label, fit.loglik, other.loglik, verdict, text)
    if not abs(other.loglik - at_theirs) <= gap.bound / 2:
        text = f"a new model gives {at_theirs:.10g} at their parameters"
        return Row(label, fit.loglik, other.loglik, UNEXPLAINED, text)
    if gap.agreed and abs(fit.loglik - other.loglik) <= gap.bound / 2:
        return Row(label, fit.loglik, other.loglik, EQUAL, "")
    return Row(label, fit.loglik, other.loglik, *gap.verdict)


def _at_ours(problem: _Problem, here: Point, theirs: float) -> Row:
    """Both likelihoods at our parameters: the same function, whoever stopped where."""
    ours, bound = problem.fit.loglik, problem.bound(here)
    same = max(abs(ours - theirs), abs(ours + 0.5 * here.criterion)) <= bound
    label = "log-likelihood at our parameters"
    if same:
        return Row(label, ours, theirs, EQUAL, "")
    text = f"the law, by group, gives {-0.5 * here.criterion:.10g}; rounding is {bound:.1g}"
    return Row(label, ours, theirs, UNEXPLAINED, text)


def _at_theirs(problem: _Problem, there: Point, criterion: float, theirs: float) -> Row:
    ours, bound = -0.5 * criterion, problem.bound(there)
    label = "log-likelihood at their parameters"
    if abs(ours - theirs) <= bound:
        return Row(label, ours, theirs, EQUAL, "")
    text = f"the law, by group, gives {-0.5 * there.criterion:.10g}; rounding is {bound:.1g}"
    return Row(label, ours, theirs, UNEXPLAINED, text)


def _away(design: Any, T: NDArray) -> NDArray:
    """T, or where it is singular on the scale of its columns, T moved by 1e-8 of the residual variance."""
    size = np.concatenate([np.mean(t.matrix**2, axis=0) for t in design.terms])
    root = np.sqrt(np.maximum(size, np.finfo(float).tiny))
    smallest = np.linalg.eigvalsh(root[:, None] * T * root).min()
    return T if smallest > _AWAY else T + np.diag(_AWAY / root**2)
