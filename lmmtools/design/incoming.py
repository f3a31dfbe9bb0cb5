"""New rows as they come: what they lack, and those without a missing value."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from lmmtools.design.frame import eager, missing_mask, take
from lmmtools.design.observed import fixed_variables
from lmmtools.design.residual.newcomers import correlation_columns
from lmmtools.errors import DataError, LMMError
from lmmtools.formats import listed, nearest, quoted
from lmmtools.formula.translate import columns as columns_of

__all__ = ["Incoming", "incoming"]


@dataclass(frozen=True, eq=False)
class Incoming:
    """New rows.

    Attributes
    ----------
    formula : str
    complete : DataFrame, shape (k, columns)
        The rows without a missing value, with the columns that are needed.
    keep : ndarray of bool, shape (m,)
        Which these are.
    index : pd.Index, shape (m,)
    missing : tuple of str
        Columns with missing values.
    """

    formula: str
    complete: pd.DataFrame
    keep: np.ndarray
    index: pd.Index
    missing: tuple[str, ...]

    def spread(self, values: np.ndarray) -> np.ndarray:
        """Values of the complete rows as those of all, NaN elsewhere; shape (m,)."""
        out = np.full(len(self.keep), np.nan)
        out[self.keep] = values
        return out


def incoming(
    design: Any, newdata: Any, *, groups: bool, unseen: str, effects: bool, observation: bool, places: bool
) -> Incoming:
    """Read new rows.

    Parameters
    ----------
    design : Design
    newdata : data frame
    groups : bool
        Whether rows belong to levels of the grouping factors; a missing level counts as missing unless `unseen` is
        ``"population"``.
    unseen : str
    effects : bool
        Whether the left sides of the bars are used.
    observation : bool
        Whether the residuals' standard deviations are.
    places : bool
        Whether residual groups and the rows' times or places in them are.

    Raises
    ------
    DataError
        If columns are not there.
    """
    if unseen not in ("raise", "population"):
        raise LMMError(f"unseen={unseen!r} is unknown: choose 'raise' or 'population' (zero for a new level).")
    if isinstance(newdata, pd.Series | dict):
        raise DataError(f"predict: new rows come in a data frame, not a {type(newdata).__name__}: make a DataFrame "
                        "with a column for each variable.")  # fmt: skip
    parsed, recipe = design.parsed, design.recipe
    offsets = [name for node in parsed.offset_nodes for name in columns_of(node)]
    used = [*fixed_variables(parsed), *offsets, *((recipe.offset,) if recipe.offset else ())]
    if effects:
        used += parsed.predictors
    if observation and recipe.residual is not None:
        used += [name for part in recipe.residual.parsed.variances for name in part.columns]
    if places:
        used += correlation_columns(design)
    by_group = list(parsed.groups) if groups else []
    wanted = list(dict.fromkeys([*parsed.predictors, *used, *by_group]))
    _refuse_lacking(design, newdata, wanted)
    columns = take(newdata, wanted, empty=True)
    counted = set(used) | (set(by_group) if unseen == "raise" else set())
    masks = {name: mask for name in wanted if name in counted
             and (mask := missing_mask(columns.series[name])) is not None}  # fmt: skip
    keep = ~np.logical_or.reduce([np.zeros(len(columns), dtype=bool), *masks.values()])
    data = pd.DataFrame({name: columns.series[name].array for name in wanted}, index=columns.index)
    return Incoming(design.formula, data[keep], keep, columns.index, tuple(masks))


def _refuse_lacking(design: Any, newdata: Any, wanted: list[str]) -> None:
    have = list(newdata.columns) if isinstance(newdata, pd.DataFrame) else list(eager(newdata).columns)
    lacking = [name for name in wanted if name not in have]
    if not lacking:
        return
    hints = [nearest(name, have) for name in lacking]
    names = listed([f"`{name}`{hint}" for name, hint in zip(lacking, hints, strict=True)])
    groups = [name for name in lacking if name in design.parsed.groups and name not in design.parsed.predictors]
    way = "add it" if len(lacking) == 1 else "add them"
    if groups == lacking:
        way += "; predictions of the population, random=False, need no groups"
    plain = all(name in design.parsed.columns or name == design.recipe.offset for name in lacking)
    model = f"`{design.formula}`" if plain else f"`{design.formula}` with residuals `{design.residual.text}`"
    raise DataError(
        f"predict: the new data have no column {names}, which {model} reads; they have "
        f"{quoted(have, 12) if have else 'no columns'}: {way}."
    )
