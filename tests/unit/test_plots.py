"""Plots: the right numbers, words that say the same, axes with units, and no trouble with odd fits."""

import inspect
import warnings
import xml.etree.ElementTree as ET

import numpy as np
import pandas as pd
import pytest

import lmmtools as lt
from lmmtools.plots.drawing import PlotData, normal_quantiles, outside, ranked

PLOTS = ("data_by_group", "residuals_fitted", "qq_residuals", "qq_ranef", "caterpillar")
MODELS = {
    "slopes": ("Orthodont", "distance ~ age + (age | Subject)"),
    "many": ("MathAchieve", "MathAch ~ MEANSES + Sector + cses + (cses | School)"),
    "intercept": ("Dyestuff", "Yield ~ 1 + (1 | Batch)"),
    "singular": ("Dyestuff2", "Yield ~ 1 + (1 | Batch)"),
    "factor": ("Machines", "score ~ Machine + (1 | Worker)"),
    "two per x": ("Oats", "yield ~ nitro + Variety + (1 | Block)"),
}


@pytest.fixture(scope="module")
def fits():
    return {name: lt.fit_lmm(formula, lt.load_dataset(data)) for name, (data, formula) in MODELS.items()}


def texts(figure):
    root = ET.fromstring(figure.svg)
    return ["".join(node.itertext()) for node in root.iter("{http://www.w3.org/2000/svg}text")]


@pytest.mark.parametrize("plot", PLOTS)
@pytest.mark.parametrize("model", MODELS)
def test_every_plot_draws_every_fit_twice_the_same(fits, model, plot):
    first, second = (lt.figure(getattr(lt.plots, plot), fits[model]) for _ in range(2))
    assert first == second
    assert first.caption.endswith(".")
    assert len(first.alt) > 40
    assert first.label.startswith("fig-")


@pytest.mark.parametrize("plot", PLOTS)
def test_it_draws_on_the_axes_it_is_given(fits, plot):
    from matplotlib.figure import Figure

    figure = Figure()
    _, ax = figure.subplots(1, 2)
    drawn = getattr(lt.plots, plot)(fits["intercept"], ax=ax)
    assert drawn is ax
    assert ax.has_data()


@pytest.mark.parametrize("plot", PLOTS)
def test_it_makes_axes_when_given_none(fits, plot):
    assert getattr(lt.plots, plot)(fits["slopes"]).get_figure() is not None


@pytest.mark.parametrize("plot", PLOTS)
def test_it_draws_numbers_it_is_given(fits, plot):
    plot = getattr(lt.plots, plot)
    data = plot.extract(fits["intercept"])
    assert isinstance(data, PlotData)
    assert plot(data).has_data()


@pytest.mark.parametrize(
    ("plot", "labels"),
    [
        ("data_by_group", {"age (years)", "distance (mm)"}),
        ("residuals_fitted", {"Fitted distance (mm)", "Residual (mm)"}),
        ("qq_residuals", {"Standard normal quantile", "Residual (mm)"}),
        ("qq_ranef", {"Intercept (mm)", "age (mm per year)"}),
        ("caterpillar", {"Intercept (mm)", "age (mm per year)", "Subject"}),
    ],
)
def test_axes_carry_units(fits, plot, labels):
    assert labels <= set(texts(lt.figure(getattr(lt.plots, plot), fits["slopes"])))


def test_groups_beyond_a_page_are_chosen_and_said(fits):
    figure = lt.figure(lt.plots.data_by_group, fits["many"])
    assert "20 of 160 groups, evenly spaced in rank" in figure.caption
    table = lt.plots.data_by_group.extract(fits["many"]).table
    shown = table["level"].unique()
    modes = fits["many"].ranef["School"].iloc[:, 0]
    ranks = np.sort(modes.rank().loc[shown].astype(int))
    assert (ranks[0], ranks[-1]) == (1, 160)
    assert np.ptp(np.diff(ranks)) <= 1


def test_every_group_is_shown_when_there_is_room(fits):
    table = lt.plots.data_by_group.extract(fits["slopes"]).table
    assert table["level"].nunique() == 27
    assert len(table) == 108


def test_the_x_is_a_covariate_that_varies_within_groups(fits):
    assert lt.plots.data_by_group.extract(fits["slopes"]).labels["x"] == "age (years)"
    assert lt.plots.data_by_group.extract(fits["many"]).labels["x"].startswith("cses")  # not MEANSES
    assert not lt.plots.data_by_group.extract(fits["factor"]).facts["x"]


def test_lines_are_drawn_only_where_they_mean_something(fits):
    assert lt.plots.data_by_group.extract(fits["slopes"]).facts["lines"]
    two = lt.plots.data_by_group.extract(fits["two per x"]).facts  # three varieties at each nitrogen level
    assert two["x"] and not two["lines"]


def test_drawn_values_are_the_fits(fits):
    fit = fits["slopes"]
    table = lt.plots.residuals_fitted.extract(fit).table
    np.testing.assert_array_equal(table["residual"], fit.resid)
    np.testing.assert_array_equal(table["fitted"], fit.fitted)


def test_intervals_are_196_conditional_sds(fits):
    fit = fits["slopes"]
    table = lt.plots.caterpillar.extract(fit).table.query("panel == 1").set_index("level")
    sd = np.sqrt(fit.ranef_cov["Subject"][:, 1, 1])
    half = pd.Series(1.959963984540054 * sd, index=fit.ranef["Subject"].index.astype(str))
    np.testing.assert_allclose((table["high"] - table["low"]) / 2, half.loc[table.index], rtol=1e-12)
    assert fit.ranef["Subject"]["Intercept"].to_numpy()[fit.ranef["Subject"].index.get_loc("M13")] == pytest.approx(
        lt.plots.caterpillar.extract(fit).table["mode"].iloc[0]
    )


@pytest.mark.parametrize("plot", ["caterpillar", "qq_ranef"])
def test_a_factor_that_is_none_has_its_sentence(fits, plot):
    expected = r"`subject` is no grouping factor of this model \(did you mean `Subject`\?\); factor can be `Subject`\."
    with pytest.raises(lt.LMMError, match=expected):
        getattr(lt.plots, plot)(fits["slopes"], factor="subject")


def test_captions_name_marks_not_colours(fits):
    captions = [lt.figure(lt.plots.data_by_group, fit).caption for fit in fits.values()]
    assert not any("range" in caption for caption in captions)
    assert {word for word in ("Solid lines: ", "Crosses: ", "Upright ticks: ") if any(word in c for c in captions)} == {
        "Solid lines: ", "Crosses: ", "Upright ticks: ",
    }  # fmt: skip


def test_words_give_the_numbers_drawn(fits):
    data = lt.plots.qq_residuals.extract(fits["slopes"])
    alt = lt.plots.qq_residuals.describe(data).alt
    assert f"{outside(data.table)} points of 108" in alt
    assert "−4.22 to 5.13" in alt


def test_long_lists_of_levels_are_thinned_and_say_so(fits):
    figure = lt.figure(lt.plots.caterpillar, fits["many"])
    assert "One level in 3 is named." in figure.caption
    named = set(texts(figure)) & set(fits["many"].ranef["School"].index.astype(str))
    assert len(named) == 54


def test_a_singular_fit_is_drawn_flat_and_described(fits):
    assert "all equal to zero" in lt.figure(lt.plots.caterpillar, fits["singular"]).alt
    assert "all equal to zero" in lt.figure(lt.plots.qq_ranef, fits["singular"]).alt


def test_weights_ask_for_pearson_residuals():
    data = lt.load_dataset("sleepstudy").assign(w=np.linspace(1, 4, 180))
    fit = lt.fit_lmm("Reaction ~ Days + (1 | Subject)", data, weights="w")
    plotted = lt.plots.residuals_fitted.extract(fit)
    assert plotted.labels["y"] == "Pearson residual"
    np.testing.assert_array_equal(plotted.table["residual"], fit.residuals("pearson"))


def test_the_band_holds_normal_order_statistics():
    rng = np.random.default_rng(20)
    table = [normal_quantiles(rng.normal(size=40)) for _ in range(2000)]
    inside = np.mean([(t["sample"].between(t["low"], t["high"])).to_numpy() for t in table], axis=0)
    # Pointwise 95 % with known mean and sd; estimating both from the sample moves it up, by most in the middle.
    assert inside.min() > 0.94
    assert inside.max() <= 1.0


def test_rounding_decides_no_order():
    tied = np.array([0.1 + 0.2, 0.3, 0.1, 0.3 - 1e-16, np.nan, -5.0])
    np.testing.assert_array_equal(ranked(tied), [5, 2, 0, 1, 3, 4])
    assert np.argsort(tied, kind="stable").tolist() != ranked(tied).tolist()
    np.testing.assert_array_equal(ranked(np.zeros(3)), [0, 1, 2])


def test_normal_quantiles_of_one_value():
    table = normal_quantiles(np.array([3.0]))
    assert table[["normal", "sample", "line", "low", "high"]].iloc[0].tolist() == [0.0, 3.0, 3.0, 3.0, 3.0]


def test_hostile_names_and_levels_are_drawn_as_they_are():
    rng = np.random.default_rng(3)
    level = np.repeat(["$$", "<script>", "a\nb", "日本", "x_{1}"], 6)
    data = pd.DataFrame({"$y$": rng.normal(size=30), "x <1>": np.tile(np.arange(6.0), 5), "g#": level})
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", lt.LMMWarning)
        fit = lt.fit_lmm("`$y$` ~ `x <1>` + (1 | `g#`)", data)
    for plot in PLOTS:
        figure = lt.figure(getattr(lt.plots, plot), fit)
        assert "<script>" not in figure.svg
        ET.fromstring(figure.svg)
    shown = set(texts(lt.figure(lt.plots.data_by_group, fit)))
    assert {"$$", "<script>", "a\\nb", "日本", "x_{1}"} <= shown


def test_many_residuals_are_a_picture(fits):
    assert lt.figure(lt.plots.residuals_fitted, fits["many"]).svg.count("<image") == 1
    assert len(lt.figure(lt.plots.residuals_fitted, fits["many"]).svg) < 400_000


def test_arguments_are_shown_where_they_are_looked_up():
    """Not those of the drawing function, which has the numbers already."""
    assert list(inspect.signature(lt.plots.caterpillar).parameters) == ["fit", "factor", "ax"]
    assert list(inspect.signature(lt.plots.quantile_residuals).parameters) == ["fit", "ax", "kw"]
    for name in lt.plots.__all__:
        assert "ax" in inspect.signature(getattr(lt.plots, name)).parameters, name


def test_what_a_plot_cannot_take_is_said(fits):
    with pytest.raises(lt.LMMError, match=r"plots.residual_panels: takes a fit, as .*; got DataFrame\."):
        lt.plots.residual_panels(lt.load_dataset("sleepstudy"))
    with pytest.raises(lt.LMMError, match=r"plots.caterpillar: takes a fit, as .*; got Frame\."):
        lt.figure(lt.plots.caterpillar, lt.conditional_modes(fits["slopes"]))
    with pytest.raises(TypeError, match=r"plots.caterpillar: .* argument 'level'; it takes factor, ax\."):
        lt.plots.caterpillar(fits["slopes"], level=0.9)
    with pytest.raises(lt.LMMError, match="not called, then what it draws: .*; got LMMFit"):
        lt.figure(fits["slopes"], lt.plots.caterpillar)
