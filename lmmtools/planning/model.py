"""A model of a planned study with its parameters stated, as a frozen value that data can be drawn from."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd

from lmmtools.core.working import Working, working_model
from lmmtools.design import Design
from lmmtools.formats import counted, quoted
from lmmtools.frames import Frame, frame
from lmmtools.parameterised import Parameterised
from lmmtools.planning.plan_data import PlanData
from lmmtools.results import summarize
from lmmtools.simulate import simulate
from lmmtools.varcorr import shown_elements

__all__ = ["Planned"]


@dataclass(frozen=True, repr=False, eq=False)
class Planned(Parameterised):
    """A linear mixed model with stated parameters on the rows of a planned study.

    Attributes
    ----------
    design : Design
        Its response is numbers without a meaning.
    reml : bool
        By which method studies of this plan are to be fitted.
    beta : ndarray, shape (p,)
    theta : ndarray, shape (m,)
    phi : ndarray, shape (k,)
        Parameters of the residual structure on their natural scale.
    Lambda : tuple of ndarray, shape (q, q)
        Var(b) = σ²ΛΛ' of each term.
    sigma : float
        Residual standard deviation, in units of the response.
    source : str
        Where the parameters are from: empty where all are stated.
    data : PlanData or None
        What other formulas of the same rows can be built from; None for the rows of a fit.
    """

    design: Design
    reml: bool
    beta: np.ndarray
    theta: np.ndarray
    phi: np.ndarray
    Lambda: tuple[np.ndarray, ...]
    sigma: float
    source: str = ""
    data: PlanData | None = field(default=None)

    def __post_init__(self) -> None:
        for array in (self.beta, self.theta, self.phi, *self.Lambda):
            array.setflags(write=False)

    @property
    def fixef(self) -> pd.Series:
        """β by coefficient name."""
        return pd.Series(self.beta.copy(), index=list(self.design.fixed_names), name="stated")

    @property
    def residual_params(self) -> pd.Series:
        """φ by name; empty for R = W⁻¹."""
        names = [] if self.design.residual is None else list(self.design.residual.names)
        return pd.Series(self.phi.copy(), index=pd.Index(names, dtype=object), dtype=float, name="stated")

    @cached_property
    def working(self) -> Working:
        """Cross-products in the basis of the computation, for refits."""
        return working_model(self.design)

    def at(self, criterion: Any, optimum: Any) -> Any:
        """The whole fit of a criterion at its optimum, for refits; see `lmmtools.summarize`."""
        return summarize(criterion, optimum)

    def on(self, design: Design) -> Planned:
        """The same parameters on other rows."""
        return replace(self, design=design, data=None)

    def simulate(self, n: int, rng: np.random.Generator | int) -> np.ndarray:
        """Responses drawn from the model, shape (nobs, n); see `lmmtools.simulate.simulate`."""
        return simulate(self, n, rng)

    @property
    def table(self) -> Frame:
        """Every parameter with its value: a column ``value``, named as in `confint`."""
        return _table(self)

    def __repr__(self) -> str:
        return repr(self.table)

    def _repr_mimebundle_(self, include: object = None, exclude: object = None) -> tuple[dict, dict]:
        return self.table._repr_mimebundle_(include, exclude)


def _table(plan: Planned) -> Frame:
    rows = list(zip(plan.design.fixed_names, plan.beta, strict=True))
    for term, L in zip(plan.design.terms, plan.Lambda, strict=True):
        covariance = plan.sigma**2 * L @ L.T
        sd = np.sqrt(np.diagonal(covariance))
        for i, j in shown_elements(term):
            if i == j:
                rows.append((f"sd({term.group}, {term.names[i]})", sd[i]))
            elif both := sd[i] * sd[j]:
                rows.append((f"cor({term.group}, {term.names[i]}, {term.names[j]})", covariance[i, j] / both))
    rows += [("sigma", plan.sigma), *plan.residual_params.items()]
    names, values = zip(*rows, strict=True)
    return frame(
        pd.DataFrame({"value": values}, index=pd.Index(names, name="parameter")),
        caption=f"Planned model: {plan.formula}",
        label="tbl-planned",
        notes=tuple(_notes(plan)),
        headings={"parameter": "Parameter", "value": "Value"},
        formats={"value": "sig4"},
    )


def _notes(plan: Planned) -> list[str]:
    groups = "".join(f"; {name}: {counted(levels, 'level')}" for name, levels in plan.ngroups.items())
    notes = [f"{counted(plan.nobs, 'row')}{groups}; to be fitted by {plan.method}."]
    if plan.source:
        notes.append(f"Parameters not stated are those of {plan.source}.")
    if plan.design.residual is not None:
        notes.append(f"Residuals: {plan.design.residual.text}.")
    if plan.design.weights is not None:
        notes.append("sigma is the residual sd where the weight is 1.")
    if known := [t.group for t in plan.design.terms if t.known_root is not None]:
        notes.append(f"Covariances of {quoted(known)} are times the known ones of the levels.")
    return [*notes, *plan.design.messages]
