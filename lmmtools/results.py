"""The fitted model: a frozen value, its tables, and the step that computes it from an optimum."""

from __future__ import annotations

import dataclasses
import warnings
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd

from lmmtools.arguments import check_flag
from lmmtools.certificate import Certificate, certify_point
from lmmtools.core.charts import ZERO
from lmmtools.core.covariance import theta_names
from lmmtools.core.criterion import Criterion
from lmmtools.core.modes import conditional_modes, modes_by_term
from lmmtools.core.optimize import Optimum, minimize
from lmmtools.core.solution import Solution
from lmmtools.core.terms import unit_sizes
from lmmtools.core.working import Working
from lmmtools.design import Design
from lmmtools.errors import LMMError, LMMWarning
from lmmtools.estimable import design_notes, lost_in_rounding, refuse_confounded, refuse_confounded_residual
from lmmtools.fitted_variances import settled
from lmmtools.frames import Frame
from lmmtools.methods import InferenceMethods
from lmmtools.parameterised import Parameterised
from lmmtools.predict import predict
from lmmtools.ranef import ranef, ranef_cov
from lmmtools.residuals import residuals
from lmmtools.simulate import simulate
from lmmtools.varcorr import variance_table

__all__ = ["LMMFit", "estimate", "summarize"]

# Changes of the unit of residual standard deviations, each followed by a search from where the last one ended.
_UNITS = 3


@dataclass(frozen=True, repr=False)
class LMMFit(Parameterised, InferenceMethods):
    """A linear mixed model fitted by ML or REML.

    Attributes
    ----------
    design : Design
        What was fitted: ``.y .X .Z``, names, levels, dropped rows.
    reml : bool
    theta : ndarray, shape (m,)
        Relative covariance parameters in lme4's parameterisation and order.
    phi : ndarray, shape (k,)
        Parameters of the residual structure on their natural scale; `residual_params` has them labelled.
    Lambda : tuple of ndarray, shape (q, q)
        Relative covariance factor of each term; Var(b) = σ²ΛΛ'.
    sigma : float
        Residual standard deviation, in units of the response.
    criterion : float
        −2 (restricted) log-likelihood with all constants.
    modes : tuple of ndarray, shape (levels, q)
        Conditional modes of each term; `ranef` has them labelled.
    mode_cov : tuple of ndarray, shape (levels, Q, Q)
        Their covariances given θ̂ for each grouping factor, all terms of the factor side by side.
    beta, beta_cov : ndarray, shape (p,), (p, p)
        β̂ and Var(β̂); `fixef` and `vcov` have them labelled.
    working, working_theta : Working, ndarray, shape (m + k,)
        Cross-products in the basis of the computation, for `predict`'s intervals, and [θ̂, φ̂] there.
    certificate : Certificate
    messages : tuple of str
        Everything a reader of the fit should know.
    n_evaluations : int
        Evaluations of the criterion by the optimiser.
    """

    design: Design
    reml: bool
    theta: np.ndarray
    phi: np.ndarray
    beta: np.ndarray
    beta_cov: np.ndarray
    Lambda: tuple[np.ndarray, ...]
    sigma: float
    criterion: float
    modes: tuple[np.ndarray, ...]
    mode_cov: tuple[np.ndarray, ...]
    certificate: Certificate
    messages: tuple[str, ...]
    n_evaluations: int
    working: Working
    working_theta: np.ndarray

    def __post_init__(self) -> None:
        alone = (self.theta, self.phi, self.working_theta, self.beta, self.beta_cov)
        for array in (*alone, *self.mode_cov, *self.Lambda, *self.modes):
            array.setflags(write=False)

    @property
    def response(self) -> str:
        """The left side of the formula."""
        return self.design.response

    @property
    def fixef(self) -> pd.Series:
        """β̂ by coefficient name."""
        return pd.Series(self.beta.copy(), index=list(self.design.fixed_names), name="estimate")

    @property
    def stderr(self) -> pd.Series:
        """Standard errors of β̂."""
        return pd.Series(np.sqrt(np.diagonal(self.beta_cov)), index=self.fixef.index, name="std_error")

    @property
    def vcov(self) -> pd.DataFrame:
        """Var(β̂) = σ̂²(X'V⁻¹X)⁻¹, V the marginal covariance over σ²."""
        names = list(self.design.fixed_names)
        return pd.DataFrame(self.beta_cov.copy(), index=names, columns=names)

    @cached_property
    def theta_names(self) -> tuple[str, ...]:
        """Names of θ: ``Subject.Intercept``, ``Subject.Days.Intercept`` and so on; a repeated one by `varcorr`'s group.

        See `lmmtools.core.covariance.theta_names` for the structures.
        """
        found: list[str] = []
        for term in self.design.terms:
            names = theta_names(term.structure, term.factor, term.names)
            found += theta_names(term.structure, term.group, term.names) if set(names) & set(found) else names
        return tuple(found)

    @property
    def varcorr(self) -> Frame:
        """Variances and covariances (`vcov`), standard deviations and correlations (`sdcor`), lme4's layout.

        A row for each variance and, but for `diag` and `homdiag`, each pair of effects. Structures with one
        correlation over more than four effects have the first variance, where it is that of all, and the pair of
        effects that are nearest; the notes say what follows from them, and `random_covariance` has everything.
        """
        return variance_table(self)

    @property
    def loglik(self) -> float:
        """The log-likelihood, restricted under REML."""
        return -0.5 * self.criterion

    @property
    def aic(self) -> float:
        """criterion + 2 npar."""
        return self.criterion + 2.0 * self.npar

    @property
    def bic(self) -> float:
        """criterion + log(n) npar."""
        return self.criterion + np.log(self.nobs) * self.npar

    @property
    def df_resid(self) -> int:
        """n − npar, as in lme4."""
        return self.nobs - self.npar

    @cached_property
    def is_singular(self) -> bool:
        """Whether some random effect, or combination of them, has variance zero."""
        return any(np.linalg.matrix_rank(L, tol=ZERO) < len(L) for L in self._unit_factors)

    @cached_property
    def zero_effects(self) -> tuple[tuple[str, str], ...]:
        """(group, effect) of each random effect with variance zero; empty where only a combination has."""
        return tuple(
            (term.group, name)
            for term, L in zip(self.design.terms, self._unit_factors, strict=True)
            for name, row in zip(term.names, L, strict=True)
            if np.linalg.norm(row) <= ZERO
        )

    @property
    def _unit_factors(self) -> tuple[np.ndarray, ...]:
        """Λ for columns of unit root mean square, weights of mean one: singularity does not depend on their units."""
        terms = zip(self.design.terms, self.Lambda, strict=True)
        return tuple(unit_sizes(t, self.working.noise_scale)[:, None] * L for t, L in terms)

    @cached_property
    def solution(self) -> Solution:
        """The penalised least squares solution at θ̂, in the basis of `working`."""
        return self.working.products.exact.solve(self.working.own_factor(self.Lambda, self.phi), reml=self.reml)

    @property
    def ranef(self) -> dict[str, pd.DataFrame]:
        """Conditional modes by grouping factor, a row a level, the terms of one factor side by side."""
        return ranef(self)

    @property
    def ranef_cov(self) -> dict[str, np.ndarray]:
        """Var(b | y) at β̂ and θ̂ by grouping factor, shape (levels, q, q), columns as in `ranef`."""
        return ranef_cov(self)

    @cached_property
    def _fitted(self) -> np.ndarray:
        return predict(self).to_numpy()

    @property
    def fitted(self) -> pd.Series:
        """Xβ̂ + Zb̂ + offset on the rows used."""
        return pd.Series(self._fitted.copy(), index=self.design.index, name="fitted")

    @property
    def resid(self) -> pd.Series:
        """y − fitted."""
        return pd.Series(self.design.y - self._fitted, index=self.design.index, name="resid")

    @property
    def residual_params(self) -> pd.Series:
        """φ̂: correlations and coefficients of the variance functions, as named; empty for R = W⁻¹."""
        residual = self.design.residual
        names = [] if residual is None else list(residual.names)
        return pd.Series(self.phi.copy(), index=pd.Index(names, dtype=object), dtype=float, name="residual parameter")

    def predict(
        self, newdata: Any = None, random: bool = True, unseen: str = "raise", interval: str | None = None,
        level: float = 0.95, residuals: bool = False,
    ) -> pd.Series | pd.DataFrame:  # fmt: skip
        """Predicted responses; see `lmmtools.predict.predict`."""
        asked = {"random": random, "unseen": unseen, "interval": interval, "level": level, "residuals": residuals}
        return predict(self, newdata, **asked)

    def residuals(self, kind: str = "response") -> pd.Series:
        """Residuals; see `lmmtools.residuals.residuals`."""
        return residuals(self, kind)

    def simulate(self, n: int, rng: np.random.Generator | int) -> np.ndarray:
        """Responses drawn from the fitted model, shape (nobs, n)."""
        return simulate(self, n, rng)

    def refit(self, y: Any = None, reml: bool | None = None) -> LMMFit:
        """A new fit of the same design to another response (same rows, same order), or by the other method.

        Raises
        ------
        LMMError
            If y does not hold a finite number for each row used.
        """
        design = self.design
        if y is not None:
            if isinstance(y, pd.Series) and not y.index.equals(design.index):
                raise LMMError("refit: y is a Series with other labels, or another order, than the rows fitted; "
                               "reindex it by fit.design.index, or pass its values.")  # fmt: skip
            try:
                y = np.array(y, dtype=float).reshape(-1)
            except (TypeError, ValueError) as error:
                raise LMMError(f"refit: y must hold {self.nobs} numbers; got {type(y).__name__} of others.") from error
            if y.shape != design.y.shape or not np.all(np.isfinite(y)):
                raise LMMError(
                    f"refit: y must hold {self.nobs} finite numbers, one for each row used; got {len(y)}"
                    f" of which {int(np.isfinite(y).sum())} are finite."
                )
            design = dataclasses.replace(design, y=y)
        return estimate(design, reml=self.reml if reml is None else check_flag(reml, "reml"))

    def at(self, criterion: Criterion, optimum: Optimum) -> LMMFit:
        """The whole fit of another criterion at its optimum, for those who refit; see `summarize`."""
        return summarize(criterion, optimum)

    def summary(self) -> Any:
        """What a notebook shows: the tables of the fit."""
        from lmmtools.summary import Summary

        return Summary(self)

    def __repr__(self) -> str:
        return self.summary().text()

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> Any:
        return self.summary()._repr_mimebundle_(include, exclude)


def estimate(design: Design, *, reml: bool = True) -> LMMFit:
    """Fit a design.

    Parameters
    ----------
    design : Design
    reml : bool

    Returns
    -------
    LMMFit

    Raises
    ------
    ModelError
        If a variance is confounded with the residual variance or with the residual structure, or the response is
        reproduced exactly; or if the search ends where the covariance of the response is singular to rounding.
    """
    if design.residual is not None and any(part.fitted for part in design.residual.variances):
        return settled(design, lambda one, start: _at_optimum(one, reml=reml, start=start))
    return _at_optimum(design, reml=reml)


def _at_optimum(design: Design, *, reml: bool, start: np.ndarray | None = None) -> LMMFit:
    """The fit of a design whose variances are functions of what is given; from [θ, φ] where there is a start."""
    criterion = Criterion(design, reml=reml)
    if design.terms:
        refuse_confounded(criterion)
    if design.residual is not None:
        refuse_confounded_residual(criterion)
    optimum = minimize(criterion, start)
    for _ in range(_UNITS):
        if (other := criterion.in_better_unit(optimum.working)) is None:
            break
        criterion, again = other, minimize(other, optimum.theta)
        optimum = dataclasses.replace(again, n_evaluations=optimum.n_evaluations + again.n_evaluations)
    return summarize(criterion, optimum)


def summarize(criterion: Criterion, optimum: Optimum) -> LMMFit:
    """The fitted model at an optimum of its criterion, certificate and conditional modes included."""
    design, w, exact = criterion.design, criterion.working, criterion.working.products.exact
    factors = w.factors(optimum.working)
    m = len(optimum.theta) - (0 if w.residual is None else w.residual.n_theta)
    theta, phi = optimum.theta[:m], optimum.theta[m:]
    try:
        solution = criterion.solve(w.own_factor(factors, phi), exact)
    except np.linalg.LinAlgError as error:
        raise lost_in_rounding(criterion, optimum.theta) from error
    d = criterion.differentiate(solution, exact)
    certificate = certify_point(criterion, optimum.working, solution, d)
    R_inverse = np.linalg.inv(w.R) if w.products.p else w.R
    modes = conditional_modes(w, factors, solution) if factors else ()
    sigma = float(np.sqrt(solution.sigma2) * w.y_scale * w.noise_scale)
    half = R_inverse @ solution.S_root if w.products.p else w.R
    messages = (*design.messages, *design_notes(criterion), *_verdict(certificate))
    return LMMFit(
        design=design,
        reml=criterion.reml,
        theta=theta,
        phi=phi,
        beta=R_inverse @ (w.beta_shift + w.y_scale * solution.beta),
        beta_cov=solution.sigma2 * w.y_scale**2 * half @ half.T,
        Lambda=factors,
        sigma=sigma,
        criterion=criterion.total(solution),
        modes=modes_by_term(w, modes),
        mode_cov=tuple(m.cov for m in modes),
        certificate=certificate,
        messages=messages,
        n_evaluations=optimum.n_evaluations,
        working=w,
        working_theta=optimum.working,
    )


def _verdict(certificate: Certificate) -> tuple[str, ...]:
    """Messages of the certificate; what makes numbers meaningless is warned of as well."""
    if certificate.status == "certified":
        return ()
    if certificate.status in ("flat direction", "not an optimum"):
        warnings.warn(certificate.sentence, LMMWarning, stacklevel=5)
    return (certificate.sentence,)
