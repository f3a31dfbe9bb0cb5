"""Where each row of a fit stands: its group, and its time or place within it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar

import numpy as np
import pandas as pd

from lmmtools.design.frame import take
from lmmtools.design.residual.variables import distinct as _distinct
from lmmtools.errors import LMMError, ModelError
from lmmtools.formats import counted, nearest, quoted, spread, with_unit
from lmmtools.frames import Frame, frame

__all__ = [
    "MOST_LAGS",
    "MOST_OCCASIONS",
    "Occasions",
    "Places",
    "column",
    "distinct",
    "for_rows",
    "occasions",
    "places_of",
    "refuse_uncommon",
]

# Occasions of which a table or a picture of all pairs can still be read.
MOST_OCCASIONS = 40
# Lags of which each has pairs enough to be looked at alone.
MOST_LAGS = 400


@dataclass(frozen=True, eq=False)
class Places:
    """Groups and positions of the rows used.

    Attributes
    ----------
    codes : ndarray of int, shape (n,)
        Group of each row; rows of different groups are not compared.
    levels : pd.Index
        Labels of the groups.
    group : str
        What the groups are; empty when all rows are one group.
    positions : ndarray, shape (n, k)
        A time, or coordinates.
    variables : tuple of str
        What the positions are.
    labels : tuple of str
        Names of positions 0, 1, … where these are the levels of a factor.
    """

    codes: np.ndarray
    levels: pd.Index
    group: str
    positions: np.ndarray
    variables: tuple[str, ...]
    labels: tuple[str, ...] = ()

    @cached_property
    def _times(self) -> tuple[np.ndarray, np.ndarray]:
        return distinct(self.positions[:, 0])

    @property
    def times(self) -> np.ndarray:
        """The different positions in order, shape (T,), where there is one position variable."""
        return self._times[0]

    @property
    def occasion(self) -> np.ndarray:
        """Which of `times` each row has."""
        return self._times[1]

    @property
    def names(self) -> tuple[str, ...]:
        """Labels of `times`."""
        if self.labels:
            return tuple(self.labels[int(t)] for t in self.times)
        return tuple(f"{t:.10g}" for t in self.times)

    @property
    def repeated(self) -> np.ndarray:
        """Rows whose group has an earlier row at the same position."""
        key = self.codes * len(self.times) + self.occasion
        first = np.zeros(len(key), dtype=bool)
        first[np.unique(key, return_index=True)[1]] = True
        return np.flatnonzero(~first)

    @property
    def regular(self) -> bool:
        """Whether times differ by few different lags, none of them zero within a group."""
        if self.positions.shape[1] != 1 or len(self.repeated) or len(self.times) > MOST_LAGS:
            return False
        gaps = np.abs(np.subtract.outer(self.times, self.times))
        return len(distinct(gaps[np.triu_indices(len(gaps), 1)])[0]) <= MOST_LAGS

    @property
    def axis(self) -> str:
        """What distances are distances of: ``"age"``, ``"x, y"``."""
        return ", ".join(self.variables)

    def why_not_common(self) -> str:
        """Why these are no occasions that groups have in common; empty where they are."""
        if self.positions.shape[1] != 1:
            return f"positions are of {counted(self.positions.shape[1], 'coordinate')}"
        if len(self.levels) < 2:
            return "all rows are one group"
        if len(self.repeated):
            row = int(self.repeated[0])
            where = f"{self.names[self.occasion[row]]} of {self.group} {self.levels[self.codes[row]]}"
            return f"some groups have several rows at one occasion (the first: {where})"
        if len(self.times) > MOST_OCCASIONS:
            return f"{self.axis} has {len(self.times):,} different values, and {MOST_OCCASIONS} are the most shown"
        return ""


def distinct(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The different values in order, and which each value is; distances of rounded times are one value too."""
    return _distinct(values, roundings=4.0)


def places_of(fit: Any, time: Any, group: Any, what: str) -> Places:
    """Groups and positions of a fit's rows.

    Parameters
    ----------
    fit : LMMFit
    time : None, str or array
        The residual structure's own positions; a position variable of it or a numeric column of the fixed effects by
        name; or a value, or a row of coordinates, for each row used (a Series or DataFrame is matched by its labels).
    group : None, str or array
        The residual structure's groups, else the grouping factor with most levels; a grouping factor by name; or a
        value for each row used.
    what : str
        The function that asks.

    Raises
    ------
    LMMError
        If they cannot be found or do not fit the rows.
    """
    design = getattr(fit, "design", None)
    if design is None:
        raise LMMError(f"{what}: takes a fit; got {type(fit).__name__}.")
    correlation = design.correlation
    codes, levels, name = _groups(design, correlation, group, what)
    positions, variables, labels = _positions(design, correlation, time, what)
    return Places(codes, levels, name, positions, variables, labels)


def column(data: Any, name: str) -> pd.Series | None:
    """A column of the data by name, for `time` and `group`.

    Parameters
    ----------
    data : frame
        Any frame narwhals understands.
    name : str
        Empty for none.

    Returns
    -------
    Series, or None for an empty name

    Raises
    ------
    DataError
        If there is no such column.
    """
    return take(data, [name]).series[name] if name else None


def _groups(design: Any, correlation: Any, group: Any, what: str) -> tuple[np.ndarray, pd.Index, str]:
    known = {term.factor: (term.codes, term.levels) for term in design.terms}
    if correlation is not None and correlation.group:
        known |= {correlation.group: (correlation.codes, correlation.levels)}
    if group is None and correlation is not None:
        return correlation.codes, correlation.levels, correlation.group
    if group is None and known:
        group = max(known, key=lambda factor: len(known[factor][1]))
    if group is None:
        raise LMMError(
            f"{what}: the model has neither groups of correlated residuals nor random effects, so rows have no groups; "
            "pass group=data[…], a value for each row."
        )
    if isinstance(group, str):
        if group not in known:
            raise LMMError(
                f"{what}: `{group}` is no grouping factor of the fit{nearest(group, known)}, which has "
                f"{quoted(known) or 'none'}; for another column pass its values, group=data[{group!r}]."
            )
        return *known[group], group
    values = for_rows(design, group, what, "group")
    codes, levels = pd.factorize(values.iloc[:, 0], sort=True)
    return codes, pd.Index(levels), str(values.columns[0])


def _positions(
    design: Any, correlation: Any, time: Any, what: str
) -> tuple[np.ndarray, tuple[str, ...], tuple[str, ...]]:
    own = correlation is not None and correlation.positions.shape[1] > 0
    if time is None or (own and isinstance(time, str) and (time,) == tuple(correlation.variables)):
        if not own:
            raise LMMError(
                f"{what}: the residual structure has no time or place; pass time=data[…], a value for each row."
            )
        return _as_numbers(correlation)
    if isinstance(time, str):
        if time in design.fixed_names:
            return design.X[:, [design.fixed_names.index(time)]], (time,), ()
        raise LMMError(
            f"{what}: `{time}` is neither the residual structure's time nor a numeric column of the fixed effects"
            f"{nearest(time, design.fixed_names)}; pass its values, time=data[{time!r}]."
        )
    values = for_rows(design, time, what, "time")
    if values.shape[1] == 1 and not pd.api.types.is_numeric_dtype(values.iloc[:, 0]):
        factor = values.iloc[:, 0].astype("category").cat
        return factor.codes.to_numpy(float)[:, None], tuple(map(str, values)), tuple(map(str, factor.categories))
    try:
        positions = values.to_numpy(dtype=float)
    except (TypeError, ValueError) as error:
        kinds = quoted(values.dtypes.astype(str))
        raise LMMError(f"{what}: coordinates in time must be numbers; got {kinds}.") from error
    if not np.all(np.isfinite(positions)):
        raise LMMError(f"{what}: time has values that are not finite.")
    return positions, tuple(map(str, values)), ()


def _as_numbers(correlation: Any) -> tuple[np.ndarray, tuple[str, ...], tuple[str, ...]]:
    """Positions of a structure; occasions whose labels are numbers as these numbers."""
    labels = tuple(correlation.occasions) if correlation.kind == "us" else ()
    if not labels:
        return correlation.positions, correlation.variables, ()
    try:
        times = np.array([float(label) for label in labels])
    except ValueError:
        return correlation.positions, correlation.variables, labels
    return times[correlation.positions[:, 0].astype(int)][:, None], correlation.variables, ()


def for_rows(design: Any, given: Any, what: str, name: str) -> pd.DataFrame:
    """Values of the rows used, in their order, a column a variable; none is missing."""
    index = design.index
    if isinstance(given, pd.Series | pd.DataFrame):
        values = pd.DataFrame(given)
        if not values.index.equals(index):
            if not values.index.is_unique and len(values) > len(index):
                raise LMMError(
                    f"{what}: labels of {name} occur twice, so that they do not tell which {len(index):,} of its "
                    f"{len(values):,} rows were used; fit data.reset_index(drop=True), or pass an array of a value "
                    "for each row used."
                )
            if not (values.index.is_unique and index.isin(values.index).all()):
                raise LMMError(
                    f"{what}: {name} has other labels than the data fitted; take it from the same frame, or pass an "
                    "array of a value for each row used."
                )
            values = values.loc[index]
    else:
        array = np.asarray(given)
        if array.ndim not in (1, 2) or len(array) != len(index):
            raise LMMError(
                f"{what}: {name} must hold one value for each of the {len(index):,} rows used; got shape {array.shape}."
            )
        values = pd.DataFrame(array.reshape(len(index), -1))
        values.columns = [name] if values.shape[1] == 1 else [f"{name}{k + 1}" for k in values.columns]
    lost = values.isna().any(axis=1).to_numpy()
    if lost.any():
        row = index[int(np.argmax(lost))]
        raise LMMError(f"{what}: {name} is missing in {counted(int(lost.sum()), 'row')} (the first: row {row}).")
    return values


class Occasions(Frame):
    """How many groups were seen at each pair of occasions; where there are no common ones, how rows are placed.

    Attributes
    ----------
    common : bool
        Whether groups have occasions in common, few enough to look at all pairs.
    regular : bool
        Whether times differ by few different lags, so that there are pairs for an autocorrelation.
    """

    _metadata: ClassVar[list[str]] = [*Frame._metadata, "common", "regular"]
    common: bool = False
    regular: bool = False

    @property
    def _constructor(self) -> type[Occasions]:
        return Occasions


def occasions(fit: Any, *, time: Any = None, group: Any = None) -> Occasions:
    """How many groups were seen at both of each two occasions.

    Parameters
    ----------
    fit : LMMFit
    time, group
        As of `semivariogram`.

    Returns
    -------
    Occasions
        A row and a column an occasion, groups seen at it on the diagonal; ``.common`` is True. Where times are not
        shared, or too many, a summary of them, and ``.common`` is False.

    Raises
    ------
    LMMError
        If `time` or `group` cannot be found or does not fit the rows.

    Examples
    --------
    >>> import lmmtools as lt
    >>> fit = lt.fit_gls("distance ~ age", lt.load_dataset("Orthodont"), residual="us(age | Subject)")
    >>> int(lt.occasions(fit).loc["8", "14"])
    27
    """
    places = places_of(fit, time, group, "occasions")
    why = places.why_not_common()
    if why:
        return _uncommon(places, why)
    seen = np.zeros((len(places.levels), len(places.times)))
    seen[places.codes, places.occasion] = 1.0
    counts = (seen.T @ seen).astype(int)
    names = pd.Index(places.names, name="occasion")
    never = [f"{places.names[i]} and {places.names[j]}" for i, j in zip(*np.nonzero(counts == 0), strict=True) if i < j]
    notes = (f"Never seen together: {quoted(never)}.",) if never else ()
    made = frame(
        pd.DataFrame(counts, index=names, columns=list(names)),
        caption=f"Levels of {places.group} seen at both of two occasions of {_with_units(fit, places)}, "
        f"{counted(len(places.levels), 'level')} in all; on the diagonal, seen at one",
        label="tbl-occasions",
        notes=notes,
        headings={"occasion": places.axis},
        cls=Occasions,
    )
    made.common = made.regular = True
    return made


def _uncommon(places: Places, why: str) -> Occasions:
    sizes = np.bincount(places.codes, minlength=len(places.levels))
    rows = [
        ("rows", f"{len(places.codes):,}"),
        (f"levels of {places.group}" if places.group else "groups", f"{len(places.levels):,}"),
        ("rows of a group", f"{spread(sizes)}, median {np.median(sizes):g}"),
        ("pairs of rows within groups", f"{int((sizes * (sizes - 1) // 2).sum()):,}"),
    ]
    rows += [
        (name, f"{spread(column)}, {len(distinct(column)[0]):,} different values")
        for name, column in zip(places.variables, places.positions.T, strict=True)
    ]
    made = frame(
        pd.DataFrame(rows, columns=["what", "value"]),
        caption="Where the rows stand",
        label="tbl-occasions",
        notes=(f"There is no table of pairs of occasions: {why}.",),
        headings={"what": "What", "value": "How many"},
        index=False,
        cls=Occasions,
    )
    made.regular = places.regular
    return made


def _with_units(fit: Any, places: Places) -> str:
    return with_unit(places.axis, fit.design.units.get(places.axis))


def refuse_uncommon(places: Places, what: str) -> None:
    """Refuse rows that have no occasions in common.

    Raises
    ------
    ModelError
        If so, with the reason.
    """
    why = places.why_not_common()
    if why:
        raise ModelError(
            f"{what}: compares covariances of occasions that groups have in common, and here {why}; look at "
            "semivariogram or autocorrelation instead."
        )
