"""Which rows are left out together."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from lmmtools.arguments import check_count
from lmmtools.errors import DataError, LMMError
from lmmtools.formats import counted, nearest, quoted
from lmmtools.resampling.blocks import check_rng

__all__ = ["Division", "divide", "independent_units", "plural"]


@dataclass(frozen=True, eq=False)
class Division:
    """Rows in folds.

    Attributes
    ----------
    by : str
        What is left out, in the singular: ``"row"``, or ``"level of Subject"``.
    units : ndarray of int, shape (n,)
        The row, or the level, of each row: those of one stay together.
    folds : int
    of : ndarray of int, shape (repeats, n)
        The fold of each row, in each repeat.
    """

    by: str
    units: np.ndarray
    folds: int
    of: np.ndarray


def plural(unit: str) -> str:
    """What is left out, in the plural: ``"rows"``, ``"levels of Subject"``."""
    return "rows" if unit == "row" else unit.replace("level of", "levels of", 1)


def divide(designs: list[Any], by: Any, folds: Any, repeats: int, rng: Any) -> Division:
    """Divide the rows at random, all folds of the same number of units but for one.

    Parameters
    ----------
    designs : list of Design
        Of the same rows.
    by : str, array or None
        A grouping factor of one of the models, or a label a row; None for rows.
    folds : int or None
        None leaves each unit out in turn.
    repeats : int
    rng : Generator or int

    Raises
    ------
    LMMError
        If an argument is none of its values, or there are not two units.
    DataError
        If labels do not match the rows.
    """
    units, what = _units(designs, by)
    n = int(units.max()) + 1
    if n < 2:
        raise LMMError(f"cross_validate: there is one {what} only, and without it no row is left to fit to.")
    count = n if folds is None else min(check_count(folds, "cross_validate: folds", at_least=2), n)
    repeats = check_count(repeats, "cross_validate: repeats", at_least=1)
    if count == n:  # each in turn: no chance, and nothing that a repeat would change
        return Division(what, units, count, units[None])
    source = check_rng(rng, "cross_validate")
    rng = source if isinstance(source, np.random.Generator) else np.random.default_rng(source)
    of_unit = np.array([np.arange(n)[np.argsort(rng.permutation(n))] % count for _ in range(repeats)])
    return Division(what, units, count, of_unit[:, units])


def _units(designs: list[Any], by: Any) -> tuple[np.ndarray, str]:
    n = len(designs[0].y)
    if by is None:
        return np.arange(n), "row"
    if isinstance(by, str):
        known = {}
        for design in designs:
            known |= {name: own.codes for name, own in design.groupings.items()}
        if by not in known:
            raise LMMError(
                f"cross_validate: by={by!r} is no grouping factor of these models{nearest(by, known)}; "
                f"{'these are ' + quoted(known) if known else 'they have none'}. For other groups give a label for "
                "each row used, as by=data['school']."
            )
        return pd.factorize(known[by], sort=True)[0], f"level of {by}"
    if isinstance(by, pd.Series):
        lost = ~designs[0].index.isin(by.index)
        if lost.any() or not by.index.is_unique:
            raise DataError(
                f"cross_validate: by is a Series that lacks {counted(int(lost.sum()), 'row')} of those fitted, or has "
                "one twice: give it the data's own index."
            )
        name, labels = str(by.name or "by"), by.reindex(designs[0].index).to_numpy()
    else:
        name, labels = "by", np.asarray(by)
    if labels.shape != (n,) or pd.isna(labels).any():
        got = f"{labels.size:,}, {int(pd.isna(labels).sum())} missing"
        raise DataError(f"cross_validate: by needs a label for each of the {n:,} rows used, none missing; got {got}.")
    return pd.factorize(labels, sort=True)[0], f"level of {name}"


def independent_units(designs: list[Any], division: Division) -> tuple[np.ndarray, str]:
    """What standard errors of scores take as independent: levels left out, else those of the models' main factor."""
    if division.by != "row":
        return division.units, division.by
    from lmmtools.resampling.clusters import main_factor

    for design in designs:
        if design.factors or (design.correlation is not None and design.correlation.group):
            name, _ = main_factor(design)
            terms = design.factors.get(name)
            return (terms[0].codes if terms else design.correlation.codes), f"level of {name}"
    return division.units, "row"
