"""What is to be tested, from how a user names it: a coefficient, a term, linear functions, a smaller model."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from lmmtools.comparison.together import named, require_nested
from lmmtools.core.working import working_model
from lmmtools.errors import DataError, LMMError, ModelError
from lmmtools.formats import nearest, quoted
from lmmtools.formula import parse_formula
from lmmtools.inference.contrasts import check_ddf
from lmmtools.inference.hypotheses import hypotheses
from lmmtools.inference.testing import contrast_matrix
from lmmtools.planning.decisions import Ratio, Smaller, Wald
from lmmtools.planning.model import Planned
from lmmtools.planning.sizes import Size, picked
from lmmtools.resampling.refits import Refits
from lmmtools.results import estimate

__all__ = ["Hypothesis", "read_test"]

_REFERENCE = {
    "satterthwaite": "Satterthwaite's degrees of freedom",
    "kenward-roger": "Kenward and Roger's adjustment",
    "kenward-roger-observed": "Kenward and Roger's adjustment by the observed information",
    "residual": "residual degrees of freedom",
    "normal": "the normal reference",
}
# Responses that a smaller model with a residual structure is fitted to, for a place to start from.
_TRIES = 5


@dataclass(frozen=True, eq=False)
class Hypothesis:
    """A test of a plan, and of the same plan on other rows.

    Attributes
    ----------
    plan : Planned
        By the method that the test needs.
    words : str
        What is tested and how.
    L : ndarray, shape (k, p), or None
        The linear functions that are zero; None for a likelihood ratio.
    small : Smaller or None
        The smaller model on the plan's rows.
    ddf : str
    notes : tuple of str
    """

    plan: Planned
    words: str
    L: np.ndarray | None
    small: Smaller | None
    ddf: str
    notes: tuple[str, ...] = ()

    @property
    def effect(self) -> float:
        """The true value of the function tested, where it is one; else NaN."""
        return float(self.L[0] @ self.plan.beta) if self.L is not None and len(self.L) == 1 else np.nan

    def at(self, sizes: Iterable[tuple[Size, int]]) -> tuple[Planned, Wald | Ratio]:
        """The plan of these sizes, and the test there.

        Raises
        ------
        ModelError
            If there is no such design, or the smaller model is not nested in the plan's there.
        """
        design, less = self.plan.design, None if self.small is None else self.small.design
        for size, number in sizes:
            rows = picked(design, size, number)
            design, less = rows.of(design), None if less is None else rows.of(less)
        plan = self.plan.on(design)
        if self.small is None:
            return plan, Wald(self.L, self.ddf, Refits(plan))
        small = self.small.on(less)
        return plan, Ratio.of(small, plan, require_nested("power", small, plan))


def read_test(plan: Planned, test: Any, ddf: str) -> Hypothesis:
    """The hypothesis that a user names.

    Parameters
    ----------
    plan : Planned
    test : str, LMMFit, Planned, Mapping, sequence or array_like
        See `power`.
    ddf : str

    Raises
    ------
    LMMError
        If there is no such coefficient or term, or weights do not fit the coefficients.
    FormulaError
        If it is a formula that cannot be read.
    ModelError
        If the smaller model is none, or `ddf` is not defined for the plan's method.
    """
    check_ddf(ddf, plan, "power")
    if hasattr(test, "design") and hasattr(test, "Lambda"):
        return _ratio(plan, test.design, test, ddf)
    if isinstance(test, str) and "~" in test:
        return _ratio(plan, _design_of(plan, test), None, ddf)
    if isinstance(test, str):
        return _named(plan, test, ddf)
    L, names = contrast_matrix(test, list(plan.design.fixed_names))
    return _wald(plan, L, quoted(names), ddf)


def _named(plan: Planned, test: str, ddf: str) -> Hypothesis:
    names = list(plan.design.fixed_names)
    if test in names:
        return _wald(plan, np.eye(len(names))[[names.index(test)]], f"the coefficient `{test}`", ddf)
    try:
        terms = hypotheses(plan.design)
    except ModelError:  # columns that no analysis of variance can be derived from
        terms = {}
    if test not in terms:
        known = [*names, *(term for term in terms if term not in names)]
        raise LMMError(
            f"power: test={test!r} is neither a coefficient nor a term of this model{nearest(test, known)}; it has "
            f"{quoted(known, 12)}. A likelihood-ratio test is named by the smaller model's formula, or a fit of it."
        )
    if not len(terms[test]):
        raise ModelError(f"power: nothing of the term `{test}` can be tested in these rows: other terms determine it.")
    return _wald(plan, terms[test], f"the term `{test}` (type III)", ddf)


def _wald(plan: Planned, L: np.ndarray, what: str, ddf: str) -> Hypothesis:
    how = f"{'t' if len(L) == 1 else 'F'} test with {_REFERENCE[ddf]}"
    return Hypothesis(plan, f"{what}, {how}, {plan.method}", np.array(L, dtype=float), None, ddf)


def _design_of(plan: Planned, text: str) -> Any:
    """The design of a smaller formula in the plan's rows."""
    parsed = parse_formula(text)
    if plan.data is None:
        raise ModelError(
            f"power: a fit does not keep its data, from which `{text}` would be built: give the smaller model as a fit "
            "to the same rows, test=lt.fit_lmm(…), or plan the larger from its formula and data."
        )
    if parsed.response != plan.design.response:
        raise ModelError(
            f"power: the smaller model's response is `{parsed.response}`, the plan's `{plan.design.response}`: they "
            "must be the same."
        )
    unused = [name for name in (*parsed.predictors, *parsed.groups) if name not in plan.data.frame.columns]
    if unused:
        raise DataError(
            f"power: the smaller model reads {quoted(unused)}, which the planned model does not, so that it is not "
            "nested in it."
        )
    factors = {":".join(bar.group) for bar in parsed.random}
    known = {  # a key is a factor, or a term of it, as "id.1"
        key: A for key, A in (plan.data.known or {}).items() if {key, key.rpartition(".")[0]} & factors
    }
    return replace(plan.data, known=known or None).design(parsed)


def _ratio(plan: Planned, design: Any, fit: Any, ddf: str) -> Hypothesis:
    """The likelihood-ratio test of a smaller model, by ML where means differ."""
    if not design.index.equals(plan.design.index):
        raise ModelError(
            f"power: the smaller model is of {len(design.y)} rows and the planned one of {plan.nobs}, or their labels "
            "or order differ: both need the same rows."
        )
    design = replace(design, y=plan.design.y)
    _refuse_other(plan, design)
    same = design.X.shape == plan.design.X.shape and np.array_equal(design.X, plan.design.X)
    reml = plan.reml and same
    plan = replace(plan, reml=reml)
    small = _smaller(plan, design, fit, reml)
    require_nested("power", small, plan)
    by_ml = () if same else ("Fitted by ML, since the models differ in their fixed effects.",)
    words = f"`{named(small)}` against `{named(plan)}`, likelihood-ratio test ({plan.method}; the distributions of lrt)"
    return Hypothesis(plan, words, None, small, ddf, by_ml)


def _refuse_other(plan: Planned, design: Any) -> None:
    """Refuse weights and offsets that are not the plan's."""
    for what, ours, theirs in (
        ("weights", plan.design.weights, design.weights), ("offsets", plan.design.offset, design.offset)
    ):  # fmt: skip
        if (ours is None) != (theirs is None) or (ours is not None and not np.array_equal(ours, theirs)):
            raise ModelError(f"power: the smaller model and the planned one differ in their {what}.")


def _smaller(plan: Planned, design: Any, fit: Any, reml: bool) -> Smaller:
    """The smaller model; with a residual structure, at parameters from which searches can start."""
    working = working_model(design)
    m = working.places[len(design.terms) - 1].stop if design.terms else 0
    if fit is not None and hasattr(fit, "theta"):
        return Smaller(design, reml, fit.theta, fit.phi, working)
    if design.residual is None or not design.residual.names:
        return Smaller(design, reml, np.zeros(m), np.zeros(0), working)
    for y in plan.simulate(_TRIES, np.random.default_rng(_TRIES)).T:
        try:
            first = estimate(replace(design, y=y), reml=reml)
        except ModelError:
            continue
        return Smaller(design, reml, first.theta, first.phi, working)
    raise ModelError(f"power: `{named(plan)}` cannot be simulated so that the smaller model has an optimum.")
