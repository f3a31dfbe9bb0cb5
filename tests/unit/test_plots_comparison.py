"""Pictures of several models: every number drawn and said, nothing over anything else, hostile names as text."""

import itertools
import xml.etree.ElementTree as ET

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import lmmtools as lt
from lmmtools.plots.layers import layered, spaced

HOSTILE = ["<script>$$", "@fig-x [@key] #[]", 'new\nline "q"', "日本 🙂 العربية"]
FORMULAS = [
    f"distance ~ {right}"
    for right in (
        "1 + (1 | Subject)", "age + (1 | Subject)", "Sex + (1 | Subject)", "age + Sex + (1 | Subject)",
        "age * Sex + (1 | Subject)", "age + (age || Subject)", "age + (age | Subject)", "age + Sex + (age | Subject)",
        "age * Sex + (age | Subject)", "age * Sex + (age || Subject)", "factor(age) * Sex + (age | Subject)",
        "factor(age) * Sex + (1 | Subject)",
    )
]  # fmt: skip


@pytest.fixture(scope="module")
def models():
    return lt.fit_models(FORMULAS, lt.load_dataset("Orthodont"))


@pytest.fixture(scope="module")
def hostile():
    return lt.fit_models([FORMULAS[k] for k in (1, 3, 6, 8)], lt.load_dataset("Orthodont"), names=HOSTILE)


def texts(figure):
    root = ET.fromstring(figure.svg)
    return ["".join(node.itertext()) for node in root.iter("{http://www.w3.org/2000/svg}text")]


def drawn(plot, data):
    """Axes with the plot on them, laid out."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=plot.describe(data).size, layout="constrained")
    ax = figure.subplots()
    plot(data, ax=ax)
    figure.draw_without_rendering()
    return ax


@pytest.mark.parametrize("count", [1, 2, 3, 6, 12])
def test_the_lattice_shows_every_model_and_every_step(models, count):
    some = {name: models[name] for name in itertools.islice(models, count)}
    steps = lt.lattice(some)
    figure = lt.figure(lt.plots.lattice, steps)
    assert figure == lt.figure(lt.plots.lattice, some)
    said = texts(figure)
    for name, fit in some.items():
        assert name in said
        assert f"{fit.npar} par. · AIC {fit.aic:.2f}" in said
        assert f"{name}, {fit.npar} parameters, AIC {fit.aic:.2f}" in figure.alt
    labels = [text for text in said if text.startswith(("χ²(", "LR ="))]
    assert len(labels) == len(steps) or len([text for text in said if text.startswith("p ")]) == len(steps)
    for row in steps.itertuples():
        name = f"χ²({row.df})" if row.reference == f"χ²({row.df})" else "LR"
        assert f"{name} = {row.chisq:.2f}" in figure.alt


@pytest.fixture(scope="module")
def cube():
    """Every subset of three covariates, and again with a random slope: a lattice with many ways through it."""
    data = lt.load_dataset("MathAchieve")
    covariates = ("MEANSES", "Sector", "cses")
    subsets = [" + ".join(some) or "1" for r in range(4) for some in itertools.combinations(covariates, r)]
    formulas = [f"MathAch ~ {some} + (1 | School)" for some in subsets]
    formulas += [f"MathAch ~ {some} + (cses | School)" for some in subsets if "cses" in some]
    some = data[data["School"].isin(data["School"].unique()[:30])]
    return lt.fit_models(formulas, some, names=[f"model of length {k}" for k in range(len(formulas))])


@pytest.mark.parametrize(("which", "count"), [("models", 2), ("models", 6), ("models", 12), ("cube", 8), ("cube", 12)])
def test_nothing_in_the_lattice_lies_over_anything_else(request, which, count):
    plot, fits = lt.plots.lattice, request.getfixturevalue(which)
    ax = drawn(plot, plot.extract({name: fits[name] for name in itertools.islice(fits, count)}))
    boxes = [patch.get_window_extent() for patch in ax.patches if type(patch).__name__ == "FancyBboxPatch"]
    labels = [text.get_window_extent() for text in ax.texts if text.get_text().startswith(("χ²", "LR"))]
    assert len(boxes) == count
    assert len(labels) >= count - 1
    for a, b in itertools.combinations([*boxes, *labels], 2):
        assert not a.overlaps(b)
    arrows = [[text.xyann, text.xy] for text in ax.texts if getattr(text, "arrow_patch", None)]
    for corners in [*(line.get_xydata() for line in ax.lines), *arrows]:  # a line may end at its own label
        ends = ax.transData.transform(corners)
        along = np.vstack([np.linspace(a, b, 40) for a, b in itertools.pairwise(ends)])
        assert not any(box.padded(-1.0).contains(*point) for box in (*boxes, *labels) for point in along)
    inside = ax.get_window_extent().padded(1.0)
    assert all(inside.contains(*corner) for box in (*boxes, *labels) for corner in box.corners())


def test_smaller_models_stand_lower_and_arrows_point_up(models):
    data = lt.plots.lattice.extract(models)
    levels = data.facts["layout"].levels
    height = {key: k for k, level in enumerate(levels) for key in level}
    for step in data.facts["steps"]:
        small, large = step["edge"]
        assert height[small] < height[large]
    npar = [{data.table["npar"][key] for key in level if key in models} for level in levels[::2]]
    assert [len(one) for one in npar] == [1] * len(npar)
    assert npar == sorted(npar, key=min)


def test_the_lowest_aic_is_framed_and_named(models):
    figure = lt.figure(lt.plots.lattice, models)
    assert "Thick frame: the lowest AIC." in figure.caption
    assert "The lowest AIC is that of M5." in figure.alt
    assert "†" in figure.caption


def test_a_lattice_without_steps_says_so(models):
    figure = lt.figure(lt.plots.lattice, {"one": models["M2"], "other": models["M3"]})
    assert "none is a special case of another" in figure.caption
    assert figure.alt.endswith("No arrows.")


@pytest.mark.parametrize("plot", ["lattice", "forest"])
def test_names_are_text_whatever_they_hold(hostile, plot):
    shown = hostile if plot == "lattice" else lt.coefficients(hostile)
    figure = lt.figure(getattr(lt.plots, plot), shown)
    root = ET.fromstring(figure.svg)
    assert not [node for node in root.iter() if node.tag.endswith("script")]
    assert "<script>$$" in texts(figure)
    assert "<script>$$" in figure.alt
    assert any(text.startswith("@fig-x [@key] #") for text in texts(figure))
    assert any("new\\nline" in text for text in texts(figure))
    assert any("日本 🙂" in text for text in texts(figure))


def test_the_forest_draws_the_table(models):
    table = lt.coefficients(models)
    data = lt.plots.forest.extract(table)
    drawn = table[table["coefficient"].isin(list(dict.fromkeys(table["coefficient"]))[:9])]  # as many as a page holds
    np.testing.assert_array_equal(data.table["estimate"], drawn["estimate"])
    figure = lt.figure(lt.plots.forest, table)
    said = texts(figure)
    assert {"Intercept", "age", "Sex[T.Female]", "age:Sex[T.Female]", "mm per year", "mm"} <= set(said)
    assert [said.count(name) for name in models] == [3] * len(models)  # beside each row of panels
    assert "Squares: M5, the preferred model." in figure.caption
    assert "age: in 8 models from 0.660 to 0.784, 8 of 8 intervals clear of zero; in M5 0.784" in figure.alt


def test_names_of_models_fit_beside_the_forest():
    names = ["a rather long name that is cut", "WWWWWWWWWWWWWWWWWWW"]
    models = lt.fit_models([FORMULAS[1], FORMULAS[4]], lt.load_dataset("Orthodont"), names=names)
    plot = lt.plots.forest
    ax = drawn(plot, plot.extract(lt.coefficients(models)))
    width = ax.figure.bbox.width
    for one in ax.figure.axes:
        for label in one.get_yticklabels():
            if label.get_text().startswith(("a rather", "WWW")):
                assert 0 <= label.get_window_extent().x0 <= width


def test_the_zero_line_is_drawn_where_zero_is_near(models):
    table = lt.coefficients(models)
    plot = lt.plots.forest
    ax = drawn(plot, plot.extract(table))
    lines = {
        one.get_title(loc="left"): [line for line in one.lines if line.get_linestyle() == "--"]
        for one in ax.figure.axes if one.get_title(loc="left")
    }  # fmt: skip
    assert len(lines["Sex[T.Female]"]) == 1
    assert lines["Intercept"] == []  # far from zero, which would squeeze the intervals


def test_a_shared_scale_is_one_scale(models):
    table = lt.coefficients(models)
    plot = lt.plots.forest
    ax = drawn(plot, plot.extract(table, shared=True))
    titled = [one for one in ax.figure.axes if one.get_title(loc="left")]
    assert len({one.get_xlim() for one in titled}) == 1
    assert "All panels share one scale." in lt.figure(plot, table, shared=True).caption


def test_more_coefficients_than_a_page_holds_are_counted():
    data = lt.load_dataset("MathAchieve")
    some = data[data["School"].isin(data["School"].unique()[:40])]
    many = "MathAch ~ 0 + factor(School) + cses + (0 + cses | School)"
    models = lt.fit_models([many, "MathAch ~ cses + (1 | School)"], some)
    figure = lt.figure(lt.plots.forest, lt.coefficients(models))
    assert figure.caption.startswith("The first 21 of 42 coefficients of 2 models")


@pytest.mark.parametrize("plot", ["lattice", "forest"])
def test_other_values_are_refused(models, plot):
    with pytest.raises(lt.ModelError, match=f"plots.{plot}: takes what"):
        getattr(lt.plots, plot)(models["M1"])


@pytest.mark.parametrize("plot", ["lattice", "forest"])
def test_it_draws_on_axes_it_is_given_and_makes_its_own(hostile, plot):
    from matplotlib.figure import Figure

    shown = hostile if plot == "lattice" else lt.coefficients(hostile)
    _, ax = Figure().subplots(1, 2)
    assert getattr(lt.plots, plot)(shown, ax=ax) in (ax, ax.figure)
    assert getattr(lt.plots, plot)(shown) is not None


@given(st.lists(st.tuples(st.floats(-5, 5), st.floats(0.1, 2)), min_size=1, max_size=9))
def test_places_keep_their_order_and_distance(items):
    wanted, widths = zip(*items, strict=True)
    places = spaced(wanted, widths)
    gaps = np.diff(places)
    assert (gaps >= (np.array(widths[:-1]) + np.array(widths[1:])) / 2 - 1e-9).all()
    assert np.mean(places) == pytest.approx(np.mean(wanted), abs=1e-9)  # least squares: no push to either side


def test_places_as_wanted_are_left_alone():
    assert spaced([0.0, 3.0, 9.0], [1.0, 1.0, 1.0]) == [0.0, 3.0, 9.0]


def test_edges_are_untangled():
    layout = layered([["a", "b"], ["c", "d"]], [("a", "d"), ("b", "c")], dict.fromkeys(
        ["a", "b", "c", "d", (("a", "d"), 1), (("b", "c"), 1)], 1.0))  # fmt: skip
    x = layout.x
    assert (x["a"] - x["b"]) * (x["d"] - x["c"]) > 0
