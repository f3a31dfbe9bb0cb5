"""What the tables of means and of contrasts share: columns, headings and the words of captions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pandas as pd

from lmmtools.formats import estimate_format, listed, visible, with_unit
from lmmtools.frames import Frame, frame
from lmmtools.inference.contrasts import df_format
from lmmtools.inference.means.rows import Rows

__all__ = ["among", "capital", "percent", "shown_as"]


def percent(level: float) -> str:
    """``"95 %"``."""
    return f"{100 * level:g} %"


def capital(text: str) -> str:
    """The text with a capital letter first."""
    return text[:1].upper() + text[1:]


def among(names: Sequence[str], word: str = "by") -> str:
    """``" by A and B"``; empty without names."""
    return f" {word} {listed(map(visible, names))}" if len(names) else ""


def shown_as(
    table: pd.DataFrame, rows: Rows, caption: str, label: str, notes: tuple[str, ...], cls: type[Frame] = Frame
) -> Any:
    """A frame of levels and estimates, estimates and limits sharing their decimals."""
    shared = [name for name in ("estimate", "ci_low", "ci_high") if name in table]
    together = estimate_format(table[shared].to_numpy().ravel())
    levels = {name: visible(str(name)) for name in rows.levels}
    return frame(
        table,
        caption=caption,
        label=label,
        notes=tuple(dict.fromkeys(notes)),
        headings=levels | {
            "contrast": "Contrast", "estimate": with_unit("Estimate", rows.unit), "std_error": "Std. error", "df": "df",
            "statistic": "z" if rows.ddf == "normal" else "t", "p_value": "p", "ci_low": f"{percent(rows.level)} low",
            "ci_high": "high",
        },
        formats={
            **dict.fromkeys(rows.levels.select_dtypes("float"), "data"), **dict.fromkeys(shared, together),
            "std_error": "estimate", "df": df_format(table["df"]), "statistic": "fixed2", "p_value": "p",
        },
        index=False,
        cls=cls,
    )  # fmt: skip
