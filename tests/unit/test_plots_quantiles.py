"""The picture of quantile residuals shows its result, says what is outside, and reads for 30 rows and for many."""

import numpy as np
import pandas as pd
import pytest

import lmmtools as lt
from lmmtools.plots.quantiles import _MOST


def residuals_of(n, seed=1, **options):
    rng = np.random.default_rng(seed)
    data = pd.DataFrame({"x": rng.normal(size=n), "g": rng.integers(0, max(n // 6, 5), n)})
    data["y"] = data["x"] + rng.normal(size=n)
    return lt.quantile_residuals(lt.fit_gls("y ~ x", data), 60, **options)


def axes_of(found):
    ax = lt.plots.quantile_residuals(found)
    return [a for a in ax.figure.axes if a is not ax]


def marks(ax, marker):
    return [line for line in ax.lines if line.get_linestyle() == "None" and line.get_marker() == marker]


def test_a_fit_and_its_residuals_give_the_same_picture():
    fit = lt.fit_lmm("Reaction ~ Days + (Days | Subject)", lt.load_dataset("sleepstudy"))
    found = lt.quantile_residuals(fit, 60, conditional=True)
    assert lt.figure(lt.plots.quantile_residuals, fit, n=60, conditional=True) == lt.figure(
        lt.plots.quantile_residuals, found
    )
    left, right = axes_of(found)
    (line,) = marks(left, "o")
    assert np.sort(line.get_ydata()) == pytest.approx(np.sort(found.residuals))
    x = np.concatenate([line.get_xdata() for line in (*marks(right, "o"), *marks(right, "x"))])
    assert len(x) == 180
    assert sum(len(line.get_xdata()) for line in marks(right, "x")) == len(found.outliers) > 0


def test_quartiles_and_bands_are_those_of_the_result():
    found = residuals_of(300)
    _, right = axes_of(found)
    lines = [line for line in right.lines if len(line.get_ydata()) == 10 and line.get_marker() == "None"]
    drawn = [line.get_ydata() for line in lines if line.get_linestyle() != ":"]
    for q, line in zip((0.25, 0.5, 0.75), drawn, strict=True):
        mine = found.quartiles[found.quartiles["quartile"] == q]
        assert line == pytest.approx(mine["observed"].to_numpy())
        assert ((mine["low"] <= q) & (q <= mine["high"])).mean() > 0.8
    dotted = [line.get_ydata() for line in lines if line.get_linestyle() == ":"]
    assert np.concatenate(dotted) == pytest.approx(found.quartiles.sort_values("quartile", kind="stable")["expected"])
    u = found.residuals.to_numpy()
    first = np.argsort(found.predicted.to_numpy())[:30]
    assert drawn[1][0] == pytest.approx(np.median(u[first]))


def test_of_many_rows_some_are_drawn():
    found = residuals_of(5000)
    left, right = axes_of(found)
    assert len(marks(left, "o")[0].get_xdata()) == 200
    assert len(marks(right, "o")[0].get_xdata()) == _MOST
    assert marks(right, "o")[0].get_rasterized()
    assert not marks(right, "x")
    caption = lt.figure(lt.plots.quantile_residuals, found).caption
    assert f"Points: {_MOST} of the rows, chosen at random. {len(found.outliers)} rows beyond all draws." in caption
    assert "at 200 quantiles" in caption


def test_predictions_that_are_all_equal_leave_the_order_of_rows():
    fit = lt.fit_lmm("Yield ~ 1 + (1 | Batch)", lt.load_dataset("Dyestuff"))
    found = lt.quantile_residuals(fit, 60)
    _, right = axes_of(found)
    assert right.get_xlabel() == "Row, in the data's order"
    assert len(found.quartiles) == 3
    figure = lt.figure(lt.plots.quantile_residuals, found)
    assert "predictions being all equal" in figure.caption
    assert "30 quantile residuals" in figure.alt


def test_quartiles_are_expected_where_draws_have_them():
    """Residuals given the random effects go with predictions, of a true model too: both follow the response."""
    rng = np.random.default_rng(4)
    data = pd.DataFrame({"g": np.arange(600) // 3})
    data["y"] = rng.normal(size=200)[data["g"]] + rng.normal(size=600)
    found = lt.quantile_residuals(lt.fit_lmm("y ~ 1 + (1 | g)", data), 60, conditional=True)
    medians = found.quartiles[found.quartiles["quartile"] == 0.5]
    assert medians["expected"].iloc[0] < 0.4 < 0.6 < medians["expected"].iloc[-1]
    assert (medians["observed"] - medians["expected"]).abs().max() < 0.12


def test_what_lies_outside_is_said():
    rng = np.random.default_rng(2)
    data = pd.DataFrame({"y": rng.exponential(size=200)})
    figure = lt.figure(lt.plots.quantile_residuals, lt.fit_gls("y ~ 1", data), n=60)
    outside = int(figure.alt.split("distribution; ")[1].split(" of ")[0])
    assert outside > 50
