"""Whether a study's data can be read, and whether filters, formulas and focal coefficients name what is in them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from msgspec import UNSET

from lmmtools.report.asked.cases import COMPARISON, COVARIANCE, DIAGNOSTICS, INFERENCE, MODEL, Case, Key
from lmmtools.report.asked.expand import declared
from lmmtools.report.asked.focal import coefficient_names, meant
from lmmtools.report.asked.schema import Study
from lmmtools.toml.mistakes import Mistake, hint

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["DataChecks"]

_FITTING = (MODEL, COMPARISON, INFERENCE, DIAGNOSTICS)  # notebooks known to fit each formula as a mixed model


class DataChecks:
    """The data of a study: each data set is read once.

    Attributes
    ----------
    sources : tuple of Path or None
        The file of each data set; None for a shipped one.
    focal : dict of (int, tuple) to str
        By place of the data set and key of the variant, the coefficient asked for as its model calls it; empty where
        no model has it.
    """

    def __init__(self, study: Study, folder: Path) -> None:
        self.study = study
        self._paths = tuple(None if one.file is UNSET else folder / one.file for one in study.datasets)
        self.sources = tuple(None if path is None else path.absolute() for path in self._paths)
        self._frames: dict[int, pd.DataFrame | None] = {}
        self._filters: dict[tuple[int, str], str] = {}
        self.focal: dict[tuple[int, Key], str] = {}
        self._names: dict[tuple[int, str, str], tuple[str, ...] | None] = {}

    def mistakes(self, asked: list[Case]) -> Iterator[Mistake]:
        """Find what is wrong with the data, and with what the cases ask of them."""
        for place in range(len(self.study.datasets)):
            yield from self._of_source(place)
        focal: dict[Key, list[str]] = {}
        for case in asked:
            yield from self._of_filters(case)
            yield from self._of_formulas(case)
            for key, text in case.all_of("focal"):  # the nearest one last, and that holds
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
        key = (*case.key, "formula")
        yield from self._of_residuals(case)
        known = len(case.residuals) == len(case.formulas)
        for number, formula in enumerate(case.formulas):
            residual = case.residuals[number] if known else case.residual
            where = key if case.variant.formulas is UNSET else (*case.key, "formulas", number)
            try:
                parsed = parse_formula(formula)
            except FormulaError as error:
                yield Mistake(where, str(error))
                continue
            yield from (Mistake(where, said) for said in self._missing_columns(case, parsed.columns))
            if not (parsed.random or residual or any(case.residuals)) and case.notebook in _FITTING:
                instead = 'such as (1 | group), or a residual structure (residual), such as "ar1(time | group)"'
                yield Mistake(where, f"{formula} has no random effects; add at least one, {instead}")
        weights = [(k, table["weights"]) for k, table in case.all_of("parameters") if "weights" in table]
        for place, name in weights[-1:] if case.notebook in (*_FITTING, COVARIANCE) else ():
            if isinstance(name, str) and name:
                yield from (Mistake((*place, "weights"), said) for said in self._missing_columns(case, [name]))
        if case.notebook == COVARIANCE:
            yield from self._of_structures(case)

    def _of_residuals(self, case: Case) -> Iterator[Mistake]:
        """Read the structures of the residuals, and look for their columns."""
        given = [(key, text) for key, text in case.all_of("residual") if text.strip()][-1:] if case.residual else []
        if case.variant.residuals is not UNSET:
            given = [((*case.key, "residuals", i), text) for i, text in enumerate(case.variant.residuals)]
        for where, text in given:
            if text.strip():
                yield from (Mistake(where, said) for said in self._of_structure(case, text))

    def _of_structure(self, case: Case, text: str) -> Iterator[str]:
        from lmmtools import FormulaError, parse_residual

        try:
            parsed = parse_residual(text)
        except FormulaError as error:
            yield str(error)
            return
        yield from self._missing_columns(case, parsed.columns)

    def _of_structures(self, case: Case) -> Iterator[Mistake]:
        """The structures that are compared, and the columns of time and group."""
        given = {name: (key, value) for key, table in case.all_of("parameters") for name, value in table.items()}
        for name in ("time", "group"):
            key, value = given.get(name, ((), ""))
            if isinstance(value, str) and value:
                yield from (Mistake((*key, name), said) for said in self._missing_columns(case, [value]))
        key, texts = given.get("structures", ((), []))
        texts = [text.strip() for text in texts if isinstance(text, str)] if isinstance(texts, list) else []
        for text in texts:
            if text not in ("", "independent"):
                yield from (Mistake((*key, "structures"), said) for said in self._of_structure(case, text))
        if texts and case.residual and case.residual not in texts:
            said = f"`{case.residual}` is not among the structures compared; add it to them"
            yield Mistake(case.all_of("residual")[-1][0], said)

    def _missing_columns(self, case: Case, names: Iterable[str]) -> Iterator[str]:
        frame = self._frames[case.place]
        for name in names if frame is not None else ():
            if name not in frame.columns:
                yield f'{case.dataset.name} has no column "{name}"; {hint(name, frame.columns)}'

    def _focal_mistake(self, case: Case, focal: str) -> str:
        """Note the coefficient's name in the models of a case; return what is wrong if none has it, else nothing."""
        known = [self._coefficients(case, formula) for formula in case.formulas]
        found = next(filter(None, (meant(focal, names) for names in known if names is not None)), "")
        unknown = any(names is None for names in known)  # something else is wrong, and is said elsewhere
        self.focal[case.place, case.key] = found or (focal if unknown else "")
        if found or unknown or not known:
            return ""
        names = dict.fromkeys(name for one in known for name in one)
        return f'no model here has a coefficient "{focal}"; {hint(focal, names)}'

    def _coefficients(self, case: Case, formula: str) -> tuple[str, ...] | None:
        from lmmtools import DataError, read_data

        key = case.place, case.filter, formula
        if key not in self._names:
            frame = self._frames[case.place]
            try:
                rows = None if frame is None else read_data(frame, filter=case.filter)
            except DataError:
                rows = None  # said of the filter
            self._names[key] = None if rows is None else coefficient_names(formula, rows)
        return self._names[key]
