"""Every picture beside one that was looked at, pixel by pixel: drawn by Agg in the package's own style and fonts.

What changes a picture for good is followed by

    python -m tests.test_baselines [PICTURE ...]

which makes all baselines anew, or those named; then open each that differs (`git status`) and look at it.
"""

from __future__ import annotations

import sys
import warnings
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
import pytest
from matplotlib.testing.compare import compare_images

import lmmtools as lt
from lmmtools.figures import styled
from lmmtools.plots.drawing import PlotData

BASELINES = Path(__file__).with_name("baseline")

# Letters are set by the FreeType that matplotlib's wheels carry, and axes are laid out around them: with another
# release the pictures are as good, and no pixel the same.
DRAWN_WITH = "3.11"

# Root mean square over all pixels and colours, of 255. On one machine two drawings are the same bytes. Between
# processors and their linear algebra optima differ by some 1e-9, which moves the shade of an edge by one of 255 here
# and there (0.02), and once in a while the tint of a heat map's cell by one of its 256 (0.2). What is to be seen is
# larger: a mark that moves by its own width is 2.0, in one of eighteen panels 1.1, a letter of an axis label 6.
TOLERANCE = 0.3

DPI = 60  # half of what the screen shows: letters can still be read, and 40 pictures are half a megabyte


@cache
def fit(formula: str, dataset: str, **options: Any) -> Any:
    return lt.fit_model(formula, lt.load_dataset(dataset), **options)


def growth() -> Any:
    return fit("distance ~ age * Sex + (age | Subject)", "Orthodont")


def sleep() -> Any:
    return fit("Reaction ~ Days + (Days | Subject)", "sleepstudy")


def nights() -> dict[str, Any]:
    data = lt.load_dataset("sleepstudy")
    return {"time": lt.column(data, "Days"), "group": lt.column(data, "Subject")}


def machines() -> Any:
    return fit("score ~ Machine + (1 | Worker) + (1 | Worker:Machine)", "Machines")


def batches() -> Any:
    return fit("Yield ~ 1 + (1 | Batch)", "Dyestuff")


def singular() -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", lt.LMMWarning)
        return fit("Yield ~ 1 + (1 | Batch)", "Dyestuff2")


def criteria() -> dict[str, Any]:
    fits = {method: fit("Yield ~ 1 + (1 | Batch)", "Dyestuff", reml=method == "REML") for method in ("ML", "REML")}
    return {method: lt.criterion_grid(one, {"Batch.Intercept": (0, 3)}) for method, one in fits.items()}


@cache
def explored(dataset: str, formula: str) -> Any:
    return lt.explore_data(lt.load_dataset(dataset), formula)


def children() -> Any:
    return explored("Orthodont", "distance ~ age * Sex + (age | Subject)")


def with_gaps() -> Any:
    data = lt.load_dataset("Orthodont")
    return lt.explore_data(
        data.assign(distance=data["distance"].mask(data["age"] > 8 + np.arange(len(data)) % 17)),
        "distance ~ age * Sex + (age | Subject)",
    )


@cache
def models() -> Any:
    formulas = [
        f"distance ~ {right}"
        for right in ("age + (1 | Subject)", "age * Sex + (1 | Subject)", "age * Sex + (age | Subject)")
    ]
    return lt.fit_models(formulas, lt.load_dataset("Orthodont"), names=["levels", "sexes", "slopes"])


@cache
def structures() -> Any:
    data = lt.load_dataset("Orthodont")
    kinds = [None, "cs(Subject)", "car1(age | Subject)", "us(age | Subject)"]
    return lt.residual_structures("distance ~ age * Sex", data, kinds)


def curves() -> tuple[Any, dict[str, Any]]:
    data = lt.load_dataset("Orthodont")
    sexes = data.drop_duplicates("Subject").set_index("Subject")["Sex"]
    return lt.fit_gmanova("distance ~ age | Subject", "~ Sex", "~ age", "random", data=data), {"by": sexes}


def searches() -> list[Any]:
    criterion = lt.Criterion(growth().design, reml=False)
    return [lt.minimize(criterion, method=method, trace=True) for method in ("gls", "em", "newton")]


@cache
def profiled() -> Any:
    return lt.profile(batches())


# What each picture shows: an argument or several, and options. A second picture of one plot has a name after a dot.
PICTURES: dict[str, Callable[[], tuple[Any, dict[str, Any]]]] = {
    "autocorrelation": lambda: (lt.autocorrelation(sleep(), **nights(), n=39, rng=1), {}),
    "by_method": lambda: ([lt.triangulate(growth(), name) for name in ("age", "age:Sex[T.Female]")], {}),
    "caterpillar": lambda: (sleep(), {}),
    "checks": lambda: (lt.check_assumptions(sleep()), {}),
    "covariance_match": lambda: (fit("distance ~ age * Sex", "Orthodont", residual="us(age | Subject)"), {}),
    "criterion": lambda: (lt.criterion_grid(fit("Reaction ~ Days + (Days || Subject)", "sleepstudy"), points=21), {}),
    "criterion.curves": lambda: (criteria(), {}),
    "criterion.edge": lambda: (singular(), {"at": ["sigma", "Batch.Intercept"], "scale": "variance", "points": 21}),
    "cross_validation": lambda: (lt.cross_validate(models(), by="Subject", folds=3, rng=1), {}),
    "crossing": lambda: (explored("Penicillin", "diameter ~ 1 + (1 | plate) + (1 | sample)"), {}),
    "data_by_group": lambda: (sleep(), {}),
    "data_by_group.rows": lambda: (batches(), {}),
    "forest": lambda: (lt.coefficients(models()), {}),
    "group_intervals": lambda: (sleep(), {}),
    "group_lines": lambda: (children(), {}),
    "group_sizes": lambda: (explored("MathAchieve", "MathAch ~ cses + (cses | School)"), {}),
    "growth_curves": lambda: curves(),
    "influence_bubble": lambda: (lt.influence(sleep()), {}),
    "influence_index": lambda: (lt.influence(sleep(), by="Subject"), {}),
    "iterations": lambda: (searches(), {}),
    "lattice": lambda: (models(), {}),
    "marginal_means": lambda: (lt.marginal_means(machines(), "Machine"), {}),
    "matrix": lambda: (growth(), {"name": "V", "groups": ["M01", "M02", "F01"]}),
    "matrix.lambda": lambda: (machines(), {"name": "Lambda"}),
    "missing": lambda: (with_gaps(), {}),
    "observed_fitted": lambda: (sleep(), {}),
    "partial_residuals": lambda: (sleep(), {"covariate": "Days"}),
    "power_curve": lambda: (lt.power(sleep(), "Days", sizes={"Subject": [3, 6]}, n=20, rng=1), {}),
    "prediction": lambda: (lt.prediction_grid(growth(), ["age", "Sex"]), {}),
    "profile_pairs": lambda: (profiled(), {}),
    "profile_zeta": lambda: (profiled(), {}),
    "qq_ranef": lambda: (sleep(), {}),
    "qq_residuals": lambda: (sleep(), {}),
    "quantile_residuals": lambda: (lt.quantile_residuals(sleep(), n=100, rng=1), {}),
    "ranef_pairs": lambda: (sleep(), {}),
    "residual_panels": lambda: (sleep(), {}),
    "residual_structures": lambda: (structures(), {}),
    "residuals_by_group": lambda: (sleep(), {}),
    "residuals_fitted": lambda: (sleep(), {}),
    "response": lambda: (children(), {}),
    "semivariogram": lambda: (lt.semivariogram(sleep(), **nights(), n=39, rng=1), {}),
    "shrinkage": lambda: (sleep(), {}),
    "slopes": lambda: (children(), {}),
    "spaghetti": lambda: (growth(), {"highlight": ["M13", "F10"]}),
    "structure_effects": lambda: (lt.structure_effects(structures()), {}),
    "trellis": lambda: (growth(), {"groups": 12, "lines": ("fitted", "separate"), "seed": 1}),
    "within_between": lambda: (children(), {}),
}


@cache
def numbers(picture: str) -> PlotData:
    """What the plot draws, taken out of its fit once."""
    shown, options = PICTURES[picture]()
    return plot_of(picture).extract(shown, **options)


def plot_of(picture: str) -> Any:
    return getattr(lt.plots, picture.partition(".")[0])


def draw(plot: Any, data: PlotData, path: Path) -> Path:
    """The plot on white paper, at its own size."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    with styled():
        figure = Figure(figsize=plot.describe(data).size, layout="constrained")
        FigureCanvasAgg(figure)
        plot(data, ax=figure.subplots())
        about = {"Software": None}  # a file of one release is not another file than the next one's
        figure.savefig(path, dpi=DPI, facecolor="white", transparent=False, metadata=about)
    return path


def difference(plot: Any, data: PlotData, baseline: Path, folder: Path) -> str | None:
    """What is wrong with the picture, and where the three to look at are; None if it is as it was."""
    return compare_images(baseline, draw(plot, data, folder / baseline.name), TOLERANCE)


def test_every_plot_has_a_baseline_and_every_baseline_a_plot():
    assert {name.partition(".")[0] for name in PICTURES} == set(lt.plots.__all__)
    assert {path.name for path in BASELINES.iterdir()} == {f"{name}.png" for name in PICTURES}


def test_baselines_are_small():
    assert sum(path.stat().st_size for path in BASELINES.iterdir()) < 1_500_000


@pytest.mark.parametrize("picture", PICTURES)
def test_it_looks_as_it_did(picture, tmp_path):
    data = numbers(picture)  # drawn under any matplotlib, compared under one
    if not mpl.__version__.startswith(f"{DRAWN_WITH}."):
        draw(plot_of(picture), data, tmp_path / "drawn.png")
        pytest.skip(f"baselines were drawn with matplotlib {DRAWN_WITH}; {mpl.__version__} sets letters otherwise")
    wrong = difference(plot_of(picture), data, BASELINES / f"{picture}.png", tmp_path)
    assert wrong is None, wrong


def test_a_mark_that_moves_by_its_width_is_seen(tmp_path):
    plot, data = lt.plots.residuals_fitted, numbers("residuals_fitted")
    draw(plot, data, tmp_path / "residuals_fitted.png")
    moved = data.table.copy()
    moved.loc[90, "fitted"] += 0.01 * np.ptp(moved["fitted"])
    (tmp_path / "new").mkdir()
    other = PlotData(moved, data.labels, data.facts)
    assert difference(plot, data, tmp_path / "residuals_fitted.png", tmp_path / "new") is None
    wrong = difference(plot, other, tmp_path / "residuals_fitted.png", tmp_path / "new")
    assert "did not match" in wrong and (tmp_path / "new" / "residuals_fitted-failed-diff.png").exists()


if __name__ == "__main__":
    unknown = set(sys.argv[1:]) - set(PICTURES)
    if unknown:
        sys.exit(f"no picture is called {', '.join(sorted(unknown))}")
    warnings.simplefilter("error")
    for name in sys.argv[1:] or PICTURES:
        draw(plot_of(name), numbers(name), BASELINES / f"{name}.png")
