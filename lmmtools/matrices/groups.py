"""Groups of rows that a model knows, and which of them somebody names."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from lmmtools.errors import LMMError
from lmmtools.formats import counted, nearest, quoted

__all__ = ["Groups", "groups_of", "one_group_of", "places_of"]


@dataclass(frozen=True, eq=False)
class Groups:
    """Rows by the levels of one factor.

    Attributes
    ----------
    factor : str
    codes : ndarray of intp, shape (n,)
        The level of each row.
    levels : pd.Index, shape (J,)
    """

    factor: str
    codes: np.ndarray
    levels: pd.Index


def groups_of(fit: Any) -> dict[str, Groups]:
    """Every grouping factor, in the design's order, and the groups in which residuals are correlated."""
    return {name: Groups(name, own.codes, own.levels) for name, own in fit.design.groupings.items()}


def one_group_of(fit: Any, factor: str | None, where: str) -> Groups:
    """The groups of one factor; of the first when none is named, all rows as one group where there is none.

    Raises
    ------
    LMMError
        If the model has no grouping factor of that name.
    """
    known = groups_of(fit)
    if factor is None and not known:
        return Groups("", np.zeros(fit.nobs, dtype=np.intp), pd.Index([""]))
    if factor is None:
        return next(iter(known.values()))
    if not isinstance(factor, str) or factor not in known:
        has = f"; it has {quoted(known)}" if known else ", which has none"
        raise LMMError(f"{where}: `{factor}` is no grouping factor of this model{nearest(str(factor), known)}{has}.")
    return known[factor]


def places_of(groups: Groups, named: Any, where: str) -> np.ndarray:
    """Codes of the levels named, each once, in the order named.

    Parameters
    ----------
    groups : Groups
    named : label, or several
        As in the data, or as text.
    where : str
        Who asks.

    Raises
    ------
    LMMError
        If there is no level of a name, or none is named.
    """
    if not groups.factor:
        raise LMMError(f"{where}: `{named}` names a group, but the model has no grouping factor: leave it out.")
    asked = list(named) if isinstance(named, Iterable) and not isinstance(named, str | bytes) else [named]
    by_label = {level: k for k, level in enumerate(groups.levels)}
    by_text = {str(level): k for k, level in enumerate(groups.levels)}
    found, lost = [], []
    for one in asked:
        place = by_label.get(one) if isinstance(one, int | float | str | np.generic | tuple) else None
        place = by_text.get(str(one)) if place is None else place
        if place is None:
            lost.append(one)
        found.append(place)
    if lost:
        near = nearest(str(lost[0]), by_text) if len(lost) == 1 else ""
        raise LMMError(
            f"{where}: `{groups.factor}` has no level {quoted(lost)}{near}; it has "
            f"{counted(len(groups.levels), 'level')}: {quoted(groups.levels)}."
        )
    if not found:
        raise LMMError(f"{where}: no level of `{groups.factor}` is named; it has {quoted(groups.levels)}.")
    return np.array(list(dict.fromkeys(found)), dtype=np.intp)
