"""Figures as frozen values: an SVG with its caption, label and alternative text, the same bytes every time."""

from __future__ import annotations

import hashlib
import html
import io
import re
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from lmmtools.errors import LMMError
from lmmtools.formats import visible
from lmmtools.tables import identifier

__all__ = ["FONTS", "Description", "Figure", "figure", "styled"]

#: Folder of the shipped fonts: web fonts for HTML pages, TrueType for figures and for Typst.
FONTS = Path(__file__).with_name("fonts")

_STYLE = Path(__file__).with_name("report.mplstyle")
_SIZE = (6.4, 3.8)


@dataclass(frozen=True)
class Description:
    """What a plot says of itself from the numbers it shows.

    Attributes
    ----------
    caption, label, alt : str
        Plain text; `alt` is for those who do not see the figure.
    size : tuple of float
        Width and height in inches that suit it.
    """

    caption: str
    label: str
    alt: str
    size: tuple[float, float] = _SIZE


@dataclass(frozen=True)
class Figure:
    """A drawing that can be shown in a notebook, an HTML page and a Typst document.

    Attributes
    ----------
    svg : str
        One ``<svg>`` element: ids of its own, no script, black as ``currentColor``.
    caption, label, alt : str
        Plain text; the label (``"fig-residuals"``) is for cross-references.
    """

    svg: str
    caption: str
    label: str
    alt: str

    def __repr__(self) -> str:
        return f"Figure: {self.caption}\n{self.alt}"

    def _repr_mimebundle_(self, include: object = None, exclude: object = None) -> tuple[dict, dict]:
        """The drawing, and what an exporter must know about it."""
        about = {"kind": "figure", "caption": self.caption, "label": self.label, "alt": self.alt}
        return {"image/svg+xml": self.svg, "text/plain": repr(self)}, {"lmmtools": about}


def figure(
    plot: Callable[..., Any],
    *args: Any,
    caption: str | None = None,
    label: str | None = None,
    alt: str | None = None,
    size: tuple[float, float] | None = None,
    **kw: Any,
) -> Figure:
    """Draw a plot in the package's style on a figure of its own.

    Parameters
    ----------
    plot : callable
        Called as ``plot(*args, ax=ax, **kw)``; those of :mod:`lmmtools.plots` describe themselves.
    caption, label, alt : str, optional
        In place of what the plot says of itself.
    size : tuple of float, optional
        Width and height in inches.

    Returns
    -------
    Figure
        Byte for byte the same for the same numbers.

    Raises
    ------
    LMMError
        If `plot` is no function.

    Examples
    --------
    >>> import lmmtools as lt
    >>> fit = lt.fit_lmm("Yield ~ 1 + (1 | Batch)", lt.load_dataset("Dyestuff"))
    >>> lt.figure(lt.plots.residuals_fitted, fit).label
    'fig-residuals-fitted'
    """
    if not callable(plot):
        raise LMMError(
            "figure: takes the plot first, not called, then what it draws: lt.figure(lt.plots.residuals_fitted, fit); "
            f"got {type(plot).__name__}."
        )
    said = Description(plot.__name__.replace("_", " "), "fig-" + plot.__name__, "")
    if hasattr(plot, "extract"):  # numbers are computed once, for the drawing and for the words
        args, kw = (plot.extract(*args, **kw),), {}
        said = plot.describe(*args)
    caption = visible(said.caption if caption is None else caption)
    label = identifier(said.label if label is None else label)
    alt = visible((said.alt or caption) if alt is None else alt)
    raw = _draw(plot, args, kw, size or said.size)
    return Figure(_tidy(raw, caption=caption, label=label, alt=alt), caption, label, alt)


@contextmanager
def styled() -> Iterator[None]:
    """The look of every figure, while a `with` block lasts: the package's style and fonts, none of the user's own.

    For figures that are laid out by hand; :func:`figure` does it by itself. Figures are to be saved in the block too.

    Examples
    --------
    >>> import lmmtools as lt
    >>> from matplotlib.figure import Figure
    >>> from lmmtools.figures import styled
    >>> fit = lt.fit_lmm("Yield ~ 1 + (1 | Batch)", lt.load_dataset("Dyestuff"))
    >>> with styled():
    ...     left, right = Figure(figsize=(8, 4), layout="constrained").subplots(1, 2)
    ...     _ = lt.plots.residuals_fitted(fit, ax=left)
    ...     _ = lt.plots.qq_residuals(fit, ax=right)
    """
    from matplotlib.style import context

    _add_fonts()
    # Fonts of the reader's machine fill in for letters that the measuring fonts lack.
    with context(["default", _STYLE]), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=r"Glyph .* missing from", category=UserWarning)
        yield


def _draw(plot: Callable[..., Any], args: tuple, kw: dict, size: tuple[float, float]) -> str:
    """The SVG that matplotlib writes, whatever the user's own matplotlib settings are."""
    import matplotlib as mpl
    from matplotlib.backends.backend_svg import FigureCanvasSVG
    from matplotlib.figure import Figure as Canvas

    with styled():
        mpl.rcParams["svg.hashsalt"] = "lmmtools"
        drawing = Canvas(figsize=size, layout="constrained")
        FigureCanvasSVG(drawing)
        plot(*args, ax=drawing.subplots(), **kw)
        written = io.StringIO()
        drawing.savefig(written, format="svg", metadata={"Date": None})
    return written.getvalue()


def _add_fonts() -> None:
    """Make the shipped fonts known to matplotlib, once in a process; they are chosen by the style file alone."""
    from matplotlib.font_manager import fontManager

    before = len(fontManager.ttflist)
    known = {entry.fname for entry in fontManager.ttflist}
    for font in sorted(FONTS.glob("*.ttf")):
        if str(font) not in known:
            fontManager.addfont(font)
    for added in fontManager.ttflist[before:]:
        if added.weight == 600:  # stands for bold too, of which matplotlib would else say that it is missing
            fontManager.ttflist.append(replace(added, weight=700))


# The style file's fonts as matplotlib writes them, on each text; said once instead, at the root, with what HTML
# pages name them (see fonts/README.md) and what stands in for them where they are not, as in JupyterLab: wider letters,
# set as tall as those that were measured (the height of x), lest they run into one another.
_WRITTEN = re.compile(r"; font-family: 'Source Sans 3', 'DejaVu Sans'")
_FAMILY = (
    "; font-family: 'Report Sans', 'Source Sans 3', 'Helvetica Neue', Arial, 'DejaVu Sans', sans-serif"
    "; font-size-adjust: 0.486"
)

# The shape of marks says how its edge is drawn, which each mark says again; a page's style sheet reaches only these.
_MARK = re.compile(r'(<path id="m\w+" d="[^"]*") style="stroke[^"]*"')

# Shown on its own, as JupyterLab shows it, the drawing is its own root and brings its paper; within a page
# it takes colour and background from there.
_ALONE = "<style>svg:root{background:#fff;color:#000}</style>"


def _tidy(svg: str, *, caption: str, label: str, alt: str) -> str:
    """matplotlib's SVG made fit to stand in a page beside others."""
    svg = svg[svg.index("<svg") :].strip()
    svg = re.sub(r"\s*<metadata>.*?</metadata>", "", svg, flags=re.DOTALL)
    svg = re.sub(r"\s*<style type=\"text/css\">.*?</style>", "", svg, count=1, flags=re.DOTALL)
    head, _, body = svg.partition(">")
    # What matplotlib leaves unsaid is black, and its style for all elements becomes the root's.
    body = re.sub(r'(style="[^"]*")', lambda m: m[1].replace("#000000", "currentColor"), body)
    body = re.sub(r' transform="rotate\(-0 [^"]*\)"', "", _MARK.sub(r"\1", _WRITTEN.sub("", body)))
    head = re.sub(r' (?:width|height)="([\d.]+)pt"', _pixels, head)
    root = (
        f'{head} class="lmm-figure" role="img" aria-label="{html.escape(alt)}" fill="currentColor" '
        f'stroke-linejoin="round" stroke-linecap="butt" style="max-width:100%;height:auto{_FAMILY}">'
    )
    prefix = f"{label}-{hashlib.sha256((caption + alt + body).encode()).hexdigest()[:8]}-"
    return f"{root}\n{_ALONE}\n<title>{html.escape(caption)}</title>" + _own_ids(body, prefix)


def _pixels(match: re.Match) -> str:
    name = match[0].split("=")[0]
    return f'{name}="{float(match[1]) * 96 / 72:.0f}"'


def _own_ids(svg: str, prefix: str) -> str:
    """Ids that something refers to, made this drawing's own, and no others; text is never touched."""
    used = set(re.findall(r'(?:xlink:href="#|url\(#)([\w.-]+)', svg))

    def tag(match: re.Match) -> str:
        own = re.sub(r' id="([^"]*)"', lambda m: f' id="{prefix}{m[1]}"' if m[1] in used else "", match[0], count=1)
        return re.sub(r'(xlink:href="#|url\(#)', rf"\1{prefix}", own)

    return re.sub(r"<[a-zA-Z][^<>]*>", tag, svg)
