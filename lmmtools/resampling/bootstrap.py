"""The bootstrap: replicates of a fit's numbers from responses, residuals or clusters drawn anew."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from lmmtools.arguments import check_count, check_level
from lmmtools.errors import LMMError, ModelError
from lmmtools.formats import counted, listed
from lmmtools.frames import Frame
from lmmtools.resampling.blocks import check_rng, replicate
from lmmtools.resampling.clusters import Clusters, cluster_factor
from lmmtools.resampling.draws import Parametric, Residual
from lmmtools.resampling.parameters import Parameters, Statistic, taken
from lmmtools.resampling.refits import Refits
from lmmtools.resampling.result import Bootstrap, Run, bootstrap_frame, check_interval

__all__ = ["KINDS", "bootstrap", "bootstrap_confint"]

KINDS = ("parametric", "residual", "cluster")


def bootstrap(
    fit: Any,
    n: int = 1000,
    rng: np.random.Generator | int | None = None,
    *,
    kind: str = "parametric",
    by: str | None = None,
    statistic: Callable[[Any], Any] | None = None,
    workers: int = 1,
    progress: bool | None = None,
) -> Bootstrap:
    """Fit the model again to data drawn from it, or from the data themselves.

    Parameters
    ----------
    fit : LMMFit
        Its method, ML or REML, is that of all refits.
    n : int
        Replicates: 1,000 or more for intervals, a few hundred for standard errors.
    rng : numpy.random.Generator or int
        The same seed gives the same replicates, bit for bit, whatever the number of workers.
    kind : {"parametric", "residual", "cluster"}
        ``"parametric"``: new random effects and residuals from the fitted normal distributions. ``"residual"``: the
        fit's own conditional modes and residuals, centred, given the estimated covariances and drawn with replacement.
        ``"cluster"``: the levels of one grouping factor with all their rows, drawn with replacement; a level drawn
        twice counts as two.
    by : str, optional
        For ``"cluster"``: which factor. By default the only one, or the one within whose levels all others lie. Levels
        of a factor that is crossed with it, or that it is nested in, stay what they are: what is estimated is the
        variation over new levels of `by` for the same levels of that factor.
    statistic : callable, optional
        ``statistic(fit)`` gives numbers (a number, an array, a Series with names) that are taken of every refit, an
        `LMMFit`, in place of the parameters.
    workers : int
        Processes; a statistic must then be a function of a module.
    progress : bool, optional
        Whether a bar is shown on standard error; by default where that is a terminal.

    Returns
    -------
    Bootstrap
        A row a replicate: coefficients, ``sd(g, x)``, ``cor(g, x, z)``, …, ``sigma``, NaN where the refit failed. It
        has `confint`, `summary`, `failures` and `singular`.

    Raises
    ------
    LMMError
        If there is no rng, the kind or `by` is unknown, or n or workers is no positive whole number.
    ModelError
        If the model cannot be resampled in this way, or all refits fail.

    References
    ----------
    Davison & Hinkley (1997), Bootstrap methods and their application; Carpenter, Goldstein & Rasbash (2003), A novel
    bootstrap procedure for assessing the relationship between class size and achievement, Appl. Statist. 52(4), for
    ``"residual"``; Field & Welsh (2007), Bootstrapping clustered data, J. R. Statist. Soc. B 69(3), for ``"cluster"``.

    Examples
    --------
    >>> import lmmtools as lt
    >>> fit = lt.fit_lmm("Reaction ~ Days + (Days | Subject)", lt.load_dataset("sleepstudy"))
    >>> boot = lt.bootstrap(fit, 200, rng=1)
    >>> boot.shape, boot.singular < 20, len(boot.failures)
    ((200, 6), True, 0)
    """
    if not (hasattr(fit, "varcorr") and hasattr(fit, "refit")):
        raise LMMError(f"bootstrap: takes a fit made by fit_lmm; got {type(fit).__name__}.")
    n = check_count(n, "bootstrap: n, the number of replicates,", at_least=2)
    check_rng(rng, "bootstrap")
    if kind not in KINDS:
        raise LMMError(f"bootstrap: kind={kind!r} is unknown; use one of {', '.join(map(repr, KINDS))}.")
    if by is not None and kind != "cluster":
        raise LMMError(f'bootstrap: by={by!r} says whose levels are drawn, which only kind="cluster" does.')
    what = Parameters.of(fit) if statistic is None else Statistic.of(statistic, fit)
    source, factor, notes = _source(fit, kind, by)
    items = replicate(_Work(source, what), n, rng, nobs=fit.nobs, workers=workers, progress=progress)
    rows = np.array([row for row, _, _ in items])
    failures = tuple((k, reason) for k, (_, reason, _) in enumerate(items, start=1) if reason)
    if len(failures) > n - 2:
        raise ModelError(
            f"bootstrap: {len(failures)} of {counted(n, 'refit')} failed, so there is nothing to tell; the first: "
            f"{failures[0][1]}"
        )
    singular = sum(singular for _, reason, singular in items if not reason)
    return bootstrap_frame(rows, Run(fit, kind, factor, notes, what, what(fit), failures, singular))


def bootstrap_confint(
    fit: Any,
    level: float = 0.95,
    *,
    n: int = 1000,
    rng: np.random.Generator | int | None = None,
    kind: str = "percentile",
    resample: str = "parametric",
    by: str | None = None,
    workers: int = 1,
    progress: bool | None = None,
) -> Frame:
    """Bootstrap intervals of all parameters: `bootstrap` and its `confint` in one.

    Parameters
    ----------
    fit, n, rng, workers, progress
        As for `bootstrap`.
    level : float
    kind : {"percentile", "basic", "bca"}
    resample : {"parametric", "residual", "cluster"}
        The `kind` of `bootstrap`.
    by : str, optional
        The grouping factor whose levels are drawn, with ``"cluster"``; else the one whose levels are left out in turn,
        for ``"bca"``.

    Returns
    -------
    Frame
        ``low, high, low_error, high_error, replicates``.
    """
    check_level(level)
    check_interval(kind)
    drawn = by if resample == "cluster" else None
    done = bootstrap(fit, n, rng, kind=resample, by=drawn, workers=workers, progress=progress)
    return done.confint(kind, level, by=by if drawn is None else None)


class _Drawn:
    """Refits of responses that a source draws."""

    def __init__(self, fit: Any, draw: Callable[[np.random.Generator, int], np.ndarray]) -> None:
        self.draw, self.refits = draw, Refits(fit)

    def drawn(self, rng: np.random.Generator, m: int) -> Any:
        return self.refits(self.draw(rng, m))


def _source(fit: Any, kind: str, by: str | None) -> tuple[Any, str, tuple[str, ...]]:
    """What draws refits, the factor whose levels it draws, and what a reader must know."""
    if kind == "parametric":
        return _Drawn(fit, Parametric(fit)), "", ()
    if kind == "residual":
        return _Drawn(fit, Residual(fit)), "", ()
    factor = cluster_factor(fit.design, by, "bootstrap")
    clusters = Clusters(fit, factor)
    clusters.refuse_known()
    others = [f"`{name}`" for name in clusters.crossed()]
    if not others:
        return clusters, factor, ()
    note = (
        f"Levels of {listed(others)} stay what they are: the replicates vary over new levels of `{factor}` only, not "
        f"over new levels of {'that factor' if len(others) == 1 else 'those factors'}."
    )
    return clusters, factor, (note,)


class _Work:
    """What is done with a block of replicates: refits, and what is taken of each."""

    def __init__(self, source: Any, what: Any) -> None:
        self.source, self.what = source, what

    def __call__(self, rng: np.random.Generator, m: int) -> list[tuple[np.ndarray, str, bool]]:
        """Values, what went wrong, and whether the fit is singular, of m replicates."""
        return [taken(self.what, refit) for refit in self.source.drawn(rng, m)]
