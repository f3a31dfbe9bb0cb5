"""The same optimum by several algorithms: tables of their iterations, and of what each needed."""

from __future__ import annotations

import warnings
from collections.abc import Iterable
from typing import Any

import numpy as np
import pandas as pd

from lmmtools.certificate import certify_point
from lmmtools.core.algorithms import DESCRIPTIONS, METHODS, WITH_RESIDUAL, check_method
from lmmtools.core.criterion import Criterion
from lmmtools.core.optimize import Optimum, minimize
from lmmtools.core.starts import starts
from lmmtools.errors import LMMError, LMMWarning
from lmmtools.frames import Frame, frame

__all__ = ["compare_algorithms", "iteration_table"]


def compare_algorithms(
    model: Any,
    methods: Iterable[str] | None = None,
    *,
    start: Any = None,
    max_iterations: int | None = None,
    caption: str | None = None,
    label: str = "tbl-algorithms",
) -> Frame:
    """One row an algorithm: what it took to reach the optimum, and whether that is one.

    Parameters
    ----------
    model : Criterion or LMMFit
        Of a fit, its design and its method (ML or REML) are taken.
    methods : iterable of str, optional
        Names that `minimize` knows: ``"newton"``, ``"em"``, ``"ecme"``, ``"gls"``, ``"bfgs"``, ``"nelder-mead"``,
        ``"cobyqa"``. All by default; with a residual structure all but EM, ECME and alternating least squares, which
        have no step for its parameters.
    start : array_like, shape (m,), optional
        [θ, φ] from which all of them start; MINQUE(0) by default.
    max_iterations : int, optional
        Where each is stopped; by default where it is of no more use.
    caption, label : str, optional
        Of the table, for where there are several; see :func:`lmmtools.frames.frame`.

    Returns
    -------
    Frame
        Rows named by method: ``algorithm, iterations, evaluations, criterion, excess, status``. `excess` is by how much
        the criterion lies above the lowest of the column, `status` what the certificate says of the end.

    Raises
    ------
    LMMError
        If a method is unknown, `start` does not hold m finite numbers, or `model` is neither.

    Notes
    -----
    All start from the same point and each makes a single search, whereas `minimize` tries further starts where another
    minimum is likely. Iterations are not of one size: Newton's forms a Hessian, a simplex's a single value.

    Examples
    --------
    >>> from lmmtools import Criterion, build_design, load_dataset
    >>> design = build_design("Yield ~ 1 + (1 | Batch)", load_dataset("Dyestuff"))
    >>> compare_algorithms(Criterion(design), ["newton", "em"])["status"].tolist()
    ['certified', 'certified']
    """
    criterion = _criterion(model)
    if methods is None:
        methods = METHODS if criterion.working.residual is None else WITH_RESIDUAL
    names = [check_method(method) for method in ([methods] if isinstance(methods, str) else methods)]
    point = criterion.working.to_theta(starts(criterion.working)[0]) if start is None else start
    found = {}
    for name in names:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", LMMWarning)  # an early end is said in the notes
            found[name] = minimize(criterion, point, name, max_iterations=max_iterations, trace=True)
    values = np.array([optimum.value for optimum in found.values()])
    table = pd.DataFrame(
        {
            "algorithm": [DESCRIPTIONS[name] for name in found],
            "iterations": [len(optimum.trace) - 1 for optimum in found.values()],
            "evaluations": [optimum.n_evaluations for optimum in found.values()],
            "criterion": values,
            "excess": _above(values),
            "status": [_status(criterion, optimum) for optimum in found.values()],
        },
        index=pd.Index(list(found), name="method"),
    )
    method = "REML" if criterion.reml else "ML"
    return frame(
        table,
        caption=caption or f"Algorithms on the same criterion ({method}), from the same start",
        label=label,
        notes=tuple(optimum.ended for optimum in found.values() if optimum.ended),
        headings={"method": "Method", "algorithm": "Algorithm", "iterations": "Iterations",
                  "evaluations": "Evaluations", "criterion": "Criterion", "excess": "Above the lowest",
                  "status": "Certificate"},
        formats={"iterations": "int", "evaluations": "int", "criterion": "fixed6", "excess": "sci"},
    )  # fmt: skip


def iteration_table(optimum: Optimum) -> Frame:
    """The iterations of one search.

    Parameters
    ----------
    optimum : Optimum
        From ``minimize(criterion, method=…, trace=True)``.

    Returns
    -------
    Frame
        A row an iteration, row 0 the start: ``iteration, criterion, gradient``, a column for each element of θ, and
        ``evaluations`` of the criterion so far. The gradient's length is that in working parameters (Λ over columns
        that are centred and of unit size).

    Raises
    ------
    LMMError
        If the optimum has no trace.

    Examples
    --------
    >>> from lmmtools import Criterion, build_design, load_dataset
    >>> criterion = Criterion(build_design("Yield ~ 1 + (1 | Batch)", load_dataset("Dyestuff")))
    >>> steps = iteration_table(minimize(criterion, method="ecme", trace=True))
    >>> list(steps)
    ['iteration', 'criterion', 'gradient', 'Batch.Intercept', 'evaluations']
    """
    trace = getattr(optimum, "trace", None)
    if trace is None:
        raise LMMError("iteration_table: takes what minimize(criterion, trace=True) gives; this has no trace.")
    columns = {"iteration": trace.iteration, "criterion": trace.criterion, "gradient": trace.gradient}
    columns |= {name: trace.theta[:, k] for k, name in enumerate(trace.names)}
    own = ("EM has a σ² of its own until it has converged; the criterion is that at this σ².",)
    ended = (optimum.ended,) if optimum.ended else ()
    return frame(
        pd.DataFrame(columns | {"evaluations": trace.evaluations}),
        caption=f"Iterations of {DESCRIPTIONS[trace.method]}",
        label=f"tbl-iterations-{trace.method}",
        notes=(own if trace.method == "em" else ()) + ended,
        headings={"iteration": "Iteration", "criterion": "Criterion", "gradient": "Gradient",
                  "evaluations": "Evaluations"},
        formats={"iteration": "int", "criterion": "fixed6", "gradient": "sci", "evaluations": "int"},
        index=False,
    )  # fmt: skip


def _above(values: np.ndarray) -> np.ndarray:
    """By how much each lies above the lowest; what is rounding is none."""
    excess = values - values.min(initial=np.inf)
    return np.where(excess <= 1e-13 * np.abs(values), 0.0, excess)


def _criterion(model: Any) -> Criterion:
    if isinstance(model, Criterion):
        return model
    if hasattr(model, "design") and hasattr(model, "reml"):
        return Criterion(model.design, reml=model.reml)
    raise LMMError(f"compare_algorithms: takes a Criterion or a fit made by fit_lmm; got {type(model).__name__}.")


def _status(criterion: Criterion, optimum: Optimum) -> str:
    products = criterion.working.products.exact
    solution = criterion.solve(criterion.working.stacked(optimum.working), products)
    return certify_point(criterion, optimum.working, solution, criterion.differentiate(solution, products)).status
