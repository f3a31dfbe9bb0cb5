"""A request without a study file: data, formulas and a method from the command line."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import product
from pathlib import Path
from typing import Any

from lmmtools.errors import StudyError
from lmmtools.formats import shortened
from lmmtools.report.asked.expand import Found
from lmmtools.report.asked.schema import Study
from lmmtools.report.asked.study import study_of
from lmmtools.toml.mistakes import Mistake, key_text

__all__ = ["adhoc_study"]


def adhoc_study(
    data: str,
    formulas: Sequence[str],
    *,
    ml: bool = False,
    filter: str = "",
    residuals: Sequence[str] = (),
    folder: Path | None = None,
) -> tuple[Study, Found]:
    """Return the study that a request asks for: one run for each model, and a comparison of two or more.

    Parameters
    ----------
    data : str
        A shipped data set, else a file.
    formulas : sequence of str
    ml : bool
        Maximum likelihood instead of REML.
    filter : str
        The rows used.
    residuals : sequence of str
        Structures of the residuals; each formula is fitted with each.
    folder : Path, optional
        Where the path of a file starts; the working folder if left out.

    Returns
    -------
    study : Study
    found : Found
        As `read_study` gives them.

    Raises
    ------
    StudyError
        If something is missing or wrong; every mistake is listed with its option.
    """
    from lmmtools import list_datasets

    if not formulas:
        raise StudyError("--data needs a model: add --formula 'y ~ x + (x | g)', once for each. Nothing was run.")
    _refuse_bytes({"--data": [data], "--formula": formulas, "--filter": [filter], "--residual": residuals})
    models = list(dict.fromkeys(product(formulas, residuals or [""])))
    shipped = data in list_datasets().index
    name = data if shipped else _stem(data)
    dataset: dict[str, Any] = {
        "name": name,
        "methods": ["ML" if ml else "REML"],
        "variants": [
            {
                "name": f"model {number}" if len(models) > 1 else "model",
                "formula": formula,
                "title": f"{name}: {formula}{f', residuals {residual}' if residual else ''}",
                **({"residual": residual} if residual else {}),
            }
            for number, (formula, residual) in enumerate(models, start=1)
        ],
        "compare": len(models) > 1,
    }
    dataset |= {} if shipped else {"file": data}
    dataset |= {"filter": filter} if filter else {}
    content = {"title": name, "datasets": [dataset]}
    return study_of(content, folder or Path(), name="The request", place=lambda one: (0, _option(one, models)))


def _refuse_bytes(given: Mapping[str, Sequence[str]]) -> None:
    """Raise StudyError for bytes that are no text: a file system may hold such a name, no report can."""
    for option, texts in given.items():
        for text in texts:
            try:
                text.encode()
            except UnicodeEncodeError as error:
                what = f"{option}: {shortened(text, 200)} holds bytes that are not UTF-8, which no report can show"
                raise StudyError(f"{what}; rename the file or write the text anew. Nothing was run.") from error


def _stem(data: str) -> str:
    """Return what a file's data are called."""
    name = Path(data).name
    return name.removesuffix(".gz").rpartition(".")[0] or name or "data"


def _option(mistake: Mistake, models: Sequence[tuple[str, str]]) -> str:
    """Return the option that a mistake is in."""
    match mistake.path:
        case ("datasets", 0, "variants", int(number), "formula"):
            return f"--formula {models[number][0]!r}" if len({one for one, _ in models}) > 1 else "--formula"
        case ("datasets", 0, "variants", int(number), "residual"):
            return f"--residual {models[number][1]!r}" if len({one for _, one in models}) > 1 else "--residual"
        case ("datasets", 0, "filter"):
            return "--filter"
        case ("datasets", 0, "file" | "name"):
            return "--data"
    return key_text(mistake.path)
