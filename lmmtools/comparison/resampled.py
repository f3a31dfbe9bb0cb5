"""The parametric bootstrap of a likelihood ratio: both models refitted to responses drawn from the smaller."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from lmmtools.arguments import check_count
from lmmtools.comparison.simulated import SimulatedTest, simulated_test
from lmmtools.comparison.together import criteria_of, named, require_comparable, require_fits, require_nested
from lmmtools.errors import ModelError
from lmmtools.formats import counted
from lmmtools.resampling.blocks import replicate
from lmmtools.resampling.refits import Refits
from lmmtools.results import estimate
from lmmtools.singular import least_squares

__all__ = ["bootstrap_lrt"]


def bootstrap_lrt(
    small: Any,
    large: Any,
    n: int = 1000,
    rng: Any = None,
    *,
    workers: int = 1,
    progress: bool | None = None,
) -> SimulatedTest:
    """Likelihood-ratio test of two nested fits against the ratio's distribution under the smaller, by refits.

    Parameters
    ----------
    small, large : LMMFit
        Of the same rows and by the same method; `small` may be None for the larger's fixed effects and residual
        structure without random effects.
    n : int
        Responses drawn from the smaller fit; both models are fitted to each.
    rng : numpy.random.Generator or int
    workers : int
        Processes; the result is the same whatever their number.
    progress : bool, optional
        Whether a bar is shown; by default where standard error is a terminal.

    Returns
    -------
    SimulatedTest
        ``.statistic .p_value .mc_error .method``; p is (r + 1)/(n + 1), r of the n ratios being at least as large as
        the statistic (Davison & Hinkley 1997, section 4.2). ``.failures`` and ``.singular`` say what became of the
        refits.

    Raises
    ------
    ModelError
        If the fits cannot be compared, as for `lrt`, or every refit failed.
    LMMError
        If `n` or `rng` is not what it should be.

    Notes
    -----
    No large-sample distribution is used, so that this holds for few groups, for variances at the boundary in the
    smaller model too, and for any number of parameters, as far as the ratio's distribution does not hang on the
    smaller model's true parameters.

    Examples
    --------
    >>> import lmmtools as lt
    >>> data = lt.load_dataset("Pastes")
    >>> small = lt.fit_lmm("strength ~ 1 + (1 | sample)", data)
    >>> large = lt.fit_lmm("strength ~ 1 + (1 | sample) + (1 | batch)", data)
    >>> lt.bootstrap_lrt(small, large, n=20, rng=1).failures
    ()
    """
    require_fits("bootstrap_lrt", (large,) if small is None else (small, large), at_least=1)
    check_count(n, "bootstrap_lrt: n, the number of refits,", at_least=1)
    null = _hypothesis(small, large)
    if small is None and large.design.residual is not None:
        small = estimate(_bare(large), reml=large.reml)
    if small is None:
        work, statistic = _Ratios(_Means(large), large, 0.0), least_squares(_bare(large), reml=large.reml)[0]
        statistic -= large.criterion
    else:
        small, large = (small, large) if small.npar <= large.npar else (large, small)
        require_comparable("bootstrap_lrt", small, large)
        require_nested("bootstrap_lrt", small, large)
        less, more = criteria_of([small, large])
        statistic = less - more
        work = _Ratios(Refits(small), large, statistic - (small.criterion - large.criterion))
    found = replicate(work, n, rng, nobs=large.nobs, workers=workers, progress=progress, what="bootstrap_lrt")
    values = np.array([value for value, _, _ in found])
    failures = tuple((k, reason) for k, (_, _, reason) in enumerate(found) if reason)
    if len(failures) == n:
        raise ModelError(f"bootstrap_lrt: none of the {counted(n, 'refit')} has an optimum: {failures[0][1]}")
    return simulated_test(
        max(float(statistic), 0.0),
        values,
        method=f"{'restricted ' if large.reml else ''}likelihood ratio, parametric bootstrap with {n:,} refits",
        null=null,
        ties=True,
        failures=failures,
        singular=sum(singular for _, singular, _ in found),
    )


def _hypothesis(small: Any | None, large: Any) -> str:
    if small is None:
        return f"no random effects in {named(large)}"
    small, large = (small, large) if small.npar <= large.npar else (large, small)
    return f"{named(small)} in {named(large)}"


def _bare(fit: Any) -> Any:
    return replace(fit.design, terms=())


class _Means:
    """The fixed effects of a fit, by least squares, in the place of a smaller model."""

    def __init__(self, fit: Any) -> None:
        self.fit, self.design = fit, _bare(fit)

    def simulate(self, m: int, rng: np.random.Generator) -> np.ndarray:
        """Responses drawn from the model without random effects, shape (nobs, m)."""
        d = self.design
        _, _, beta, _ = least_squares(d, reml=self.fit.reml)
        n, p = d.X.shape
        mean = d.mean(beta)
        root = np.ones(n) if d.weights is None else np.sqrt(d.weights)
        sigma = np.sqrt(np.sum((root * (d.y - mean)) ** 2) / (n - p if self.fit.reml else n))
        return mean[:, None] + sigma * rng.standard_normal((n, m)) / root[:, None]

    def criteria(self, Y: np.ndarray) -> list[tuple[float, str]]:
        """Criterion of each response, and that nothing went wrong."""
        return [(least_squares(replace(self.design, y=y), reml=self.fit.reml)[0], "") for y in Y.T]


class _Ratios:
    """Draws responses from the smaller model and gives ratio, whether the larger is singular, and what went wrong."""

    def __init__(self, small: Any, large: Any, coding: float) -> None:
        self.small, self.large, self.coding = small, Refits(large), coding

    def __call__(self, rng: np.random.Generator, m: int) -> list[tuple[float, bool, str]]:
        """The items of m replicates."""
        if isinstance(self.small, _Means):
            Y = self.small.simulate(m, rng)
            less = self.small.criteria(Y)
        else:
            Y = self.small.fit.simulate(m, rng)
            less = [(one.criterion, one.reason) for one in self.small(Y)]
        pairs = zip(less, self.large(Y), strict=True)
        # a larger model can only fit better; below zero is rounding
        return [
            (max(value - more.criterion + self.coding, 0.0) if not (why or more.reason) else np.nan,
             bool(more.is_singular), why or more.reason)
            for (value, why), more in pairs
        ]  # fmt: skip
