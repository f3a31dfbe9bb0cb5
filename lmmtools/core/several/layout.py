"""Which factors are eliminated how."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from lmmtools.core.several.chainhead import chain_several
from lmmtools.core.several.chainlevels import chain_bytes, choose_chain
from lmmtools.core.several.columns import Cells, FactorColumns, border_products, pair_cells
from lmmtools.core.several.leaf import Leaf
from lmmtools.core.several.products import LastProducts, Several
from lmmtools.core.several.sizes import dense_bytes, refuse_too_large

__all__ = ["several_products"]

# With at most this many effects in all, everything goes into the dense step.
_SMALL = 300


def several_products(
    columns: Sequence[np.ndarray], factors: Sequence[FactorColumns], xy: Sequence[int],
    names: Sequence[str] | None = None, *, layout: str | None = None,
) -> Several:  # fmt: skip
    """Cross-products of whitened columns over several grouping factors.

    Parameters
    ----------
    columns : sequence of ndarray, shape (n,)
        Distinct columns, already multiplied by the square roots of the weights.
    factors : sequence of FactorColumns
    xy : sequence of int
        Which columns form [X e], e last.
    names : sequence of str, optional
        Of the factors, for messages.
    layout : {"dense", "leaf", "chain"}, optional
        What is done before the dense step: nothing, one factor eliminated with sparse coupling to the others, or a
        chain of nested ones; by size unless it is said.

    Returns
    -------
    Several

    Raises
    ------
    ModelError
        If memory would not hold them.
    """
    n = len(factors[0].codes)
    if layout in (None, "chain") and (chain := choose_chain(factors, len(xy))):
        rest = [f for f in range(len(factors)) if f not in chain] or chain
        refuse_too_large(chain_bytes(factors, chain, len(xy)), factors, rest, names)
        return chain_several(columns, factors, xy, chain)
    small = sum(f.r * f.n_effects for f in factors) <= _SMALL
    first = None if layout == "dense" or (layout is None and small) else _leaf(factors)
    rest = [f for f in range(len(factors)) if f != first]
    refuse_too_large(dense_bytes(factors, first, n), factors, rest, names)
    places: dict[int, np.ndarray] = {}
    if first is not None:
        factors = list(factors)
        for f in rest:
            if factors[f].root is None:
                places[f], factors[f] = _by_size(factors[f])
    pairs = {(f, g): pair_cells(columns, factors[f], factors[g]) for f in range(len(factors)) for g in range(f + 1)}
    borders = [border_products(columns, f, xy) for f in factors]
    C = np.array([[columns[i] @ columns[j] for j in xy] for i in xy])
    roots = tuple(f.root for f in factors)
    order = tuple(sorted(rest, key=lambda f: -factors[f].n_effects))
    head = None if first is None else _eliminated_first(first, order, pairs, borders, C)
    return Several(pairs, borders, C, n, roots, order, head, places)


def _leaf(factors: Sequence[FactorColumns]) -> int | None:
    """The factor with most effects, without a known covariance of its levels."""
    free = [f for f in range(len(factors)) if factors[f].root is None]
    return max(free, key=lambda f: factors[f].r * factors[f].n_levels) if free and len(factors) > 1 else None


def _by_size(factor: FactorColumns) -> tuple[np.ndarray, FactorColumns]:
    """The levels renumbered, those with most rows first: their new numbers, and the factor."""
    order = np.argsort(-np.bincount(factor.codes, minlength=factor.n_levels), kind="stable")
    place = np.empty_like(order)
    place[order] = np.arange(len(order))
    return place, FactorColumns(factor.z, place[factor.codes], factor.n_levels)


def _eliminated_first(
    first: int, order: tuple[int, ...], pairs: dict[tuple[int, int], Cells], borders: list[np.ndarray], C: np.ndarray
) -> Leaf:
    last = LastProducts(pairs, borders, order)
    frame, rows, cols, data = last.frame, [], [], []
    for f, home in enumerate(order):
        cells = pairs[max(first, home), min(first, home)]
        if first < home:
            cells = Cells(cells.cols, cells.rows, cells.data.transpose(1, 0, 2))
        for a in range(frame.widths[f]):
            rows.append(cells.rows)
            cols.append(cells.cols + frame.column(f, a).start)
            data.append(cells.data[:, a])
    rows, cols, data = np.concatenate(rows), np.concatenate(cols), np.concatenate(data, axis=1)
    if len(order) > 1 or first < order[0] or frame.widths != (1,):
        by_row = np.argsort(rows, kind="stable")
        rows, cols, data = rows[by_row], cols[by_row], data[:, by_row]
    own = pairs[first, first]
    start = sum(len(b) for b in borders[:first])
    block = slice(start, start + len(own.data))
    coupling = (rows, cols, data, frame.widths == (1,))
    return Leaf(first, block, own.data, borders[first], coupling, frame, last, C)
