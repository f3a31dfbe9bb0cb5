"""Against what distribution a likelihood ratio is held: χ², a mixture at the boundary, or none."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np

from lmmtools.collapsed import zero_directions
from lmmtools.comparison.boundary import null_distribution, shift_of, tangent_cones
from lmmtools.comparison.cones import NoCone
from lmmtools.comparison.mixture import Mixture, Shares, mixture_of
from lmmtools.core.charts import chart
from lmmtools.formats import format_value, shown
from lmmtools.nesting import Nesting, dimension, embedding, nothing

__all__ = ["BOUNDARY", "DRAWS", "Reference", "is_plain", "plain", "reference", "reference_notes"]

DRAWS = 20_000
# Weights are simulated from the same draws each time, so that a table made twice is the same table.
_SEED = 20_871_994
_NONE = "none"
BOUNDARY = (
    "A variance of zero lies on the boundary of what is possible (as does a nugget of zero, or independence where a "
    "correlation cannot be negative), where the likelihood ratio has a mixture of χ² distributions (Self & Liang 1987; "
    "Stram & Lee 1994) for a large number of groups; p is that of the mixture."
)
_REFUSED = (
    "No p-value where the smaller model has a variance at zero itself, where a parameter of the larger has no part in "
    "it, or where the ways off the boundary are not known: no χ² or mixture of them holds there. "
    "bootstrap_lrt(smaller, larger, n, rng) gives one by simulation."
)
_AT_BOUND = "a correlation is at its bound"
_ZERO = 1e-12


@dataclass(frozen=True)
class Reference:
    """A test's reference distribution.

    Attributes
    ----------
    words : str
    p_value : float
        The probability of a larger statistic; NaN where there is no distribution.
    error : float
        Its Monte-Carlo error; zero where nothing is simulated.
    """

    words: str
    p_value: float
    error: float = 0.0


def plain(df: int) -> str:
    """χ² in words."""
    return f"χ²({df})"


def is_plain(words: str, df: int) -> bool:
    """Whether a reference's words are those of χ² with all of a test's degrees of freedom."""
    return words == plain(df)


def reference_notes(words: Iterable[str]) -> tuple[str, ...]:
    """What to say under a table that has these references."""
    given = list(words)
    notes = [BOUNDARY] if any("+" in one or "χ̄²" in one for one in given) else []
    return (*notes, *([_REFUSED] if any(one.startswith(_NONE) for one in given) else []))


def reference(
    small: Any | None,
    large: Any,
    step: Nesting,
    chisq: float,
    *,
    draws: int = DRAWS,
    rng: np.random.Generator | None = None,
) -> Reference:
    """The reference distribution of one test, and the p-value from it.

    Parameters
    ----------
    small : LMMFit or None
        None for the larger's fixed effects without random ones.
    large : LMMFit
    step : Nesting
        How the one lies in the other.
    chisq : float
        The likelihood ratio, twice the difference of the log-likelihoods.
    draws : int
        For weights that are simulated.
    rng : numpy.random.Generator, optional
        The same draws each time when left out.

    Notes
    -----
    Where the models differ in means alone, χ² holds whatever the variances are. Otherwise the smaller model must lie
    inside its own set of covariances; the larger's tangent cone there decides between χ² and a mixture.
    """
    ours = (len(large.beta), 0) if small is None else dimension(small)
    if dimension(large)[1] == ours[1]:
        return _chi2(step.df, chisq)
    if step.residual.unknown:
        return Reference(f"{_NONE}: {step.residual.unknown}", np.nan)
    if small is not None and (why := _at_zero(small)):
        return Reference(f"{_NONE}: in the smaller model {why}", np.nan)
    rng = np.random.default_rng(_SEED) if rng is None else rng
    rays = step.residual.rays
    if not large.design.terms or step.same_terms:
        return _residual_alone(rays, step.df, chisq, draws, rng)
    try:
        found = nothing(large) if small is None or not small.design.terms else embedding(small, large)
        if found is None:
            raise NoCone("the larger model can give the smaller's covariance in several ways")
        cones = tangent_cones(found)
        if not any(cone.parameters for cone in cones):
            return _residual_alone(rays, step.df, chisq, draws, rng)
        if rays:
            raise NoCone("variances of zero are tested together with parameters of the residuals at their bounds")
        shift = shift_of(ours, large, cones)
        return _mixed(null_distribution(found, cones, large, shift=shift, draws=draws, rng=rng), chisq, draws)
    except NoCone as why:
        return Reference(f"{_NONE}: {why}", np.nan) if step.boundary else _chi2(step.df, chisq)


def _residual_alone(rays: int, df: int, chisq: float, draws: int, rng: np.random.Generator) -> Reference:
    """Where no variance of a random effect is tested: so many parameters of the residuals lie on their bounds."""
    if not rays:
        return _chi2(df, chisq)
    if rays > 1:
        return Reference(f"{_NONE}: {rays} parameters of the residuals lie on their bounds", np.nan)
    return _mixed(mixture_of(np.eye(1), 1, (), shift=df - 1, draws=draws, rng=rng), chisq, draws)


def _chi2(df: int, chisq: float) -> Reference:
    from scipy.special import chdtrc

    return Reference(plain(df), float(chdtrc(df, chisq)))


def _at_zero(small: Any) -> str:
    """What has no variance, or is on another bound, in the smaller fit itself."""
    zero = zero_directions(small.design, small.Lambda, small.sigma)
    if zero:
        return zero[0].clause
    here = chart(small.working, small.working_theta, reduced=True)
    if not (here.singular or here.held):
        return ""
    of_residual = [i for k, i in here.held if k == len(small.design.terms)]
    return f"`{small.design.residual.names[of_residual[0]]}` is at its bound" if of_residual else _AT_BOUND


def _mixed(found: Mixture | Shares, chisq: float, draws: int) -> Reference:
    p, error = found.tail(chisq)
    if isinstance(found, Shares):
        return Reference(f"χ̄² of the nearest of many rays, {draws:,} draws, p ± {_small(error)}", p, error)
    if not len(found.batches):
        shift = found.shift
        return Reference(f"½ χ²({shift}) + ½ χ²({shift + 1})", p)
    parts = [f"{format_value(w, 'fixed2')} χ²({found.shift + j})" for j, w in enumerate(found.weights) if w >= 0.005]
    return Reference(f"{' + '.join(parts)}, weights from {draws:,} draws, p ± {_small(error)}", p, error)


def _small(error: float) -> str:
    return shown(error, 1) if error > _ZERO else "0"
