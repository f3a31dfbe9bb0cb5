"""Pictures of predictions and of cross-validations: what they draw is what their tables hold."""

import warnings
from functools import cache

import numpy as np
import pandas as pd
import pytest

import lmmtools as lt
from lmmtools.plots import cross_validation, prediction

ORTHODONT = lt.load_dataset("Orthodont")


@cache
def orthodont():
    return lt.fit_lmm("distance ~ age * Sex + (age | Subject)", ORTHODONT)


@cache
def validated():
    data = lt.load_dataset("sleepstudy")
    fits = {left: lt.fit_lmm(f"Reaction ~ Days + ({left} | Subject)", data) for left in ("1", "Days")}
    return lt.cross_validate(fits, folds=4, rng=1)


def drawn(plot, *args, **kw):
    from matplotlib.figure import Figure

    figure = Figure(layout="constrained")
    plot(*args, ax=figure.subplots(), **kw)
    return figure


def test_lines_with_bands_and_observations():
    grid = lt.prediction_grid(orthodont(), {"age": np.linspace(6, 14, 17), "Sex": None})
    figure = lt.figure(prediction, grid)
    assert figure.label == "fig-prediction" and "Thin: beyond what was observed" in figure.caption
    assert "Male 21.0 at age 6.00 to 27.3 at age 14.0" in figure.alt
    ax = drawn(prediction, grid).axes[0]
    lines = {line.get_label(): line for line in ax.lines if line.get_label() in ("Male", "Female")}
    men = grid[grid["Sex"] == "Male"]
    y = lines["Male"].get_ydata()
    assert np.isnan(y[:4]).all() and np.allclose(y[4:], men["prediction"].iloc[4:])
    assert lines["Male"].get_linestyle() != lines["Female"].get_linestyle()  # told apart without colour
    assert sum(len(line.get_xdata()) for line in ax.lines if line.get_linestyle() == "None") == 108
    assert "(mm)" in ax.get_ylabel() and "(years)" in ax.get_xlabel()
    assert sum(len(line.get_xdata()) for line in drawn(prediction, grid, data=False).axes[0].lines
               if line.get_linestyle() == "None") == 0  # fmt: skip


def test_groups_have_panels_with_their_own_observations():
    subjects = list(orthodont().ranef["Subject"].index)
    few = lt.prediction_grid(orthodont(), "age", True, {"Subject": subjects[:3]}, points=5)
    ax = drawn(prediction, few).axes[0]
    assert [text.get_text() for text in ax.get_legend().get_texts()] == subjects[:3]
    many = lt.prediction_grid(orthodont(), "age", True, {"Subject": subjects}, points=5)
    figure = lt.figure(prediction, many)
    assert "The first 12 of 27 panels are shown." in figure.caption and "and 0 more" not in figure.alt
    panels = [ax for ax in drawn(prediction, many).axes if ax.get_title(loc="left")]
    assert len(panels) == 12 and panels[0].get_title(loc="left") == f"Subject = {subjects[0]}"


def test_a_surface_with_contours_and_what_lies_beyond():
    rng = np.random.default_rng(1)
    data = pd.DataFrame({"x": rng.uniform(size=60), "z": rng.uniform(size=60), "g": np.arange(60) % 6})
    data["y"] = data.x * data.z + 0.1 * rng.normal(size=60)
    fit = lt.fit_lmm("y ~ x * z + (1 | g)", data)
    grid = lt.prediction_grid(fit, ["x", "z"], points=9)
    figure = lt.figure(prediction, grid)
    assert "Hatched: beyond what was observed. Points: where rows were observed." in figure.caption
    ax = drawn(prediction, grid).axes[0]
    np.testing.assert_allclose(ax.images[0].get_array(), grid.array().T)
    uneven = lt.prediction_grid(fit, {"x": [0.0, 0.1, 0.3, 0.4, 0.9], "z": [0.2, 0.4, 0.5, 0.7, 0.9]})
    np.testing.assert_allclose(drawn(prediction, uneven).axes[0].collections[0].get_array(), uneven.array().T)
    three = lt.prediction_grid(lt.fit_lmm("y ~ x + z + g + (1 | g)", data), ["x", "z", "g"], points=5)
    with pytest.raises(lt.ModelError, match="are 3 numbers, and a page has two directions"):
        prediction(three)


def test_factors_alone_have_intervals():
    cake = lt.load_dataset("cake")
    fit = lt.fit_lmm("angle ~ recipe * temperature + (1 | recipe:replicate)", cake)
    grid = lt.prediction_grid(fit, ["recipe", "temperature"])
    axes = [ax for ax in drawn(prediction, grid).axes if ax.get_title(loc="left")]
    assert len(axes) == 6 and [t.get_text() for t in axes[0].get_yticklabels()] == ["A", "B", "C"]
    np.testing.assert_allclose(axes[1].lines[0].get_xdata(), grid["prediction"][3:6])
    one = lt.prediction_grid(lt.fit_lmm("angle ~ 1 + (1 | replicate)", cake))
    assert "Predicted angle (degrees), of the population" in lt.figure(prediction, one).caption


def test_scores_with_their_errors():
    found = validated()
    figure = lt.figure(cross_validation, found)
    assert "the smaller, the better" in figure.caption and "RMSE: 1 " in figure.alt
    axes = [ax for ax in drawn(cross_validation, found).axes if ax.get_xlabel()]
    assert [ax.get_xlabel() for ax in axes] == ["RMSE (ms)", "CRPS (ms)", "Log score"]
    assert [line.get_xdata()[0] for line in axes[1].lines] == pytest.approx(found.scores["crps"].tolist())
    assert [line.get_markerfacecolor() == "none" for line in axes[1].lines] == [True, False]
    assert len([ax for ax in drawn(cross_validation, found, score="mae").axes if ax.get_xlabel()]) == 1


def test_pit_and_predictions():
    found = validated()
    axes = [ax for ax in drawn(cross_validation, found, show="pit").axes if ax.get_xlabel()]
    heights = [bar.get_height() for bar in axes[1].patches]
    np.testing.assert_allclose(heights, np.histogram(found.pit("Days"), 10, (0, 1))[0] / 18)
    axes = [ax for ax in drawn(cross_validation, found, show="predicted").axes if ax.get_xlabel()]
    np.testing.assert_allclose(axes[0].lines[0].get_ydata(), found.rows[found.rows["model"] == "1"]["observed"])
    assert "180 rows, correlation 0.8" in lt.figure(cross_validation, found, show="predicted").alt


@pytest.mark.parametrize(
    ("call", "match"),
    [
        (lambda: prediction(ORTHODONT), "takes a fit, or what prediction_grid returns; got DataFrame"),
        (lambda: cross_validation(orthodont()), "takes what cross_validate returns; got LMMFit"),
        (lambda: cross_validation(validated(), show="scored"), r"'scored' is unknown \(did you mean `scores`\?\)"),
        (lambda: cross_validation(validated(), score="brier"), "score='brier' is unknown"),
    ],
)
def test_what_they_do_not_take(call, match):
    with pytest.raises(lt.LMMError, match=match):
        call()


def test_numbers_at_a_few_values_make_lines():
    """An interaction of two numbers: one along the axis, the other at stated values."""
    fit = lt.fit_lmm("MathAch ~ SES * MEANSES + (1 | School)", lt.load_dataset("MathAchieve"))
    data = lt.plots.prediction.extract(fit, {"SES": None, "MEANSES": [-0.5, 0, 0.5]})
    assert (data.facts["kind"], data.facts["numbers"], data.facts["inner"]) == ("lines", ("SES",), ("MEANSES",))
    assert data.facts["series"] == ("−0.5", "0", "0.5")
    assert data.facts["seen"] is None  # no school is at just these means
    grid = lt.prediction_grid(fit, {"SES": None, "MEANSES": [-0.5, 0, 0.5]})
    np.testing.assert_array_equal(data.table["prediction"], grid["prediction"])
    assert lt.plots.prediction.extract(fit, ["SES", "MEANSES"]).facts["kind"] == "surface"
    with pytest.raises(lt.ModelError, match="this grid is made already"):
        lt.plots.prediction(grid, "SES")


def test_of_many_observations_a_random_sample_is_drawn():
    """Every third row would be of every other time of measurement here."""
    data = pd.DataFrame({"t": np.tile(np.arange(6.0), 1500), "g": np.repeat(np.arange(1500), 6)})
    data["y"] = data["t"] + np.random.default_rng(1).normal(size=9000)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", lt.LMMWarning)
        fit = lt.fit_lmm("y ~ t + (1 | g)", data)
    assert set(lt.plots.prediction.extract(fit).facts["seen"]["t"]) == set(np.arange(6.0))
