"""Power as a table, with what became of the studies it is from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import pandas as pd

from lmmtools.formats import counted
from lmmtools.frames import Frame, frame
from lmmtools.planning.decisions import Decision
from lmmtools.planning.sizes import Size

__all__ = ["Power", "Studies", "power_frame"]

# Of the limits of a power, which are for its simulation.
_LEVEL = 0.95
# Sentences of failures that a note has, each with its count.
_MOST_SENTENCES = 3


@dataclass(frozen=True, eq=False)
class Studies:
    """The simulated studies of one design.

    Attributes
    ----------
    model : str
        Name of the model; empty where there is one.
    numbers : tuple of int
        Its sizes.
    rows : int
    effect : float
        True value of the function that is tested, NaN where it is not one.
    decisions : tuple of Decision
    """

    model: str
    numbers: tuple[int, ...]
    rows: int
    effect: float
    decisions: tuple[Decision, ...]

    def row(self, alpha: float) -> dict[str, Any]:
        """The numbers of the design's row."""
        p = np.array([one.p_value for one in self.decisions])
        n, rejected = len(p), np.nan_to_num(p, nan=2.0) <= alpha
        share = float(rejected.mean())
        low, high = clopper_pearson(int(rejected.sum()), n)
        found = {
            "rows": self.rows, "power": share, "low": low, "high": high, "mc_error": np.sqrt(share * (1.0 - share) / n),
            "n": n, "failed": int(np.isnan(p).sum()), "singular": sum(one.singular for one in self.decisions),
        }  # fmt: skip
        if np.isnan(self.effect):
            return found
        return found | self._exaggerated(np.array([one.estimate for one in self.decisions])[rejected])

    def _exaggerated(self, estimates: np.ndarray) -> dict[str, float]:
        """Type S and M errors of estimates that reject; none where there is no effect to be wrong about."""
        if not len(estimates) or self.effect == 0.0:
            return {"type_s": np.nan, "type_m": np.nan}
        wrong = np.mean(np.sign(estimates) != np.sign(self.effect))
        return {"type_s": float(wrong), "type_m": float(np.mean(np.abs(estimates)) / abs(self.effect))}


def clopper_pearson(k: int, n: int, level: float = _LEVEL) -> tuple[float, float]:
    """Exact limits of a probability from k of n (Clopper & Pearson 1934), by quantiles of beta distributions."""
    from scipy.special import betaincinv

    tail = (1.0 - level) / 2.0
    low = 0.0 if k == 0 else float(betaincinv(k, n - k + 1, tail))
    high = 1.0 if k == n else float(betaincinv(k + 1, n - k, 1.0 - tail))
    return low, high


class Power(Frame):
    """Power, a row a design; a selection of rows or columns is a plain `Frame`."""

    _metadata: ClassVar[list[str]] = ["_about", "_studies", "_varied", "_test", "_alpha"]  # kept and pickled by pandas
    _studies: tuple[Studies, ...] = ()
    _varied: tuple[str, ...] = ()
    _test: str = ""
    _alpha: float = 0.05

    @property
    def _constructor(self) -> type[Frame]:
        return Frame

    @property
    def test(self) -> str:
        """What was tested, and how."""
        return self._test

    @property
    def alpha(self) -> float:
        """The level of the test."""
        return self._alpha

    @property
    def varied(self) -> tuple[str, ...]:
        """The columns that tell designs apart."""
        return self._varied

    @property
    def p_values(self) -> pd.DataFrame:
        """p-values of all studies, shape (n, designs), columns numbered as the rows; NaN where one failed."""
        return pd.DataFrame({k: [one.p_value for one in s.decisions] for k, s in enumerate(self._studies)})

    @property
    def failures(self) -> Frame:
        """The studies without a p-value: ``design`` (the row), ``study`` (its number, from 1) and why."""
        found = [
            (k, j, one.reason)
            for k, s in enumerate(self._studies) for j, one in enumerate(s.decisions, start=1) if one.reason
        ]  # fmt: skip
        n = sum(len(s.decisions) for s in self._studies)
        return frame(
            pd.DataFrame(found, columns=["design", "study", "sentence"]),
            caption=f"Failures among {counted(n, 'simulated study', 'simulated studies')}",
            label="tbl-power-failures",
            headings={"design": "Design", "study": "Study", "sentence": "What went wrong"},
            index=False,
        )


def power_frame(
    studies: list[Studies], varied: tuple[Size, ...], test: str, alpha: float, notes: tuple[str, ...]
) -> Power:
    """The table of all designs."""
    named = any(s.model for s in studies)
    names = tuple(size.name for size in varied)
    rows = [
        ({"model": s.model} if named else {}) | dict(zip(names, s.numbers, strict=True)) | s.row(alpha) for s in studies
    ]
    data = pd.DataFrame(rows)
    percent = f"{100 * alpha:g} %"
    made = frame(
        data,
        caption=f"Power of a test at the {percent} level: {test}",
        label="tbl-power",
        notes=(*_notes(studies, data), *notes),
        headings=_headings(named, varied),
        formats=dict.fromkeys(("power", "low", "high", "type_s"), "fixed3")
        | {"mc_error": "fixed4", "type_m": "fixed2"},
        index=False,
        cls=Power,
    )
    made._studies, made._varied = tuple(studies), (("model",) if named else ()) + names
    made._test, made._alpha = test, alpha
    return made


def _headings(named: bool, varied: tuple[Size, ...]) -> dict[str, str]:
    own = {s.name: f"{s.name} (levels)" if s.unit and not s.within else s.name[:1].upper() + s.name[1:] for s in varied}
    return own | ({"model": "Model"} if named else {}) | {
        "rows": "Rows", "power": "Power", "low": "95 % low", "high": "high", "mc_error": "MC error", "n": "Studies",
        "failed": "Failed", "singular": "Singular", "type_s": "Type S", "type_m": "Type M",
    }  # fmt: skip


def _notes(studies: list[Studies], data: pd.DataFrame) -> list[str]:
    """What the limits are for, what was tested, and what became of the refits."""
    notes = [
        "Limits (Clopper and Pearson) and MC error are those of the simulation; that the parameters are stated, and "
        "not known, they do not count."
    ]
    effects = sorted({s.effect for s in studies if not np.isnan(s.effect)})
    if effects:
        values = ", ".join(f"{effect:.4g}" for effect in effects)
        notes.append(f"True value of what is tested: {values}." + (_NULL if effects == [0.0] else ""))
    if failed := int(data["failed"].sum()):
        reasons = pd.Series([one.reason for s in studies for one in s.decisions if one.reason]).value_counts()
        said = " ".join(f"{count} × {sentence}" for sentence, count in reasons.head(_MOST_SENTENCES).items())
        more = "" if len(reasons) <= _MOST_SENTENCES else " Others are in `.failures`."
        notes.append(
            f"{counted(failed, 'study', 'studies')} without a p-value, counted as not rejecting: {said}{more}"
        )
    if singular := int(data["singular"].sum()):
        verb = "has" if singular == 1 else "have"
        notes.append(f"{counted(singular, 'study', 'studies')} {verb} a singular fit, counted like all others.")
    if "type_m" in data and data["type_m"].notna().any():
        notes.append(
            "Type S: share of the rejecting studies whose estimate has the wrong sign; type M: mean size of the "
            "estimate over the true one in them (Gelman and Carlin)."
        )
    return notes


_NULL = " The power at no effect is the size of the test, which should be its level."
