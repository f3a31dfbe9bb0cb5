"""A model's matrices as pictures in blocks: X, Z, Λ, L, T, R, V and what follows from them."""

from __future__ import annotations

from types import MappingProxyType
from typing import Any

import numpy as np
import pandas as pd

from lmmtools.errors import LMMError
from lmmtools.figures import Description
from lmmtools.formats import counted, nearest, quoted, shown, spread, visible, with_unit
from lmmtools.matrices import NAMES, Groups, ModelMatrices, matrices_of_rows, one_group_of, places_of
from lmmtools.plots.drawing import PlotData, plot
from lmmtools.plots.heat import Side, heat, longest, turned

__all__ = ["matrix"]

# A side up to the first is drawn whole; beyond, groups are taken up to the second: rows, or effects.
_WHOLE, _ROWS, _EFFECTS = 200, 120, 48
# Groups shown at least, a few rows of each where they are large.
_LEAST = 3
# Inches of a letter of a name.
_LETTER = 0.06
# Values so far below the largest are rounding.
_ROUNDING = 1e-13


def _extract(fit: Any, name: str = "V", groups: Any = None, factor: str | None = None) -> PlotData:
    if name not in NAMES:
        known = ", ".join(map(repr, NAMES))
        raise LMMError(f"plots.matrix: there is no matrix {name!r}{nearest(str(name), NAMES)}; use {known}.")
    if isinstance(fit, ModelMatrices):
        return _data(fit, name, next(iter(fit.rows), "") if factor is None else factor, "")
    if not hasattr(fit, "design"):
        raise LMMError(f"plots.matrix: takes a fit, or what model_matrices returns; got {type(fit).__name__}.")
    of = one_group_of(fit, factor, "plots.matrix")
    rows, said = _chosen(fit, name, of, groups)
    found = _data(matrices_of_rows(fit, rows), name, of.factor, said)
    unit = fit.design.units.get(fit.response)
    squared = f"{unit} squared" if unit else ""
    scale = with_unit("covariance", squared) if name in ("var(y)", "var(b)") else found.labels["scale"]
    return PlotData(found.table, MappingProxyType(found.labels | {"scale": scale}), found.facts)


def _chosen(fit: Any, name: str, of: Groups, groups: Any) -> tuple[np.ndarray, str]:
    """Rows shown, by group, and a sentence on those left out."""
    order = np.argsort(of.codes, kind="stable")
    sides = _sides(fit, name, np.arange(fit.nobs))
    if name in ("vcov", "cor(vcov)") or (groups is None and max(sides) <= _WHOLE):
        return order, ""
    if groups is None:
        limit = _EFFECTS if name in ("Lambda", "L", "T", "var(b)") else _ROWS
        codes = _first(fit, name, of, limit)
    else:
        codes = places_of(of, groups, "plots.matrix")
    taken = [np.flatnonzero(of.codes == code) for code in codes]
    which = f"{counted(len(taken), 'group')} of {len(of.levels):,}"
    rows, said = np.concatenate(taken), f" Shown: {'the first ' if groups is None else ''}{which}."
    cut = max(_sides(fit, name, rows)) > _WHOLE
    if cut:
        each = max(_ROWS // len(taken), 2)
        rows = np.concatenate([mine[:each] for mine in taken])[: 2 * _WHOLE]
        said = f" Shown: {counted(each, 'row')} of each of {which}."
    if name == "L" and (cut or not _independent(fit)):
        said += " It is the factor for these rows, as if there were no others."
    return rows, said


def _independent(fit: Any) -> bool:
    """Whether the groups of one factor are independent, so that their part of L is that of all rows."""
    known = any(term.known_root is not None for term in fit.design.terms)
    return len(fit.design.factors) <= 1 and not known


def _first(fit: Any, name: str, of: Groups, limit: int) -> np.ndarray:
    """As many of the first groups as stay within the limit, a few at least."""
    order = np.argsort(of.codes, kind="stable")
    ends = np.searchsorted(of.codes[order], np.arange(len(of.levels)), side="right")
    count = min(_LEAST, len(ends))
    while count < len(ends) and max(_sides(fit, name, order[: ends[count]])) <= limit:
        count += 1
    return np.arange(count)


def _sides(fit: Any, name: str, rows: np.ndarray) -> tuple[int, int]:
    """Rows and columns of the matrix of some rows."""
    n = len(rows)
    q = sum(len(term.names) * len(np.unique(term.codes[rows])) for term in fit.design.terms)
    if name in ("Lambda", "L", "T", "var(b)"):
        return q, q
    return (n, q) if name == "Z" else (n, fit.design.X.shape[1]) if name == "X" else (n, n)


def _data(m: ModelMatrices, name: str, factor: str, said: str) -> PlotData:
    found = m.matrix(name)
    if min(found.shape) == 0:
        kind = "fixed" if name in ("X", "vcov", "cor(vcov)") else "random"
        raise LMMError(f"plots.matrix: {name} is empty: `{m.formula}` has no {kind} effects.")
    if factor and factor not in m.rows:
        raise LMMError(f"plots.matrix: `{factor}` is no grouping factor of these rows; they have {quoted(m.rows)}.")
    if max(found.shape) > 2 * _WHOLE:
        said = f" Shown: the first {2 * _WHOLE} rows and columns of {found.shape[0]:,} × {found.shape[1]:,}."
        found = found[: 2 * _WHOLE, : 2 * _WHOLE]
    dense = found if isinstance(found, np.ndarray) else found.toarray()
    dense = np.where(np.abs(dense) <= _ROUNDING * np.abs(dense).max(initial=0.0), 0.0, dense)
    i, j = np.nonzero(dense)
    rows, columns = (_side(labels[:size], m, factor) for labels, size in zip(m.labels(name), dense.shape, strict=True))
    labels = {"scale": "correlation" if name.startswith("cor") else "value" if name in ("X", "Z") else _relative(name)}
    facts = {"name": name, "shape": dense.shape, "rows": rows, "columns": columns, "said": said,
             "factor": visible(factor)}  # fmt: skip
    table = pd.DataFrame({"row": i, "column": j, "value": dense[i, j]})
    return PlotData(table, MappingProxyType(labels), MappingProxyType(facts))


def _relative(name: str) -> str:
    return "covariance" if name.startswith(("var", "vcov")) else "value" if name in ("Lambda", "L") else "over σ²"


def _side(labels: pd.Index, m: ModelMatrices, factor: str) -> Side:
    """Blocks of one side: rows by group, effects by term and level, coefficients one by one."""
    if labels.name == "coefficient":
        return Side("", tuple(map(visible, labels)), tuple(range(len(labels) + 1)))
    if labels.names[0] == "term":
        return _effects(labels)
    if not factor:
        return Side("Row", ("",), (0, len(labels)))
    of = m.rows[factor].to_numpy()[: len(labels)]
    edges = [0, *(np.flatnonzero(of[1:] != of[:-1]) + 1), len(of)]
    return Side(f"Row, by {visible(factor)}", tuple(of[start] for start in edges[:-1]), tuple(map(int, edges)))


def _effects(labels: pd.MultiIndex) -> Side:
    term, level, effect = (labels.get_level_values(k).to_numpy() for k in range(3))
    terms = list(dict.fromkeys(term))
    if len(labels) <= 12 and len(set(effect)) > 1:
        names, edges = tuple(f"{a} {b}" for a, b in zip(level, effect, strict=True)), list(range(len(labels) + 1))
    else:
        change = (term[1:] != term[:-1]) | (level[1:] != level[:-1])
        edges = [0, *(np.flatnonzero(change) + 1), len(labels)]
        names = tuple(level[start] for start in edges[:-1])
    ends = [int(np.flatnonzero(term == name)[-1]) + 1 for name in terms]
    outer = tuple(zip(map(visible, terms), ends, strict=True)) if len(terms) > 1 else ()
    title = f"Effect, by {visible(terms[0])}" if len(terms) == 1 else "Effect, by term"
    return Side(title, tuple(map(visible, names)), tuple(map(int, edges)), outer)


def _describe(data: PlotData) -> Description:
    facts, values = data.facts, data.table["value"]
    name, (n, m) = facts["name"], facts["shape"]
    said, share = NAMES[name], 100 * len(values) / (n * m)
    negative = int((values < 0).sum())
    signs = " Blue is positive, vermillion with a bar negative" if negative else " Blue is positive"
    blank = ", blank zero" if len(values) < n * m else ""
    by = facts["rows"].title.removeprefix("Row, ").removeprefix("Effect, ")
    lines = f" Lines part the blocks {by}." if len(facts["rows"].names) > 1 and facts["rows"].title else ""
    return Description(
        caption=f"{said[0].upper()}{said[1:]}, {n:,} × {m:,}.{signs}{blank}; tints grow with the root of the "
        f"size.{lines}{facts['said']}",
        label=f"fig-matrix-{''.join(c if c.isalnum() else '-' for c in name).strip('-').lower()}",
        alt=f"Heat map of the {said}, {n:,} × {m:,}: {counted(len(values), 'cell')} ({shown(share)} %) are not zero, "
        + (f"from {spread(values)}, {negative:,} of them negative." if len(values) else "so all zero."),
        size=_size(facts["rows"], facts["columns"]),
    )  # fmt: skip


def _size(rows: Side, columns: Side) -> tuple[float, float]:
    """A square leaves room for the names beside it, and is the smaller the longer those that stand under it."""
    n, m = rows.size, columns.size
    if n == m:
        under = _LETTER * longest(columns) if turned(rows, columns) else 0.15
        return (float(np.clip(5.15 + _LETTER * longest(rows) - under, 5.0, 6.4)), 4.3)
    return (float(np.clip(1.9 + 6.0 * m / n, 3.4, 6.4)), float(np.clip(1.2 + 5.0 * n / m, 3.2, 5.2)))


@plot(_extract, _describe)
def matrix(data: PlotData, ax: Any) -> Any:
    """One of the model's matrices as a heat map in blocks.

    Parameters
    ----------
    fit : LMMFit or ModelMatrices
        A fit, or what `lmmtools.model_matrices` returns.
    name : str
        ``"X"``, ``"Z"``, ``"Lambda"``, ``"T"``, ``"L"`` (the Cholesky factor of Λ'Z'R⁻¹ZΛ + I), ``"R"``, ``"V"``
        (over σ²), ``"cor(V)"``, ``"var(y)"``, ``"var(b)"``, ``"vcov"`` (of the fixed effects) or ``"cor(vcov)"``.
    groups : levels, optional
        Of `factor`, in the order to show; all, or as many of the first as fit when left out.
    factor : str, optional
        The grouping factor by which rows are put in blocks; the first when left out.
    ax : matplotlib Axes, optional

    Returns
    -------
    Axes

    Raises
    ------
    LMMError
        If there is no such matrix, factor or level, or the matrix has no columns.

    References
    ----------
    Bates, Mächler, Bolker & Walker (2015), Fitting linear mixed-effects models using lme4, J. Stat. Softw. 67(1),
    figures 1 and 2.
    """
    facts, table = data.facts, data.table
    values = np.zeros(facts["shape"])
    values[table["row"], table["column"]] = table["value"]
    heat(ax, values, facts["rows"], facts["columns"], data.labels["scale"])
    return ax
