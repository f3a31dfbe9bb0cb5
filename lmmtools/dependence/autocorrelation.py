"""The autocorrelation of residuals by the distance of their times, with limits and with what the model leaves."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
import pandas as pd

from lmmtools.arguments import check_count, check_level
from lmmtools.dependence.common import (
    KINDS,
    check_kind,
    check_length,
    drawn_note,
    plain_format,
    simulated_note,
)
from lmmtools.dependence.laws import correlation_at
from lmmtools.dependence.pairs import Pairs, pairs_of
from lmmtools.dependence.places import MOST_LAGS, Places, distinct, places_of
from lmmtools.dependence.reestimated import Reestimated, envelope, ranks_of
from lmmtools.errors import ModelError
from lmmtools.formats import counted
from lmmtools.frames import Frame, frame
from lmmtools.resampling.blocks import generator_of

__all__ = ["Autocorrelation", "autocorrelation"]

# Pairs at the lags looked at: of more, a sample of about so many.
_MOST_PAIRS = 2_000_000


class Autocorrelation(Frame):
    """Autocorrelations of residuals, a row a lag.

    Attributes
    ----------
    kind : str
        ``"normalized"`` or ``"pearson"``.
    level : float
        Coverage of the limits of independent residuals.
    simulations, coverage : int, float
        Of the envelope.
    variable, group, unit, response : str
        What lags are of, within what, in what units, and what was fitted.
    """

    _metadata: ClassVar[list[str]] = [
        *Frame._metadata, "kind", "level", "simulations", "coverage", "variable", "group", "unit", "response"
    ]  # fmt: skip
    kind: str = "normalized"
    level: float = 0.95
    simulations: int = 0
    coverage: float = 0.0
    variable: str = ""
    group: str = ""
    unit: str = ""
    response: str = ""

    @property
    def _constructor(self) -> type[Autocorrelation]:
        return Autocorrelation


def autocorrelation(
    fit: Any,
    kind: str = "normalized",
    *,
    time: Any = None,
    group: Any = None,
    max_lag: float | None = None,
    n: int = 199,
    level: float = 0.95,
    rng: Any = 1,
    most_pairs: int = _MOST_PAIRS,
) -> Autocorrelation:
    """Correlation of residuals of one group by the difference of their times, not of their rows.

    Parameters
    ----------
    fit : LMMFit
    kind : {"normalized", "pearson"}
        Residuals decorrelated by the fitted R, which should have no autocorrelation left, or only over their standard
        deviations.
    time, group : optional
        As of `semivariogram`; one time variable.
    max_lag : float, optional
        The longest lag, in units of time; if left out, as many lags as 10 log10 of their number and one, as in nlme.
    n, level, rng
        As of `semivariogram`; `level` is also that of the limits.
    most_pairs : int
        Of more pairs at the lags looked at a random sample of about this size is used, which the notes say.

    Returns
    -------
    Autocorrelation
        ``lag, pairs, autocorrelation``: Σ rᵢrⱼ over the pairs at a lag over their number, over Σ r² over the rows;
        ``limit``: where it would lie, either way of zero, if residuals were independent, z/√pairs; ``fitted``: the
        correlation that the structure has at the lag, for Pearson residuals without random effects; and with an
        envelope ``low, high, expected``.

    Raises
    ------
    LMMError
        If an argument is wrong, or time or group cannot be found.
    ModelError
        If no group has two rows, there are several coordinates, or times differ by so many different lags that
        hardly two pairs have the same.

    Notes
    -----
    The envelope is as of `semivariogram`. The limits take residuals for independent, which those of a fit are not:
    with random effects they are expected to be negatively correlated, and it is the envelope that counts.

    References
    ----------
    Pinheiro & Bates (2000), Mixed-effects models in S and S-PLUS, eq. 5.34, Springer.

    Examples
    --------
    >>> import lmmtools as lt
    >>> fit = lt.fit_gls("distance ~ age", lt.load_dataset("Orthodont"))
    >>> data = lt.load_dataset("Orthodont")
    >>> found = lt.autocorrelation(fit, time="age", group=data["Subject"], n=0)
    >>> round(float(found.loc[found["lag"] == 2, "autocorrelation"].iloc[0]), 4)
    0.6766
    """
    what = "autocorrelation"
    check_kind(kind, what)
    check_count(most_pairs, f"{what}: most_pairs", at_least=100)
    level = check_level(level)
    k, coverage = ranks_of(n, level, what)
    check_length(max_lag, f"{what}: max_lag")
    places = places_of(fit, time, group, what)
    rng = generator_of(rng, what)
    pairs = pairs_of(places, most_pairs, rng, what)
    lags, codes = _lags(places, pairs, max_lag, what)
    if pairs.sampled:  # all of them where they matter
        pairs = pairs_of(places, most_pairs, rng, what, float(lags[-1]))
        codes = np.clip(np.searchsorted(lags, pairs.distance - 1e-9 * lags[0]), 0, len(lags) - 1)
    residual = fit.residuals(kind).to_numpy()
    table = pd.DataFrame({"lag": lags, "pairs": np.bincount(codes[codes >= 0], minlength=len(lags))})
    table["autocorrelation"] = _statistic(residual, pairs, codes, len(lags))
    table["limit"] = _normal(level) / np.sqrt(table["pairs"])
    plain = kind == "pearson" and not fit.design.terms
    table["fitted"] = correlation_at(fit, lags) if plain and _one_law(fit) else np.nan
    if n:
        draws = [
            _statistic(np.ascontiguousarray(r), pairs, codes, len(lags))
            for block in Reestimated(fit, what).draws(n, rng, kind)
            for r in block.T
        ]
        table["low"], table["high"], table["expected"] = envelope(np.array(draws), k)
    return _shown(fit, table, kind, places, pairs, level, n, coverage)


def _lags(places: Places, pairs: Pairs, longest: float | None, what: str) -> tuple[np.ndarray, np.ndarray]:
    """The lags looked at, and which each pair has; −1 for none of them."""
    if places.positions.shape[1] != 1:
        raise ModelError(
            f"{what}: a lag is a difference of times, and {places.axis} are {places.positions.shape[1]} coordinates; "
            "look at semivariogram, which takes distances."
        )
    lags, codes = distinct(pairs.distance)
    if lags[0] == 0.0:
        row = int(pairs.i[np.flatnonzero(pairs.distance == 0.0)[0]])
        where = f"{places.names[places.occasion[row]]} of {places.group} {places.levels[places.codes[row]]}"
        raise ModelError(
            f"{what}: several rows have the same time (the first: {where}), so they have no lag between them."
        )
    if longest is None and len(lags) > MOST_LAGS:
        raise ModelError(
            f"{what}: {places.axis} has {len(lags):,} different lags among {counted(len(pairs.i), 'pair')}, too few "
            "pairs at each; pass time= as whole steps, such as the place of each row in its group, give max_lag, or "
            "look at semivariogram, which has bins."
        )
    if longest is None:
        keep = min(len(lags), max(int(10.0 * np.log10(len(lags) + 1)), 1))
    else:
        keep = int(np.searchsorted(lags, longest * (1.0 + 1e-12), side="right"))
    if not keep:
        raise ModelError(f"{what}: no lag is as short as max_lag = {longest:g}; the shortest is {lags[0]:g}.")
    return lags[:keep], np.where(codes < keep, codes, -1)


def _statistic(r: np.ndarray, pairs: Pairs, codes: np.ndarray, lags: int) -> np.ndarray:
    used = codes >= 0
    product = np.bincount(codes[used], weights=r[pairs.i[used]] * r[pairs.j[used]], minlength=lags)
    return product / np.bincount(codes[used], minlength=lags) / np.mean(r**2)


def _one_law(fit: Any) -> bool:
    c = fit.design.correlation
    return c is None or len(c.by_levels) == 1


def _normal(level: float) -> float:
    from scipy.special import ndtri

    return float(ndtri(0.5 + level / 2.0))


def _shown(
    fit: Any, table: pd.DataFrame, kind: str, places: Places, pairs: Pairs, level: float, n: int, coverage: float
) -> Autocorrelation:
    within = f" within {places.group}" if places.group else ""
    if table["fitted"].isna().all():
        table = table.drop(columns="fitted")
    numbers = ("autocorrelation", "limit", "fitted", "low", "high", "expected")
    made = frame(
        table,
        caption=f"Autocorrelation of {KINDS[kind]} residuals by lag in {places.axis}{within}",
        label=f"tbl-autocorrelation-{kind}",
        notes=(
            f"Limits: {100 * level:g} % of correlations of so many independent pairs, either way of zero.",
            *drawn_note(pairs), *simulated_note(n, coverage),
        ),
        headings={"lag": "Lag", "pairs": "Pairs", "autocorrelation": "Autocorrelation", "limit": "± limit",
                  "fitted": "Fitted", "low": "Envelope low", "high": "high", "expected": "Expected"},
        formats={"lag": plain_format(table["lag"]), "pairs": "int"} | dict.fromkeys(numbers, "fixed3"),
        index=False,
        cls=Autocorrelation,
    )  # fmt: skip
    made.kind, made.level, made.simulations, made.coverage = kind, level, n, coverage
    made.variable, made.group, made.response = places.axis, places.group, fit.response
    made.unit = fit.design.units.get(places.axis, "")
    return made
