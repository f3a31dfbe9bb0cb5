"""The function: draws, ranks, tests, and the words around them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from lmmtools.arguments import check_count, check_flag
from lmmtools.dependence.reestimated import ranks_of
from lmmtools.errors import LMMError, ModelError
from lmmtools.formats import counted
from lmmtools.resampling.blocks import generator_of
from lmmtools.uniformity import statistics
from lmmtools.uniformity.bands import quantile_band, quartile_bands
from lmmtools.uniformity.checks import Ranked, checks_of, groups_table, tests_table
from lmmtools.uniformity.levels import distances, levels_of
from lmmtools.uniformity.notes import caption_of, failures_note, notes_of
from lmmtools.uniformity.ranks import along_ranks, determined, row_ranks
from lmmtools.uniformity.responses import REFITS, WHAT, Residuals, residuals_of_draws
from lmmtools.uniformity.value import QuantileResiduals

__all__ = ["quantile_residuals"]

# Draws for limits of 95 %, at least; rows for a distribution to be looked at.
_FEWEST, _ROWS, _LEVEL = 39, 5, 0.95


def quantile_residuals(
    fit: Any,
    n: int = 250,
    rng: Any = 1,
    *,
    conditional: bool = False,
    refit: bool | str = "profiled",
    by: Any = None,
    workers: int = 1,
    progress: bool | None = None,
) -> QuantileResiduals:
    r"""Quantile residuals: where each residual lies among those of responses drawn from the fitted model.

    If the model is true they are uniform between 0 and 1 in every row, whatever the model is. Tests say whether they
    are; their p-values come from the draws themselves and so allow for rows of a group that are correlated.

    Parameters
    ----------
    fit : LMMFit
    n : int
        Responses drawn, 39 at least.
    rng : numpy.random.Generator, numpy.random.SeedSequence or int
    conditional : bool
        Whether residuals are those given the random effects, y − ŷ, or deviations from the mean, y − Xβ̂ − offset, which
        look at the whole model (the default, as in DHARMa).
    refit : {"profiled", True, False}
        What is estimated again from each drawn response: β and σ, and the random effects if conditional, at θ̂ and φ̂,
        which has a closed form; every parameter, which takes n fits; or nothing, as DHARMa does by default, so that
        draws deviate more from their mean than the data do from theirs, and tests reject too rarely.
    by : str or array_like, optional
        A factor of the model, random or fixed, or a value for each row used: levels are compared, and looked at one by
        one.
    workers : int
        Processes for refits.
    progress : bool, optional
        Whether refits show a bar; by default where standard error is a terminal.

    Returns
    -------
    QuantileResiduals
        ``.residuals`` (r + ½)/(n + 1), r of the n drawn residuals of the row being smaller; ``.tests``; ``.groups``.

    Raises
    ------
    LMMError
        If an argument is wrong.
    ModelError
        If there are too few rows, hardly any refit has an optimum, or groups of correlated residuals reach across very
        many levels of random effects.

    Notes
    -----
    Residuals are taken over the standard deviation that the model gives them. Tests:

    - uniformity: Kolmogorov and Smirnov's distance of all residuals from the uniform distribution;
    - dispersion: their mean square, over its mean among draws. Of a linear model it has hardly any power, since σ is
      estimated;
    - outliers: rows beyond everything that was drawn for them, 2/(n + 1) of all on average;
    - location and spread along predictions: R² of u, and of \|2u − 1\|, on a parabola in the rank of the prediction;
    - with `by`, location and spread between levels: the share of the sum of squares of the same that lies between them,
      and the largest distance within any level.

    p = (1 + number of draws as extreme as the data)/(n + 1), twice the smaller side for dispersion and outliers. At the
    true θ and φ, and with ``"profiled"``, the data's residuals are one of n + 1 exchangeable sets (they depend neither
    on β nor on σ), so P(p ≤ α) ≤ α exactly. That θ̂ and φ̂ are estimates makes tests conservative where groups are
    few, the marginal ones most; ``refit=True`` accounts for it. DHARMa's residual is r/n.

    References
    ----------
    Dunn & Smyth (1996), Randomized quantile residuals, J. Comput. Graph. Statist. 5(3), 236-244; Hartig (2024), DHARMa:
    residual diagnostics for hierarchical regression models, R package; Barnard (1963), discussion of Bartlett, JRSS B
    25(2), 294, for the test; Westfall & Young (1993), Resampling-based multiple testing, Wiley, for the levels.

    Examples
    --------
    >>> import lmmtools as lt
    >>> fit = lt.fit_lmm("Reaction ~ Days + (Days | Subject)", lt.load_dataset("sleepstudy"))
    >>> found = lt.quantile_residuals(fit, conditional=True)
    >>> list(found.tests.index)
    ['uniformity', 'dispersion', 'outliers', 'location along ŷ', 'spread along ŷ']
    """
    rng = _checked(fit, n, rng, conditional, refit, by)
    conditional = bool(conditional and fit.design.terms)  # without random effects ŷ is Xβ̂ + offset
    drawn = residuals_of_draws(
        fit, n, rng, conditional=conditional, refit=refit, workers=workers, progress=progress
    )  # fmt: skip
    draws, happened = drawn.z.shape[1] - 1, failures_note(drawn.failures, drawn.singular, n)
    if draws < _FEWEST:
        raise ModelError(
            f"{WHAT}: {draws} of {n:,} refits have an optimum, fewer than the {_FEWEST} needed. {happened[0]} "
            'Use refit="profiled", which fits nothing again.'
        )
    rows = determined(drawn.z)
    predicted = (drawn.along if drawn.along.ndim == 1 else drawn.along[:, 0]).copy()
    seen = _ranked(fit, drawn, rows, by, conditional)
    checks = checks_of(seen)
    # Draws around ŷ, random effects taken for known, are no draws of what the data's residuals are.
    valid = refit is not False or not conditional
    k, coverage = ranks_of(draws, _LEVEL, WHAT)
    u = np.full(fit.nobs, np.nan)
    u[rows] = (seen.ranks[:, 0] + 0.5) / (draws + 1)
    index = fit.design.index
    notes = notes_of(fit, draws, len(checks), refit, conditional, index[~rows], seen.flat, valid)
    return QuantileResiduals(
        residuals=pd.Series(u, index=index, name="quantile residual"),
        tests=tests_table(checks, caption_of(fit, draws, conditional), (*notes, *happened), valid),
        groups=groups_table(seen, valid),
        predicted=pd.Series(predicted, index=index, name="predicted"),
        quantiles=quantile_band(seen.counts, k), quartiles=quartile_bands(seen.ranks, seen.along, k),
        n=draws, coverage=coverage, conditional=conditional, refit=refit, failures=drawn.failures,
        singular=drawn.singular, response=fit.response, unit=fit.design.units.get(fit.response, ""),
        by="" if seen.levels is None else seen.levels.name,
    )  # fmt: skip


def _checked(fit: Any, n: int, rng: Any, conditional: bool, refit: bool | str, by: Any) -> np.random.Generator:
    """The source of random numbers, where all arguments are right: mistakes are told before anything is drawn."""
    if getattr(fit, "design", None) is None:
        raise LMMError(f"{WHAT}: takes a fit; got {type(fit).__name__}.")
    check_flag(conditional, f"{WHAT}: conditional")
    if not any(type(refit) is type(known) and refit == known for known in REFITS):
        raise LMMError(f'{WHAT}: refit={refit!r} is unknown; use "profiled" (β and σ), True (all parameters) or False.')
    check_count(n, f"{WHAT}: n, the number of responses drawn,", at_least=_FEWEST)
    if fit.nobs < _ROWS:
        raise ModelError(f"{WHAT}: {counted(fit.nobs, 'row')} say nothing of a distribution; {_ROWS} at least do.")
    if by is not None:
        levels_of(fit, by, np.ones(fit.nobs, dtype=bool), WHAT)
    return generator_of(rng, WHAT)


def _ranked(fit: Any, drawn: Residuals, rows: np.ndarray, by: Any, conditional: bool) -> Ranked:
    """Ranks of the rows looked at, and what belongs to them."""
    z, along = (drawn.z, drawn.along) if rows.all() else (drawn.z[rows], drawn.along[rows])
    ranks = row_ranks(z)
    if along.ndim == 1:
        along = along_ranks(along)
    else:
        for k in range(along.shape[1]):  # in place: predictions of all draws take as much room as all residuals
            along[:, k] = along_ranks(along[:, k])
    levels = None if by is None else levels_of(fit, by, rows, WHAT)
    far = None if levels is None else distances(ranks, levels)
    return Ranked(z, ranks, statistics.counts_of(ranks), along, levels, far, "ŷ" if conditional else "Xβ̂")
