"""Tables that many numbers of one fit are read from, each computed once."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import Any, TypeVar

__all__ = ["Tables"]

Made = TypeVar("Made")


class Tables:
    """What was computed of some fits, kept for as long as whoever reads numbers keeps this.

    Contrasts with Tukey's adjustment or a profile cost a fifth of a second, and a ledger has hundreds of numbers of one
    table. Fits are told apart by identity and do not change.
    """

    def __init__(self) -> None:
        self._kept: dict[Hashable, tuple[Any, Any]] = {}

    def once(self, fit: Any, key: Hashable, make: Callable[[], Made]) -> Made:
        """What `make` returns for a fit and a key, called where that is asked for the first time.

        Parameters
        ----------
        fit : LMMFit or GmanovaFit
        key : Hashable
            What tells it from whatever else is made of the fit.
        make : callable
            What it raises is raised each time.
        """
        place = (id(fit), key)
        if place not in self._kept:
            self._kept[place] = fit, make()  # the fit too, so that its identity stays its own
        return self._kept[place][1]
