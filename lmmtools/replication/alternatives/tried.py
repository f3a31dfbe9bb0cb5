"""What else would print a number that is not reproduced: a small declared search, and the chance that it is luck.

Tried are, in this order: the variants that the file states; the other method; other codings of the model's factors;
other rows (`changes`); other readings of the quantity (`readings`); and points at which looser searches stop (`stops`).
What prints the digits is taken for what printed the number only if the file states it, or if luck would find one among
so many alternatives in one case of twenty at most.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from lmmtools.errors import LMMError, UnboundedLikelihood
from lmmtools.replication.alternatives.changes import Change, changes
from lmmtools.replication.alternatives.distance import distance
from lmmtools.replication.alternatives.luck import luck
from lmmtools.replication.alternatives.readings import at_same_place, readings
from lmmtools.replication.alternatives.stops import stops
from lmmtools.replication.alternatives.told import rise_words, told
from lmmtools.replication.fits import Fits, Given, one_line
from lmmtools.replication.ledger.schema import Model, Variant
from lmmtools.replication.printed import Printed
from lmmtools.replication.quantities import Tables, value_at
from lmmtools.replication.quantities.paths import PathError
from lmmtools.results import LMMFit

__all__ = ["Candidates", "Search", "Tried"]

# Largest chance of luck with which an alternative counts as what printed the number.
_LIKELY = 0.05


@dataclass(frozen=True)
class Tried:
    """One alternative.

    Attributes
    ----------
    name : str
        What it is: ``"fitted by ML"``.
    says : str
        Where the source says so; empty if it does not.
    computed : float
        What it gives; minus infinity where it has no minimum.
    stated : bool
        Whether it is a variant that the file states.
    """

    name: str
    says: str
    computed: float
    stated: bool = False


@dataclass(frozen=True)
class Search:
    """What was tried for one number, and what came of it.

    Attributes
    ----------
    alternatives : tuple of Tried
        Those that gave a number.
    prints : tuple of Tried
        Those of them that print the number.
    chance : float or None
        The chance that one of them prints it by luck; None where none does, or it has no meaning.
    distance : float or None
        How far above the minimum of the criterion parameters lie that print it; None where nothing is found.
    faults : tuple of str
        Why variants that the file states could not be tried.
    """

    alternatives: tuple[Tried, ...]
    prints: tuple[Tried, ...]
    chance: float | None
    distance: float | None
    faults: tuple[str, ...] = ()

    @property
    def tried(self) -> int:
        """How many alternatives there were."""
        return len(self.alternatives)

    @property
    def explanation(self) -> Tried | None:
        """What the source itself says, or the file states, or what is too unlikely to be luck; None without any."""
        said = [one for one in self.prints if one.says]
        stated = [one for one in self.prints if one.stated]
        likely = self.prints if self.chance is not None and self.chance <= _LIKELY else ()
        return next(iter((*said, *stated, *likely)), None)

    @property
    def rise(self) -> str:
        """The distance in words."""
        return rise_words(self.distance)

    @property
    def sentence(self) -> str:
        """All of this in words."""
        return " ".join((told(self), *self.faults))


@dataclass(frozen=True)
class Candidates:
    """What is tried in place of one model, made once for all of its numbers that fail.

    Attributes
    ----------
    name : str
        Of the model in the file.
    models : Mapping[str, Model]
        Those of the file.
    variants : sequence of Variant
        Those that the file states, for whichever models.
    fitted : callable
        From a model to its fit.
    folder : pathlib.Path
        Where the file is.
    tables : Tables
        Where tables are kept that several numbers are read from.
    """

    name: str
    models: Mapping[str, Model]
    variants: Sequence[Variant]
    fitted: Callable[[Model], Given]
    folder: Path
    tables: Tables = field(default_factory=Tables)

    @cached_property
    def fit(self) -> Given | None:
        """The model's own fit; None where it has no estimate."""
        try:
            return self.fitted(self.models[self.name])
        except LMMError:
            return None

    @cached_property
    def changes(self) -> tuple[Change, ...]:
        """Other models."""
        return tuple(changes(self.name, self.fit, self.models, self.variants, self.folder))

    @cached_property
    def stops(self) -> tuple[tuple[str, LMMFit], ...]:
        """Points at which looser searches stop; growth curves have none, being fitted without one."""
        return tuple(stops(self.fit)) if isinstance(self.fit, LMMFit) else ()

    def search(self, printed: Printed, computed: float | None, path: str) -> Search:
        """Search for what prints a number that is not reproduced.

        Parameters
        ----------
        printed : Printed
        computed : float or None
            What is computed in its place; None where the model has no estimate.
        path : str

        Returns
        -------
        Search
            An alternative that cannot be fitted, or has no such quantity, is not counted.

        Examples
        --------
        >>> from lmmtools.replication.fits import fitted
        >>> from lmmtools.replication.printed import read_printed
        >>> rail = Model(data="Rail", formula="travel ~ 1 + (1 | Rail)")
        >>> tried = Candidates("rail", {"rail": rail}, (), lambda model: fitted(model, Path()), Path())
        >>> found = tried.search(read_printed("22.624"), 24.8055, "varcorr.Rail.Intercept.sd")
        >>> found.explanation.name, found.chance < 0.01
        ('fitted by ML', True)
        """
        faults: list[str] = []
        found = tuple(one for one in self._values(path, faults) if one.computed < math.inf)
        prints = tuple(one for one in found if printed.prints(one.computed))
        odds = None if computed is None else luck(printed, computed, [one.computed for one in found])
        chance = odds.chance if prints and odds is not None else None
        rise = None if self.fit is None else distance(printed, path, self.fit)
        return Search(found, prints, chance, rise, tuple(faults))

    def _values(self, path: str, faults: list[str]) -> Iterator[Tried]:
        """The alternatives in their order, and what each gives for a quantity; what the file states and fails."""
        for change in self.changes:
            try:
                yield Tried(change.words, change.says, self._changed(change, path), change.stated)
            except PathError:  # a model that has no such quantity
                continue
            except LMMError as error:
                if change.stated:
                    faults.append(f'The variant "{change.words}" cannot be tried: {one_line(error)}')
        for words, other in readings(path, self.fit) if self.fit is not None else ():
            with suppress(LMMError):
                yield Tried(words, "", value_at(other, self.fit, Fits(self.models, self.fitted), self.tables))
        for words, fit in self.stops:
            with suppress(LMMError):  # a number of several models has no value where the search for one stops
                yield Tried(words, "", value_at(path, fit, tables=self.tables))

    def _changed(self, change: Change, path: str) -> float:
        """The quantity of a changed model; models that the path names besides are changed in the same way."""
        fits = Fits(self.models, lambda model: self.fitted(change.apply(model)))
        try:
            fit = fits[self.name]
        except UnboundedLikelihood:
            return -math.inf
        try:
            return value_at(path, fit, fits, self.tables)
        except PathError:
            both = isinstance(fit, LMMFit) and isinstance(self.fit, LMMFit)
            # of another formula, the coefficient in the same place would be that of something else
            moved = at_same_place(path, self.fit, fit) if both and change.recodes else None
            if moved is None:
                raise
            return value_at(moved, fit, fits, self.tables)
