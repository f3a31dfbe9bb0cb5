"""How time grows with rows, with groups and with the levels of a second, crossed factor: `scaling.svg`."""

import argparse
import sys
from pathlib import Path

from benchmarks.cases import ROOT, SCALING, write_case
from benchmarks.process import FOLDER, Timing, run_once

PATH = ROOT / "benchmarks" / "scaling.svg"
ENOUGH = 8.0  # seconds of one fit after which an engine is not asked for a larger one
# Colours that stay apart for those who tell few colours apart, with a marker each.
ENGINES = {
    "lmmtools": ("#0072b2", "o"),
    "lme4": ("#d55e00", "s"),
    "mixedlm-rs": ("#009e73", "^"),
    "mixedlm": ("#7f7f7f", "D"),
}
PANELS = {
    "rows": ("rows", "slopes in 1,000 groups"),
    "groups": ("groups", "slopes, 100,000 rows"),
    "levels": ("levels of the second factor", "crossed with 2,000, 100,000 rows"),
}
Curves = dict[str, dict[str, dict[int, Timing]]]


def measure_scaling(running: list[str], given: argparse.Namespace) -> Curves:
    """Time every curve's cases, by curve, engine and size; draw them."""
    curves: Curves = {}
    for curve, cases in SCALING.items():
        engines = [name for name in ENGINES if name in running and (curve, name) != ("levels", "mixedlm-rs")]
        curves[curve] = {name: {} for name in engines}
        for size in cases:
            name = f"{curve}-{size}"
            print(f"{name} ({write_case(name, FOLDER):,} rows)", flush=True)
            for engine, points in curves[curve].items():
                before = list(points.values())
                if before and (before[-1].why_not or before[-1].median > ENOUGH):
                    continue
                python = Path(sys.executable) if engine == "lmmtools" else given.peers
                points[size] = timing = run_once(engine, name, python, 0.3, given.limit, given.blas)
                print(f"  {engine:12s} {timing.why_not or f'{timing.median:.5f} s'}", flush=True)
    draw(curves, PATH)
    return curves


def draw(curves: Curves, path: Path) -> None:
    """One panel a curve, both axes logarithmic; the same bytes for the same figures."""
    import matplotlib as mpl

    mpl.use("svg")
    from matplotlib import pyplot as plt

    style = {"svg.hashsalt": "scaling", "svg.fonttype": "path", "axes.spines.top": False, "axes.spines.right": False}
    with mpl.rc_context(style | {"font.size": 9, "legend.frameon": False}):
        figure, axes = plt.subplots(1, len(PANELS), figsize=(10, 3.3), sharey=True, layout="constrained")
        for axis, (curve, (label, title)) in zip(axes, PANELS.items(), strict=True):
            for engine, points in curves[curve].items():
                told = {size: timing.median for size, timing in points.items() if timing.seconds}
                colour, marker = ENGINES[engine]
                axis.plot(list(told), list(told.values()), color=colour, marker=marker, markersize=4, label=engine)
            axis.set(xscale="log", yscale="log", xlabel=label)
            axis.set_title(title, fontsize=9)
            axis.grid(alpha=0.25, linewidth=0.6)
        axes[0].set_ylabel("CPU seconds of a fit")
        axes[0].legend()
        figure.savefig(path, format="svg", metadata={"Date": None, "Creator": None})
        plt.close(figure)
