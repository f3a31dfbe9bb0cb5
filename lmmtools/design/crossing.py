"""How grouping factors stand to one another: identical, nested the wrong way, crossed in separate parts.

Two factors are two partitions of the rows, and all that is said here follows from their codes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import combinations

import numpy as np
import pandas as pd

from lmmtools.design.levels import Levels
from lmmtools.formats import counted, listed, quoted

__all__ = ["crossing_notes", "is_within", "refines"]

# Rows looked at before all are: mostly enough to see that factors cross, or that all levels are connected.
_FIRST = 4096
_MOST_NAMED = 3


def crossing_notes(groups: Mapping[tuple[str, ...], Levels], single: Mapping[str, Levels]) -> list[str]:
    """What a reader must know of the grouping factors of one model together.

    Parameters
    ----------
    groups : Mapping[tuple of str, Levels]
        Every grouping factor, by the columns whose combinations it is.
    single : Mapping[str, Levels]
        Every grouping column.
    """
    notes = []
    within: dict[tuple[tuple[str, ...], tuple[str, ...]], bool] = {}
    crossed = []
    for a, b in combinations(groups, 2):
        fine, coarse = (a, b) if len(groups[a].levels) >= len(groups[b].levels) else (b, a)
        by_name = set(coarse) < set(fine)  # a:b lies within a, whatever the data
        within[fine, coarse] = by_name or is_within(groups[fine], groups[coarse])
        if not within[fine, coarse]:
            crossed.append((a, b))
        elif len(groups[fine].levels) == len(groups[coarse].levels):
            notes.append(_wrong_way(fine, coarse, groups, single) if by_name else _identical(a, b, groups))
    for a, b in crossed:
        if any(set(x) <= set(a) and set(y) <= set(b) and (x, y) != (a, b) for x, y in crossed):
            continue  # a:c and b fall apart where a and b do
        if note := _looks_nested(a, b, groups) or _looks_nested(b, a, groups):
            notes.append(note)
        elif not any(within.get((a, c)) and within.get((b, c)) for c in groups):  # apart by design, and in the model
            notes += _separate_parts(a, b, groups)
    return notes


def is_within(fine: Levels, coarse: Levels) -> bool:
    """Whether all rows of each level of `fine` have one level of `coarse`."""
    return refines(fine.codes, coarse.codes)


def refines(fine: np.ndarray, coarse: np.ndarray) -> bool:
    """Whether all rows with one code of `fine` have one code of `coarse`, both of shape (n,)."""
    home = np.zeros(int(fine.max(initial=-1)) + 1, dtype=coarse.dtype)
    for rows in (slice(0, _FIRST), slice(None)):
        inner, outer = fine[rows], coarse[rows]
        home[inner] = outer
        if not np.array_equal(home[inner], outer):
            return False
    return True


def _text(group: tuple[str, ...]) -> str:
    return ":".join(group)


def _identical(a: tuple[str, ...], b: tuple[str, ...], groups: Mapping[tuple[str, ...], Levels]) -> str:
    return (
        f"`{_text(a)}` and `{_text(b)}` group the rows alike ({counted(len(groups[a].levels), 'level')} each): they "
        "are one grouping factor under two names, and the variance of an effect by the one cannot be told from its "
        "variance by the other. Leave one of them out."
    )


def _wrong_way(
    fine: tuple[str, ...],
    coarse: tuple[str, ...],
    groups: Mapping[tuple[str, ...], Levels],
    single: Mapping[str, Levels],
) -> str:
    """`fine` is `coarse` and more columns, which distinguish nothing."""
    more = [name for name in fine if name not in coarse]
    levels = len(groups[coarse].levels)
    remedy = f"Leave `{_text(fine)}` out."
    if len(more) == len(coarse) == 1 and (more[0],) not in groups and 1 < len(single[more[0]].levels) < levels:
        remedy = (
            f"Where `{coarse[0]}` lies within `{more[0]}`, write (1 | {more[0]}/{coarse[0]}), the coarser factor "
            f"first; else leave `{_text(fine)}` out."
        )
    return (
        f"`{_text(fine)}` groups the rows as `{_text(coarse)}` does ({counted(levels, 'level')} each), since each "
        f"level of `{_text(coarse)}` occurs with one level of {listed(f'`{name}`' for name in more)} only: their "
        f"variances cannot be told apart. {remedy}"
    )


def _looks_nested(inner: tuple[str, ...], outer: tuple[str, ...], groups: Mapping[tuple[str, ...], Levels]) -> str:
    """A hint where codes of `inner` start anew in each level of `outer`, as ids of things within it do.

    They do so also where occasions are counted and some units leave early; but then a cell has one row. So the
    hint is given only for whole numbers from 0 or 1 on, without gaps in any level of `outer`, as many as that level
    happens to have, and several rows a cell.
    """
    if len(inner) > 1 or set(inner) & set(outer):
        return ""
    codes, home, labels = groups[inner].codes, groups[outer].codes, groups[inner].levels
    q, J = len(labels), len(groups[outer].levels)
    if q < 2 or not _counts_from_start(labels):
        return ""
    for h in home[:: len(home) // 3 + 1]:  # one look at a few levels settles most
        if len(here := np.unique(codes[home == h])) != here[-1] + 1:
            return ""
    cells = np.unique(home.astype(np.int64) * q + codes)
    sizes = np.bincount(cells // q, minlength=J)
    last = np.zeros(J, dtype=np.int64)
    np.maximum.at(last, cells // q, cells % q)
    differ = len(np.unique(sizes)) > 1 and np.count_nonzero(sizes < q) >= 3
    if not (differ and np.array_equal(last + 1, sizes) and len(codes) >= 2 * len(cells)):
        return ""
    a, b = inner[0], _text(outer)
    return (
        f"`{a}` is numbered anew within each level of `{b}` (from {labels[0]} on, {int(sizes.min())} to "
        f"{int(sizes.max())} of them), and taken as it is: `{a}` {labels[0]} of one `{b}` and of another have the same "
        f"random effect. If they are different things, write (1 | {b}/{a})."
    )


def _counts_from_start(labels: pd.Index) -> bool:
    """Whether labels are whole numbers one after the other, from 0 or 1 on."""
    try:
        values = labels.astype(np.float64).to_numpy()
    except (TypeError, ValueError):
        return False
    return bool(values[0] in (0.0, 1.0) and np.array_equal(values, values[0] + np.arange(len(values))))


def _separate_parts(a: tuple[str, ...], b: tuple[str, ...], groups: Mapping[tuple[str, ...], Levels]) -> list[str]:
    """Names the parts of two crossed factors that share no level; none where all levels are connected."""
    first, second = groups[a], groups[b]
    J = len(first.levels)
    if _connected(first, second):
        return []
    count, part = _parts(first, second)
    if count == 1:
        return []
    rows = np.bincount(part[first.codes], minlength=count)
    largest = np.argsort(-rows, kind="stable")[:_MOST_NAMED]
    named = [_part(rows[k], part == k, J, a, b, first.levels, second.levels) for k in largest]
    more = f"; and {counted(count - len(named), 'part')} more" if count > len(named) else ""
    return [
        f"`{_text(a)}` and `{_text(b)}` are crossed in {count} separate parts, which share no level of either: "
        f"{'; '.join(named)}{more}. The variances are estimated from all of them, but levels of different parts are "
        "compared through the fixed effects alone: check that levels are labelled alike everywhere, or have the parts "
        "as a fixed effect."
    ]


def _connected(first: Levels, second: Levels) -> bool:
    """Whether one level reaches all others in a few steps through shared rows: mostly so, and fast to see."""
    n = len(first.codes)
    here, there = np.zeros(len(first.levels), dtype=bool), np.zeros(len(second.levels), dtype=bool)
    here[first.codes[0]] = True
    few = slice(None, None, max(1, n // _FIRST))
    for rows in (*(few,) * 4, *(slice(None),) * 6):
        i, j = first.codes[rows], second.codes[rows]
        there[j[here[i]]] = True
        here[i[there[j]]] = True
        if here.all() and there.all():
            return True
    return False


def _parts(first: Levels, second: Levels) -> tuple[int, np.ndarray]:
    """Number of connected components of the levels of two factors, and that of each, the first's levels first."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    i, j = first.codes, second.codes + len(first.levels)
    size = len(first.levels) + len(second.levels)
    edges = coo_array((np.ones(len(i), dtype=np.int8), (i, j)), shape=(size, size))
    return connected_components(edges, directed=False)


def _part(
    rows: int, mine: np.ndarray, J: int, a: tuple[str, ...], b: tuple[str, ...], of_a: Sequence, of_b: Sequence
) -> str:
    found = []
    for group, levels, here in ((a, of_a, mine[:J]), (b, of_b, mine[J:])):
        labels = [levels[i] for i in np.flatnonzero(here)[: _MOST_NAMED + 1]]
        more = ", …" if len(labels) > _MOST_NAMED else ""
        found.append(f"{int(here.sum())} of `{_text(group)}` ({quoted(labels[:_MOST_NAMED])}{more})")
    return f"{counted(int(rows), 'row')} with {listed(found)}"
