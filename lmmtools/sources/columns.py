"""What is declared of columns: number, factor or ordered factor, with levels, unit, description and noun."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd

from lmmtools.errors import DataError
from lmmtools.formats import counted, nearest, quoted

__all__ = ["KINDS", "check_columns", "describe", "typed"]

KINDS = ("number", "factor", "ordered")
_KEYS = ("kind", "levels", "unit", "description", "noun")


def check_columns(columns: object) -> dict[str, dict[str, Any]]:
    """Declarations of columns, copied, levels as text.

    Raises
    ------
    DataError
        For an unknown key or kind, levels where there are none, and whatever has the wrong type.
    """
    if not isinstance(columns, Mapping):
        raise DataError(f"columns is a mapping from names to what is said of them; got {type(columns).__name__}.")
    return {str(name): _checked(str(name), about) for name, about in columns.items()}


def _checked(name: str, about: object) -> dict[str, Any]:
    if not isinstance(about, Mapping):
        raise DataError(f"columns: what is said of `{name}` is a mapping with {quoted(_KEYS)}; got {about!r}.")
    about = dict(about)
    for key in about:
        if key not in _KEYS:
            raise DataError(
                f"columns: `{name}` has an unknown key `{key}`{nearest(str(key), _KEYS)}; known are {quoted(_KEYS)}."
            )
    for key in ("kind", "unit", "description"):
        if not isinstance(about.get(key, ""), str):
            raise DataError(f"columns: `{key}` of `{name}` is a text; got {about[key]!r}.")
    kind = about.get("kind", "")
    if kind and kind not in KINDS:
        raise DataError(
            f"columns: `{name}` cannot be of kind `{kind}`{nearest(kind, KINDS)}: kinds are {quoted(KINDS)}."
        )
    if "levels" in about:
        about["levels"] = _levels(name, kind, about["levels"])
    elif kind == "ordered":
        raise DataError(f"columns: `{name}` is ordered, so its levels must be listed, the lowest first.")
    noun = about.get("noun", ("", ""))
    if not (isinstance(noun, list | tuple) and len(noun) == 2 and all(isinstance(word, str) for word in noun)):
        raise DataError(
            f'columns: `noun` of `{name}` is singular and plural, such as ["child", "children"]; got {noun!r}.'
        )
    return about


def _levels(name: str, kind: str, levels: object) -> list[str]:
    if kind not in ("factor", "ordered"):
        raise DataError(f'columns: `{name}` has levels, so its kind must be "factor" or "ordered".')
    if not isinstance(levels, list | tuple) or not levels:
        raise DataError(f"columns: the levels of `{name}` are a list, at least one; got {levels!r}.")
    words = [_word(level) for level in levels]
    twice = [word for word in dict.fromkeys(words) if words.count(word) > 1]
    if twice:
        raise DataError(f"columns: the levels of `{name}` name {quoted(twice)} more than once.")
    return words


def describe(about: dict[str, Any], columns: Mapping[str, Mapping[str, Any]]) -> None:
    """Put declared units, descriptions and nouns into a data set's own account of itself."""
    for name, declared in columns.items():
        for key, place in (("unit", "units"), ("description", "descriptions"), ("noun", "nouns")):
            if declared.get(key):
                about[place][name] = list(declared[key]) if key == "noun" else declared[key]


def typed(frame: pd.DataFrame, columns: Mapping[str, Mapping[str, Any]]) -> pd.DataFrame:
    """The table with its columns of the kinds declared.

    Raises
    ------
    DataError
        If a column does not exist, is declared a number and holds words, or holds levels that are not declared.
    """
    for name, about in columns.items():
        if name not in frame.columns:
            raise DataError(
                f"columns: the data have no column `{name}`{nearest(name, frame.columns)}; "
                f"they have {quoted(frame.columns, 12)}."
            )
        kind = about.get("kind")
        if kind == "number":
            frame[name] = _number(name, frame[name])
        elif kind:
            frame[name] = _factor(name, frame[name], about, ordered=kind == "ordered")
    return frame


def _number(name: str, values: pd.Series) -> pd.Series:
    if pd.api.types.is_numeric_dtype(values.dtype) and not pd.api.types.is_bool_dtype(values.dtype):
        return values
    words = values.astype(object)
    numbers = pd.to_numeric(words.where(words.notna(), None), errors="coerce")
    wrong = numbers.isna() & values.notna()
    if wrong.any():
        raise DataError(
            f"columns: `{name}` is declared a number, but {counted(int(wrong.sum()), 'value')} cannot be read as one: "
            f"{quoted(dict.fromkeys(values[wrong].astype(str)))}. Correct the file, or declare the column a factor."
        )
    return numbers


def _factor(name: str, values: pd.Series, about: Mapping[str, Any], *, ordered: bool) -> pd.Series:
    words = values.astype(object).map(_word, na_action="ignore")
    found = list(dict.fromkeys(words.dropna()))
    levels = about.get("levels") or _own_order(values, found)
    unknown = [level for level in found if level not in set(levels)]
    if unknown:
        raise DataError(
            f"columns: `{name}` holds {quoted(unknown)}{nearest(unknown[0], levels)}, which its declared levels "
            f"{quoted(levels, 12)} do not include: list every level, or correct the file."
        )
    return pd.Series(pd.Categorical(words, categories=levels, ordered=ordered), index=values.index)


def _own_order(values: pd.Series, found: list[str]) -> list[str]:
    """A factor's own order where it has one; else by size if all levels are whole numbers, else by alphabet."""
    if isinstance(values.dtype, pd.CategoricalDtype):
        return [_word(level) for level in values.cat.categories]
    if all(level.lstrip("-").isdecimal() for level in found):
        return sorted(found, key=lambda level: (int(level), level))
    return sorted(found)


def _word(value: object) -> str:
    """A level as text: a whole number has no ``.0``, which missing values elsewhere in its column give it."""
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value)
