"""The picture of power: every design with its limits, lines that can be told apart, words with the same numbers."""

import xml.etree.ElementTree as ET
from itertools import product

import numpy as np
import pandas as pd
import pytest

import lmmtools as lt
from lmmtools.errors import LMMError, ModelError


@pytest.fixture(scope="module")
def grid():
    data = pd.DataFrame(product(range(8), range(4)), columns=["<b>$g", "x"])
    data = data.astype({"<b>$g": str})
    plan = lt.planned("y ~ x + (1 | `<b>$g`)", data, fixef={"Intercept": 0, "x": 0.4}, sd={"<b>$g": 1}, sigma=1)
    return plan, lt.power(plan, "x", sizes={"<b>$g": [4, 8, 16], "rows per <b>$g": [3, 4]}, n=20, rng=1)


def texts(figure):
    root = ET.fromstring(figure.svg)
    return ["".join(node.itertext()) for node in root.iter("{http://www.w3.org/2000/svg}text")]


def test_every_design_is_drawn_and_said(grid):
    table = grid[1]
    figure = lt.figure(lt.plots.power_curve, table)
    assert {"3 rows per <b>$g", "4 rows per <b>$g", "<b>$g (number of levels)", "Power"} <= set(texts(figure))
    assert "20 simulated studies for each design" in figure.caption and "a power of 0.8" in figure.caption
    for share, levels in zip(table["power"], table["<b>$g"], strict=True):
        assert f"{share:.2g}" in figure.alt and f"at {levels}" in figure.alt
    assert figure == lt.figure(lt.plots.power_curve, table)


def test_marks_and_limits_stand_where_the_table_has_them(grid):
    table = grid[1]
    ax = lt.plots.power_curve(table, target=None)
    assert len(ax.lines) == 2
    for line, (_, part) in zip(ax.lines, table.groupby("rows per <b>$g"), strict=True):
        np.testing.assert_allclose(line.get_ydata(), part["power"])
        assert np.abs(line.get_xdata() - part["<b>$g"].to_numpy()).max() < 0.25
    ends = np.concatenate([[path.vertices[:, 1] for path in c.get_paths()] for c in ax.collections])
    limits = table.sort_values(["rows per <b>$g", "<b>$g"])[["low", "high"]]
    np.testing.assert_allclose(ends, limits)
    assert len({(line.get_marker(), line.get_linestyle()) for line in ax.lines}) == 2, "told apart in grey"


def test_the_axis_can_be_chosen_and_models_are_categories(grid):
    plan, table = grid
    ax = lt.plots.power_curve(table, x="rows per <b>$g")
    assert ax.get_xlabel() == "Rows per <b>$g" and len(ax.lines) == 4
    models = lt.power({"a $x$": plan, "b": plan}, "x", n=10, rng=1)
    ax = lt.plots.power_curve(models)
    assert [label.get_text() for label in ax.get_xticklabels()] == ["a $x$", "b"]
    assert "at a $x$" in lt.figure(lt.plots.power_curve, models).alt


def test_more_lines_than_can_be_told_apart_are_cut_and_said(grid):
    many = lt.power({f"model {k}": grid[0] for k in range(9)}, "x", sizes={"<b>$g": [4, 8]}, n=10, rng=1)
    figure = lt.figure(lt.plots.power_curve, many)
    assert "The first 6 of 9 lines are shown." in figure.caption
    assert "model 6" not in figure.alt


def test_what_has_no_curve_is_refused(grid):
    plan, table = grid
    with pytest.raises(ModelError, match="one design has no curve"):
        lt.plots.power_curve(lt.power(plan, "x", n=10, rng=1))
    with pytest.raises(ModelError, match="takes the whole table that power returns; got Frame"):
        lt.plots.power_curve(table[["power"]])
    with pytest.raises(LMMError, match="x='rows' was not varied"):
        lt.plots.power_curve(table, x="rows")
    with pytest.raises(LMMError, match="target must lie between 0 and 1"):
        lt.plots.power_curve(table, target=80)
