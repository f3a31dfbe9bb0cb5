"""Checks of arguments that several functions take."""

from __future__ import annotations

from numbers import Integral, Real

from lmmtools.errors import LMMError

__all__ = ["check_count", "check_flag", "check_level"]


def check_level(level: float) -> float:
    """A confidence level.

    Raises
    ------
    LMMError
        If it does not lie strictly between 0 and 1.
    """
    if not (isinstance(level, Real) and 0.0 < level < 1.0):
        raise LMMError(f"level must lie between 0 and 1 (0.95 for 95 %); got {level!r}.")
    return float(level)


def check_flag(value: bool, name: str) -> bool:
    """A flag.

    Raises
    ------
    LMMError
        If it is neither true nor false: ``reml="ML"`` would count as true.
    """
    if type(value).__name__ not in ("bool", "bool_"):
        raise LMMError(f"{name} must be True or False; got {value!r}.")
    return bool(value)


def check_count(n: int, what: str, *, at_least: int) -> int:
    """A whole number of something, such as ``"simulate: n, the number of responses,"``.

    Raises
    ------
    LMMError
        If it is no whole number or too small.
    """
    if not isinstance(n, Integral) or n < at_least:
        raise LMMError(f"{what} must be a whole number, at least {at_least}; got {n!r}.")
    return int(n)
