"""Residuals of the response observed, and of responses drawn from the fitted model, all taken alike."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import numpy as np

from lmmtools.dependence.reestimated import Reestimated
from lmmtools.inference.variances import relative_variance
from lmmtools.noise import residual_covariance
from lmmtools.resampling import Refits, replicate
from lmmtools.simulate import simulate

__all__ = ["REFITS", "Residuals", "residuals_of_draws"]

WHAT = "quantile_residuals"
REFITS = (False, "profiled", True)
_INSTEAD = "use refit=False, which estimates nothing again"
# Numbers held at a time.
_AT_ONCE = 4_000_000


@dataclass(frozen=True)
class Residuals:
    """Residuals over the standard deviations that the model gives them, of the data and of what was drawn.

    Attributes
    ----------
    z : ndarray, shape (n, 1 + draws)
        The data's first.
    along : ndarray, shape (n,) or (n, 1 + draws)
        Predictions: Xβ̂ + offset of the fit, or of each response its own ŷ.
    failures : tuple of str
        Reasons of refits that have no estimates.
    singular : int
        Refits that are singular.
    """

    z: np.ndarray
    along: np.ndarray
    failures: tuple[str, ...] = ()
    singular: int = 0


def residuals_of_draws(
    fit: Any, n: int, rng: np.random.Generator, *, conditional: bool, refit: bool | str, workers: int, progress: Any
) -> Residuals:
    """Residuals of the data and of n responses drawn from the model; see `quantile_residuals`."""
    if refit is True:
        return _refitted(fit, n, rng, conditional, workers, progress)
    parts = (_profiled if refit else _known)(fit, n, rng, conditional)
    z = np.empty((fit.nobs, n + 1))
    along = np.empty_like(z) if conditional and refit else None
    start = 0
    for more, fitted in parts:
        z[:, start : start + more.shape[1]] = more
        if along is not None:
            along[:, start : start + more.shape[1]] = fitted
        start += more.shape[1]
    if along is None:
        along = fit.fitted.to_numpy() if conditional else fit.design.mean(fit.beta)
    return Residuals(z, along)


def marginal_sd(model: Any) -> np.ndarray:
    """Standard deviations of the rows over σ, √V_ii."""
    variance = model.noise.sd**2
    for term, Lambda in zip(model.design.terms, model.Lambda, strict=True):
        variance = variance + relative_variance(term, Lambda)
    return np.sqrt(variance)


def _known(fit: Any, n: int, rng: np.random.Generator, conditional: bool) -> Iterator[tuple[np.ndarray, Any]]:
    """Draws around the estimates, or around the fitted values, taken for known."""
    if conditional:
        yield fit.residuals("pearson").to_numpy()[:, None], None
    else:
        mean, sd = fit.design.mean(fit.beta), fit.sigma * marginal_sd(fit)
        yield ((fit.design.y - mean) / sd)[:, None], None
    step = max(_AT_ONCE // fit.nobs, 1)
    for start in range(0, n, step):
        m = min(step, n - start)
        if conditional:
            yield fit.noise.colour(rng.standard_normal((fit.nobs, m))) / fit.noise.sd[:, None], None
        else:
            yield (simulate(fit, m, rng) - mean[:, None]) / sd[:, None], None


class _Own:
    """Residuals of any response, β and σ estimated from it at a model's θ and φ.

    Parameters
    ----------
    model : object
        With `design`, `nobs`, `reml`, `Lambda` and `noise`, as a fit has them.
    conditional : bool
    """

    def __init__(self, model: Any, conditional: bool) -> None:
        self.model, self.conditional = model, conditional
        self.left = Reestimated(model, WHAT, _INSTEAD)
        self.sd = model.noise.sd if conditional else marginal_sd(model)

    def __call__(self, w: np.ndarray) -> tuple[np.ndarray, np.ndarray | None]:
        """Of whitened responses, shape (n, m): z, and e = y − ŷ where conditional."""
        e, sigma = self.left.estimated(w)
        if not self.conditional and self.left.U is not None:
            e = e + self.left.U @ (self.left.U.T @ e)  # Aε = y − Xβ*
        raw = self.model.noise.colour(e)
        return raw / self.sd[:, None], raw * sigma if self.conditional else None

    def of_its_own(self, beta: np.ndarray) -> tuple[np.ndarray, np.ndarray | None]:
        """z, and ŷ where conditional, shape (n, 1), of the model's own response: less its mean, as draws are."""
        design = self.model.design
        z, e = self(self.model.noise.whiten(design.y - design.mean(beta))[:, None])
        return z, None if e is None else design.y[:, None] - e


def _profiled(fit: Any, n: int, rng: np.random.Generator, conditional: bool) -> Iterator[tuple[np.ndarray, Any]]:
    """Draws with β and σ of their own, at the fit's θ and φ; so is the data's, which are the fit's."""
    own, mean = _Own(fit, conditional), fit.design.mean(fit.beta)
    yield own.of_its_own(fit.beta)
    for w in own.left.responses(n, rng):
        z, e = own(w)
        yield z, mean[:, None] + fit.sigma * (fit.noise.colour(w) - e) if conditional else None


class _Refitting:
    """What `replicate` does: responses drawn, the model fitted to each, and its residuals."""

    def __init__(self, fit: Any, conditional: bool) -> None:
        self.fit, self.conditional, self.refits = fit, conditional, Refits(fit)

    def __call__(self, rng: np.random.Generator, m: int) -> list[Any]:
        """Of each response z, ŷ or None, and whether the refit is singular; or the reason why there are none."""
        found: list[Any] = []
        for refit in self.refits(simulate(self.fit, m, rng)):
            found.append((*_at_own(refit, self.conditional), refit.is_singular) if refit.ok else refit.reason)
        return found


def _at_own(refit: Any, conditional: bool) -> tuple[np.ndarray, np.ndarray | None]:
    """z, and ŷ where conditional, of a response at all its own estimates."""
    design = refit.design
    model = SimpleNamespace(
        design=design, nobs=len(design.y), reml=refit.reml, Lambda=refit.Lambda,
        noise=residual_covariance(design, refit.phi),
    )  # fmt: skip
    z, fitted = _Own(model, conditional).of_its_own(refit.fixef.to_numpy())
    return z[:, 0], None if fitted is None else fitted[:, 0]


def _refitted(
    fit: Any, n: int, rng: np.random.Generator, conditional: bool, workers: int, progress: bool | None
) -> Residuals:
    """Draws with all parameters of their own."""
    work = _Refitting(fit, conditional)
    items = replicate(work, n, rng, nobs=fit.nobs, workers=workers, progress=progress, what=WHAT)
    good = [item for item in items if not isinstance(item, str)]
    z, fitted = _Own(fit, conditional).of_its_own(fit.beta)
    along = fit.design.mean(fit.beta)
    if fitted is not None:
        along = np.column_stack([fitted[:, 0], *(item[1] for item in good)])
    return Residuals(
        np.column_stack([z[:, 0], *(item[0] for item in good)]), along,
        tuple(item for item in items if isinstance(item, str)), sum(item[2] for item in good),
    )  # fmt: skip
