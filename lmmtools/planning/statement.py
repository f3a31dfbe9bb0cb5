"""From formula, data and stated parameters to a plan; or from a fit and what is to be another number."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from lmmtools.arguments import check_flag
from lmmtools.core.covariance import n_theta
from lmmtools.design import Design
from lmmtools.errors import LMMError
from lmmtools.formats import listed
from lmmtools.formula import parse_formula
from lmmtools.noise import residual_covariance
from lmmtools.planning.model import Planned
from lmmtools.planning.plan_data import PlanData, plan_data, refuse_fitted
from lmmtools.planning.stated import check_sigma, read_fixef, read_phi
from lmmtools.planning.stated_covariances import Factor, read_covariances

__all__ = ["planned"]

# Structures whose last parameter is a correlation, which is relative to nothing.
_WITH_CORRELATION = ("cs", "homcs", "ar1", "hetar1")


def planned(
    formula: Any,
    data: Any = None,
    *,
    fixef: Mapping[str, float] | None = None,
    sd: Mapping[str, Any] | None = None,
    cor: Mapping[str, Any] | None = None,
    sigma: float | None = None,
    reml: bool | None = None,
    weights: Any = None,
    offset: Any = None,
    residual: str | None = None,
    residual_params: Mapping[str, float] | None = None,
    known: Mapping[str, Any] | None = None,
    contrasts: Mapping[str, Any] | None = None,
    missing: str | None = None,
) -> Planned:
    """A model with stated parameters on the rows of a planned study, or a fit with some parameters changed.

    Parameters
    ----------
    formula : str, LMMFit or Planned
        As of `fit_lmm`, or of `fit_gls` without random effects. Or a fit, or another plan: its rows, and its parameters
        wherever none is stated here.
    data : frame
        A row for each observation that is planned. The response need not be a column, and is not read.
    fixef : Mapping[str, float] or Series
        Every coefficient by its name, ``{"Intercept": 250, "Days": 10}``.
    sd : Mapping
        Standard deviations of the random effects in units of the response (over those of their columns), not relative
        to σ: ``{"sd(Subject, Intercept)": 24}`` as `confint` names them, ``{"Subject": {"Intercept": 24, "Days": 6}}``,
        a number for a term of one effect or one variance, or a covariance matrix, ``{"Subject": [[576, 9], [9, 36]]}``.
        A factor's second term is ``"Subject.1"``, as in `varcorr`.
    cor : Mapping, optional
        Correlations of random effects, ``{"cor(Subject, Intercept, Days)": 0.1}``, ``{"Subject": 0.1}`` where there is
        one, or a correlation matrix; zero where none is stated.
    sigma : float
        Residual standard deviation, in units of the response.
    reml : bool, optional
        By which method such studies are to be fitted, REML by default.
    weights, offset, residual, known, contrasts, missing
        As of `fit_lmm`.
    residual_params : Mapping[str, float] or Series
        Parameters of `residual` by their names, ``{"ar1.phi": 0.4}``.

    Returns
    -------
    Planned

    Raises
    ------
    FormulaError
        If the formula or the residual structure cannot be read.
    DataError
        If the data lack a column, or do not hold what the formula needs.
    LMMError
        If a name is no parameter of the model, a parameter is not stated, or values are impossible: a negative standard
        deviation, correlations that form no correlation matrix.
    ModelError
        If residual variances are functions of fitted values.

    Notes
    -----
    Names of coefficients depend on the coding of factors; ``lmmtools.build_design(...).fixed_names`` has them, and so
    has the message of the error that a wrong name gives. Balanced data for a plan are a line of Python:
    ``pd.DataFrame(itertools.product(range(20), range(5)), columns=["Subject", "time"])``.

    Examples
    --------
    >>> from itertools import product
    >>> import pandas as pd
    >>> import lmmtools as lt
    >>> data = pd.DataFrame(product(range(1, 25), range(5)), columns=["child", "visit"])
    >>> data["arm"] = data["child"].map(lambda k: "drug" if k % 2 else "control")
    >>> plan = lt.planned(
    ...     "score ~ visit * arm + (1 | child)", data, sd={"child": 8}, sigma=5,
    ...     fixef={"Intercept": 100, "visit": -1, "arm[T.drug]": 0, "visit:arm[T.drug]": 1.5},
    ... )
    >>> plan.nobs, plan.ngroups
    (120, {'child': 24})

    A fit with another slope:

    >>> fit = lt.fit_lmm("Reaction ~ Days + (Days | Subject)", lt.load_dataset("sleepstudy"))
    >>> lt.planned(fit, fixef={"Days": 5}).fixef.round(1).to_dict()
    {'Intercept': 251.4, 'Days': 5.0}
    """
    if reml is not None:
        check_flag(reml, "planned: reml")
    if hasattr(formula, "design") and hasattr(formula, "Lambda"):
        given = {"data": data, "weights": weights, "offset": offset, "residual": residual, "known": known,
                 "contrasts": contrasts, "missing": missing}  # fmt: skip
        _refuse_new_rows(given)
        return _changed(formula, fixef, sd, cor, sigma, residual_params, reml)
    parsed = parse_formula(formula)
    if data is None:
        raise LMMError("planned: data must be a data frame with a row for each planned observation; none was given.")
    plan = plan_data(
        parsed, data, weights=weights, offset=offset, known=known, contrasts=contrasts, residual=residual,
        missing="drop" if missing is None else missing,
    )  # fmt: skip
    design = replace(plan.design(parsed), parsed=parsed)
    refuse_fitted(design.residual, "planned")
    if sigma is None:
        raise LMMError("planned: sigma, the residual standard deviation in units of the response, must be stated.")
    sigma = check_sigma(sigma)
    beta = read_fixef(fixef, design.fixed_names, design.dropped_columns, None)
    factors = read_covariances(sd, cor, design.terms, sigma, None)
    phi = _checked(design, read_phi(residual_params, design.residual, None))
    return _made(design, True if reml is None else bool(reml), beta, factors, phi, sigma, "", plan)


def _refuse_new_rows(given: Mapping[str, Any]) -> None:
    wrong = [name for name, value in given.items() if value is not None]
    if wrong:
        raise LMMError(
            f"planned: a fit or a plan has its own rows and its own model, so {listed(wrong)} cannot be given with it: "
            "give its formula and data instead, with every parameter."
        )


def _changed(base: Any, fixef: Any, sd: Any, cor: Any, sigma: Any, phi: Any, reml: bool | None) -> Planned:
    """A fit, or a plan, with some of its parameters changed."""
    design = base.design
    refuse_fitted(design.residual, "planned")
    new_sigma = float(base.sigma) if sigma is None else check_sigma(sigma)
    covariances = [base.sigma**2 * L @ L.T for L in base.Lambda]
    found = read_covariances(sd, cor, design.terms, new_sigma, covariances)
    start, factors = 0, []
    for term, L, stated in zip(design.terms, base.Lambda, found, strict=True):
        theta = base.theta[start : (start := start + n_theta(term.structure, len(term.names)))]
        factors.append(_kept(term, L, theta, base.sigma / new_sigma) if stated is None else stated)
    beta = read_fixef(fixef, design.fixed_names, design.dropped_columns, base.beta)
    own = isinstance(base, Planned)
    source = base.source if own else f"the fit by {base.method}"
    return _made(
        design, base.reml if reml is None else bool(reml), beta, factors,
        _checked(design, read_phi(phi, design.residual, base.phi)), new_sigma, source, base.data if own else None,
    )  # fmt: skip


def _kept(term: Any, Lambda: np.ndarray, theta: np.ndarray, ratio: float) -> Factor:
    """A term's factor when σ changes and its covariance does not."""
    if ratio == 1.0:
        return Factor(np.array(Lambda), np.array(theta))
    if not isinstance(term.structure, str):
        raise LMMError(
            f"planned: sigma is changed, but {term.label} has a structure of your own, whose parameters relative to "
            "another sigma are not known: leave sigma as it is."
        )
    theta = np.array(theta)
    relative = len(theta) - (term.structure in _WITH_CORRELATION and len(term.names) > 1)
    theta[:relative] *= ratio
    return Factor(ratio * Lambda, theta)


def _checked(design: Design, phi: np.ndarray) -> np.ndarray:
    """φ at which residuals have a covariance matrix.

    Raises
    ------
    LMMError
        If they have none.
    """
    try:
        noise = residual_covariance(design, phi)
        good = np.all(np.isfinite(noise.colour(np.ones(len(design.y)))))
    except np.linalg.LinAlgError:
        good = False
    if good:
        return phi
    given = ", ".join(f"{name} = {value:g}" for name, value in zip(design.residual.names, phi, strict=True))
    raise LMMError(
        f"planned: residuals with {given} have no covariance matrix: these correlations do not belong together."
    )


def _made(
    design: Design,
    reml: bool,
    beta: np.ndarray,
    factors: list[Factor],
    phi: np.ndarray,
    sigma: float,
    source: str,
    data: PlanData | None,
) -> Planned:
    theta = np.concatenate([one.theta for one in factors]) if factors else np.zeros(0)
    return Planned(design, reml, beta, theta, phi, tuple(one.Lambda for one in factors), sigma, source, data)
