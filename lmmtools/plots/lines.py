"""Lines of groups over a covariate: which groups, which covariate, and what the model says along it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from numbers import Integral
from typing import Any

import numpy as np
import pandas as pd

from lmmtools.arguments import check_count
from lmmtools.errors import LMMError, ModelError
from lmmtools.formats import counted, nearest, quoted
from lmmtools.groupwise.columns import factor_of
from lmmtools.inference.means.grid import reference_grid
from lmmtools.inference.means.weights import averaging_weights
from lmmtools.matrices import Groups, places_of

__all__ = ["HELD", "at_random", "chosen_groups", "covariate_of", "held_lines", "home_of", "is_function", "is_held",
           "least_squares", "needed_covariate", "population_line"]  # fmt: skip

#: What a caption says of lines that `is_held`.
HELD = " All else in the model is at its mean within the group."

# Rows a level has on average, for its panel to show something.
_FEW_ROWS = 3
# Places along the covariate at which a line for everybody is drawn.
_STEPS = 60


def home_of(fit: Any, factor: str | None) -> Groups:
    """The groups shown: of the factor asked for, else of the first whose levels have a few rows, or that has fewest.

    Without random effects, the groups in which residuals are correlated.

    Raises
    ------
    LMMError
        If the model has no grouping factor of that name.
    """
    if not fit.design.terms:
        return _residual_home(fit, factor)
    if factor is not None:
        home = fit.design.factors[factor_of(fit, factor, "plots")][0]
    else:
        terms = [terms[0] for terms in fit.design.factors.values()]
        large = [term for term in terms if fit.nobs >= _FEW_ROWS * len(term.levels)]
        home = large[0] if large else min(terms, key=lambda term: len(term.levels))
    return Groups(home.factor, home.codes, home.levels)


def _residual_home(fit: Any, factor: str | None) -> Groups:
    """The groups of correlated residuals; all rows as one where there are none."""
    c = fit.design.correlation
    name = c.group if c is not None else ""
    if factor is not None and factor != name:
        known = f"; factor can be {quoted([name])}" if name else ""
        raise LMMError(f"`{factor}` is no grouping factor of this model, which has no random effects{known}.")
    if not name:
        return Groups("all rows", np.zeros(fit.nobs, dtype=np.intp), pd.Index([""]))
    return Groups(name, c.codes, c.levels)


def _numbers(fit: Any) -> Iterator[tuple[str, np.ndarray]]:
    """Numbers that lines can run along, by name: times, then columns of random slopes, then fixed covariates."""
    design = fit.design
    columns = _time(fit) + [(n, t.matrix[:, k]) for t in design.terms for k, n in enumerate(t.names)]
    columns += [(n, design.X[:, j]) for j, n in enumerate(design.fixed_names) if ":" not in n]
    for name, x in columns:
        if name != "Intercept" and "[" not in name:
            yield name, x


def _time(fit: Any) -> list[tuple[str, np.ndarray]]:
    """The time by which residuals are correlated, with its name, where it is one number."""
    c = fit.design.correlation
    if c is None or len(c.variables) != 1 or c.categorical:
        return []
    times = c.positions[:, 0]
    if c.kind == "us":
        times = np.array([float(label) for label in c.occasions])[times.astype(np.intp)]
    return [(c.variables[0], times)]


def covariate_of(fit: Any, home: Any, name: str | None = None) -> tuple[str, np.ndarray] | None:
    """A covariate and its values: that asked for, else the first of three values or more that varies within groups.

    Raises
    ------
    LMMError
        If there is no numeric covariate of that name.
    """
    if name is not None:
        known = dict(reversed(list(_numbers(fit))))
        if name not in known:
            has = f"; there is {quoted(list(known)[::-1])}" if known else ", and no other either"
            raise LMMError(f"`{name}` is no numeric covariate of this model{nearest(str(name), known)}{has}.")
        return name, known[name]
    for known, x in _numbers(fit):
        if len(np.unique(x)) < 3:
            continue
        by_group = pd.Series(x).groupby(home.codes)
        if (by_group.max() > by_group.min()).mean() >= 0.5:
            return known, x
    return None


def needed_covariate(fit: Any, home: Any, name: str | None, where: str) -> tuple[str, np.ndarray]:
    """As `covariate_of`, for a plot that cannot do without one."""
    found = covariate_of(fit, home, name)
    if found is None:
        raise LMMError(
            f"{where}: no number of three values or more varies within `{home.factor}`, so there is nothing to draw "
            "lines along; plots.data_by_group shows the groups without, and covariate= names a number."
        )
    return found


def is_function(table: pd.DataFrame, column: str) -> bool:
    """Whether a column is determined by group and x, so that a line through it means something."""
    values = table.groupby(["panel", "x"])[column]
    return bool((values.max() - values.min() <= 1e-9 * max(float(table["y"].abs().max()), 1e-300)).all())


def held_lines(fit: Any, home: Any, name: str) -> pd.DataFrame:
    """Fitted values along a covariate, all else at its mean within the group.

    Parameters
    ----------
    fit : LMMFit
    home : Groups
    name : str
        The covariate.

    Returns
    -------
    DataFrame, shape (n, 2)
        ``fitted`` and ``population`` (random effects at zero): the parts of the mean in which the covariate appears as
        they are, the others and the random effects of other factors averaged over the group's rows. They are the
        fitted values themselves where nothing else varies within groups.
    """
    design, codes = fit.design, home.codes
    mean = _mean_by(codes)
    along = np.array([_mentions(column, name) for column in design.fixed_names], dtype=bool)
    own = design.X[:, along] @ fit.beta[along]
    rest = design.X[:, ~along] @ fit.beta[~along]
    population = own + mean(rest if design.offset is None else rest + design.offset)
    fitted = population.copy()
    for term, b in zip(design.terms, fit.modes, strict=True):
        at = b[term.codes]
        if term.factor != home.factor:
            at = np.column_stack([mean(column) for column in at.T])
        parts = term.matrix * at
        along = np.array([_mentions(effect, name) for effect in term.names], dtype=bool)
        fitted += parts[:, along].sum(axis=1) + mean(parts[:, ~along].sum(axis=1))
    return pd.DataFrame({"fitted": fitted, "population": population})


def is_held(fit: Any, held: pd.DataFrame) -> bool:
    """Whether `held_lines` differ from the fitted values, since something else varies within groups."""
    return not np.allclose(held["fitted"], fit.fitted, rtol=0, atol=1e-9 * np.abs(fit.design.y).max())


def _mean_by(codes: np.ndarray) -> Any:
    counts = np.maximum(np.bincount(codes), 1)
    return lambda values: (np.bincount(codes, weights=values) / counts)[codes]


def _mentions(column: str, name: str) -> bool:
    """Whether a column is made of a variable: ``age``, ``age:Sex[T.Female]``, ``I(age ** 2)``."""
    return re.search(rf"(?<![\w.]){re.escape(name)}(?![\w.])", column) is not None


def least_squares(codes: np.ndarray, x: np.ndarray, y: np.ndarray, weights: np.ndarray | None) -> np.ndarray:
    """Each group's own weighted least-squares line at its rows, shape (n,); NaN where x does not vary."""
    w = np.ones(len(x)) if weights is None else weights
    count = np.maximum(np.bincount(codes, weights=w), 1e-300)
    dx, dy = (v - (np.bincount(codes, weights=w * v) / count)[codes] for v in (x, y))
    sxx, sxy = (np.bincount(codes, weights=w * dx * v) for v in (dx, dy))
    size = np.bincount(codes, weights=w * x * x)
    slope = np.where(sxx > 1e-20 * size, sxy / np.where(sxx > 0, sxx, 1.0), np.nan)
    return y - dy + slope[codes] * dx


def population_line(fit: Any, name: str, x: np.ndarray) -> tuple[np.ndarray, np.ndarray] | None:
    """The mean of the response along a covariate, for everybody: other numbers at their mean, levels by their rows.

    None where the fixed part has no such variable, or the data do not determine the line.
    """
    at = np.linspace(float(np.min(x)), float(np.max(x)), _STEPS)
    try:
        grid = reference_grid(fit.design, {name: at})
    except (LMMError, ModelError):
        return None
    base = grid.columns((name,))
    full = np.einsum("krp,r->kp", base, averaging_weights(grid, (name,), "proportional"))
    kept = fit.design.recipe.kept
    dropped = np.setdiff1d(np.arange(full.shape[1]), kept)
    if np.any(full[:, dropped]):
        return None
    offset = fit.design.offset
    return at, full[:, kept] @ fit.beta + (0.0 if offset is None else float(offset.mean()))


def chosen_groups(home: Groups, asked: Any, seed: int, where: str) -> tuple[np.ndarray, str]:
    """Codes of the groups asked for, by name or by how many, and how they were drawn; empty where they are named.

    Raises
    ------
    LMMError
        If there is no such group, or are not so many.
    """
    if isinstance(asked, Integral) and not isinstance(asked, bool):
        return at_random(len(home.levels), int(asked), seed, where), f"drawn at random (seed {seed})"
    return places_of(home, asked, where), ""


def at_random(levels: int, count: int, seed: int, where: str) -> np.ndarray:
    """Codes of so many groups, drawn without replacement by a seed, ascending.

    Raises
    ------
    LMMError
        If there are not so many groups, or the seed is no whole number.
    """
    count = check_count(count, f"{where}: the number of groups", at_least=1)
    if count > levels:
        raise LMMError(f"{where}: {count} groups are asked for, and there {_are(levels)}.")
    seed = check_count(seed, f"{where}: seed", at_least=0)
    return np.sort(np.random.default_rng(seed).choice(levels, count, replace=False))


def _are(levels: int) -> str:
    return f"{'is' if levels == 1 else 'are'} {counted(levels, 'group')}"
