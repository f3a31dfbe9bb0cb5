"""The same model fitted to other responses, quickly: what does not depend on the response is shared."""

from __future__ import annotations

import dataclasses
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd

from lmmtools.certificate import certify_point
from lmmtools.core.charts import ZERO
from lmmtools.core.criterion import Criterion
from lmmtools.core.optimize import Optimum, minimize
from lmmtools.core.responses import Responses
from lmmtools.core.terms import unit_sizes
from lmmtools.core.working import Working
from lmmtools.errors import LMMWarning, ModelError
from lmmtools.estimable import refuse_confounded, refuse_confounded_residual

__all__ = ["Refit", "Refits", "refit_design", "refits"]


@dataclass(frozen=True)
class Refit:
    """A model fitted again, as little of it as resampling needs; names and meanings are those of `LMMFit`.

    Attributes
    ----------
    origin : LMMFit
        What was fitted again.
    design : Design
    reml : bool
    beta : ndarray, shape (p,)
    sigma : float
    Lambda : tuple of ndarray, shape (q, q)
    theta : ndarray, shape (m,)
    phi : ndarray, shape (k,)
    criterion : float
        With all constants.
    is_singular : bool
    reason : str
        What went wrong, in a sentence; empty where nothing did. All numbers are NaN otherwise.
    working, optimum : Working, Optimum
        What the whole fit is made of; None where something went wrong.
    """

    origin: Any
    design: Any
    reml: bool
    beta: np.ndarray
    sigma: float
    Lambda: tuple[np.ndarray, ...]
    theta: np.ndarray
    phi: np.ndarray
    criterion: float
    is_singular: bool
    reason: str = ""
    working: Working | None = None
    optimum: Optimum | None = None

    @property
    def ok(self) -> bool:
        """Whether there is an optimum."""
        return not self.reason

    @property
    def fixef(self) -> pd.Series:
        """β̂ by coefficient name."""
        return pd.Series(self.beta.copy(), index=list(self.design.fixed_names), name="estimate")

    @property
    def ngroups(self) -> dict[str, int]:
        """Levels per grouping factor."""
        return dict(self.design.ngroups)

    def full(self) -> Any:
        """The whole `LMMFit`, with certificate, conditional modes and tables.

        Raises
        ------
        ModelError
            If there is none.
        """
        if self.working is None:
            raise ModelError(self.reason)
        return self.origin.at(Criterion(self.design, reml=self.reml, working=self.working), self.optimum)


class Refits:
    """Refits of one model, with what they share kept from one call to the next.

    Parameters
    ----------
    fit : LMMFit
        The method, ML or REML, is its own.

    Notes
    -----
    Shared are the working basis of the columns, Z'Z with its factors, and what is known of the groups' patterns and of
    the coupling of crossed factors; the products with the responses are made for all of them at once (see
    `core.responses`). Each search is `minimize`'s own, from its own start, other starts included where the end is
    doubtful, so that an optimum here is the one that a fit from scratch finds. With a residual structure it starts
    from the fit's own parameters, which the responses are drawn around, and elsewhere only where that leads nowhere.
    """

    def __init__(self, fit: Any) -> None:
        self.fit = fit

    def __getstate__(self) -> dict[str, Any]:
        """Without what can be made again."""
        return {"fit": self.fit}

    def __call__(self, responses: np.ndarray) -> Iterator[Refit]:
        """A refit of each column of `responses`, shape (nobs, m), in order; none raises."""
        if _depends_on_fitted(self.fit.design):
            yield from (_settled(self.fit, self.fit.design, y) for y in responses.T)
            return
        models = self._shared.models(responses)
        for k in range(responses.shape[1]):
            design = dataclasses.replace(self.fit.design, y=np.array(responses[:, k], dtype=float))
            try:
                working = next(models)
            except ModelError as error:
                yield failed(self.fit, design, str(error))
                models = self._shared.models(responses[:, k + 1 :])  # a generator that has raised is at its end
                continue
            yield _refit(self.fit, design, working, self._sizes)

    @cached_property
    def _shared(self) -> Responses:
        return Responses(self.fit.design, self.fit.working)

    @cached_property
    def _sizes(self) -> list[np.ndarray]:
        return _unit_sizes(self.fit.design, self.fit.working)


def refits(fit: Any, responses: np.ndarray) -> Iterator[Refit]:
    """The model of a fit fitted to other responses.

    Parameters
    ----------
    fit : LMMFit
    responses : ndarray, shape (nobs, m)
        A response a column, offset included, as `simulate` draws them.

    Yields
    ------
    Refit
        In the order of the columns. What fails has its `reason`; nothing is raised.
    """
    return Refits(fit)(responses)


def refit_design(fit: Any, design: Any) -> Refit:
    """The model of a fit on other rows, as little of it as resampling needs; what fails has its `reason`."""
    if _depends_on_fitted(design):
        return _settled(fit, design, design.y)
    try:
        criterion = Criterion(design, reml=fit.reml)
        if design.terms:
            refuse_confounded(criterion)
        if design.residual is not None:
            refuse_confounded_residual(criterion)
    except (ModelError, np.linalg.LinAlgError) as error:
        return failed(fit, design, str(error))
    return _refit(fit, design, criterion.working, _unit_sizes(design, criterion.working))


def failed(fit: Any, design: Any, reason: str) -> Refit:
    """What stands for a refit that went wrong."""
    Lambda = tuple(np.full((len(t.names),) * 2, np.nan) for t in design.terms)
    beta, theta, phi = np.full(design.X.shape[1], np.nan), np.full(0, np.nan), np.full_like(fit.phi, np.nan)
    return Refit(fit, design, fit.reml, beta, np.nan, Lambda, theta, phi, np.nan, False, reason)


def _refit(fit: Any, design: Any, working: Working, sizes: list[np.ndarray]) -> Refit:
    """Search for the optimum of a working model and read its numbers."""
    criterion = Criterion(design, reml=fit.reml, working=working)
    try:
        optimum = _optimum(fit, criterion)
        solution = criterion.solve(working.stacked(optimum.working))
        reason = "" if optimum.converged else _left(criterion, optimum)
    except (ModelError, np.linalg.LinAlgError) as error:
        return failed(fit, design, str(error))
    if reason:
        return failed(fit, design, reason)
    w, parts = working, zip(working.terms, working.slices, strict=True)
    Lambda = tuple(t.working_factor(optimum.theta[s]) for t, s in parts)  # θ fills Λ alike in all columns
    m = len(fit.theta)
    beta = w.beta_shift + w.y_scale * solution.beta
    return Refit(
        fit, design, fit.reml, np.linalg.solve(w.R, beta) if len(beta) else beta,
        float(np.sqrt(solution.sigma2) * w.y_scale * w.noise_scale), Lambda, optimum.theta[:m], optimum.theta[m:],
        optimum.value,
        any(np.linalg.matrix_rank(s[:, None] * L, tol=ZERO) < len(L) for s, L in zip(sizes, Lambda, strict=True)),
        "", working, optimum,
    )  # fmt: skip


def _optimum(fit: Any, criterion: Criterion) -> Optimum:
    """The optimum; of a residual structure from the fit's own parameters, where that leads to one."""
    if not len(fit.phi):
        return minimize(criterion)
    try:
        found = minimize(criterion, np.clip(np.concatenate([fit.theta, fit.phi]), *criterion.bounds))
    except ModelError:
        return minimize(criterion)
    return found if found.converged else minimize(criterion)


def _depends_on_fitted(design: Any) -> bool:
    """Whether variances are functions of the fitted values, which are then those of each refit."""
    return design.residual is not None and any(part.fitted for part in design.residual.variances)


def _settled(fit: Any, design: Any, y: np.ndarray) -> Refit:
    """A refit by iteration, until the fitted values that the variances depend on repeat themselves."""
    design = dataclasses.replace(design, y=np.array(y, dtype=float))
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", LMMWarning)  # a replicate's flat direction is no news
            found = dataclasses.replace(fit, design=design).refit()
    except (ModelError, np.linalg.LinAlgError) as error:
        return failed(fit, design, str(error))
    if found.certificate.status == "not an optimum":
        return failed(fit, design, found.certificate.sentence)
    theta = np.concatenate([found.theta, found.phi])
    optimum = Optimum(found.working_theta, theta, found.criterion, found.n_evaluations, True)
    return Refit(
        fit, found.design, fit.reml, found.beta, found.sigma, found.Lambda, found.theta, found.phi, found.criterion,
        found.is_singular, "", found.working, optimum,
    )  # fmt: skip


def _left(criterion: Criterion, optimum: Optimum) -> str:
    """What the certificate says where the search does not say itself that it has ended; empty at an optimum."""
    exact = criterion.working.products.exact
    solution = criterion.solve(criterion.working.stacked(optimum.working), exact)
    found = certify_point(criterion, optimum.working, solution, criterion.differentiate(solution, exact))
    return found.sentence if found.status == "not an optimum" else ""


def _unit_sizes(design: Any, working: Working) -> list[np.ndarray]:
    """What makes each term's Λ one of columns of unit size, in which zero is told from small."""
    return [unit_sizes(t, working.noise_scale) for t in design.terms]
