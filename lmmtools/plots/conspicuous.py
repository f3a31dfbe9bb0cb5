"""The pictures of the checks that stand out, on one figure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import pandas as pd

from lmmtools.arguments import check_flag
from lmmtools.assumptions import Assumptions
from lmmtools.assumptions.look import picture
from lmmtools.errors import LMMError
from lmmtools.figures import Description
from lmmtools.formats import counted, shortened
from lmmtools.plots.dependence import autocorrelation, semivariogram
from lmmtools.plots.drawing import PlotData, plot, tiles
from lmmtools.plots.modes import qq_ranef
from lmmtools.plots.partial import partial_residuals
from lmmtools.plots.residual_groups import FEW, draw_small, residuals_by_group
from lmmtools.plots.residual_panels import residual_panels
from lmmtools.plots.residuals import qq_residuals, residuals_fitted

__all__ = ["checks"]

_PLOTS = {
    "autocorrelation": autocorrelation, "partial_residuals": partial_residuals, "qq_ranef": qq_ranef,
    "qq_residuals": qq_residuals, "residuals_by_group": residuals_by_group, "residuals_fitted": residuals_fitted,
    "semivariogram": semivariogram,
}  # fmt: skip
# What `full` has in any case, and what takes places left over.
_FIRST = "residuals_fitted"
_ALWAYS = {"residuals_fitted": "Residuals against fitted values", "qq_residuals": "Quantiles of residuals",
           "residuals_by_group": "Residuals by group"}  # fmt: skip
_MOST = 4
# Letters of a title of a panel among several.
_LETTERS = 46
_ALONE, _BESIDE, _ABOVE = 0.35, (6.6, 3.1), (6.6, 5.9)


@dataclass(frozen=True, eq=False)
class _Panel:
    """One picture: what it is of, in two lines; the plot, and what it draws."""

    title: str
    under: str
    plot: Any
    data: PlotData

    @property
    def said(self) -> Description:
        return self.plot.describe(self.data)


def _extract(found: Any, full: bool = False) -> PlotData:
    if not isinstance(found, Assumptions) or found.fit is None:
        raise LMMError(f"plots.checks: takes what check_assumptions returns; got {type(found).__name__}.")
    check_flag(full, "plots.checks: full")
    out = pd.DataFrame(found.outstanding)
    looks = {str(look): look for look in found.looks if look.drawn}
    rows = out[out["see"].isin(looks)].drop_duplicates("see").iloc[:_MOST]
    if full and len(rows) == _MOST and not rows["see"].eq(str(picture(_FIRST))).any():
        rows = rows.iloc[: _MOST - 1]
    facts = {"out": len(out), "made": int(found["p_value"].notna().sum()), "panels": (),
             "more": int((~out["see"].isin(rows["see"])).sum()), "whole": None}  # fmt: skip
    if len(rows):
        alone = len(rows) == 1 and not full
        panels = [_panel(found.fit, row, looks[row.see], alone) for row in rows.itertuples()]
        facts["drawn"] = len(panels)
        if full:
            panels += _usual(found.fit, [looks[see] for see in rows["see"]])
        facts["panels"] = tuple(panels)
    else:
        facts["whole"] = residual_panels.extract(found.fit)
    return PlotData(rows, facts=MappingProxyType(facts))


def _panel(fit: Any, row: Any, look: Any, alone: bool) -> _Panel:
    few = {"most": FEW} if look.name == "residuals_by_group" and not alone else {}
    drawn = _PLOTS[look.name]
    return _Panel(row.check, row.of, drawn, drawn.extract(fit, **look.arguments, **few))


def _usual(fit: Any, shown: list[Any]) -> Iterator[_Panel]:
    """What to look at anyway, in the places left over."""
    missing = [name for name in _ALWAYS if name not in {look.name for look in shown}]
    for name in missing[: _MOST - len(shown)]:
        few = {"most": FEW} if name == "residuals_by_group" else {}
        yield _Panel(_ALWAYS[name], "", _PLOTS[name], _PLOTS[name].extract(fit, **few))


def _describe(data: PlotData) -> Description:
    facts, panels = data.facts, data.facts["panels"]
    if not panels:
        whole = residual_panels.describe(facts["whole"])
        none = f"{_none(facts)} Shown nevertheless: the residuals. "
        return Description(none + whole.caption, "fig-checks", none + whole.alt, whole.size)
    parts = [(_heading(panel), panel.said) for panel in panels]
    letters = [f"({'abcd'[k]}) " if len(panels) > 1 else "" for k in range(len(panels))]
    usual = f", then what is looked at anyway (from {letters[facts['drawn']].strip()} on)" \
        if facts["drawn"] < len(panels) else ""
    more = f" {counted(facts['more'], 'more check')} that {'stands' if facts['more'] == 1 else 'stand'} out " \
        f"{'is' if facts['more'] == 1 else 'are'} not drawn." if facts["more"] else ""  # fmt: skip
    first = f"Where checks stand out (p ≤ 0.05), the smallest p-value first{usual}.{more}"
    captions = [f"{letter}{f'{of}: {_small(said.caption)}' if of else said.caption}"
                for letter, (of, said) in zip(letters, parts, strict=True)]  # fmt: skip
    alts = [f"{letter}{f'{of}. ' if of else ''}{said.alt}" for letter, (of, said) in zip(letters, parts, strict=True)]
    size = _ABOVE if len(panels) > 2 else _BESIDE
    if len(panels) == 1:
        width, height = parts[0][1].size
        size = (width, height + _ALONE)
    return Description(" ".join([first, *captions]), "fig-checks", " ".join([first, *alts]), size)


def _none(facts: Any) -> str:
    """That no check stands out, or none that has a picture."""
    if not facts["made"]:
        return "No check could be made."
    if facts["out"]:
        return f"{counted(facts['out'], 'check')} that {'stands' if facts['out'] == 1 else 'stand'} out has no picture."
    return f"None of {counted(facts['made'], 'check')} stands out."


def _heading(panel: _Panel) -> str:
    """The check, where the picture is that of one."""
    return f"{panel.title}, {panel.under}" if panel.under else ""


def _small(caption: str) -> str:
    """A sentence after a colon."""
    return caption if caption[1:2].isupper() else caption[:1].lower() + caption[1:]


@plot(_extract, _describe)
def checks(data: PlotData, ax: Any) -> Any:
    """The pictures of the checks that stand out, the smallest p-value first, no picture twice and at most four.

    Parameters
    ----------
    found : Assumptions
        What `lmmtools.check_assumptions` returns, or some of its rows. Where none stands out (p ≤ 0.05), the residual
        panels are drawn.
    full : bool
        Whether one of four panels is of the residuals against fitted values in any case, and places left over are of
        their quantiles and of groups.
    ax : matplotlib Axes, optional
        Where the panels go.

    Returns
    -------
    Axes, or the Figure when there are several panels

    Raises
    ------
    LMMError
        If `found` is something else.

    Examples
    --------
    >>> import lmmtools as lt
    >>> fit = lt.fit_lmm("Reaction ~ Days + (Days | Subject)", lt.load_dataset("sleepstudy"))
    >>> data = checks.extract(lt.check_assumptions(fit))
    >>> data.table["of"].tolist()
    ['residuals', 'residuals in order of Days within Subject', 'between levels of Subject']
    """
    panels = data.facts["panels"]
    if not panels:
        return residual_panels(data.facts["whole"], ax=ax)
    several = len(panels) > 1
    axes = tiles(ax, len(panels), 2 if several else 1)
    for k, (panel, here) in enumerate(zip(panels, axes, strict=True)):
        _draw(panel, here, several)
        letter = f"({'abcd'[k]}) " if several else ""
        lines = [letter + panel.title, shortened(panel.under, _LETTERS)]
        here.set_title("\n".join(filter(None, lines)), loc="left", fontsize=9, parse_math=False)
    return ax.figure if several else ax


def _draw(panel: _Panel, ax: Any, several: bool) -> None:
    """By the plot itself; groups in a small panel have fewer names."""
    if several and panel.plot is residuals_by_group:
        draw_small(panel.data, ax)
    else:
        panel.plot(panel.data, ax=ax)
