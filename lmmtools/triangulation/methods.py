"""What each method says of one parameter: an estimate, an interval and a p-value, as far as it has them."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from lmmtools.comparison import bootstrap_lrt, exact_lrt
from lmmtools.comparison.dropped import tested_without
from lmmtools.errors import LMMError
from lmmtools.inference.contrasts import linear_functions, t_quantile, two_sided
from lmmtools.inference.robust import robust_functions
from lmmtools.profiles import profile_confint
from lmmtools.profiles.parameters import Origin
from lmmtools.profiles.paths import path_of
from lmmtools.resampling import bootstrap
from lmmtools.resampling.blocks import check_rng
from lmmtools.results import estimate

__all__ = ["Asked", "Said", "of_coefficient", "of_deviation", "of_residual"]

_WALD = {
    "normal": "Normal reference",
    "residual": "Residual df",
    "satterthwaite": "Satterthwaite's df",
    "kenward-roger": "Kenward and Roger",
}
_KINDS = {"percentile": "Percentile bootstrap", "basic": "Basic bootstrap", "bca": "BCa bootstrap"}


@dataclass(frozen=True)
class Asked:
    """What is asked of every method.

    Attributes
    ----------
    fit : LMMFit
    name : str
        The parameter.
    null, level : float
        What it is tested against, NaN for nothing, and the confidence level.
    cluster : str or array or None
        What robust standard errors are clustered by.
    n, rng, workers, progress
        Of the bootstrap; without `rng` there is none.
    made : Bootstrap or None
        Replicates that there are already, for the intervals.
    """

    fit: Any
    name: str
    null: float
    level: float
    cluster: Any
    n: int
    rng: Any
    workers: int
    progress: bool | None
    made: Any = None

    @cached_property
    def by_ml(self) -> Any:
        """The fit by maximum likelihood."""
        return self.fit.refit(reml=False) if self.fit.reml else self.fit

    @cached_property
    def seeds(self) -> list[np.random.SeedSequence]:
        """One for each of the methods that simulate."""
        source = check_rng(self.rng, "triangulate")
        return (source.bit_generator.seed_seq if isinstance(source, np.random.Generator) else source).spawn(3)


@dataclass(frozen=True)
class Said:
    """What one method says.

    Attributes
    ----------
    method : str
    kind : str
        Its kind: ``normal``, ``residual``, ``satterthwaite``, ``kenward-roger``, ``profile``, ``bootstrap``,
        ``bootstrap test``, ``robust``, ``ratio`` or ``exact``.
    estimate, std_error, df, p_value, low, high : float
        NaN where the method has none.
    note : str
        What must be said under the table; empty for nothing.
    decides : bool
        Whether its interval may be read as a test.
    """

    method: str
    kind: str
    estimate: float = np.nan
    std_error: float = np.nan
    df: float = np.nan
    p_value: float = np.nan
    low: float = np.nan
    high: float = np.nan
    note: str = ""
    decides: bool = True

    def finds(self, asked: Asked) -> bool | None:
        """Whether the parameter differs from its null at the level; None where the method cannot say."""
        if np.isfinite(self.p_value):
            return self.p_value < 1.0 - asked.level
        if not self.decides or np.isnan(asked.null) or np.isnan(self.low) or np.isnan(self.high):
            return None
        return not self.low <= asked.null <= self.high


def of_coefficient(asked: Asked) -> Iterator[Said]:
    """Every method on a fixed effect."""
    fit, place = asked.fit, list(asked.fit.design.fixed_names).index(asked.name)
    row = np.eye(len(fit.beta))[[place]]
    restricted = fit if fit.reml else fit.refit(reml=True)
    for ddf in ("normal", "residual", "satterthwaite", "kenward-roger"):
        yield _wald(asked, restricted if ddf == "kenward-roger" else fit, row, ddf)
    yield _profiled(asked, test=True)
    if asked.cluster is not None:
        yield _robust(asked, row)
    if asked.rng is not None:
        yield from _bootstrapped(asked)
        yield _bootstrap_test(asked, _without(fit.design, place, asked.null), asked.by_ml)


def of_deviation(asked: Asked, term: int, effect: int) -> Iterator[Said]:
    """Every method on the standard deviation of a random effect, tested by leaving the effect out."""
    yield _profiled(asked)
    fit = asked.fit
    terms = _less(fit.design.terms, term, effect)
    row = tested_without(fit, terms)
    note = f"The likelihood ratio refers to {row['reference']}."
    yield Said("Likelihood ratio", "ratio", p_value=float(row["p_value"]), note=note)
    if asked.rng is None:
        return
    if len(fit.design.terms[term].names) == 1:
        yield _exact(asked, term)
    # refits scatter around the estimate and seldom reach zero itself: their intervals are no test of it
    yield from (dataclasses.replace(one, decides=False) for one in _bootstrapped(asked))
    small = estimate(dataclasses.replace(fit.design, terms=terms), reml=fit.reml) if terms else None
    yield _bootstrap_test(asked, small, fit)


def of_residual(asked: Asked) -> Iterator[Said]:
    """Every method on a parameter of the residual structure."""
    yield _profiled(asked, test=bool(np.isfinite(asked.null)))
    if asked.rng is not None:
        yield from _bootstrapped(asked)


def _exact(asked: Asked, term: int) -> Said:
    """The likelihood ratio against its simulated distribution in samples of this size."""
    try:
        found = exact_lrt(asked.fit, asked.fit.design.terms[term].label, rng=np.random.default_rng(asked.seeds[0]))
    except LMMError as error:
        return Said("Simulated likelihood ratio", "exact", note=_why(error))
    name = "Simulated likelihood ratio" + (" (approximate)" if "approximate" in found.method else "")
    return Said(name, "exact", p_value=found.p_value, note=f"{name}: {found.method}.")


def _less(terms: tuple[Any, ...], k: int, effect: int) -> tuple[Any, ...]:
    """The random terms without one effect of the k-th, or without that term where it has no other or is structured."""
    term = terms[k]
    rest = [i for i in range(len(term.names)) if i != effect]
    if not rest or term.structure not in ("us", "diag"):
        return (*terms[:k], *terms[k + 1 :])
    return (*terms[:k], term.with_effects(rest), *terms[k + 1 :])


def _wald(asked: Asked, fit: Any, row: np.ndarray, ddf: str) -> Said:
    name = _WALD[ddf] + ("" if fit.reml == asked.fit.reml else " (REML)")
    try:
        found = linear_functions(fit, row, ddf)
    except LMMError as error:  # Kenward and Roger's method is not defined for every covariance
        return Said(name, ddf, note=_why(error))
    return _by_t(asked, name, ddf, found.estimate[0], found.std_error[0], found.df[0])


def _by_t(asked: Asked, method: str, kind: str, value: float, std_error: float, df: float) -> Said:
    half = float(t_quantile(df, asked.level)) * std_error
    p_value = float(two_sided((value - asked.null) / std_error, df))
    return Said(method, kind, float(value), float(std_error), float(df), p_value, value - half, value + half)


def _profiled(asked: Asked, *, test: bool = False) -> Said:
    """The profile of the ML criterion: its limits, and of a fixed effect ζ² at the null as a likelihood ratio."""
    origin = Origin(asked.by_ml)
    path = path_of(origin, next(p for p in origin.parameters if p.name == asked.name))
    table = profile_confint(asked.by_ml, asked.level, asked.name)
    low, high = table.loc[asked.name]
    p_value = float(two_sided(path.at(asked.null).zeta, np.inf)) if test and not path.why_not() else np.nan
    value = path.origin_point().value
    return Said(
        "Profile likelihood (ML)", "profile", float(value), p_value=p_value, low=float(low), high=float(high),
        note=" ".join(table.notes),
    )  # fmt: skip


def _robust(asked: Asked, row: np.ndarray) -> Said:
    by = asked.cluster if isinstance(asked.cluster, str) else "the clusters given"
    name = f"Cluster-robust CR2 by {by}"
    try:
        found = robust_functions(asked.fit, row, asked.cluster, "CR2")
    except LMMError as error:
        return Said(name, "robust", note=_why(error))
    return _by_t(asked, name, "robust", found.estimate[0], found.std_error[0], found.df[0])


def _bootstrapped(asked: Asked) -> Iterator[Said]:
    made = asked.made
    if made is None:
        made = bootstrap(asked.fit, asked.n, asked.seeds[1], workers=asked.workers, progress=asked.progress)
    value, scatter = float(made.estimates[asked.name]), float(made[asked.name].std())
    for kind, word in _KINDS.items():
        try:
            table = made.confint(kind=kind, level=asked.level)
        except LMMError as error:
            yield Said(word, "bootstrap", note=_why(error))
            continue
        low, high = table.loc[asked.name, ["low", "high"]]
        lacking = " ".join(note for note in table.notes if note.startswith("No interval") and f"`{asked.name}`" in note)
        note = f"{word}: {lacking}" if np.isnan(low) and lacking else ""
        yield Said(word, "bootstrap", value, scatter, low=float(low), high=float(high), note=note)


def _bootstrap_test(asked: Asked, small: Any, large: Any) -> Said:
    found = bootstrap_lrt(small, large, asked.n, asked.seeds[2], workers=asked.workers, progress=asked.progress)
    return Said("Bootstrap likelihood ratio", "bootstrap test", p_value=found.p_value)


def _without(design: Any, place: int, null: float) -> Any:
    """The ML fit with one coefficient held at its null: the column leaves X and enters the offset."""
    offset = design.offset
    if null:
        held = null * design.X[:, place]
        offset = held if offset is None else offset + held
    names = tuple(name for k, name in enumerate(design.fixed_names) if k != place)
    others = np.asfortranarray(np.delete(design.X, place, axis=1))
    return estimate(dataclasses.replace(design, X=others, fixed_names=names, offset=offset), reml=False)


def _why(error: LMMError) -> str:
    """What an error says, without what to do about it in a call of one's own."""
    return str(error).partition(" Use ddf=")[0]
