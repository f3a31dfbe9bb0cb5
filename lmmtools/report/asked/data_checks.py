"""Whether a study's data can be read, and whether filters, formulas and focal coefficients name what is in them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from msgspec import UNSET

from lmmtools.report.asked.cases import Case, Key, may_have, predictors
from lmmtools.report.asked.expand import declared
from lmmtools.report.asked.mistakes import Mistake, hint
from lmmtools.report.asked.schema import Study

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["DataChecks"]

_LEVEL = re.compile(r"(.+)\[([^][]*)\]$")


class DataChecks:
    """The data of a study: each data set is read once.

    Attributes
    ----------
    sources : tuple of Path or None
        The file of each data set; None for a shipped one.
    """

    def __init__(self, study: Study, folder: Path) -> None:
        self.study = study
        self._paths = tuple(None if one.file is UNSET else folder / one.file for one in study.datasets)
        self.sources = tuple(None if path is None else path.absolute() for path in self._paths)
        self._frames: dict[int, pd.DataFrame | None] = {}
        self._filters: dict[tuple[int, str], str] = {}

    def mistakes(self, asked: list[Case]) -> Iterator[Mistake]:
        """Find what is wrong with the data, and with what the cases ask of them."""
        for place in range(len(self.study.datasets)):
            yield from self._of_source(place)
        focal: dict[Key, list[str]] = {}
        for case in asked:
            yield from self._of_filters(case)
            yield from self._of_formulas(case)
            for key, text in case.all_of("focal"):
                focal.setdefault((*key, text), []).append(self._focal_mistake(case, text))
        for key, found in focal.items():
            if all(found):  # where it is given for many models it need not be in each
                yield Mistake(key[:-1], found[0])

    def _read(self, place: int, columns: dict[str, Any] | None = None) -> pd.DataFrame:
        from lmmtools import read_data

        dataset = self.study.datasets[place]
        columns = declared(dataset) if columns is None else columns
        return read_data(self._paths[place] or dataset.name, columns=columns)

    def _of_source(self, place: int) -> Iterator[Mistake]:
        """Read a data set; when it cannot be, say whether the file or a declared column is at fault."""
        from lmmtools import DataError, list_datasets

        dataset, shipped = self.study.datasets[place], [str(name) for name in list_datasets().index]
        self._frames[place] = None
        if dataset.file is UNSET and dataset.name not in shipped:
            key = ("datasets", place, "name")
            yield Mistake(key, f'there is no data set "{dataset.name}"; {hint(dataset.name, shipped)}')
            return
        try:
            self._frames[place] = self._read(place)
            return
        except DataError as error:
            whole = str(error)
        try:
            self._frames[place] = self._read(place, columns={})
        except DataError as error:
            yield Mistake(("datasets", place, "file"), str(error))
            return
        said = False
        for name, about in declared(dataset).items():
            try:
                self._read(place, columns={name: about})
            except DataError as error:
                said = True
                yield Mistake(("datasets", place, "columns", name), str(error).removeprefix("columns: "))
        if not said:
            yield Mistake(("datasets", place, "columns"), whole)

    def _of_filters(self, case: Case) -> Iterator[Mistake]:
        """Try each filter alone, then all that hold together."""
        if self._frames[case.place] is None:
            return
        wrong = [(key, self._filter_mistake(case.place, text)) for key, text in case.filters]
        wrong = [(key, said) for key, said in wrong if said]
        if not wrong and len(case.filters) > 1:
            said = self._filter_mistake(case.place, case.filter)
            wrong = [(case.filters[-1][0], said)] if said else []
        for key, said in wrong:
            yield Mistake(key, said if key[0] == "datasets" else f"{case.dataset.name}: {said}")

    def _filter_mistake(self, place: int, condition: str) -> str:
        from lmmtools import DataError, read_data

        if (place, condition) not in self._filters:
            try:
                read_data(self._frames[place], filter=condition)
                self._filters[place, condition] = ""
            except DataError as error:
                self._filters[place, condition] = str(error)
        return self._filters[place, condition]

    def _of_formulas(self, case: Case) -> Iterator[Mistake]:
        from lmmtools import FormulaError, parse_formula

        if case.key[-1] in ("compare", "explore"):
            return  # made of formulas that are checked where they stand
        frame, key = self._frames[case.place], (*case.key, "formula")
        for number, formula in enumerate(case.formulas):
            where = key if case.variant.formulas is UNSET else (*case.key, "formulas", number)
            try:
                named = parse_formula(formula).columns
            except FormulaError as error:
                yield Mistake(where, str(error))
                continue
            for name in named if frame is not None else ():
                if name not in frame.columns:
                    yield Mistake(where, f'{case.dataset.name} has no column "{name}"; {hint(name, frame.columns)}')

    def _focal_mistake(self, case: Case, focal: str) -> str:
        """Return why no model of a case can have a coefficient of this name; empty if one may."""
        frame = self._frames[case.place]
        named = sorted({name for formula in case.formulas for name in predictors(formula)})
        if frame is None:
            return ""  # said of the data
        if not any(may_have(formula, focal) for formula in case.formulas):
            return f'no model here has a coefficient "{focal}"; {hint(focal, ["Intercept", *named])}'
        for part in focal.split(":"):
            found = _LEVEL.match(part)
            column = frame.get(found[1]) if found else None
            known = [] if column is None else [str(one) for one in column.dropna().unique()]
            if known and found[2] not in known:
                return f'"{found[1]}" has no level "{found[2]}"; {hint(found[2], known)}'
        return ""
