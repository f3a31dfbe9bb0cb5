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

from lmmtools.formats import shown

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from lmmtools.crosscheck.bygroup import Point

__all__ = ["EQUAL", "FLAT", "ILL", "INEXPRESSIBLE", "JOINT", "MEANINGS", "NOT_RUN", "SHORT", "UNEXPLAINED"]
__all__ += ["Gap", "Row", "Witness", "compare_numbers", "standard_error_rows"]

EQUAL = "equal"
SHORT = "statsmodels stopped short"
JOINT = "joint Hessian"
FLAT = "flat direction"
INEXPRESSIBLE = "not expressible there"
NOT_RUN = "not run"
ILL = "ill-conditioned there"
UNEXPLAINED = "unexplained"

_SIX = 1e-6  # digits asked of a number whose rounding bound promises less

MEANINGS = {
    EQUAL: "equal: the same to rounding (the bound of Higham 2002 for sums of n products, n·eps, times the "
    "condition of the systems solved; for log-likelihoods 10⁻⁹ of their size)",
    SHORT: "statsmodels stopped short: its optimiser ended at parameters that are worse in its own likelihood "
    "and in ours by the same amount; each number is right at its own engine's parameters",
    JOINT: "joint Hessian: statsmodels' standard errors invert the Hessian in fixed effects and covariance "
    "parameters together; computed at its parameters, that inverse is its number",
    FLAT: "flat direction: the data do not determine these numbers; along the direction that the fit's certificate "
    "names the likelihood is the same, each engine stops somewhere on it, and both are right",
    INEXPRESSIBLE: "not expressible there: statsmodels' MixedLM cannot fit this model",
    ILL: "ill-conditioned there: the other engine works in raw columns (and statsmodels inverts the covariance matrix "
    "of the random effects, below 10⁻¹⁰ by a pseudo-inverse); here that leaves its numbers no digits to compare",
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
    bound, bound_theirs, bound_predicted : float
        Rounding of each of the three.
    """

    ours: float
    theirs: float
    predicted: float
    bound: float
    bound_theirs: float
    bound_predicted: float

    @property
    def agreed(self) -> bool:
        """Whether the two engines' likelihoods give the same gap."""
        return abs(self.ours - self.theirs) <= self.bound + self.bound_theirs

    def verdict(self, *, flat: bool = False) -> tuple[str, str]:
        """Verdict and clause for a number that differs because the parameters do.

        `flat` says that a flat direction moves it.
        """
        if not self.agreed:
            return UNEXPLAINED, f"the likelihoods disagree: {shown(self.ours)} and {shown(self.theirs)} apart"
        if self.ours < -self.bound:
            return UNEXPLAINED, f"theirs is the better point by {shown(-self.ours, 2)} deviance"
        if flat:
            return FLAT, f"theirs is {shown(max(self.ours, 0.0), 1)} deviance above ours"
        if self.ours > self.bound:
            return SHORT, f"by {shown(self.ours, 2)} deviance"
        if abs(self.predicted) <= self.bound_predicted:
            return SHORT, f"by {shown(max(self.predicted, 0.0), 1)} deviance, below the rounding of a likelihood"
        return UNEXPLAINED, f"slope and curvature predict {shown(self.predicted, 2)} deviance, there is none"


@dataclass(frozen=True)
class Witness:
    """A number recomputed at one engine's parameters, its rounding bound, and the size that six digits are of."""

    value: float
    bound: float
    scale: float

    @property
    def tight(self) -> float:
        """The bound, or six digits where rounding may take more than that."""
        return min(self.bound, _SIX * self.scale)


def compare_numbers(
    quantity: str, ours: float, theirs: float, here: Witness, there: Witness, gap: Gap, *, flat: bool = False
) -> Row:
    """Judge one number, as each engine reports it, that is a function of the parameters.

    `flat` says that a flat direction moves it.
    """
    if not abs(ours - here.value) <= here.bound:
        verdict = UNEXPLAINED, f"ours should be {shown(here.value, 9)} at our own parameters"
    elif abs(ours - theirs) <= 2 * here.tight:
        verdict = EQUAL, ""
    elif not (abs(ours - here.value) <= here.tight and np.isfinite(there.bound)):
        verdict = ILL, "no six digits of it can be computed from raw columns"
    elif not abs(theirs - there.value) <= there.bound:
        verdict = UNEXPLAINED, f"theirs should be {shown(there.value, 9)} at their own parameters"
    else:
        verdict = gap.verdict(flat=flat)
    return Row(quantity, float(ours), float(theirs), *verdict)


def standard_error_rows(
    names: tuple[str, ...],
    ours: NDArray,
    variances: NDArray,
    here: Point,
    there: Point,
    gap: Gap,
    *,
    flat: bool = False,
) -> list[Row]:
    """Judge standard errors: ours against sigma^2 S^-1, theirs against the inverse joint information.

    Where the two definitions agree at our parameters (balanced data), the parameters make the difference. `flat`
    says that a flat direction moves V, and so the standard errors.
    """
    loss = here.rounding()[1] + here.variance_rounding
    expected = np.sqrt(np.diag(here.vcov))
    joint_here, at_ours = joint_variances(here)
    joint_there, bound = joint_variances(there)
    rows = []
    for j, name in enumerate(names):
        theirs = np.sqrt(variances[j]) if variances[j] > 0 else np.nan
        useful = bound[j] < abs(joint_there[j])  # else no digit is certain: six that agree will do
        reach = bound[j] if useful else _SIX * abs(joint_there[j])
        if not abs(ours[j] / expected[j] - 1) <= loss[j]:
            verdict = UNEXPLAINED, f"ours should be {shown(expected[j], 9)}, the root of σ²(X′V⁻¹X)⁻¹"
        elif not abs(variances[j] - joint_there[j]) <= reach:
            squared, inverse = shown(variances[j], 8), shown(joint_there[j], 8)
            text = f"theirs squared is {squared}, the inverse joint Hessian has {inverse}"
            verdict = (UNEXPLAINED if useful else ILL), text
        elif abs(ours[j] - theirs) <= 2 * ours[j] * min(loss[j], _SIX):
            verdict = EQUAL, ""
        elif abs(joint_here[j] - expected[j] ** 2) <= at_ours[j]:  # the two definitions agree on these data
            verdict = gap.verdict(flat=flat)
        else:
            verdict = JOINT, _joint_text(joint_here[j], joint_there[j])
        rows.append(Row(f"standard error {name}", float(ours[j]), float(theirs), *verdict))
    return rows


def _joint_text(here: float, there: float) -> str:
    if not there > 0:
        return f"indefinite at their parameters (its entry is {shown(there)})"
    if np.isnan(here):
        return "singular at our parameters; theirs is its inverse at theirs"
    if not here > 0:
        return f"indefinite at our parameters ({shown(here)}); theirs is its inverse at theirs"
    return f"it gives {shown(np.sqrt(here), 8)} at our parameters, {shown(np.sqrt(there), 8)} at theirs"


def joint_variances(point: Point) -> tuple[NDArray, NDArray]:
    """Fixed effects' entries of the inverse joint information, and their absolute rounding bounds (p,).

    The same elementwise bound as `Point.rounding`; its entries are of at most fourth degree in V^-1 r.
    """
    J, p = point.joint_information(), len(point.beta)
    try:
        inverse = np.linalg.inv(J)
    except np.linalg.LinAlgError:  # an exactly singular information bounds nothing: no digit is left
        return np.full(p, np.nan), np.full(p, np.inf)
    spread = np.abs(inverse) @ np.sqrt(np.abs(np.diag(J)))
    return np.diag(inverse)[:p].copy(), 4 * point.residual_rounding * spread[:p] ** 2
