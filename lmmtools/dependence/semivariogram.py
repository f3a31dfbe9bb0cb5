"""The semivariogram of residuals, with what the fitted model leaves to be expected of it."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
import pandas as pd

from lmmtools.arguments import check_count
from lmmtools.dependence.common import (
    KINDS,
    check_kind,
    check_length,
    drawn_note,
    plain_format,
    simulated_note,
)
from lmmtools.dependence.laws import correlation_curve
from lmmtools.dependence.pairs import Pairs, bins_of, pairs_of
from lmmtools.dependence.places import Places, places_of
from lmmtools.dependence.reestimated import Reestimated, envelope, ranks_of
from lmmtools.formats import counted, shared_unit
from lmmtools.frames import Frame, frame
from lmmtools.resampling.blocks import generator_of

__all__ = ["Semivariogram", "semivariogram"]

# Of more pairs a sample of so many is looked at.
_MOST_PAIRS = 200_000
# Pairs that are kept one by one, for a picture.
_CLOUD = 3000


class Semivariogram(Frame):
    """Semivariances of residuals by distance, a row a bin.

    Attributes
    ----------
    kind : str
        ``"normalized"`` or ``"pearson"``.
    cloud : DataFrame
        ``distance, semivariance`` of single pairs: all of them, or a random sample.
    curve : DataFrame
        ``level, distance, semivariance``: that of the fitted model, where it is a function of distance.
    simulations, coverage : int, float
        Of the envelope.
    variable, group, unit, response : str
        What distances are of, within what, in what units, and what was fitted.
    pairs, total : int
        Pairs used, and in all.
    """

    _metadata: ClassVar[list[str]] = [
        *Frame._metadata, "kind", "cloud", "curve", "simulations", "coverage", "variable", "group", "unit", "response",
        "pairs", "total",
    ]  # fmt: skip
    kind: str = "normalized"
    cloud: pd.DataFrame | None = None
    curve: pd.DataFrame | None = None
    simulations: int = 0
    coverage: float = 0.0
    variable: str = ""
    group: str = ""
    unit: str = ""
    response: str = ""
    pairs: int = 0
    total: int = 0

    @property
    def _constructor(self) -> type[Semivariogram]:
        return Semivariogram


def semivariogram(
    fit: Any,
    kind: str = "normalized",
    *,
    time: Any = None,
    group: Any = None,
    bins: int = 20,
    max_distance: float | None = None,
    n: int = 199,
    level: float = 0.95,
    rng: Any = 1,
    most_pairs: int = _MOST_PAIRS,
) -> Semivariogram:
    """Half squared differences of residuals of one group, by the distance of their times or places.

    Parameters
    ----------
    fit : LMMFit
    kind : {"normalized", "pearson"}
        Residuals decorrelated by the fitted R, of which a semivariogram that is flat at one says that R describes them,
        or only over their standard deviations, of which it shows the correlation itself.
    time : str or array, optional
        Times, or coordinates in several columns, a value for each row used (a Series or DataFrame is matched by its
        labels); the residual structure's own positions if left out, which structures such as ``cs`` do not have.
    group : str or array, optional
        What rows are compared within: the residual structure's groups, else the grouping factor with most levels.
    bins : int
        A bin for each different distance where there are no more than this; else this many between quantiles.
    max_distance : float, optional
        The longest distance looked at; there are few pairs far apart.
    n : int
        Responses drawn for the envelope; 0 for none.
    level : float
        Least coverage of the envelope at each distance.
    rng : int or numpy.random.Generator
        For the envelope, and for the pairs where there are more than `most_pairs`.
    most_pairs : int
        Of more pairs a random sample of this size is used, which the notes say.

    Returns
    -------
    Semivariogram
        ``distance`` (the median of a bin's), ``pairs, semivariance``, and with an envelope ``low, high`` and the
        ``expected`` value, the mean over the responses drawn.

    Raises
    ------
    LMMError
        If an argument is wrong, or time or group cannot be found.
    ModelError
        If no group has two rows.

    Notes
    -----
    The envelope is that of the fitted model: responses are drawn from it; fixed effects, random effects and σ are
    estimated from each of them, the other covariance parameters are held at their estimates. So it allows for what
    estimating the mean and predicting random effects do to residuals, not for the uncertainty of these parameters: with
    few groups it is somewhat too narrow where they would follow the data, and too wide where they have followed them.
    It holds point by point, not for all distances at once.

    References
    ----------
    Pinheiro & Bates (2000), Mixed-effects models in S and S-PLUS, sec. 5.3, Springer; Diggle, Heagerty, Liang & Zeger
    (2002), Analysis of longitudinal data, sec. 3.4, Oxford.

    Examples
    --------
    >>> import lmmtools as lt
    >>> fit = lt.fit_gls("distance ~ age", lt.load_dataset("Orthodont"), residual="ar1(age | Subject)")
    >>> found = lt.semivariogram(fit, n=0)
    >>> found["distance"].tolist(), found["pairs"].tolist()
    ([2.0, 4.0, 6.0], [81, 54, 27])
    """
    what = "semivariogram"
    check_kind(kind, what)
    check_count(bins, f"{what}: bins", at_least=1)
    check_count(most_pairs, f"{what}: most_pairs", at_least=100)
    k, coverage = ranks_of(n, level, what)
    check_length(max_distance, f"{what}: max_distance")
    places = places_of(fit, time, group, what)
    rng = generator_of(rng, what)
    pairs = pairs_of(places, most_pairs, rng, what, max_distance)
    codes = bins_of(pairs.distance, bins)
    residual = fit.residuals(kind).to_numpy()
    value = 0.5 * (residual[pairs.i] - residual[pairs.j]) ** 2
    grouped = pd.DataFrame({"bin": codes, "distance": pairs.distance, "value": value}).groupby("bin")
    table = pd.DataFrame({"distance": grouped["distance"].median(), "pairs": grouped.size(),
                          "semivariance": grouped["value"].mean()}).reset_index(drop=True)  # fmt: skip
    if n:
        table["low"], table["high"], table["expected"] = envelope(_simulated(fit, kind, n, rng, pairs, codes), k)
    some = rng.choice(len(value), size=_CLOUD, replace=False) if len(value) > _CLOUD else np.arange(len(value))
    cloud = pd.DataFrame({"distance": pairs.distance[some], "semivariance": value[some]})
    return _shown(fit, table, kind, places, pairs, cloud, n, coverage)


def _simulated(fit: Any, kind: str, n: int, rng: np.random.Generator, pairs: Pairs, codes: np.ndarray) -> np.ndarray:
    """Semivariances of residuals of drawn responses, shape (n, bins)."""
    sizes, out = np.bincount(codes), []
    for block in Reestimated(fit, "semivariogram").draws(n, rng, kind):
        for r in block.T:
            r = np.ascontiguousarray(r)
            out.append(np.bincount(codes, weights=0.5 * (r[pairs.i] - r[pairs.j]) ** 2) / sizes)
    return np.array(out)


def _shown(
    fit: Any, table: pd.DataFrame, kind: str, places: Places, pairs: Pairs, cloud: pd.DataFrame, n: int, coverage: float
) -> Semivariogram:
    furthest = float(pairs.distance.max())
    if kind == "normalized":
        curve = pd.DataFrame({"level": "", "distance": [0.0, furthest], "semivariance": 1.0})
        curve = curve.iloc[: 0 if fit.design.terms else None]
    else:
        curve = correlation_curve(fit, furthest)
        curve = curve.assign(semivariance=1.0 - curve["correlation"]).drop(columns="correlation")
    within = f" within {places.group}" if places.group else ""
    unit = shared_unit(fit.design.units, places.variables)
    numbers = ("semivariance", "low", "high", "expected")
    made = frame(
        table,
        caption=f"Semivariogram of {KINDS[kind]} residuals by distance in {places.axis}{within}, "
        f"{counted(len(pairs.i), 'pair')} of rows",
        label=f"tbl-semivariogram-{kind}",
        notes=(*drawn_note(pairs), *simulated_note(n, coverage)),
        headings={"distance": "Distance", "pairs": "Pairs", "semivariance": "Semivariance", "low": "Envelope low",
                  "high": "high", "expected": "Expected"},
        formats={"distance": plain_format(table["distance"]), "pairs": "int", **dict.fromkeys(numbers, "fixed3")},
        index=False,
        cls=Semivariogram,
    )  # fmt: skip
    made.kind, made.cloud, made.curve, made.simulations, made.coverage = kind, cloud, curve, n, coverage
    made.variable, made.group, made.unit, made.response = places.axis, places.group, unit, fit.response
    made.pairs, made.total = len(pairs.i), pairs.total
    return made
