"""One end of an interval, and why ζ does not reach the cutoff there, in a clause."""

from __future__ import annotations

from dataclasses import dataclass

from lmmtools.profiles.path import Path

__all__ = ["Limit", "at_wall", "endless", "on_bound", "on_plateau", "word"]


@dataclass(frozen=True)
class Limit:
    """One end of an interval.

    Attributes
    ----------
    value : float
        NaN where none was found.
    reached : bool
        Whether ζ reaches the cutoff there; else it is a bound of the parameter, or open.
    why : str
        Where not, a clause that says so.
    """

    value: float
    reached: bool
    why: str = ""


def on_bound(path: Path, side: int) -> str:
    """Where a profile has not reached the cutoff on its bound."""
    bound = path.low if side < 0 else path.high
    return f"{path.name} does not reach the cutoff before {bound:g}"


def on_plateau(path: Path) -> str:
    """Where it never does."""
    return (
        f"{path.name} reaches the cutoff nowhere: where one of its effects does not vary every correlation is as good, "
        f"and ζ is {path.plateau.zeta:.2f} only"
    )


def at_wall(path: Path) -> str:
    """Where there is no model beyond."""
    return f"{path.name} does not reach the cutoff before the last value that the structure allows"


def endless(path: Path, side: int) -> str:
    """Where there is no bound either."""
    return f"{path.name} has no {word(side)} limit: its profile rises too slowly to reach the cutoff"


def word(side: int) -> str:
    """Which limit."""
    return "lower" if side < 0 else "upper"
