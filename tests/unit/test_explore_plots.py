"""Pictures of an exploration: the right numbers, words that say the same, readable for any number of groups."""

import re
import xml.etree.ElementTree as ET

import numpy as np
import pandas as pd
import pytest

import lmmtools as lt

PLOTS = ("response", "group_sizes", "missing", "crossing", "within_between", "group_lines", "slopes")
FORMULAS = {
    "Orthodont": "distance ~ age * Sex + (age | Subject)",
    "Penicillin": "diameter ~ 1 + (1 | plate) + (1 | sample)",
    "Pastes": "strength ~ 1 + (1 | batch/cask)",
    "Machines": "score ~ Machine + (Machine | Worker)",
    "MathAchieve": "MathAch ~ cses + (cses | School)",
}


@pytest.fixture(scope="module")
def found():
    return {name: lt.explore_data(lt.load_dataset(name), formula) for name, formula in FORMULAS.items()}


def texts(figure):
    root = ET.fromstring(figure.svg)
    return ["".join(node.itertext()) for node in root.iter("{http://www.w3.org/2000/svg}text")]


@pytest.mark.parametrize("plot", PLOTS)
@pytest.mark.parametrize("name", FORMULAS)
def test_every_plot_draws_twice_the_same_and_small(found, name, plot):
    first, second = (lt.figure(getattr(lt.plots, plot), found[name]) for _ in range(2))
    assert first == second
    assert first.caption.endswith(".")
    assert len(first.alt) > 40
    assert first.label == "fig-" + plot.replace("_", "-")
    assert len(first.svg) < 300_000


@pytest.mark.parametrize("plot", PLOTS)
def test_it_draws_on_axes_of_its_own_or_those_given(found, plot):
    from matplotlib.figure import Figure

    _, ax = Figure().subplots(1, 2)
    assert getattr(lt.plots, plot)(found["Orthodont"], ax=ax).get_figure() is ax.figure
    assert getattr(lt.plots, plot)(found["Orthodont"]).get_figure() is not None


@pytest.mark.parametrize(
    ("plot", "labels"),
    [
        ("response", {"distance (mm)", "Subject", "M10"}),
        ("group_lines", {"age (years)", "distance (mm)", "F11"}),
        ("slopes", {"Slope of age (mm per year)", "Subject", "M13"}),
        ("within_between", {"Levels of Subject", "43.5 %", "100.0 %", "0.0 %"}),
    ],
)
def test_axes_carry_names_and_units(found, plot, labels):
    assert labels <= set(texts(lt.figure(getattr(lt.plots, plot), found["Orthodont"])))


@pytest.mark.parametrize(
    ("name", "plots"),
    [
        ("Orthodont", {"group_sizes", "missing", "crossing"}),
        ("Penicillin", {"group_sizes", "missing", "group_lines", "slopes"}),
    ],
)
def test_nothing_to_draw_is_said_not_drawn(found, name, plots):
    silent = {plot for plot in PLOTS if "nothing" in getattr(lt.plots, plot).extract(found[name]).facts}
    assert silent == plots
    for plot in silent:
        assert lt.prose.exploration_figure(getattr(lt.plots, plot), found[name]) is None
        figure = lt.figure(getattr(lt.plots, plot), found[name])
        assert texts(figure)
        assert " ".join(texts(figure)) in figure.alt


def test_the_slopes_are_those_of_the_lines(found):
    e = found["Orthodont"]
    table = lt.plots.slopes.extract(e).table
    assert table["slope"].is_monotonic_increasing
    assert set(table["slope"]) == set(e.regressions["slope"])
    assert "1 of 27 intervals does not contain it" in lt.figure(lt.plots.slopes, e).alt


def test_lines_go_through_the_groups_means(found):
    rows = lt.plots.group_lines.extract(found["Orthodont"]).table
    means = rows.groupby("level")[["y", "line"]].mean()
    np.testing.assert_allclose(means["y"], means["line"], rtol=1e-12)


def test_a_factor_within_groups_is_drawn_by_its_means(found):
    data = lt.plots.group_lines.extract(found["Machines"])
    raw = lt.load_dataset("Machines").groupby(["Worker", "Machine"], observed=True)["score"].mean()
    drawn = data.table.drop_duplicates(["level", "x"]).set_index(["level", "x"])["line"]
    for (worker, machine), mean in raw.items():
        assert drawn[str(worker), "ABC".index(machine)] == pytest.approx(mean)
    assert {"A", "B", "C", "score (points)"} <= set(texts(lt.figure(lt.plots.group_lines, found["Machines"])))


def test_lines_of_panels_are_broken_when_asked(found):
    plain, dashed = (lt.figure(lt.plots.group_lines, found["Orthodont"], **o).svg for o in ({}, {"dashed": True}))
    assert "stroke-dasharray" in dashed and "stroke-dasharray" not in plain


def test_many_groups_share_one_panel_whose_marks_are_a_picture(found):
    figure = lt.figure(lt.plots.group_lines, found["MathAchieve"])
    assert figure.svg.count("<image") == 1
    assert "160 groups of School, all in one panel" in figure.alt
    assert "One level in 3 is named." in lt.figure(lt.plots.slopes, found["MathAchieve"]).caption
    assert "40 of them evenly spaced in rank" in lt.figure(lt.plots.response, found["MathAchieve"]).caption


def test_very_many_lines_are_chosen_and_said():
    rng = np.random.default_rng(1)
    g = np.repeat(np.arange(1000), 4)
    data = pd.DataFrame({"g": g, "x": np.tile(np.arange(4.0), 1000), "y": rng.normal(size=4000)})
    figure = lt.figure(lt.plots.group_lines, lt.explore_data(data, "y ~ x + (x | g)"))
    assert "200 of 1000 groups are drawn, evenly spaced" in figure.caption
    assert len(figure.svg) < 300_000


def test_the_crossing_of_very_many_levels_is_a_picture_that_says_so():
    rng = np.random.default_rng(4)
    a, b = rng.integers(0, 700, 5000), rng.integers(0, 300, 5000)
    e = lt.explore_data(pd.DataFrame({"a": a, "b": b, "y": rng.normal(size=5000)}), "y ~ 1 + (1 | a) + (1 | b)")
    figure = lt.figure(lt.plots.crossing, e)
    assert figure.svg.count("<image") == 1
    assert "neighbours share a cell" in figure.caption
    assert "partially crossed" in figure.alt
    assert len(figure.svg) < 200_000


def test_nested_levels_stand_in_blocks(found):
    table = lt.plots.crossing.extract(found["Pastes"]).table.sort_values("y")
    assert table["x"].is_monotonic_increasing
    assert len(table) == 30


def test_missing_values_are_drawn_by_pattern():
    data = lt.load_dataset("Orthodont").astype({"age": float})
    data.loc[:9, "distance"] = np.nan
    data.loc[5:7, "age"] = np.nan
    figure = lt.figure(lt.plots.missing, lt.explore_data(data, FORMULAS["Orthodont"]))
    assert {"98 rows", "7 rows", "3 rows"} <= set(texts(figure))
    assert "distance in 10 rows and age in 3 rows" in figure.alt


def test_unequal_groups_are_named_or_binned(found):
    assert "14 to 67 rows" in lt.figure(lt.plots.group_sizes, found["MathAchieve"]).alt
    data = lt.load_dataset("Orthodont").iloc[:-2]
    assert {"M16", "F11"} <= set(texts(lt.figure(lt.plots.group_sizes, lt.explore_data(data, FORMULAS["Orthodont"]))))


def test_lines_that_are_not_there_have_their_sentence(found):
    with pytest.raises(lt.LMMError, match="no lines on `Sex` by `Subject`.* lines on `age by Subject`"):
        lt.plots.slopes(found["Orthodont"], factor="Subject", covariate="Sex")


def test_hostile_names_and_levels_are_drawn_as_they_are():
    rng = np.random.default_rng(3)
    level = np.repeat(["$$", "<script>", "a\nb", "日本", "@fig-x [@key]", "#[]"], 5)
    data = pd.DataFrame({"$y$": rng.normal(size=30), "x <1>": rng.normal(size=30), "g#": level, "@f": level[::-1]})
    data = data.iloc[:-1]
    e = lt.explore_data(data, "`$y$` ~ `x <1>` + `@f` + (`x <1>` | `g#`) + (1 | `@f`)")
    for plot in PLOTS:
        svg = lt.figure(getattr(lt.plots, plot), e).svg
        assert "<script>" not in svg
        ET.fromstring(svg)
    shown = set(texts(lt.figure(lt.plots.slopes, e)))
    assert {"$$", "<script>", "a\\nb", "日本", "@fig-x [@key]", "#[]"} <= shown
    for word in ("candidates", "groups", "lines", "missing", "response", "summary", "variation"):
        text = re.sub("`[^`]*`", "", getattr(lt.prose, f"exploration_{word}")(e).markdown)  # code is never markup
        assert "<script>" not in text and "$y$" not in text and " @f " not in text
    for name in ("structure", "candidates", "regressions", "outliers", "balance"):
        assert "<script>" not in getattr(e, name).table().html(style=False)
