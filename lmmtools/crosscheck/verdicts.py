"""What is compared, and why two numbers differ: one verdict and one clause for each row.

Three questions are asked of every number. Is ours what the normal law gives at our parameters? Is theirs what
it gives at theirs? (Both are recomputed by `bygroup`, which is neither engine.) And is the gap between the two
sets of parameters accounted for: their point lies `Gap.short` deviance above ours in *both* engines' own
likelihoods, and the slope and curvature of the criterion along the difference say by how much. Only when all
three are answered is a difference explained.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from lmmtools.crosscheck.bygroup import Point

__all__ = ["EQUAL", "FLAT", "INEXPRESSIBLE", "JOINT", "MEANINGS", "NOT_RUN", "SHORT", "SINGULAR", "UNEXPLAINED"]
__all__ += ["Gap", "Row", "compare_numbers", "standard_error_rows"]

EQUAL = "equal"
SHORT = "statsmodels stopped short"
JOINT = "joint Hessian"
FLAT = "flat direction"
INEXPRESSIBLE = "not expressible there"
NOT_RUN = "not run"
SINGULAR = "singular there"
UNEXPLAINED = "unexplained"

MEANINGS = {
    EQUAL: "equal: the same to rounding (the bound of Higham 2002 for sums of n products, n eps, times the "
    "condition of the systems solved; for log-likelihoods 1e-9 of their size)",
    SHORT: "statsmodels stopped short: its optimiser ended at parameters that are worse in its own likelihood "
    "and in ours by the same amount; each number is right at its own engine's parameters",
    JOINT: "joint Hessian: statsmodels' standard errors invert the Hessian in fixed effects and covariance "
    "parameters together; computed at its parameters, that inverse is its number",
    FLAT: "flat direction: the likelihood is the same at both engines' parameters, the data do not tell them apart",
    INEXPRESSIBLE: "not expressible there: statsmodels' MixedLM cannot fit this model",
    SINGULAR: "singular there: its covariance matrix of the random effects cannot be inverted in double "
    "precision, and its standard errors invert it",
    NOT_RUN: "not run: the other engine was not asked, or gave up",
    UNEXPLAINED: "unexplained: a difference without a cause; one of the two engines is wrong here",
}


@dataclass(frozen=True)
class Row:
    """One line of the comparison."""

    quantity: str
    ours: float
    theirs: float
    verdict: str
    explanation: str


@dataclass(frozen=True)
class Gap:
    """How far apart the two sets of parameters are, measured in deviance.

    Attributes
    ----------
    ours, theirs : float
        -2 log-likelihood at their parameters less that at ours, by our criterion and by theirs.
    predicted : float
        The same from slope and curvature of the criterion at our parameters, by `bygroup`.
    bound : float
        Rounding of a deviance.
    flat : bool
        Whether our certificate found a direction that the data do not determine.
    """

    ours: float
    theirs: float
    predicted: float
    bound: float
    flat: bool = False

    @property
    def agreed(self) -> bool:
        """Whether the two engines' likelihoods give the same gap (two evaluations each)."""
        return abs(self.ours - self.theirs) <= 2 * self.bound

    @property
    def verdict(self) -> tuple[str, str]:
        """Verdict and clause for numbers that differ because the parameters do."""
        if not self.agreed:
            return UNEXPLAINED, f"the likelihoods disagree: {self.ours:.3g} and {self.theirs:.3g} apart"
        if self.ours < -self.bound:
            return UNEXPLAINED, f"theirs is the better point by {-self.ours:.2g} deviance"
        if self.ours > self.bound:
            return SHORT, f"by {self.ours:.2g} deviance"
        if self.flat:
            return FLAT, f"both likelihoods are equal at both points, to {self.bound:.1g}"
        if abs(self.predicted) <= 10 * self.bound:  # the quadratic's own third-order error among them
            return SHORT, f"by {max(self.predicted, 0.0):.1g} deviance, below the rounding of a likelihood"
        return UNEXPLAINED, f"slope and curvature predict {self.predicted:.2g} deviance, there is none"


def compare_numbers(
    quantity: str,
    ours: float,
    theirs: float,
    here: tuple[float, float],
    there: tuple[float, float],
    gap: Gap,
) -> Row:
    """Judge one number that is a function of the parameters.

    Parameters
    ----------
    quantity : str
    ours, theirs : float
        As each engine reports it.
    here, there : tuple
        (value, absolute rounding bound) recomputed at our parameters and at theirs.
    gap : Gap
    """
    if not abs(ours - here[0]) <= here[1]:
        text = f"ours should be {here[0]:.10g} at our own parameters"
        return Row(quantity, ours, theirs, UNEXPLAINED, text)
    if not abs(theirs - there[0]) <= there[1]:
        text = f"theirs should be {there[0]:.10g} at their own parameters"
        return Row(quantity, ours, theirs, UNEXPLAINED, text)
    if not np.isfinite(there[1]):
        return Row(quantity, ours, theirs, SINGULAR, "no digit of theirs can be checked")
    if abs(ours - theirs) <= 2 * here[1]:
        return Row(quantity, ours, theirs, EQUAL, "")
    return Row(quantity, ours, theirs, *gap.verdict)


def standard_error_rows(
    names: tuple[str, ...], ours: NDArray, variances: NDArray, here: Point, there: Point, gap: Gap
) -> list[Row]:
    """Judge standard errors: ours against sigma^2 S^-1, theirs against the inverse joint information.

    Where the two definitions agree at our parameters (balanced data), the parameters make the difference.
    """
    loss = here.rounding()[1] + here.variance_rounding
    expected = np.sqrt(np.diag(here.vcov))
    joint_here, at_ours = joint_variances(here)
    joint_there, bound = joint_variances(there)
    rows = []
    for j, name in enumerate(names):
        theirs = np.sqrt(variances[j]) if variances[j] > 0 else np.nan
        if not abs(ours[j] / expected[j] - 1) <= loss[j]:
            verdict = UNEXPLAINED, f"ours should be {expected[j]:.10g}, the root of sigma^2 (X'V^-1 X)^-1"
        elif not bound[j] < abs(joint_there[j]):
            verdict = SINGULAR, f"its covariance matrix has condition {np.linalg.cond(there.T):.0e}"
        elif not abs(variances[j] - joint_there[j]) <= bound[j]:
            verdict = (
                UNEXPLAINED,
                (f"theirs squared is {variances[j]:.8g}, the inverse joint Hessian has {joint_there[j]:.8g}"),
            )
        elif abs(ours[j] - theirs) <= 2 * ours[j] * loss[j]:
            verdict = EQUAL, ""
        elif abs(joint_here[j] - expected[j] ** 2) <= at_ours[j]:  # the two definitions agree on these data
            verdict = gap.verdict
        else:
            verdict = JOINT, _joint_text(joint_here[j], joint_there[j])
        rows.append(Row(f"standard error {name}", float(ours[j]), float(theirs), *verdict))
    return rows


def _joint_text(here: float, there: float) -> str:
    if not there > 0:
        return f"indefinite at their parameters (its entry is {there:.3g})"
    if not here > 0:
        return f"indefinite at our parameters ({here:.3g}); theirs is its inverse at theirs"
    return f"it gives {np.sqrt(here):.8g} at our parameters, {np.sqrt(there):.8g} at theirs"


def joint_variances(point: Point) -> tuple[NDArray, NDArray]:
    """Fixed effects' entries of the inverse joint information, and their absolute rounding bounds (p,).

    The same elementwise bound as `Point.rounding`.
    """
    J, p = point.joint_information(), len(point.beta)
    try:
        inverse = np.linalg.inv(J)
    except np.linalg.LinAlgError:  # an exactly singular information bounds nothing: no digit is left
        return np.full(p, np.nan), np.full(p, np.inf)
    spread = np.abs(inverse) @ np.sqrt(np.abs(np.diag(J)))
    return np.diag(inverse)[:p].copy(), point.unit * spread[:p] ** 2
