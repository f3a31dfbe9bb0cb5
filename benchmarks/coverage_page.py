"""The page and the picture of `coverage`: rates with their Monte-Carlo errors, by scene and method."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from benchmarks.coverage import METHODS
from benchmarks.scenes import SCENES

__all__ = ["draw", "write"]

KINDS = {
    "between": "Intervals of a fixed effect between groups",
    "within": "Intervals of a fixed effect within groups",
    "sd": "Intervals of a standard deviation",
    "F test": "Tests of a term without effect",
    "variance": "Tests of a variance of zero",
}
NOMINAL = {"between": 95.0, "within": 95.0, "sd": 95.0, "F test": 5.0, "variance": 5.0}
TESTS = ("likelihood ratio, χ²", "likelihood ratio, mixture", "exact (simulated)")
INTRODUCTION = """# How often intervals hold the truth

Made by `python -m benchmarks.coverage`: {n:,} responses for each of {scenes} small, unbalanced designs, drawn from a
known truth, fitted by REML, and every method asked for a 95 % interval or a test at 5 %. In the tables should stand 95
for intervals and 5 for tests; a difference of more than two Monte-Carlo errors (at most {error:.1f} points, {rough:.1f}
for bootstraps) is no noise. Bootstraps have {replicates} replicates each, of the first {bootstrapped:,} responses.

| scene | design | singular fits |
| --- | --- | ---: |
"""


def write(table: pd.DataFrame, failed: dict[str, int], page: Path, n: int, bootstrapped: int, replicates: int) -> None:
    """The tables as Markdown."""
    own = table["what"].isin(["between", "within"])
    resampled = table["method"].str.startswith("bootstrap")
    error, rough = (100 * table.loc[own & (resampled == b), "error"].max() for b in (False, True))
    numbers = {"n": n, "scenes": len(SCENES), "error": error, "rough": rough, "replicates": replicates}
    text = INTRODUCTION.format(**numbers, bootstrapped=bootstrapped)
    for name, make in SCENES.items():
        singular = _rate(table, name, "fits", "singular")
        text += f"| {name} | {make().words} | {singular} % |\n"
    lost = {name: count for name, count in failed.items() if count}
    text += f"\nFits that failed: {', '.join(f'{v} in {k}' for k, v in lost.items()) or 'none'}.\n"
    text += "\n![Coverage by method and design](coverage.svg)\n"
    for what, title in KINDS.items():
        text += _section(table, what, title)
    page.write_text(text + "\n" + _reading(table), encoding="utf-8")


def _section(table: pd.DataFrame, what: str, title: str) -> str:
    part = table[table["what"] == what]
    scenes = [name for name in SCENES if name in set(part["scene"])]
    methods = [m for m in (*METHODS, *TESTS) if m in set(part["method"])]
    lengths = what in ("between", "within", "sd")
    text = f"\n## {title}\n\n"
    against = "profile (ML)" if what == "sd" else "t, Satterthwaite"
    if lengths:
        text += f"In brackets the median length, against that of {against}. Where a bootstrap gives no interval,\n"
        text += "its limits lying beyond the most extreme replicate, how often: the rate is that of the others.\n\n"
    text += f"| method | {' | '.join(scenes)} |\n| --- |{' ---: |' * len(scenes)}\n"
    for method in methods:
        cells = []
        for scene in scenes:
            cell = _rate(part, scene, what, method)
            if lengths and cell != "–":
                row = _row(part, scene, what, method)
                none = f"; none {100 * row['none']:.0f} %" if row["none"] >= 0.005 else ""
                cell += f" ({row['length'] / _row(part, scene, what, against)['length']:.2f}{none})"
            cells.append(cell)
        text += f"| {method} | {' | '.join(cells)} |\n"
    return text


def _row(table: pd.DataFrame, scene: str, what: str, method: str) -> pd.Series | None:
    found = table[(table["scene"] == scene) & (table["what"] == what) & (table["method"] == method)]
    return found.iloc[0] if len(found) else None


def _rate(table: pd.DataFrame, scene: str, what: str, method: str) -> str:
    row = _row(table, scene, what, method)
    return "–" if row is None or row["rate"] != row["rate"] else f"{100 * row['rate']:.1f}"


def _reading(table: pd.DataFrame) -> str:
    """The worst of each method, which is what a default is chosen by."""
    text = "## The worst of each method\n\n| method | between | within |\n| --- | ---: | ---: |\n"
    for method in METHODS:
        cells = []
        for what in ("between", "within"):
            part = table[(table["what"] == what) & (table["method"] == method)]
            worst = part.iloc[(part["rate"] - 0.95).abs().argmax()] if len(part) else None
            cells.append("–" if worst is None else f"{100 * worst['rate']:.1f} ({worst['scene']})")
        text += f"| {method} | {' | '.join(cells)} |\n"
    return text


def draw(table: pd.DataFrame, path: Path) -> None:
    """A panel for each kind of interval; the same bytes for the same figures."""
    import matplotlib as mpl

    mpl.use("svg")
    from matplotlib import pyplot as plt

    style = {"svg.hashsalt": "coverage", "svg.fonttype": "path", "axes.spines.top": False, "axes.spines.right": False}
    colours = dict(zip(SCENES, ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#7f7f7f"), strict=True))
    marks = dict(zip(SCENES, "os^Dv", strict=True))
    with mpl.rc_context(style | {"font.size": 9, "legend.frameon": False}):
        figure, axes = plt.subplots(1, 3, figsize=(10, 4.1), sharey=True, layout="constrained")
        for axis, what in zip(axes, ("between", "within", "sd"), strict=True):
            axis.axvline(95, color="black", linewidth=0.8, linestyle="--", zorder=0)
            for k, scene in enumerate(SCENES):  # one without such an effect is in the legend all the same
                part = table[(table["what"] == what) & (table["scene"] == scene)]
                rows = [METHODS.index(m) + 0.13 * (k - 2) for m in part["method"]]
                axis.errorbar(100 * part["rate"], rows, xerr=200 * part["error"], fmt=marks[scene], markersize=4,
                              color=colours[scene], linewidth=0.8, label=scene)  # fmt: skip
            axis.set_title(KINDS[what], loc="left", fontsize=9)
            axis.set_xlabel("95 % intervals that hold the truth, %")
        axes[0].set_yticks(range(len(METHODS)), METHODS)
        axes[0].invert_yaxis()
        figure.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=len(SCENES))
        figure.savefig(path, metadata={"Date": None})
        plt.close(figure)
