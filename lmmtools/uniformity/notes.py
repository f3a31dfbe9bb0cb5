"""The sentences under the table of tests."""

from __future__ import annotations

from typing import Any

import pandas as pd

from lmmtools.formats import counted, quoted

__all__ = ["caption_of", "failures_note", "notes_of"]

_NAMED, _MOST_SENTENCES = 5, 3
_ESTIMATED = {
    "profiled": "β and σ{modes} are estimated again from each draw, the other parameters are kept at their estimates.",
    True: "All parameters are estimated again from each draw.",
    False: "Nothing is estimated again from the draws, which therefore deviate more from the estimates than the data "
    "do: p-values are too large.",
}


def caption_of(fit: Any, draws: int, conditional: bool) -> str:
    """What the table is of."""
    given = ", given the random effects" if conditional else ""
    return f"Tests of quantile residuals of {fit.response}{given}, against {draws:,} responses drawn from the model"


def notes_of(
    fit: Any, draws: int, tests: int, refit: bool | str, conditional: bool, left_out: pd.Index, flat: bool, valid: bool
) -> tuple[str, ...]:
    """Everything that the numbers depend on.

    Parameters
    ----------
    fit : LMMFit
    draws, tests : int
    refit, conditional
        As of `quantile_residuals`.
    left_out : Index
        Rows of leverage one.
    flat : bool
        Whether predictions are all equal.
    valid : bool
        Whether there are p-values.
    """
    modes = ", and the random effects," if conditional else ""
    notes = [_ESTIMATED[refit].format(modes=modes)] if valid else [
        "No p-values: draws around ŷ take the random effects for known, while ŷ follows the data (use "
        'refit="profiled", which draws and estimates them anew).'
    ]  # fmt: skip
    if valid:
        notes.append(
            f"p is the data's rank among {draws:,} draws, whose rows are correlated as the model says; ± is its "
            f"standard error by simulation. These are {tests} tests: one or another of them falls below 0.05 by chance "
            "for more than 5 % of true models."
        )
    if flat:
        notes.append("Predictions are all equal, so nothing is tested along them.")
    if len(left_out):
        notes.append(
            f"Left out: {counted(len(left_out), 'row')} of leverage one ({quoted(left_out, _NAMED)}), which a fit "
            "reproduces whatever is observed."
        )
    return tuple(notes)


def failures_note(failures: tuple[str, ...], singular: int, total: int) -> tuple[str, ...]:
    """What became of refits."""
    notes = []
    if failures:
        sentences = pd.Series(failures).value_counts()
        said = " ".join(f"{count} × {s}" for s, count in sentences.head(_MOST_SENTENCES).items())
        notes.append(f"{len(failures)} of {total:,} refits have no estimates and are left out: {said}")
    if singular:
        notes.append(f"{singular:,} of {total:,} refits are singular; they count.")
    return tuple(notes)
