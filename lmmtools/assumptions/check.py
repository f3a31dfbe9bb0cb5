"""All checks of a fit in one table."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from lmmtools.arguments import check_count
from lmmtools.assumptions.bends import linearity
from lmmtools.assumptions.look import picture
from lmmtools.assumptions.order import in_order
from lmmtools.assumptions.shapes import of_effects, of_residuals
from lmmtools.assumptions.simulated import Question, Simulation, asked
from lmmtools.assumptions.spread import against_fitted, between_levels
from lmmtools.assumptions.value import Assumptions, Finding, as_frame, untested
from lmmtools.assumptions.within import independence
from lmmtools.errors import LMMError, ModelError
from lmmtools.inference.contrasts import DDF, check_ddf
from lmmtools.resampling.blocks import generator_of

__all__ = ["check_assumptions"]


def check_assumptions(
    fit: Any, *, n: int = 499, rng: Any = 1, ddf: str = "satterthwaite", time: Any = None
) -> Assumptions:
    """What a fit takes for granted, each held against its data: how far off, how unusual that is, where to look.

    Parameters
    ----------
    fit : LMMFit
    n : int
        Responses drawn from the fitted model, for checks that have no exact reference; at least 99.
    rng : numpy.random.Generator or int
    ddf : {"satterthwaite", "kenward-roger", "kenward-roger-observed", "residual", "normal"}
        Denominator degrees of freedom of the F tests of what is added to the fixed part.
    time : optional
        What rows of a group are in order of, as for `lmmtools.autocorrelation`. If left out, the residual structure's
        own positions, else a numeric column that tells all rows of a group apart, else the order of the rows.

    Returns
    -------
    Assumptions
        A row a check, ``check, of, statistic, df, p_value, finding, see``: ``df`` has both degrees of freedom of an F,
        or says that the reference is by simulation; ``finding`` has the size of what was found; ``see`` the call that
        draws it, with the package as ``lt``, the fit as ``fit`` and its data as ``data``. A check that cannot be made
        has no number, and says why.

    Raises
    ------
    LMMError
        If an argument is wrong.

    Notes
    -----
    Constant variance, normality and autocorrelation are looked at on residuals given the random effects and on
    conditional modes, each over its own standard deviation under the model (`simulated`). These are correlated, and
    tests for independent values do not hold for them, so each is held against the same statistic of responses drawn
    from the fitted model. β, b and σ are estimated again from each; that the other covariance parameters were estimated
    from the same response moves a statistic by its regression on their scores, which is taken out (Pierce 1982).
    Linearity and independence are tested by adding columns to the fixed part and fitting all of it again, by REML.

    A departure of one kind shows in other rows as well: a curve left out makes residuals of neighbours alike, and few
    rows a group leave conditional modes little that is not normal, whatever the effects are.

    References
    ----------
    Glejser (1969), J. Am. Stat. Assoc. 64; Levene (1960), in Contributions to probability and statistics; Shapiro &
    Francia (1972), J. Am. Stat. Assoc. 67; Lange & Ryan (1989), Ann. Statist. 17; Mundlak (1978), Econometrica 46;
    Pierce (1982), The asymptotic effect of substituting estimators for parameters in certain types of statistics, Ann.
    Statist. 10.

    Examples
    --------
    >>> import lmmtools as lt
    >>> fit = lt.fit_lmm("Reaction ~ Days + (Days | Subject)", lt.load_dataset("sleepstudy"))
    >>> found = lt.check_assumptions(fit)
    >>> found.loc[found["p_value"] <= 0.01, "of"].tolist()
    ['residuals', 'residuals in order of Days within Subject']
    """
    if not hasattr(fit, "beta_cov"):
        raise LMMError(f"check_assumptions: takes a fit made by fit_lmm; got {type(fit).__name__}.")
    n = check_count(n, "check_assumptions: n, the number of simulations,", at_least=99)
    rng = generator_of(rng, "check_assumptions")
    if ddf not in DDF:  # any will do for what is added, which is fitted by REML
        check_ddf(ddf, fit, "check_assumptions")
    findings = [*_simulated(fit, n, rng, time), *linearity(fit, ddf), *independence(fit, ddf)]
    return as_frame(findings, n, fit)


def _simulated(fit: Any, n: int, rng: Any, time: Any) -> list[Finding]:
    """The rows whose reference is by simulation; one that says why where the model cannot be simulated so."""
    try:
        simulation = Simulation(fit)
        rows = list(_questions(fit, simulation, time))
        answered = iter(asked(simulation, [row for row in rows if isinstance(row, Question)], n, rng))
    except ModelError as error:
        why = str(error).removeprefix("check_assumptions: ").split(";")[0].rstrip(".")
        return [untested("Residuals and effects", "their variances, distributions and order", why)]
    return [next(answered) if isinstance(row, Question) else row for row in rows]


def _questions(fit: Any, simulation: Simulation, time: Any) -> Iterator[Question | Finding]:
    """What is asked by simulation, or cannot be asked."""
    yield against_fitted(fit)
    for factor, (codes, labels) in _factors(fit.design).items():
        see = picture("residuals_by_group", factor=factor)
        yield between_levels(factor, codes, labels, see, _has_variances(fit.design, factor))
    yield of_residuals(fit)
    yield from of_effects(fit, simulation)
    yield in_order(fit, time)


def _factors(design: Any) -> dict[str, tuple[np.ndarray, Any]]:
    """Codes and labels of the levels of every grouping factor and of every factor of the fixed part."""
    found = design.groupings | {
        name: own for name, own in design.recipe.observed.factors.items() if name not in design.groupings
    }
    return {name: (own.codes, own.levels) for name, own in found.items()}


def _has_variances(design: Any, factor: str) -> bool:
    parts = () if design.residual is None else design.residual.variances
    return any(part.kind == "varident" and tuple(part.variables) == (factor,) for part in parts)
