"""Which occasions, and which distances of occasions, are seen within one residual group, and how often."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from lmmtools.design.checks import check_memory
from lmmtools.design.levels import Levels
from lmmtools.design.residual.value import ROUNDING, lag_codes
from lmmtools.design.residual.variables import Variable, label_of
from lmmtools.errors import DataError, ModelError
from lmmtools.formats import counted, listed, quoted
from lmmtools.formula import ResidualPart

__all__ = ["check_orders", "check_pairs", "lags_of", "pairs_of"]

_FEW = 5  # groups, or pairs of rows, behind a parameter below which the reader is told
_MOST_NAMED = 6
_SAME = 1e-10  # of a distance: values this near are one


@dataclass(frozen=True, eq=False)
class Pairs:
    """Pairs of occasions i < j seen in one group, each with the number of groups they are seen in."""

    i: np.ndarray
    j: np.ndarray
    groups: np.ndarray


def pairs_of(codes: np.ndarray, occasion: np.ndarray, label: str) -> Pairs:
    """Pairs of occasions that share groups, from rows without duplicates.

    Parameters
    ----------
    codes, occasion : ndarray of intp, shape (n,)
        Group and occasion of each row.
    label : str
        The structure, for the error.

    Raises
    ------
    ModelError
        If there are too many pairs to count.
    """
    from scipy.sparse import csr_array, triu

    J, T = int(codes.max()) + 1, int(occasion.max()) + 1
    sizes = np.bincount(codes)
    # indices and counts of the product, twice while it is made
    check_memory(
        32.0 * min(float(T) ** 2, float(np.square(sizes, dtype=np.float64).sum())),
        f"the pairs of {counted(T, 'occasion')} of `{label}`", "group by a factor with fewer rows, or round the times",
    )  # fmt: skip
    seen = csr_array((np.ones(len(codes), dtype=np.int64), (codes, occasion)), shape=(J, T))
    together = triu(seen.T @ seen, k=1).tocoo()
    order = np.lexsort((together.col, together.row))
    return Pairs(together.row[order], together.col[order], together.data[order])


def check_pairs(part: ResidualPart, groups: Levels, by: Levels, variable: Variable, messages: list[str]) -> None:
    """Refuse an unstructured correlation the data cannot tell, in any level of `by`; name pairs seen in few groups.

    Parameters
    ----------
    part : ResidualPart
    groups, by : Levels
    variable : Variable
        The occasions.
    messages : list of str

    Raises
    ------
    ModelError
        If there are fewer groups than occasions, or a pair of occasions is seen in no group.
    """
    T = len(variable.levels)
    sizes = np.bincount(groups.codes, minlength=len(groups.levels))
    for k in range(len(by.levels)):
        inside = (by.codes == k) & (sizes[groups.codes] > 1)
        where = f" where `{':'.join(part.by)}` is `{label_of(by.levels[k])}`" if part.by else ""
        J = len(np.unique(groups.codes[inside]))
        if J < T:
            raise ModelError(
                f"`{part.label}` has {counted(T, 'occasion')} of `{variable.name}`, and so "
                f"{counted(T * (T - 1) // 2, 'correlation')}, but only {counted(J, 'group')} of `{part.factor}` with "
                f"two rows or more{where}: correlations of more occasions than groups are not determined (their "
                f"matrix would be singular). {_fewer(part, variable)}"
            )
        pairs = pairs_of(groups.codes[inside], variable.codes[inside], part.label)
        _check_seen(part, variable, pairs, where)
        few = np.flatnonzero(pairs.groups < _FEW)
        if len(few):
            names = [f"{variable.levels[i]} and {variable.levels[j]}" for i, j in _named(pairs, few)]
            more = f", and {counted(len(few) - len(names), 'more pair')}" if len(few) > len(names) else ""
            least = counted(int(pairs.groups[few].min()), "group")
            messages.append(
                f"`{part.label}`: some correlations rest on few groups of `{part.factor}`{where}, {least} at the "
                f"least: those of {'; '.join(names)}{more} of `{variable.name}`."
            )


def _named(pairs: Pairs, which: np.ndarray) -> list[tuple[int, int]]:
    return [(int(pairs.i[k]), int(pairs.j[k])) for k in which[:_MOST_NAMED]]


def _check_seen(part: ResidualPart, variable: Variable, pairs: Pairs, where: str) -> None:
    T = len(variable.levels)
    missing = T * (T - 1) // 2 - len(pairs.i)
    if not missing:
        return
    seen = np.zeros((T, T), dtype=bool)
    seen[pairs.i, pairs.j] = True
    gaps = np.argwhere(~seen & np.triu(np.ones((T, T), dtype=bool), 1))
    names = "; ".join(f"{variable.levels[i]} and {variable.levels[j]}" for i, j in gaps[:_MOST_NAMED])
    more = f"; and {counted(missing - _MOST_NAMED, 'more pair')}" if missing > _MOST_NAMED else ""
    are, what = ("is", "its correlation") if missing == 1 else ("are", "their correlations")
    raise ModelError(
        f"`{part.label}`: {counted(missing, 'pair')} of occasions of `{variable.name}` {are} never seen in one group "
        f"of `{part.factor}`{where} ({names}{more}), so nothing tells {what}. {_fewer(part, variable)}"
    )


def _fewer(part: ResidualPart, variable: Variable) -> str:
    """Structures with fewer parameters."""
    at = f"({variable.name} | {part.factor})"
    steps = variable.categorical or np.array_equal(variable.values, np.rint(variable.values))
    others = f"toep{at}, ar1{at} or cs({part.factor})" if steps else f"car1{at} or cs({part.factor})"
    by = "leave `by` out, " if part.by else ""
    return f"Instead, {by}write {others}, merge occasions, or leave some out."


def _rounded(places: np.ndarray, scale: float) -> np.ndarray:
    """Times from the first on, without the digits that rounding made: 1000.3 − 1000.1 is 0.2."""
    if not scale:
        return places
    return np.round(places - places.min(), 13 - int(np.ceil(np.log10(scale))))


def _check_rounding(
    part: ResidualPart, variable: Variable, distances: np.ndarray, lags: np.ndarray, scale: float
) -> None:
    """Raise DataError where one distance is seen with so many values that it is no longer one number."""
    lag = lags[lag_codes(lags, distances, scale)]
    if (np.abs(distances - lag) > _SAME * lag).any():
        raise DataError(
            f"`{part.label}`: distances of `{variable.name}` ({label_of(lags[0])} is the smallest) differ in their "
            f"last digits, as its values go up to {label_of(scale)}: count times from a start near them, as in "
            f"I({variable.name} - start), or round them."
        )


def lags_of(
    part: ResidualPart, groups: Levels, by: Levels, variable: Variable, messages: list[str]
) -> tuple[np.ndarray, np.ndarray]:
    """Positions, shape (n,), and the distances that have a parameter in a Toeplitz correlation, ascending.

    Raises
    ------
    ModelError
        If there are too many for the rows, or one is not seen in a level of `by`.
    """
    places = np.empty(len(variable.levels))
    places[variable.codes] = variable.values
    scale = float(np.abs(places).max())
    places = _rounded(places, scale)
    pairs = pairs_of(groups.codes, variable.codes, part.label)
    lags = _merged(np.unique(places[pairs.j] - places[pairs.i]), scale)
    seen, k, n = len(lags), part.option("k", len(lags)), len(groups.codes)
    if k > seen:
        messages.append(
            f"`{part.label}`: {counted(seen, 'distance')} of `{variable.name}` {'is' if seen == 1 else 'are'} seen "
            f"within groups, fewer than {k}: each has its correlation."
        )
    _check_rounding(part, variable, places[pairs.j] - places[pairs.i], lags, scale)
    lags = lags[:k]
    if 2 * len(lags) * len(by.levels) > n:
        raise ModelError(
            f"`{part.label}` has a correlation for each of {counted(len(lags), 'distance')} of `{variable.name}`"
            f"{f' and {len(by.levels)} levels of `' + ':'.join(part.by) + '`' if part.by else ''}, more than "
            f"{counted(n, 'row')} can tell: take the smallest ones, as in toep({variable.name} | {part.factor or 1}, "
            "3), round the times, or write ar1 or car1."
        )
    for b in range(len(by.levels)):
        inside = by.codes == b
        where = f" where `{':'.join(part.by)}` is `{label_of(by.levels[b])}`" if part.by else ""
        here = pairs_of(groups.codes[inside], variable.codes[inside], part.label) if part.by else pairs
        of_pair = lag_codes(lags, places[here.j] - places[here.i], scale)
        times = np.bincount(of_pair[of_pair >= 0], here.groups[of_pair >= 0], minlength=len(lags))
        _check_lags(part, variable, lags, times, where, messages)
    return places[variable.codes], lags


def _merged(distances: np.ndarray, scale: float) -> np.ndarray:
    """Distances without those that differ from the one before by rounding."""
    return distances[np.concatenate([[True], np.diff(distances) > 4 * ROUNDING * scale])]


def _check_lags(
    part: ResidualPart, variable: Variable, lags: np.ndarray, times: np.ndarray, where: str, messages: list[str]
) -> None:
    if not times.all():
        names = quoted(map(label_of, lags[times == 0]))
        raise ModelError(
            f"`{part.label}`: no two rows of a group are {names} apart in `{variable.name}`{where}, so nothing tells "
            f"the correlation there: leave `by` out, or take the smallest distances alone, as in "
            f"toep({variable.name} | {part.factor or 1}, 1)."
        )
    few = np.flatnonzero(times < _FEW)
    if len(few):
        names = listed(map(label_of, lags[few[:_MOST_NAMED]]))
        more = f" (and {len(few) - _MOST_NAMED} more)" if len(few) > _MOST_NAMED else ""
        messages.append(
            f"`{part.label}`: correlations at {counted(len(few), 'distance')} of `{variable.name}` rest on fewer than "
            f"{_FEW} pairs of rows{where}: {names}{more}."
        )


def check_orders(part: ResidualPart, codes: np.ndarray, times: np.ndarray) -> None:
    """Raise ModelError where fewer distances are seen than an ARMA correlation has parameters.

    Parameters
    ----------
    part : ResidualPart
    codes : ndarray of intp, shape (n,)
        Groups of rows sorted by them, then by time.
    times : ndarray, shape (n,)
        Whole numbers.
    """
    wanted = part.option("p", 0) + part.option("q", 0)
    sizes = np.bincount(codes)
    if sizes.max() > wanted:  # its first row has as many distances to the others
        return
    ends = np.cumsum(sizes)
    distances: set[float] = set()
    for start, end in pairwise((0, *ends)):
        for i in range(start, end - 1):
            distances.update(times[i + 1 : end] - times[i])
        if len(distances) >= wanted:
            return
    found = quoted((label_of(d) for d in sorted(distances)), 8)
    raise ModelError(
        f"`{part.label}` has {counted(wanted, 'parameter')}, but rows of a group are seen at "
        f"{counted(len(distances), 'distance')} only ({found}): with p + q above that they are not determined. Lower "
        f"p or q{'' if wanted > 2 else f', or write ar1({part.variables[0]} | {part.factor or 1})'}."
    )
