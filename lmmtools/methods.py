"""What a fit can be asked about its parameters: the methods of `LMMFit` that answer it."""

from __future__ import annotations

from functools import cached_property
from inspect import signature
from typing import Any

from lmmtools.errors import LMMError
from lmmtools.formats import nearest
from lmmtools.frames import Frame
from lmmtools.inference.satterthwaite import Satterthwaite, satterthwaite
from lmmtools.inference.testing import contrast_tests
from lmmtools.inference.wald import coef_table, wald_confint

__all__ = ["InferenceMethods"]

_INTERVALS = ("profile", "wald", "bootstrap")


class InferenceMethods:
    """Tests, degrees of freedom and intervals of a fitted model; each is told in its own module."""

    @cached_property
    def satterthwaite(self) -> Satterthwaite:
        """What Satterthwaite's degrees of freedom of any contrast are made of."""
        return satterthwaite(self)

    @cached_property
    def kenward_roger(self) -> Any:
        """Kenward and Roger's adjusted covariance of β̂, and what their degrees of freedom are made of."""
        from lmmtools.inference.kenward_roger import kenward_roger

        return kenward_roger(self)

    @cached_property
    def kenward_roger_observed(self) -> Any:
        """The same with the observed information about covariance parameters, as SAS PROC MIXED and mmrm take it."""
        from lmmtools.inference.kenward_roger import kenward_roger

        return kenward_roger(self, "observed")

    def coef_table(self, ddf: str = "satterthwaite", level: float = 0.95) -> Frame:
        """Estimates with tests and intervals; see `lmmtools.inference.wald.coef_table`."""
        return coef_table(self, ddf=ddf, level=level)

    def test(
        self, contrasts: Any, *, ddf: str = "satterthwaite", joint: bool = True, rhs: Any = 0.0, level: float = 0.95
    ) -> Frame:
        """Tests of linear functions of the fixed effects; see `lmmtools.inference.testing.contrast_tests`."""
        return contrast_tests(self, contrasts, ddf=ddf, joint=joint, rhs=rhs, level=level)

    def anova(self, type: int = 3, ddf: str = "satterthwaite") -> Frame:
        """F tests of the fixed terms; see `lmmtools.inference.anova.anova`."""
        from lmmtools.inference.anova import anova

        return anova(self, type=type, ddf=ddf)

    def confint(self, method: str = "profile", level: float = 0.95, **options: Any) -> Frame:
        """Confidence intervals ``low, high`` of fixed effects, sd's, correlations and σ.

        Parameters
        ----------
        method : {"profile", "wald", "bootstrap"}
            By the profile likelihood, by the normal distribution (fixed effects only), or by the parametric bootstrap.
        level : float
        **options
            Of the bootstrap: see `lmmtools.resampling.bootstrap_confint`.
        """
        if method not in _INTERVALS:
            names = ", ".join(f'"{name}"' for name in _INTERVALS)
            raise LMMError(f"confint: method={method!r} is unknown{nearest(str(method), _INTERVALS)}; use {names}.")
        if options and method != "bootstrap":
            raise LMMError(f'confint: {", ".join(options)} goes with method="bootstrap" only.')
        if method == "wald":
            return wald_confint(self, level)
        if method == "profile":
            from lmmtools.profiles import profile_confint

            return profile_confint(self, level)
        from lmmtools.resampling import bootstrap_confint

        known = tuple(signature(bootstrap_confint).parameters)[2:]
        for name in options:
            if name not in known:
                raise LMMError(f"confint: {name} is no option of the bootstrap{nearest(name, known)}; these are "
                               f"{', '.join(known)}.")  # fmt: skip
        return bootstrap_confint(self, level, **options)
