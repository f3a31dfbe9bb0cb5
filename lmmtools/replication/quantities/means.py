"""Marginal means, slopes and their contrasts that paths name."""

from __future__ import annotations

from types import MappingProxyType
from typing import Any

import pandas as pd

from lmmtools.inference.contrasts import DDF
from lmmtools.inference.means import marginal_means
from lmmtools.replication.quantities.heads import Asked, Head, cell

__all__ = ["MEANS"]

_OPTIONS = ("by", "ddf", "level", "trend", "weights")
_METHODS = ("pairwise", "trt.vs.ctrl", "eff", "consec", "poly")
_ADJUST = ("tukey", "holm", "bonferroni", "sidak", "none")


def _made(asked: Asked) -> Any:
    """The means of the factors that the arguments name; what else has a value is held there."""
    at = asked.values((*_OPTIONS, "method", "adjust", "ref"))
    specs = [one for one in asked.call.arguments if "=" not in one] or None
    by = asked.call.options.get("by")
    return marginal_means(
        asked.fit, specs, by=[one.strip() for one in by.split("+")] if by else None, at=at or None,
        trend=asked.call.options.get("trend"), weights=asked.one_of("weights", "equal", ("equal", "proportional")),
        ddf=asked.one_of("ddf", "satterthwaite", DDF), level=asked.level,
    )  # fmt: skip


def _labelled(table: pd.DataFrame, names: list[str]) -> pd.DataFrame:
    """The table with its rows called by what stands in some columns; of none there is one row, the overall mean."""
    if not names:
        return pd.DataFrame(table).set_axis(["overall"])
    texts = [[f"{value:g}" if isinstance(value, float) else str(value) for value in table[name]] for name in names]
    return pd.DataFrame(table).drop(columns=names).set_axis([", ".join(row) for row in zip(*texts, strict=True)])


def _means(asked: Asked) -> pd.DataFrame:
    means = _made(asked)
    tests = means.test()
    table = pd.DataFrame(means).assign(statistic=tests["statistic"], p_value=tests["p_value"])
    return _labelled(table, list(means.rows.levels.columns))


def _contrasts(asked: Asked) -> pd.DataFrame:
    means = _made(asked)
    adjust = asked.call.options.get("adjust")
    table = means.contrasts(
        asked.one_of("method", "pairwise", _METHODS),
        adjust if adjust is None else asked.one_of("adjust", "none", _ADJUST),
        ref=asked.call.options.get("ref"),
    )
    keys = [name for name in means.rows.levels.columns if name in table.columns]
    return _labelled(table, ["contrast", *keys])


MEANS = MappingProxyType({
    "means": Head(
        lambda a: cell(a.once(_means), a, "mean", "column"),
        {"means(A, B, ddf=kenward-roger).LEVEL, LEVEL.COLUMN": "marginal mean, as emmeans: columns of `coef`; "
         "NAME=VALUE holds a variable there, trend=NAME has slopes in place of means, weights=proportional goes by the "
         "rows of each level; without factors LEVEL is `overall`"},
        _OPTIONS, (0, 999), columns=True,
    ),
    "contrasts": Head(
        lambda a: cell(a.once(_contrasts), a, "contrast", "column"),
        {"contrasts(A, method=pairwise, adjust=tukey, by=B).CONTRAST, LEVEL.COLUMN": "contrast of such means, called "
         "as in `contrasts`: \"A - B\", then the levels of `by` (by=B+C), within which it is; options of `means` too"},
        (*_OPTIONS, "method", "adjust", "ref"), (0, 999), columns=True,
    ),
})  # fmt: skip
