"""Many small panels on one pair of axes, which costs a tenth of as many axes: lines and marks are moved into place."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from lmmtools.formats import format_column, shortened
from lmmtools.plots.drawing import INK

__all__ = ["Trellis", "columns_for"]

# Space between panels, in panel widths and heights; the second holds the title of the panel below.
_GAP_X, _GAP_Y = 0.10, 0.30


def columns_for(n: int) -> int:
    """Panels side by side: the count from 5 and 6 (4 too for a dozen) that leaves the fewest gaps."""
    if n <= 6:
        return min(n, 3)
    return min((6, 5, 4) if n <= 12 else (6, 5), key=lambda c: -n % c)


@dataclass(frozen=True, eq=False)
class Trellis:
    """A grid of panels that share their scales.

    Attributes
    ----------
    titles : tuple of str
        One for each panel, row by row from the top.
    x, y : tuple of float
        Limits of each panel, in units of the data.
    """

    titles: tuple[str, ...]
    x: tuple[float, float]
    y: tuple[float, float]

    @property
    def columns(self) -> int:
        """Panels in a row."""
        return columns_for(len(self.titles))

    @property
    def rows(self) -> int:
        """Rows of panels."""
        return -(-len(self.titles) // self.columns)

    def place(self, panel: Any, x: Any, y: Any) -> tuple[np.ndarray, np.ndarray]:
        """Positions on the axes of data in given panels."""
        across, down = np.asarray(panel) % self.columns, np.asarray(panel) // self.columns
        u = across * (1 + _GAP_X) + (np.asarray(x, dtype=float) - self.x[0]) / (self.x[1] - self.x[0])
        v = (self.rows - 1 - down) * (1 + _GAP_Y) + (np.asarray(y, dtype=float) - self.y[0]) / (self.y[1] - self.y[0])
        return u, v

    def lines(self, ax: Any, rows: pd.DataFrame, column: str, **style: Any) -> None:
        """One line a panel, through the distinct x in order; a short dash where there is only one."""
        once = rows.drop_duplicates(["panel", "x"])
        u, v = self.place(once["panel"], once["x"], once[column])
        alone = ~once["panel"].duplicated(keep=False).to_numpy()
        starts = np.flatnonzero(np.diff(once["panel"].to_numpy())) + 1
        ax.plot(np.insert(u, starts, np.nan), np.insert(v, starts, np.nan), **style)
        if alone.any():
            color, width = style.get("color"), style.get("linewidth", 1.3)
            ax.hlines(v[alone], u[alone] - 0.06, u[alone] + 0.06, color=color, linewidth=width)

    def frame(self, ax: Any, xlabel: str, ylabel: str) -> None:
        """Panels' own axes, titles, and scales along the left and the bottom."""
        x_ticks, y_ticks = _ticks(self.x), _ticks(self.y)
        panels = np.arange(len(self.titles))
        left, right, bottom, top = *self.x, *self.y
        corners = [self.place(panels, *at) for at in ((left, top), (left, bottom), (right, bottom))]
        gap = np.full(len(panels), np.nan)
        edges = [np.column_stack([*(corner[k] for corner in corners), gap]).ravel() for k in (0, 1)]
        ax.plot(*edges, color=INK, linewidth=0.7, solid_capstyle="projecting", solid_joinstyle="miter")
        for panel, title in enumerate(self.titles):
            u, v = self.place(panel, (left + right) / 2, top)
            ax.text(u, v + 0.03, shortened(title), ha="center", va="bottom", fontsize=8)
        lowest = len(panels) - (self.rows - 1) * self.columns  # panels of the last row
        across = [self.place(panel, x_ticks, bottom)[0] for panel in range(lowest)]
        for panel in range(len(panels) - self.columns, len(panels) - lowest) if self.rows > 1 else ():
            _scale_below(ax, *self.place(panel, x_ticks, np.full(len(x_ticks), bottom)), x_ticks)
        up = [self.place(row * self.columns, left, y_ticks)[1] for row in range(self.rows)]
        ax.set_xticks(np.concatenate(across), format_column(x_ticks.tolist(), "data") * len(across))
        ax.set_yticks(np.concatenate(up), format_column(y_ticks.tolist(), "data") * len(up))
        ax.spines[:].set_visible(False)
        width, height = self.columns * (1 + _GAP_X) - _GAP_X, self.rows * (1 + _GAP_Y) - _GAP_Y
        ax.set(xlim=(-0.01, width + 0.01), ylim=(-0.01, height + 0.24), xlabel=xlabel, ylabel=ylabel)


def _scale_below(ax: Any, u: np.ndarray, v: np.ndarray, ticks: np.ndarray) -> None:
    """The scale of a panel with nothing below it, where the axes' own would hang in the air."""
    import matplotlib as mpl

    look = mpl.rcParams
    size, away = look["xtick.major.size"], look["xtick.major.size"] + look["xtick.major.pad"]
    ax.plot(u, v, color=INK, linestyle="none", marker=3, markersize=size, markeredgewidth=look["xtick.major.width"])
    for x, y, label in zip(u, v, format_column(ticks.tolist(), "data"), strict=True):
        ax.annotate(label, (x, y), (0, -away), textcoords="offset points", ha="center", va="top",
                    fontsize=look["xtick.labelsize"])  # fmt: skip


def _ticks(limits: tuple[float, float]) -> np.ndarray:
    """Three or four round values within the limits."""
    from matplotlib.ticker import MaxNLocator

    ticks = MaxNLocator(4, steps=[1, 2, 5, 10]).tick_values(*limits)
    return ticks[(ticks >= limits[0]) & (ticks <= limits[1])]
