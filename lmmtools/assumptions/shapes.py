"""Whether residuals, and the random effects of each term, have the shape of normal ones."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from lmmtools.assumptions.look import picture
from lmmtools.assumptions.simulated import Drawn, Question
from lmmtools.assumptions.value import Finding, interval, judged, untested
from lmmtools.formats import counted, format_value

__all__ = ["of_effects", "of_residuals", "shape"]

CHECK = "Normal distribution"
# Fewer values have no shape; with fewer than the second only gross departures would show.
_LEAST, _FEW = 5, 20
# Correlations of effects this near to one are one.
_PERFECT = 1e-8


def of_residuals(fit: Any) -> Question | Finding:
    """W′ of the residuals; of normalized ones where residuals are correlated."""
    see = picture("qq_residuals")
    if fit.nobs < _LEAST:
        return untested(CHECK, "residuals", f"{fit.nobs} rows are too few", see)
    correlated = fit.design.correlation is not None

    def measure(drawn: Drawn) -> np.ndarray:
        return shape(drawn.normalized if correlated else drawn.residual)

    return Question(CHECK, "residuals", see, measure, _said(fit.nobs, "row"), "lower")


def of_effects(fit: Any, simulation: Any) -> Iterator[Question | Finding]:
    """W′ of the conditional modes of each effect of each term, over what their standard deviations are expected to be.

    References
    ----------
    Lange & Ryan (1989), Assessing normality in random effects models, Ann. Statist. 17.
    """
    for k, term in enumerate(fit.design.terms):
        for j, name in enumerate(term.names):
            of, levels = f"{term.group}: {name}", len(term.levels)
            see = picture("qq_ranef", factor=term.factor, effect=name)
            has = int(np.sum(simulation.mode_scale[k][:, j] > 0.0))
            if levels < _LEAST:
                yield untested(CHECK, of, f"{counted(levels, 'level')} {'is' if levels == 1 else 'are'} too few", see)
            elif (twin := _proportional(fit.Lambda[k], j)) is not None:
                yield untested(CHECK, of, f"its modes are those of {term.names[twin]} times a number", see)
            elif has < _LEAST:
                yield untested(CHECK, of, "the estimated variance is zero, so there are no modes to look at", see)
            else:
                yield Question(CHECK, of, see, _of_modes(k, j), _said(levels, "level"), "lower")


def _proportional(Lambda: np.ndarray, j: int) -> int | None:
    """An earlier effect with which this one is correlated by plus or minus one."""
    size = np.linalg.norm(Lambda, axis=1)
    for i in range(j):
        if size[i] * size[j] > 0.0 and abs(Lambda[i] @ Lambda[j]) > (1.0 - _PERFECT) * size[i] * size[j]:
            return i
    return None


def _of_modes(k: int, j: int) -> Any:
    def measure(drawn: Drawn) -> np.ndarray:
        return shape(drawn.modes[k][:, j])

    return measure


def shape(values: np.ndarray) -> np.ndarray:
    """Shapiro and Francia's W′, skewness and excess kurtosis of each column, shape (3, m).

    W′ is the squared correlation of the ordered values with normal scores, Φ⁻¹((i − 3/8)/(n + 1/4)).

    References
    ----------
    Shapiro & Francia (1972), An approximate analysis of variance test for normality, J. Am. Stat. Assoc. 67.
    """
    from scipy.special import ndtri

    n = len(values)
    rows = np.sort(np.ascontiguousarray(values.T), axis=1)
    scores = ndtri((np.arange(1, n + 1) - 0.375) / (n + 0.25))
    rows -= rows.mean(axis=1)[:, None]
    square = rows**2
    second = square.mean(axis=1)
    safe = np.where(second > 0.0, second, np.inf)
    w = (rows @ scores) ** 2 / (n * safe * (scores @ scores))
    skewness = np.einsum("mi,mi->m", square, rows) / n / safe**1.5
    kurtosis = np.einsum("mi,mi->m", square, square) / n / safe**2 - 3.0
    return np.array([w, skewness, kurtosis])


def _said(count: int, one: str) -> Any:
    def said(p_value: float, observed: np.ndarray, simulated: np.ndarray) -> str:
        skewness, kurtosis = (format_value(float(x), "fixed2") for x in observed[1:])
        few = f" With {counted(count, one)} only gross departures would show." if count < _FEW else ""
        return (
            f"Skewness {skewness}, excess kurtosis {kurtosis} (95 % of simulations: {interval(simulated[1])} and "
            f"{interval(simulated[2])}). {judged(p_value)}{few}"
        )

    return said
