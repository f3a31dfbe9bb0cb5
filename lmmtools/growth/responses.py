"""The responses: one row a subject, one column an occasion, from a wide frame, a matrix, or long data."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

import numpy as np
import pandas as pd

from lmmtools.design.checks import check_magnitude
from lmmtools.design.frame import Columns, eager, missing_mask, numbers, take
from lmmtools.design.levels import categorise
from lmmtools.errors import DataError, FormulaError
from lmmtools.formats import counted, quoted
from lmmtools.formula.syntax import Name, Op, Paren, complain, read

__all__ = ["Responses", "long_responses", "wide_responses"]


@dataclass(frozen=True, eq=False)
class Responses:
    """Y, and where the variables of both formulas are read.

    Attributes
    ----------
    text : str
        What was given, for headings: ``"distance ~ age | Subject"``, or ``"Y"``.
    values : ndarray, shape (n, m)
    subjects, occasions : pd.Index
    between, within : callable
        Names of columns to `Columns` with a row for each subject, or occasion.
    units : Mapping[str, str]
        Of the columns of long data, where these are known.
    """

    text: str
    values: np.ndarray
    subjects: pd.Index
    occasions: pd.Index
    between: Callable[[tuple[str, ...]], Columns]
    within: Callable[[tuple[str, ...]], Columns]
    units: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))

    @property
    def Y(self) -> pd.DataFrame:
        """The responses, labelled."""
        return pd.DataFrame(self.values.copy(), index=self.subjects, columns=self.occasions)


def wide_responses(Y: Any, data: Any, times: Any) -> Responses:
    """Responses that are a matrix already.

    Parameters
    ----------
    Y : data frame or array_like, shape (n, m)
        Columns in the order of the occasions.
    data : data frame, optional
        With a row for each subject.
    times : array_like, Mapping or data frame, optional
        When the occasions were, or columns with a row for each occasion.

    Raises
    ------
    DataError
        If values are missing or no numbers, or rows do not match.
    """
    values, subjects, occasions = _matrix(Y)
    if times is not None and not isinstance(Y, pd.DataFrame) and np.ndim(times) == 1 and not _is_table(times):
        occasions = pd.Index(times) if len(times) == len(occasions) else occasions
    return Responses(
        "Y", _checked(values, subjects, occasions), subjects, occasions,
        lambda names: _subject_columns(names, data, subjects),
        lambda names: _occasion_columns(names, times, occasions, labelled=_has_labels(Y)),
    )  # fmt: skip


def _matrix(Y: Any) -> tuple[np.ndarray, pd.Index, pd.Index]:
    """Values with the labels of rows and columns."""
    if isinstance(Y, pd.DataFrame) or hasattr(Y, "__dataframe__") or type(Y).__module__.split(".")[0] == "polars":
        names = list(Y.columns) if isinstance(Y, pd.DataFrame) else list(eager(Y).columns)
        if not names:
            raise DataError("Y has no columns: it needs one for each occasion.")
        columns = take(Y, names)
        role = "a column of Y must hold the responses at one occasion; the column"
        values = np.column_stack([numbers(str(name), columns.series[name], role) for name in names])
        if not columns.index.is_unique:
            twice = columns.index[columns.index.duplicated()].unique()
            raise DataError(
                f"Y has several rows of one label ({quoted(twice, 5)}): give each subject one row, or pass long data "
                "as Y='response ~ time | subject' with data=."
            )
        return values, columns.index, Y.columns if isinstance(Y, pd.DataFrame) else pd.Index(names)
    try:
        values = np.asarray(Y)
        if values.dtype.kind not in "fiu":
            raise TypeError
        values = values.astype(float)
    except (TypeError, ValueError) as error:
        raise DataError(
            f"Y is a {type(Y).__name__} that holds no matrix of real numbers: pass one with subjects as rows and "
            "occasions as columns, or 'response ~ time | subject' with data=."
        ) from error
    if values.ndim != 2 or not values.size:
        raise DataError(f"Y must have subjects as rows and occasions as columns; its shape is {values.shape}.")
    return values, pd.RangeIndex(len(values)), pd.RangeIndex(1, values.shape[1] + 1)


def _has_labels(Y: Any) -> bool:
    """Whether the columns have names of their own: a matrix, and a frame made from one, do not."""
    return hasattr(Y, "columns") and not (isinstance(Y, pd.DataFrame) and isinstance(Y.columns, pd.RangeIndex))


def _checked(
    values: np.ndarray, subjects: pd.Index, occasions: pd.Index, time: str = "time", subject: str = "subject"
) -> np.ndarray:
    """Responses without gaps; the last two are what long data call their columns."""
    if np.isinf(values).any():
        i, j = np.argwhere(np.isinf(values))[0]
        raise DataError(f"Y is infinite for subject `{subjects[i]}` at occasion `{occasions[j]}`: correct the value.")
    gone = np.isnan(values)
    if gone.any():
        rows = gone.any(axis=1)
        raise DataError(
            f"{counted(int(rows.sum()), 'subject')} of {len(subjects)} {'has' if rows.sum() == 1 else 'have'} missing "
            f"occasions ({quoted(subjects[rows], 5)}; {counted(int(gone.sum()), 'value')} in all), and a growth curve "
            "model needs every subject at every occasion: leave them out, or fit every observation of long data by "
            f"fit_gls with reml=False and residual='us({time} | {subject}) * varident({time})'."
        )
    check_magnitude([str(name) for name in occasions], values)
    return np.array(values)


def _subject_columns(names: tuple[str, ...], data: Any, subjects: pd.Index) -> Columns:
    if not names:
        return Columns({}, subjects)
    if data is None:
        raise DataError(f"between names {quoted(names)}, but there are no data of the subjects: pass data=.")
    columns = take(data, names)
    if len(columns) != len(subjects):
        raise DataError(
            f"data has {counted(len(columns), 'row')} and Y {counted(len(subjects), 'subject')}: give one row for each "
            "subject, or pass long data as Y='response ~ time | subject'."
        )
    if columns.index.equals(subjects):
        return columns
    if columns.index.is_unique and subjects.is_unique and columns.index.isin(subjects).all():
        places = columns.index.get_indexer(subjects)
        return Columns({name: s.iloc[places] for name, s in columns.series.items()}, subjects)
    if isinstance(subjects, pd.RangeIndex) or not isinstance(data, pd.DataFrame):  # one of the two has no labels
        return Columns({name: s.set_axis(subjects) for name, s in columns.series.items()}, subjects)
    raise DataError(
        f"the rows of data are labelled {quoted(columns.index, 3)}, those of Y {quoted(subjects, 3)}, so which row "
        "belongs to which subject is not known: give both the same index."
    )


def _is_table(times: Any) -> bool:
    return isinstance(times, Mapping) or hasattr(times, "columns")


def _occasion_columns(names: tuple[str, ...], times: Any, occasions: pd.Index, *, labelled: bool) -> Columns:
    if not names:
        return Columns({}, occasions)
    m = len(occasions)
    if times is None:
        times = _read_labels(occasions, names) if labelled else None
        if times is None:
            raise DataError(
                f"within names {quoted(names)}, but when the {counted(m, 'occasion')} were is not known: pass times=, "
                "such as times=[8, 10, 12, 14]."
            )
    if not _is_table(times):
        if len(names) > 1:
            raise DataError(
                f"within names {quoted(names)}, and times is one column: pass times={{'{names[0]}': [...], …}}."
            )
        times = {names[0]: times}
    if isinstance(times, Mapping):
        for name, column in times.items():
            if np.ndim(column) != 1 or isinstance(column, str) or len(column) != m:
                size = len(column) if np.ndim(column) == 1 else "no list of"
                raise DataError(f"times: `{name}` has {size} values for {counted(m, 'occasion')}: give one for each.")
        times = pd.DataFrame({name: list(column) for name, column in times.items()})
    columns = take(times, names)
    if len(columns) != m:
        raise DataError(f"times has {counted(len(columns), 'row')} for {counted(m, 'occasion')}: give one for each.")
    return Columns({name: s.set_axis(occasions) for name, s in columns.series.items()}, occasions)


def _read_labels(occasions: pd.Index, names: tuple[str, ...]) -> Sequence | None:
    """Column labels as times, where they are numbers."""
    if len(names) > 1:
        return None
    try:
        return pd.to_numeric(pd.Index(occasions)).to_list()
    except (TypeError, ValueError):
        return None


# --- long data -----------------------------------------------------------------------------------------


def long_responses(text: str, data: Any) -> Responses:
    """Responses from long data, a row for each subject and occasion.

    Parameters
    ----------
    text : str
        ``"response ~ time | subject"``.
    data : data frame
        Rows in any order. Variables of the between formula must be constant within subjects, those of the within
        formula within occasions.

    Returns
    -------
    Responses
        `Y` is wide: subjects and occasions in the order of their levels.

    Raises
    ------
    FormulaError
        If the text is not of that form.
    DataError
        If a subject lacks an occasion or has one twice.
    """
    response, time, subject = _names(text)
    if data is None:
        raise DataError(f"Y={text!r} names columns, but there are no data: pass data=.")
    columns = take(data, dict.fromkeys((response, time, subject)))
    for name in (time, subject):
        if (gone := missing_mask(columns.series[name])) is not None:
            raise DataError(
                f"`{name}` is missing in {counted(int(gone.sum()), 'row')}: fill it in, or leave these out."
            )
    who, when = (categorise(name, columns.series[name]) for name in (subject, time))
    n, m = len(who.levels), len(when.levels)
    cells = who.codes * m + when.codes
    counts = np.bincount(cells, minlength=n * m)
    if counts.max() > 1:
        i, j = divmod(int(np.argmax(counts > 1)), m)
        raise DataError(
            f"`{subject}` {who.levels[i]} has {counts[i * m + j]} rows at `{time}` {when.levels[j]}, so which is the "
            "response there is not known: leave one, or take their mean."
        )
    values = np.full(n * m, np.nan)
    values[cells] = numbers(response, columns.series[response], "the response")
    values = values.reshape(n, m)
    subjects, occasions = who.levels.rename(subject), when.levels.rename(time)
    return Responses(
        text, _checked(values, subjects, occasions, time, subject), subjects, occasions,
        lambda names: _constant(names, data, who.codes, subjects, ("between", subject)),
        lambda names: _constant(names, data, when.codes, occasions, ("within", time)),
        columns.units,
    )  # fmt: skip


def _names(text: str) -> tuple[str, str, str]:
    """Names of the response, of the time and of the subjects."""
    tree = read(text)
    while isinstance(tree, Op) and tree.op == "~" and isinstance(tree.right, Paren):
        tree = Op(tree.pos, "~", tree.left, tree.right.body, tree.at)
    match tree:
        case Op(op="~", left=Name(value=y), right=Op(op="|", left=Name(value=t), right=Name(value=s))):
            if len({y, t, s}) == 3:
                return y, t, s
            complain(text, 0, "response, time and subject must be three different columns.")
        case Op(op="~"):
            complain(text, tree.at, "long data are described by three columns, as in 'distance ~ age | Subject'.")
    raise FormulaError(
        f"Y={text!r} does not say which columns are which: write 'response ~ time | subject', or pass Y as a matrix."
    )


def _constant(names: tuple[str, ...], data: Any, codes: np.ndarray, labels: pd.Index, side: tuple[str, str]) -> Columns:
    """Columns with one row a level, each level's values being all the same."""
    columns = take(data, names)
    first = np.full(len(labels), len(codes))
    np.minimum.at(first, codes, np.arange(len(codes)))
    what, group = side
    made = {}
    for name, series in columns.series.items():
        same = pd.factorize(series, use_na_sentinel=False)[0]
        if (differs := same != same[first][codes]).any():
            where = labels[codes[np.argmax(differs)]]
            other = "within" if what == "between" else "between"
            raise DataError(
                f"`{name}` changes within `{group}` {where}, and a column of {what} is constant there: move it to "
                f"{other}, or, if it varies both ways, use fit_gls."
            )
        made[name] = series.iloc[first].set_axis(labels)
    return Columns(made, labels)
