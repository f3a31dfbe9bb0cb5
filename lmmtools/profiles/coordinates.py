"""The criterion of a fit as a function of a few of its parameters, the others at their estimates."""

from __future__ import annotations

from typing import Any

import numpy as np

from lmmtools.core.covariance import theta_names
from lmmtools.core.criterion import Criterion
from lmmtools.errors import LMMError
from lmmtools.formats import effect_unit, quoted, visible

__all__ = ["SCALES", "SIGMA", "Coordinates", "known_parameters"]

#: The name of the residual standard deviation.
SIGMA = "sigma"
SCALES = ("theta", "variance")


class Coordinates:
    """θ, φ and σ of a fit by name, on one of `SCALES`.

    Parameters
    ----------
    fit : LMMFit
    names : tuple of str
        The parameters that vary.
    scale : str

    Raises
    ------
    LMMError
        If the scale is unknown, or one of the parameters stands for no variance where variances are asked for.
    """

    def __init__(self, fit: Any, names: tuple[str, ...], scale: str) -> None:
        if scale not in SCALES:
            raise LMMError(f"criterion_grid: scale must be {' or '.join(map(repr, SCALES))}; got {scale!r}.")
        self.fit, self.names, self.variances = fit, names, scale == "variance"
        self._base = Criterion(fit.design, reml=fit.reml, working=fit.working)
        self._estimate = np.append(fit.theta, fit.phi)
        self._places = {name: k for k, name in enumerate(known_parameters(fit))}
        self._at_sigma: dict[float, Criterion] = {}
        self._effects = self._uncorrelated()
        if self.variances:
            self._check_variances()

    def _uncorrelated(self) -> dict[str, str]:
        """Elements of θ that are standard deviations of uncorrelated effects, each with its effect."""
        found, start = {}, 0
        for term in self.fit.design.terms:
            m = len(theta_names(term.structure, term.factor, term.names))
            if term.structure in ("diag", "homdiag") or (term.structure == "us" and m == 1):
                found |= dict(zip(self.fit.theta_names[start : start + m], term.names, strict=False))
            start += m
        return found

    def _check_variances(self) -> None:
        if SIGMA not in self.names:
            raise LMMError('criterion_grid: variances θ²σ² need σ: name "sigma" among the parameters too.')
        if wrong := [name for name in self.names if name != SIGMA and name not in self._effects]:
            raise LMMError(
                f"criterion_grid: {quoted(wrong)} is not the standard deviation of uncorrelated effects and stands for "
                'no variance; use scale="theta".'
            )

    @property
    def held(self) -> tuple[str, ...]:
        """Parameters that stay at their estimates."""
        return tuple(name for name in self._places if name not in self.names)

    def optimum(self, name: str) -> float:
        """The estimate of a parameter."""
        value = self.fit.sigma if name == SIGMA else self._estimate[self._places[name]]
        if not self.variances:
            return float(value)
        return float(value**2 if name == SIGMA else (value * self.fit.sigma) ** 2)

    @property
    def size(self) -> float:
        """What a random effect as large as the residuals is on this scale."""
        return float(self.fit.sigma**2) if self.variances else 1.0

    def word(self, name: str) -> str:
        """What a parameter is called."""
        if name == SIGMA:
            return "σ²" if self.variances else "σ"
        return f"variance of {visible(name)}" if self.variances else visible(name)

    def unit(self, name: str) -> str:
        """σ has that of the response and its variance the square of it; θ and φ have none."""
        units, response = self.fit.design.units, self.fit.response
        if name != SIGMA and not self.variances:
            return ""
        own = units.get(response) if name == SIGMA else effect_unit(units, response, self._effects[name])
        if not own or not self.variances:
            return own or ""
        return f"({own}) squared" if " " in own else f"{own} squared"

    def bounds(self, name: str) -> tuple[float, float]:
        """Lower and upper bound of a parameter; zero for what is a standard deviation."""
        if name == SIGMA:
            return 0.0, np.inf
        if self.variances:
            return 0.0, np.inf
        working, own = self._base.bounds, self._places[name]
        low, high = float(working[0][own]), float(working[1][own])
        return (0.0 if own in self._deviations() else low), high

    def _deviations(self) -> set[int]:
        """Places of θ at which Λ has its diagonal, whose sign has no meaning."""
        found, start = set(), 0
        for term in self.fit.design.terms:
            m = len(theta_names(term.structure, term.factor, term.names))
            q = len(term.names)
            if term.structure == "us":  # the lower triangle by columns
                found |= {start + j * q - j * (j - 1) // 2 for j in range(q)}
            elif term.structure in ("diag", "homdiag"):
                found |= set(range(start, start + m))
            start += m
        return found

    def __call__(self, place: tuple[float, ...]) -> float:
        """The criterion where the parameters have these values; NaN where it has none."""
        values = dict(zip(self.names, place, strict=True))
        at, sigma = self._estimate.copy(), values.pop(SIGMA, None)
        if self.variances and sigma is not None:
            sigma = np.sqrt(sigma)
        if sigma is not None and not sigma > 0.0:
            return np.nan
        for name, value in values.items():
            at[self._places[name]] = np.sqrt(value) / sigma if self.variances else value
        try:
            with np.errstate(all="ignore"):
                return self._criterion(sigma)(at)
        except (LMMError, ArithmeticError, np.linalg.LinAlgError):  # singular there, or too large for floats
            return np.nan

    def _criterion(self, sigma: float | None) -> Criterion:
        if sigma is None:
            return self._base
        if sigma not in self._at_sigma:
            self._at_sigma[sigma] = self._base.held(sigma=float(sigma))
        return self._at_sigma[sigma]


def known_parameters(fit: Any) -> tuple[str, ...]:
    """Names of θ and of φ."""
    residual = getattr(fit.design, "residual", None)
    return (*fit.theta_names, *(residual.names if residual is not None else ()))
