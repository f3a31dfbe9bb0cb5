"""Small, unbalanced designs with a known truth, in which intervals and tests are tried."""

from __future__ import annotations

import dataclasses
import warnings
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache

import numpy as np
import pandas as pd

import lmmtools as lt

__all__ = ["SCENES", "Scene"]


@dataclass(frozen=True)
class Scene:
    """A design and its truth.

    Attributes
    ----------
    words : str
        For a reader.
    fit : LMMFit
        Some fit of the design, by REML, to be fitted again to other responses.
    model : LMMFit
        The truth: its coefficients, covariances and residual variance are what responses are drawn from.
    watched : dict of str to str
        Coefficients by what they are: ``between`` and ``within`` groups.
    deviation : (str, float)
        A standard deviation by name, and what it is.
    cluster : str
        What robust standard errors are clustered by; empty for none.
    null_term : str
        A term of the fixed part that has no effect; empty for none.
    null_variance : str
        A random term that has no variance; empty for none.
    smaller : LMMFit or None
        The model without what is null.
    """

    words: str
    fit: lt.LMMFit
    model: lt.LMMFit
    watched: dict[str, str]
    deviation: tuple[str, float]
    cluster: str = ""
    null_term: str = ""
    null_variance: str = ""
    smaller: lt.LMMFit | None = None
    truth: dict[str, float] = field(default_factory=dict)


def _scene(words: str, formula: str, data: pd.DataFrame, covariances: list[np.ndarray], watched: dict[str, str],
           deviation: str, small: str = "", small_reml: bool = False, **more: str) -> Scene:  # fmt: skip
    """All coefficients are zero but the intercept, and σ is one."""
    data = data.assign(y=np.random.default_rng(0).normal(size=len(data)))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        fit = lt.fit_lmm(formula, data)
        smaller = lt.fit_lmm(small, data, reml=small_reml) if small else None
    beta = np.zeros(len(fit.beta))
    Lambda = tuple(np.linalg.cholesky(T) if T.any() else T for T in covariances)
    model = dataclasses.replace(fit, beta=beta, Lambda=Lambda, sigma=1.0)
    sds = {f"sd({t.group}, {name})": float(np.sqrt(T[k, k])) for t, T in zip(fit.design.terms, covariances, strict=True)
           for k, name in enumerate(t.names)}  # fmt: skip
    truth = dict(zip(fit.design.fixed_names, beta, strict=True))
    return Scene(words, fit, model, watched, (deviation, sds[deviation]), smaller=smaller, truth=truth, **more)


def _groups(sizes: list[int], treated: list[int], seed: int) -> pd.DataFrame:
    """Groups of these sizes, some treated, with a covariate that varies within them and a factor of three levels."""
    rng = np.random.default_rng(seed)
    g = np.repeat([f"g{k:02d}" for k in range(len(sizes))], sizes)
    x = rng.normal(size=len(g))
    arm = np.repeat(np.where(np.isin(range(len(sizes)), treated), "treated", "control"), sizes)
    return pd.DataFrame({"g": g, "x": x, "arm": arm, "f": rng.choice(["a", "b", "c"], size=len(g))})


@cache
def six_groups() -> Scene:
    """Six groups of very unequal size, intercepts."""
    data = _groups([3, 4, 5, 6, 9, 15], [0, 2, 5], seed=1)
    return _scene(
        "6 groups of 3 to 15 rows, intercepts with the residuals' variance",
        "y ~ arm + x + f + (1 | g)", data, [np.eye(1)],
        {"between": "arm[T.treated]", "within": "x"}, "sd(g, Intercept)",
        cluster="g", null_term="f", small="y ~ arm + x + (1 | g)",
    )  # fmt: skip


@cache
def dropout() -> Scene:
    """Twelve subjects that drop out, intercepts and slopes."""
    visits = [8, 8, 7, 6, 6, 5, 5, 4, 4, 3, 3, 2]
    data = pd.concat(
        [pd.DataFrame({"s": f"s{k:02d}", "time": np.arange(m, dtype=float), "arm": "new" if k % 2 else "old"})
         for k, m in enumerate(visits)], ignore_index=True,
    )  # fmt: skip
    return _scene(
        "12 subjects with 8 to 2 visits, correlated intercepts and slopes",
        "y ~ time * arm + (time | s)", data, [np.array([[1.0, 0.1], [0.1, 0.16]])],
        {"between": "arm[T.old]", "within": "time"}, "sd(s, time)",
        cluster="s", null_term="time:arm", small="y ~ time + arm + (time | s)",
    )  # fmt: skip


@cache
def crossed() -> Scene:
    """Eight raters and fifteen items, half of the cells empty."""
    rng = np.random.default_rng(3)
    cells = [(r, i) for r in range(8) for i in range(15) if rng.random() < 0.5]
    data = pd.DataFrame(cells, columns=["r", "i"])
    data["kind"] = np.where(data["i"] < 6, "new", "old")
    data["x"] = rng.normal(size=len(data))
    data = data.astype({"r": str, "i": str})
    return _scene(
        "8 raters crossed with 15 items, about half of the cells empty",
        "y ~ kind + x + (1 | i) + (1 | r)", data, [np.eye(1) * 0.5, np.eye(1)],
        {"between": "kind[T.old]", "within": "x"}, "sd(i, Intercept)",
        null_term="kind", small="y ~ x + (1 | i) + (1 | r)",
    )  # fmt: skip


@cache
def small_variance() -> Scene:
    """Ten groups that hardly differ: about half of the fits are singular."""
    data = _groups([3, 3, 4, 4, 5, 5, 6, 7, 8, 10], [0, 3, 4, 7, 9], seed=4)
    return _scene(
        "10 groups of 3 to 10 rows that hardly differ (variance 0.05 of the residuals')",
        "y ~ arm + x + (1 | g)", data, [np.eye(1) * 0.05],
        {"between": "arm[T.treated]", "within": "x"}, "sd(g, Intercept)",
        cluster="g", null_term="arm", small="y ~ x + (1 | g)",
    )  # fmt: skip


@cache
def no_slopes() -> Scene:
    """Groups whose slopes do not differ: the tested variance is zero."""
    data = _groups([4, 5, 6, 6, 7, 8, 9, 12], [1, 2, 5, 6], seed=5)
    return _scene(
        "8 groups of 4 to 12 rows whose slopes do not differ",
        "y ~ x + (1 | g) + (0 + x | g)", data, [np.eye(1), np.zeros((1, 1))],
        {"within": "x"}, "sd(g, Intercept)",
        cluster="g", null_variance="(0 + x | g)", small="y ~ x + (1 | g)", small_reml=True,
    )  # fmt: skip


SCENES: dict[str, Callable[[], Scene]] = {
    "six groups": six_groups,
    "dropout": dropout,
    "crossed": crossed,
    "small variance": small_variance,
    "no slopes": no_slopes,
}
