"""The picture of marginal means shows every row, says what it cannot show, and takes any name as text."""

import xml.etree.ElementTree as ET

import pytest

import lmmtools as lt
from tests.unit.test_means import data


def texts(figure):
    root = ET.fromstring(figure.svg)
    return ["".join(node.itertext()) for node in root.iter("{http://www.w3.org/2000/svg}text")]


def test_every_mean_is_drawn_and_said():
    fit = lt.fit_lmm("angle ~ recipe * temperature + (1 | recipe:replicate)", lt.load_dataset("cake"))
    means = lt.marginal_means(fit, "recipe", by="temperature")
    figure = lt.figure(lt.plots.marginal_means, means)
    for level in means["temperature"].unique():
        assert f"temperature = {level}" in texts(figure)
    assert "angle (degrees)" in texts(figure)
    assert "temperature = 215: A 38.7 (" in figure.alt
    assert "95 %" in figure.caption
    assert figure == lt.figure(lt.plots.marginal_means, means)


def test_slopes_have_a_line_at_zero():
    fit = lt.fit_lmm("distance ~ age * Sex + (1 | Subject)", lt.load_dataset("Orthodont"))
    slopes = lt.marginal_means(fit, "Sex", trend="age")
    figure = lt.figure(lt.plots.marginal_means, slopes)
    assert "Dashed: no slope." in figure.caption
    assert "Slope of distance in age (mm per year)" in texts(figure)
    ax = lt.plots.marginal_means(slopes)
    assert [tuple(line.get_xdata()) for line in ax.lines[1:]] == [(0, 0)]


def test_what_is_not_estimable_is_said_in_its_place():
    fit = lt.fit_lmm("y ~ A * B + x + (1 | g)", data(empty=True))
    figure = lt.figure(lt.plots.marginal_means, lt.marginal_means(fit, "A", by="B"))
    assert texts(figure).count("not estimable") == 1
    assert "c cannot be estimated" in figure.alt


def test_hostile_names_and_many_levels_and_panels():
    names = {"a": "<b>$$", "b": "@x [y] #[]", "c": "日本\nالعربية"}
    frame = data(n=200).assign(
        **{"f $": lambda d: d["A"].map(names), "h": lambda d: (d["x"] * 5).astype(int).astype(str)}
    )
    fit = lt.fit_lmm("y ~ `f $` + h + (1 | g)", frame)
    assert "<b>$$" in texts(lt.figure(lt.plots.marginal_means, lt.marginal_means(fit, "f $")))
    many = lt.figure(lt.plots.marginal_means, lt.marginal_means(fit, "h", by="f $"))
    panels = lt.figure(lt.plots.marginal_means, lt.marginal_means(fit, "f $", by="h"))
    assert "The first 36 of" in many.caption
    assert "panels are shown" in panels.caption


def test_an_overall_mean_has_a_picture():
    fit = lt.fit_lmm("Yield ~ 1 + (1 | Batch)", lt.load_dataset("Dyestuff"))
    assert "overall 1528" in lt.figure(lt.plots.marginal_means, lt.marginal_means(fit, [])).alt


def test_only_marginal_means_are_drawn():
    with pytest.raises(lt.ModelError, match="takes what marginal_means returns"):
        lt.plots.marginal_means(data())
