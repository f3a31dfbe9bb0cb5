"""Tables of growth curve models in the layout of papers: deviances of many models, correlations of one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from lmmtools.errors import LMMError, UnboundedLikelihood
from lmmtools.formats import counted, format_value, quoted
from lmmtools.frames import Frame, frame
from lmmtools.growth.fit import fit_gmanova
from lmmtools.growth.stated import one_of
from lmmtools.growth.structures import STRUCTURES

__all__ = ["correlation_table", "gmanova_table"]


def gmanova_table(
    Y: Any,
    between: Mapping[str, Any] | str | Sequence[str],
    within: Any,
    sigma: str | Sequence[str] = ("scalar", "diagonal", "free", "random"),
    *,
    data: Any = None,
    times: Any = None,
    contrasts: Mapping[str, Any] | None = None,
    printed: Mapping[str, Sequence[str]] | None = None,
) -> Frame:
    """Deviances and numbers of parameters of many growth curve models: a row a Σ, a column a G.

    Parameters
    ----------
    Y, within, data, times, contrasts
        As for `fit_gmanova`.
    between : Mapping, str or sequence of str
        What `fit_gmanova` takes, by the heading of its column; texts are their own headings.
    sigma : str or sequence of str
        Structures of Σ.
    printed : Mapping, optional
        Of some structures what a paper prints, a text for each column, shown beside what is computed.

    Returns
    -------
    Frame
        A row a structure. Cells are texts as de Leeuw (2004) writes them, ``"307.09 (3)"``: the deviance n log det Σ +
        tr((Y − GBX')Σ⁻¹(Y − GBX')') at its minimum, without the constant nm log 2π, and the number of parameters;
        ``"−∞ (58)"`` where there is no minimum.

    Raises
    ------
    LMMError
        If `printed` has other rows or columns, or there is nothing to fit; else as for `fit_gmanova`, but for
        UnboundedLikelihood.

    References
    ----------
    de Leeuw, J. (2004). Mixed linear models. UCLA Department of Statistics Papers, Table 1.

    Examples
    --------
    >>> import lmmtools as lt
    >>> data = lt.load_dataset("Orthodont")
    >>> table = lt.gmanova_table("distance ~ age | Subject", ["equal", "free"], "~ age", ["diagonal"], data=data)
    >>> table.loc["diagonal"].tolist()
    ['304.73 (6)', '−∞ (58)']
    """
    between, sigma = ([given] if isinstance(given, str) else given for given in (between, sigma))
    sides = dict(between) if isinstance(between, Mapping) else {str(side): side for side in between}
    if not sides or not len(sigma):
        raise LMMError("gmanova_table: name at least one G in between and one structure in sigma.")
    for structure in sigma:
        one_of(structure, STRUCTURES, "sigma")
    given = {"data": data, "times": times, "contrasts": contrasts}
    shown = _printed(printed, list(sigma), list(sides))
    columns: dict[str, list[str]] = {}
    for j, (heading, side) in enumerate(sides.items()):
        if printed is not None:
            columns[f"{heading}, printed"] = [shown[structure][j] for structure in sigma]
        columns[heading] = [_cell(Y, side, within, structure, **given) for structure in sigma]
    return frame(
        pd.DataFrame(columns, index=pd.Index(sigma, name="sigma")),
        caption="Growth curve models Y = GBX' + E: deviance (number of parameters) by Σ and by G",
        label="tbl-growth-models",
        notes=("The deviance is without its constant, nm log 2π; −∞: it has no minimum, and there is no estimate.",),
        headings={"sigma": "Σ"},
        formats=dict.fromkeys(columns, "text"),
    )


def _cell(Y: Any, side: Any, within: Any, structure: str, **given: Any) -> str:
    """The deviance at its minimum, if there is one, and the number of parameters."""
    try:
        fit = fit_gmanova(Y, side, within, structure, **given)
    except UnboundedLikelihood as error:
        return f"−∞ ({error.npar})"
    return f"{format_value(fit.deviance, 'fixed2')} ({fit.npar})"


def _printed(printed: Any, sigma: list[str], headings: list[str]) -> dict[str, list[str]]:
    """What is printed, a text for each cell; empty where nothing is."""
    if not isinstance(printed, Mapping | None):
        raise LMMError(f"gmanova_table: printed must map a structure to a text for each column; got {printed!r}.")
    rows = {structure: [""] * len(headings) for structure in sigma}
    for structure, texts in (printed or {}).items():
        one_of(structure, tuple(sigma), "printed: the row")
        texts = [texts] if isinstance(texts, str) else texts
        if len(texts) != len(headings):
            raise LMMError(
                f"gmanova_table: printed has {counted(len(texts), 'text')} for '{structure}' and there are "
                f"{counted(len(headings), 'column')} ({quoted(headings)}): give one for each."
            )
        rows[structure] = [str(text) for text in texts]
    return rows


def correlation_table(fit: Any, printed: Any = None) -> Frame:
    """Correlations of Σ, the lower triangle, and the variances under them.

    Parameters
    ----------
    fit : GmanovaFit
    printed : sequence of sequences of str, optional
        What a paper prints: the rows of the triangle, of 1, 2, …, m texts, and a row of m variances; shown beside what
        is computed.

    Returns
    -------
    Frame
        A row an occasion and one of variances, a column an occasion; with `printed` two.

    Raises
    ------
    LMMError
        If `printed` has another shape.

    Examples
    --------
    >>> import lmmtools as lt
    >>> data = lt.load_dataset("Orthodont")
    >>> fit = lt.fit_gmanova("distance ~ age | Subject", "~ Sex", "~ age", data=data)
    >>> fit.correlation_table().loc["Variance"].round(2).tolist()
    [5.12, 3.93, 5.98, 4.62]
    """
    names = [str(name) for name in fit.Sigma.index]
    m = len(names)
    values = np.where(np.tri(m, dtype=bool), fit.correlations.to_numpy(), np.nan)
    values = np.vstack([values, np.diagonal(fit.Sigma)])
    columns: dict[str, Any] = {}
    texts = None if printed is None else _triangle(printed, m)
    for j, name in enumerate(names):
        if texts is not None:
            columns[f"{name}, printed"] = texts[j]
        columns[name] = values[:, j]
    unit = fit.units.get(fit.response.partition("~")[0].strip())
    return frame(
        pd.DataFrame(columns, index=pd.Index([*names, "Variance"], name="occasion")),
        caption=f"Σ: correlations between occasions, and variances{f' ({unit} squared)' if unit else ''}",
        label="tbl-correlations",
        headings={"occasion": "Occasion"},
        formats=dict.fromkeys(names, "fixed3") | {f"{name}, printed": "text" for name in names},
    )


def _triangle(printed: Any, m: int) -> list[list[str]]:
    """Texts by columns, empty above the diagonal."""
    try:
        rows = [list(row) for row in printed]
    except TypeError as error:
        raise LMMError(f"correlation_table: printed must be rows of texts; got {printed!r}.") from error
    lengths = [len(row) for row in rows]
    if lengths != [*range(1, m + 1), m]:
        raise LMMError(
            f"correlation_table: printed has rows of {lengths} texts, and the lower triangle of {m} occasions with its "
            f"variances has rows of {[*range(1, m + 1), m]}."
        )
    return [[str(row[j]) if j < len(row) else "" for row in rows] for j in range(m)]
