"""Heat maps: a coloured cell a number, zero blank, signs told apart without colour, blocks outlined."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from lmmtools.formats import format_column, shortened
from lmmtools.plots.drawing import BLUE, INK, VERMILLION, rgb

__all__ = ["Side", "heat", "longest", "turned"]

# Up to this many rows and columns each cell has its number.
_NUMBERS = 8
# Colours of cells with numbers end here: black and white letters are read on them.
_STRONGEST = 0.6
# What is not zero is tinted at least so much, and more with the root of its size, so that small values are seen.
_WEAKEST = 0.1
# Names along a side.
_MOST_NAMES, _LONG = 24, 20
# Letters that stand side by side under a square, and under what is much higher than wide.
_ROOM, _NARROW = 44, 14


@dataclass(frozen=True)
class Side:
    """Rows or columns of a matrix in blocks.

    Attributes
    ----------
    title : str
    names : tuple of str
        Of the blocks.
    edges : tuple of int
        Where blocks begin, and the end of the last.
    outer : tuple of (str, int)
        Names and ends of what holds several blocks, such as terms; none where there is one.
    """

    title: str
    names: tuple[str, ...]
    edges: tuple[int, ...]
    outer: tuple[tuple[str, int], ...] = ()

    @property
    def size(self) -> int:
        """Number of rows or columns."""
        return self.edges[-1]


def heat(ax: Any, values: np.ndarray, rows: Side, columns: Side, label: str) -> None:
    """Draw a matrix.

    Parameters
    ----------
    ax : matplotlib Axes
    values : ndarray, shape (n, m)
        Zero is blank; positive blue; negative vermillion with a bar across, for those who see no colours.
    rows, columns : Side
    label : str
        Of the colour bar.
    """
    top = float(np.abs(values).max(initial=0.0)) or 1.0
    numbers = max(values.shape) <= _NUMBERS
    strongest = _STRONGEST if numbers else 1.0
    square = rows.size == columns.size
    n, m = values.shape
    ax.imshow(_pixels(values / top, strongest, bars=not numbers), extent=(-0.5, m - 0.5, n - 0.5, -0.5),
              interpolation="nearest", aspect="equal" if square else "auto")  # fmt: skip
    if numbers:
        texts = np.reshape(format_column(values.ravel().tolist(), "sig3"), values.shape)
        for (i, j), text in np.ndenumerate(texts):
            if values[i, j] != 0.0:
                ax.text(j, i, text.strip(), ha="center", va="center", fontsize=7.5, color=INK)
    _blocks(ax, rows, columns)
    _names(ax, rows, columns)
    _bar(ax, top, float(values.min(initial=0.0)) < 0.0, strongest, label, bars=not numbers)


def _tint(share: np.ndarray, strongest: float) -> np.ndarray:
    """Opacity of a share of the largest value, in [0, 1]."""
    return np.where(share > 0, strongest * (_WEAKEST + (1 - _WEAKEST) * np.sqrt(share)), 0.0)


def _pixels(shares: np.ndarray, strongest: float, *, bars: bool) -> np.ndarray:
    """Colours of cells as opacity, so that zero is the page, light or dark."""
    n, m = shares.shape
    pixels = np.zeros((n, m, 4))
    for color, sign in ((BLUE, 1.0), (VERMILLION, -1.0)):
        pixels[sign * shares > 0, :3] = rgb(color)
    pixels[..., 3] = _tint(np.abs(shares), strongest)
    zoom = [int(np.clip(900 // max(side, 1), 5, 45)) for side in (n, m)]
    found = pixels.repeat(zoom[0], axis=0).repeat(zoom[1], axis=1)
    if bars:
        i, j = (np.arange(side * z) % z for side, z in zip((n, m), zoom, strict=True))
        across = np.abs(i - (zoom[0] - 1) / 2) <= max(zoom[0] // 14, 0.5)
        along = (j >= zoom[1] // 5) & (j < zoom[1] - zoom[1] // 5)
        bar = across[:, None] & along & (shares < 0).repeat(zoom[0], axis=0).repeat(zoom[1], axis=1)
        found[bar, 3] = np.where(found[bar, 3] > 0.5, 0.0, 0.9)
    return found


def _blocks(ax: Any, rows: Side, columns: Side) -> None:
    """Lines between blocks where they have room, heavier ones between what holds several."""
    for side, draw in ((rows, ax.axhline), (columns, ax.axvline)):
        inside = side.edges[1:-1]
        if len(inside) <= 60:
            for edge in inside:
                draw(edge - 0.5, color=INK, linewidth=0.4, alpha=0.35)
        for _, end in side.outer[:-1]:
            draw(end - 0.5, color=INK, linewidth=0.9)
    ax.spines[:].set_visible(True)
    ax.spines[:].set_linewidth(0.7)


def _written(side: Side) -> tuple[list[str], int]:
    """Names along a side, every few where there are many, and every how many."""
    stride = -(-len(side.names) // _MOST_NAMES)
    return [shortened(name, _LONG) for name in side.names[::stride]], stride


def longest(side: Side) -> int:
    """Letters of the longest name along a side."""
    return max(map(len, _written(side)[0]), default=0)


def turned(rows: Side, columns: Side) -> bool:
    """Whether the names of columns have no room side by side, and are turned."""
    names, _ = _written(columns)
    return sum(map(len, names)) + len(names) > (_ROOM if 2 * columns.size >= rows.size else _NARROW)


def _names(ax: Any, rows: Side, columns: Side) -> None:
    """Names of blocks at their middles, every few where there are many; what holds several beyond them."""
    for side, axis in ((rows, "y"), (columns, "x")):
        edges = np.asarray(side.edges)
        names, stride = _written(side)
        at = ((edges[:-1] + edges[1:] - 1) / 2)[::stride]
        if axis == "y":
            ax.set_yticks(at, names, fontsize=8, parse_math=False)
        else:
            ax.set_xticks(at, names, fontsize=8, parse_math=False, rotation=90 if turned(rows, columns) else 0)
        ax.tick_params(axis=axis, length=0)
    ax.set_xlabel(columns.title, parse_math=False)
    ax.set_ylabel(rows.title, parse_math=False)
    start = 0
    for name, end in columns.outer:
        ax.text((start + end - 1) / 2, -0.5 - 0.012 * rows.size, shortened(name, 22), ha="center", va="bottom",
                fontsize=8, parse_math=False)  # fmt: skip
        start = end


def _bar(ax: Any, top: float, both: bool, strongest: float, label: str, *, bars: bool) -> None:
    """The colour bar, which shows what each tint stands for."""
    low, steps = (-1.0, 41) if both else (0.0, 21)
    beside = ax.inset_axes([1.03, 0.0, 0.035, 1.0])
    shares = np.linspace(1.0, low, steps)[:, None]
    beside.imshow(_pixels(shares, strongest, bars=bars), extent=(0.0, 1.0, low * top, top), aspect="auto",
                  interpolation="nearest")  # fmt: skip
    beside.set_xticks([])
    ticks = _ticks(low * top, top)
    beside.set_yticks(ticks, [text.strip() for text in format_column(ticks.tolist(), "data")], fontsize=8)
    beside.yaxis.tick_right()
    beside.yaxis.set_label_position("right")
    beside.set_ylabel(label, fontsize=8.5, parse_math=False)
    beside.spines[:].set_visible(True)


def _ticks(low: float, top: float) -> np.ndarray:
    from matplotlib.ticker import MaxNLocator

    found = MaxNLocator(5, steps=[1, 2, 5, 10]).tick_values(low, top)
    return found[(found >= low - 1e-12 * top) & (found <= top * (1 + 1e-12))]
