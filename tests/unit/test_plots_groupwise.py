"""Pictures of groups one by one: shrinkage, pairs of conditional modes, intervals of each group's own regression."""

import warnings
import xml.etree.ElementTree as ET

import numpy as np
import pandas as pd
import pytest

import lmmtools as lt
from lmmtools.plots.drawing import PlotData
from lmmtools.plots.ellipses import ellipse

PLOTS = ("shrinkage", "ranef_pairs", "group_intervals")
MODELS = {
    "slopes": ("Orthodont", "distance ~ age * Sex + (age | Subject)"),
    "many": ("MathAchieve", "MathAch ~ MEANSES * cses + Sector + (cses | School)"),
    "intercept": ("Dyestuff", "Yield ~ 1 + (1 | Batch)"),
    "singular": ("Dyestuff2", "Yield ~ 1 + (1 | Batch)"),
    "three": ("Machines", "score ~ Machine + (0 + Machine | Worker)"),
    "crossed": ("Penicillin", "diameter ~ 1 + (1 | plate) + (1 | sample)"),
}


@pytest.fixture(scope="module")
def fits():
    return {name: lt.fit_lmm(formula, lt.load_dataset(data)) for name, (data, formula) in MODELS.items()}


@pytest.fixture(scope="module")
def thousands():
    """5,000 groups of one to six rows."""
    rng = np.random.default_rng(1)
    g = np.repeat(np.arange(5000), rng.integers(1, 7, 5000))
    x = rng.uniform(0, 5, len(g)).round(1)
    b = rng.multivariate_normal([0, 0], [[4, 0.6], [0.6, 0.5]], 5000)
    data = pd.DataFrame({"y": 10 + b[g, 0] + (2 + b[g, 1]) * x + rng.normal(0, 1.5, len(g)), "x": x, "g": g})
    return lt.fit_lmm("y ~ x + (x | g)", data), lt.fit_lmm("y ~ x + (1 | g)", data)


def texts(figure):
    return ["".join(node.itertext()) for node in ET.fromstring(figure.svg).iter("{http://www.w3.org/2000/svg}text")]


@pytest.mark.parametrize("plot", PLOTS)
@pytest.mark.parametrize("model", MODELS)
def test_every_plot_draws_every_fit_on_axes_it_is_given(fits, model, plot):
    from matplotlib.figure import Figure

    plot = getattr(lt.plots, plot)
    data = plot.extract(fits[model])
    assert isinstance(data, PlotData)
    ax = Figure().subplots()
    drawn = plot(data, ax=ax)
    assert drawn is (ax if ax.has_data() else ax.figure)
    said = plot.describe(data)
    assert said.caption.endswith(".") and said.alt.endswith(".") and len(said.alt) > 40
    assert "nan" not in said.caption + said.alt


def test_the_same_bytes_twice(fits):
    for plot in PLOTS:
        first, second = (lt.figure(getattr(lt.plots, plot), fits["intercept"]) for _ in range(2))
        assert first == second


@pytest.mark.parametrize(
    ("plot", "labels"),
    [
        ("shrinkage", {"Intercept (mm)", "age (mm per year)", "least squares", "compromise", "population"}),
        ("ranef_pairs", {"Intercept (mm)", "age (mm per year)", "fitted r = −0.67"}),
        ("group_intervals", {"Intercept (mm)", "age (mm per year)", "Subject", "M13", "model"}),
    ],
)
def test_axes_carry_units(fits, plot, labels):
    assert labels <= set(texts(lt.figure(getattr(lt.plots, plot), fits["slopes"])))


def test_arrows_go_from_least_squares_to_the_compromise(fits):
    data = lt.plots.shrinkage.extract(fits["slopes"])
    s = lt.shrinkage(fits["slopes"])
    np.testing.assert_array_equal(data.table[["start0", "start1"]], s.least_squares)
    np.testing.assert_array_equal(data.table[["end0", "end1"]], s.compromise)
    assert len(data.facts["centres"]) == 2  # boys and girls
    assert "crosses" in lt.plots.shrinkage.describe(data).caption


def test_what_was_found_is_drawn_as_the_fit_is(fits):
    for plot in (lt.plots.shrinkage, lt.plots.ranef_pairs):
        ours, theirs = (plot.extract(given) for given in (lt.shrinkage(fits["slopes"]), fits["slopes"]))
        pd.testing.assert_frame_equal(ours.table, theirs.table)


def test_modes_of_other_factors_are_said(fits):
    shrunken, own = (plot.describe(plot.extract(fits["crossed"])).caption for plot in
                     (lt.plots.shrinkage, lt.plots.group_intervals))  # fmt: skip
    assert "modes of sample are part of the population" in shrunken
    assert "Effects of sample are part of the residuals" in own
    assert any("`sample`" in note for note in lt.fit_groups(fits["crossed"]).table.notes)


def test_many_populations_are_drawn_as_deviations(fits):
    data = lt.plots.shrinkage.extract(fits["many"])
    s = lt.shrinkage(fits["many"])
    np.testing.assert_allclose(data.table[["end0", "end1"]], s.mode, atol=1e-12)
    assert data.facts["centres"].tolist() == [[0.0, 0.0]]
    assert "Intercept, deviation (points)" in texts(lt.figure(lt.plots.shrinkage, fits["many"]))
    asked = lt.plots.shrinkage.extract(fits["many"], deviations=False)
    np.testing.assert_allclose(asked.table["end0"], s.compromise[:, 0], rtol=1e-12)


def test_an_ellipse_holds_its_share():
    rng = np.random.default_rng(3)
    covariance = np.array([[4.0, -1.0], [-1.0, 0.5]])
    draws = rng.multivariate_normal([0, 0], covariance, 40_000)
    for p in (0.5, 0.95):
        corners = ellipse(covariance, p)
        distance = np.einsum("ij,jk,ik->i", corners, np.linalg.inv(covariance), corners)
        np.testing.assert_allclose(distance, distance[0], rtol=1e-10)
        inside = np.einsum("ij,jk,ik->i", draws, np.linalg.inv(covariance), draws) <= distance[0]
        assert inside.mean() == pytest.approx(p, abs=4 * np.sqrt(p * (1 - p) / 40_000))
    line = ellipse(np.array([[1.0, 2.0], [2.0, 4.0]]), 0.95)
    np.testing.assert_allclose(line[:, 1], 2 * line[:, 0], atol=1e-7)


def test_a_singular_fit_ends_at_the_population(fits):
    data = lt.plots.shrinkage.extract(fits["singular"])
    np.testing.assert_array_equal(data.table["end0"], data.facts["centres"][0, 0])
    assert "every arrow ends at the population" in lt.plots.shrinkage.describe(data).caption
    assert "estimated as zero" in lt.figure(lt.plots.ranef_pairs, fits["singular"]).caption


def test_how_much_shrinkage_took_is_said(fits):
    figure = lt.figure(lt.plots.ranef_pairs, fits["slopes"])
    s = lt.shrinkage(fits["slopes"])
    share = 100 * np.mean(s.mode**2, axis=0) / np.diagonal(s.covariance)
    assert f"Intercept {share[0]:.0f} % and age {share[1]:.0f} %" in figure.caption
    assert "27 of 27 levels within the 95 % ellipse" in figure.alt
    assert "normal quantile plots" in lt.figure(lt.plots.ranef_pairs, fits["slopes"], diagonal="qq").caption


def test_intervals_are_those_of_the_regressions(fits):
    table = lt.plots.group_intervals.extract(fits["slopes"], level=0.9).table
    theirs = lt.fit_groups(fits["slopes"]).intervals(0.9)
    both = table.merge(theirs, on=["level", "effect"], suffixes=("", "_there"))
    for name in ("estimate", "low", "high"):
        np.testing.assert_array_equal(both[name], both[f"{name}_there"])
    first = table[table["panel"] == 0].sort_values("row")
    assert first["estimate"].is_monotonic_increasing
    model = lt.shrinkage(fits["slopes"]).matrix("compromise")["Intercept"]
    np.testing.assert_array_equal(first["model"], model.loc[first["level"]])
    groups = lt.fit_groups("distance ~ age | Subject", lt.load_dataset("Orthodont"))
    assert "model" not in lt.plots.group_intervals.extract(groups).table


def test_thousands_of_groups_are_chosen_and_said(thousands):
    slopes, intercepts = thousands
    figure = lt.figure(lt.plots.shrinkage, slopes)
    assert "200 of 5000 levels are drawn, evenly spaced" in figure.caption
    assert "851 levels without their own estimate" in figure.caption
    assert len(figure.svg) < 400_000
    columns = lt.figure(lt.plots.shrinkage, intercepts)
    assert {"Least squares", "Compromise"} <= set(texts(columns))
    assert lt.plots.shrinkage.extract(intercepts).table["drawn"].sum() == 200
    pairs = lt.figure(lt.plots.ranef_pairs, slopes)
    assert pairs.svg.count("<image") == 1 and len(pairs.svg) < 400_000
    intervals = lt.figure(lt.plots.group_intervals, slopes)
    assert "846 levels without any estimate are left out" in intervals.caption
    assert "outside the frame" in intervals.caption and "One level in 72 is named" in intervals.caption
    assert "One level in 4 is drawn, evenly spaced" in intervals.caption
    assert len(intervals.svg) < 700_000


def test_levels_without_an_estimate_are_squares():
    data = lt.load_dataset("sleepstudy")
    data = data[(data["Subject"].astype(str) != "308") | (data["Days"] < 1)]
    fit = lt.fit_lmm("Reaction ~ Days + (Days | Subject)", data)
    found = lt.plots.shrinkage.extract(fit)
    row = found.table[~found.table["own"]]
    assert row["level"].tolist() == ["308"]
    assert row["start1"].item() == pytest.approx(fit.fixef["Days"])
    assert "Squares: 1 level without its own estimate" in lt.plots.shrinkage.describe(found).caption
    assert "Days of 1 level" in lt.figure(lt.plots.group_intervals, fit).caption


def test_bad_input_has_its_sentence(fits):
    fit = fits["slopes"]
    gls = lt.fit_gls("distance ~ age", lt.load_dataset("Orthodont"), residual="cs(Subject)")
    for plot in PLOTS:
        with pytest.raises(lt.ModelError, match="no random effects"):
            getattr(lt.plots, plot)(gls)
        with pytest.raises(lt.LMMError, match="did you mean `Subject`"):
            getattr(lt.plots, plot)(fit, factor="subject")
    with pytest.raises(lt.LMMError, match=r"`Age` is no effect of `Subject` \(did you mean `age`\?\)"):
        lt.plots.shrinkage(fit, effects=["Age"])
    with pytest.raises(lt.LMMError, match="different effects"):
        lt.plots.shrinkage(fit, effects=["age", "age"])
    with pytest.raises(lt.LMMError, match="'histogram' or 'qq'"):
        lt.plots.ranef_pairs(fit, diagonal="kde")
    with pytest.raises(lt.LMMError, match="pass the fit"):
        lt.plots.shrinkage(lt.shrinkage(fit), factor="Sex")
    with pytest.raises(lt.LMMError, match="pass the fit"):
        lt.plots.group_intervals(lt.fit_groups(fit), factor="Sex")


def test_hostile_names_are_drawn_as_they_are():
    rng = np.random.default_rng(3)
    level = np.repeat(["$$", "<script>", "a\nb", "日本", "x_{1}"], 6)
    data = pd.DataFrame({"$y$": rng.normal(size=30), "x <1>": np.tile(np.arange(6.0), 5), "g#": level})
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", lt.LMMWarning)
        fit = lt.fit_lmm("`$y$` ~ `x <1>` + (`x <1>` | `g#`)", data)
    for plot in PLOTS:
        assert "<script>" not in lt.figure(getattr(lt.plots, plot), fit).svg
