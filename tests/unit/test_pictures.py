"""Spaghetti, trellis, residual panels, observed against fitted, matrices: the numbers drawn, words, many groups."""

import warnings
import xml.etree.ElementTree as ET

import numpy as np
import pandas as pd
import pytest

import lmmtools as lt
from lmmtools.plots.drawing import normal_quantiles
from lmmtools.plots.heat import Side
from lmmtools.plots.lines import held_lines, home_of, population_line
from lmmtools.plots.residual_groups import group_table
from lmmtools.plots.residual_kinds import binned_means, kind_for

EVERY = ("matrix", "observed_fitted", "residual_panels", "residuals_by_group", "spaghetti", "trellis")
ALONG = ("spaghetti", "trellis")  # need a number that varies within groups
MODELS = {
    "slopes": ("Orthodont", "distance ~ age * Sex + (age | Subject)", {}),
    "many": ("MathAchieve", "MathAch ~ MEANSES + Sector + cses + (cses | School)", {}),
    "intercept": ("Dyestuff", "Yield ~ 1 + (1 | Batch)", {}),
    "singular": ("Dyestuff2", "Yield ~ 1 + (1 | Batch)", {}),
    "crossed": ("Penicillin", "diameter ~ 1 + (1 | plate) + (1 | sample)", {}),
    "gls": ("Orthodont", "distance ~ age", {"residual": "ar1(age | Subject) * varident(Sex)"}),
    "plain": ("Orthodont", "distance ~ age", {"residual": "varident(Sex)"}),
    "no fixed": ("sleepstudy", "Reaction ~ 0 + (Days | Subject)", {}),
    "two terms": ("sleepstudy", "Reaction ~ Days + (1 | Subject) + (0 + Days | Subject)", {}),
}


@pytest.fixture(scope="module")
def fits():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", lt.LMMWarning)
        return {key: lt.fit_model(formula, lt.load_dataset(data), **options)
                for key, (data, formula, options) in MODELS.items()}  # fmt: skip


@pytest.fixture(scope="module")
def thousands():
    """5,000 groups of four rows."""
    rng = np.random.default_rng(11)
    g, t = np.repeat(np.arange(5000), 4), np.tile(np.arange(4.0), 5000)
    y = 3 + t + rng.normal(size=5000)[g] + 0.5 * rng.normal(size=5000)[g] * t + rng.normal(size=20000)
    return lt.fit_lmm("y ~ t + (t | g)", pd.DataFrame({"g": g, "t": t, "y": y}))


def texts(figure):
    root = ET.fromstring(figure.svg)
    return ["".join(node.itertext()) for node in root.iter("{http://www.w3.org/2000/svg}text")]


@pytest.mark.parametrize("plot", EVERY)
@pytest.mark.parametrize("model", MODELS)
def test_every_plot_draws_every_fit_or_says_why_not(fits, model, plot):
    draw = getattr(lt.plots, plot)
    if plot in ALONG and model in ("intercept", "singular", "crossed"):
        with pytest.raises(lt.LMMError, match="no number of three values or more varies within"):
            lt.figure(draw, fits[model])
        return
    said = draw.describe(draw.extract(fits[model]))
    assert said.caption.endswith(".")
    assert len(said.alt) > 40
    assert said.label.startswith("fig-")
    if model in ("singular", "gls", "no fixed"):  # what is drawn otherwise is drawn in the tests that follow
        ET.fromstring(lt.figure(draw, fits[model]).svg)


@pytest.mark.parametrize("plot", EVERY)
def test_twice_the_same_on_axes_given_or_made(fits, plot):
    from matplotlib.figure import Figure

    draw = getattr(lt.plots, plot)
    assert lt.figure(draw, fits["two terms"]) == lt.figure(draw, fits["two terms"])
    drawing = Figure(layout="constrained")
    ax = drawing.subplots(1, 2)[1]
    assert draw(fits["two terms"], ax=ax).get_figure() is drawing
    assert draw(draw.extract(fits["two terms"]), ax).get_figure() is drawing


@pytest.mark.parametrize("plot", EVERY)
def test_five_thousand_groups_are_thinned_and_said(thousands, plot):
    figure = lt.figure(getattr(lt.plots, plot), thousands)
    assert len(figure.svg) < 400_000  # scatter plots are pictures, not marks
    said = {
        "matrix": "Shown: the first 30 groups of 5,000.",
        "spaghetti": "200 of 5000 groups are drawn, chosen at random (seed 0).",
        "trellis": "Shown are 20 of 5000 groups, drawn at random (seed 0).",
        "residuals_by_group": "Shown are 120 of 5000 groups, evenly spaced.",
        "residual_panels": "(40 of 5000 groups, evenly spaced)",
        "observed_fitted": "20,000 observations",
    }
    assert said[plot] in figure.caption


def test_axes_carry_units(fits):
    wanted = {"spaghetti": {"age (years)", "Fitted distance (mm)"}, "trellis": {"age (years)", "distance (mm)"},
              "residual_panels": {"Residual (mm)", "Fitted distance (mm)", "√|residual|"},
              "residuals_by_group": {"Residual (mm)", "Subject"},
              "observed_fitted": {"Observed distance (mm)", "Fitted distance (mm)"}}  # fmt: skip
    for plot, labels in wanted.items():
        assert labels <= set(texts(lt.figure(getattr(lt.plots, plot), fits["slopes"]))), plot
    assert "covariance (mm squared)" in texts(lt.figure(lt.plots.matrix, fits["slopes"], "var(y)"))


def test_hostile_names_are_drawn_as_they_are():
    rng = np.random.default_rng(3)
    level = np.repeat(["$$", "<script>", "a\nb", "日本", "x_{1}"], 6)
    data = pd.DataFrame({"$y$": rng.normal(size=30), "x <1>": np.tile(np.arange(6.0), 5), "g#": level})
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", lt.LMMWarning)
        fit = lt.fit_lmm("`$y$` ~ `x <1>` + (1 | `g#`)", data)
    for plot in ("matrix", "residual_panels", "trellis", "spaghetti"):
        figure = lt.figure(getattr(lt.plots, plot), fit)
        assert "<script>" not in figure.svg
        ET.fromstring(figure.svg)
    assert {"$$", "<script>", "a\\nb"} <= set(texts(lt.figure(lt.plots.trellis, fit)))
    named = lt.figure(lt.plots.spaghetti, fit, highlight=["$$", "a\nb"])
    assert {"$$", "a\\nb"} <= set(texts(named))


# --- lines ----------------------------------------------------------------------------------------------


def test_lines_are_the_fitted_values_where_nothing_else_varies(fits):
    fit = fits["slopes"]
    held = held_lines(fit, home_of(fit, None), "age")
    np.testing.assert_allclose(held["fitted"], fit.fitted, rtol=1e-12)
    np.testing.assert_allclose(held["population"], fit.predict(random=False), rtol=1e-12)
    assert "All else" not in lt.figure(lt.plots.trellis, fit).caption


def test_all_else_is_held_at_its_mean_within_the_group():
    rng = np.random.default_rng(8)
    n = 120
    data = pd.DataFrame({"g": np.arange(n) % 10, "h": rng.integers(0, 6, n), "x": rng.normal(size=n),
                         "z": rng.normal(size=n), "o": rng.normal(size=n)})  # fmt: skip
    data["y"] = data["x"] + data["z"] + rng.normal(size=10)[data["g"]] + rng.normal(size=6)[data["h"]] + 0.5 * (
        rng.normal(size=n))  # fmt: skip
    fit = lt.fit_lmm("y ~ x + z + (x | g) + (1 | h)", data, offset="o")
    held = held_lines(fit, home_of(fit, "g"), "x")
    at_h = fit.ranef["h"]["Intercept"].loc[data["h"]].to_numpy()
    means = data.assign(at_h=at_h).groupby("g")[["z", "o", "at_h"]].transform("mean")
    plain = fit.predict(data.assign(z=means["z"], o=means["o"]), random=False)
    np.testing.assert_allclose(held["population"], plain, rtol=1e-10)
    b = fit.ranef["g"].loc[data["g"]]
    own = b["Intercept"].to_numpy() + b["x"].to_numpy() * data["x"] + means["at_h"]
    np.testing.assert_allclose(held["fitted"], plain + own, rtol=1e-10)
    assert "All else in the model is at its mean within the group." in lt.figure(lt.plots.trellis, fit).caption


def test_separate_lines_are_least_squares_of_each_group(fits):
    table = lt.plots.trellis.extract(fits["slopes"], lines=("separate", "fitted")).table
    for _, rows in table.groupby("panel"):
        slope, intercept = np.polyfit(rows["x"], rows["y"], 1)
        np.testing.assert_allclose(rows["separate"], intercept + slope * rows["x"], rtol=1e-10)


def test_separate_lines_take_the_weights():
    rng = np.random.default_rng(2)
    data = pd.DataFrame({"g": np.repeat(list("abcdef"), 8), "x": rng.normal(size=48), "w": rng.uniform(0.2, 3, 48)})
    data["y"] = data["x"] + rng.normal(size=48)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", lt.LMMWarning)
        fit = lt.fit_lmm("y ~ x + (1 | g)", data, weights="w")
    table = lt.plots.trellis.extract(fit, lines="separate").table
    one = data[data["g"] == "c"]
    slope, intercept = np.polyfit(one["x"], one["y"], 1, w=np.sqrt(one["w"]))
    rows = table[table["level"] == "c"]
    np.testing.assert_allclose(rows["separate"], intercept + slope * rows["x"], rtol=1e-10)


def test_a_group_of_one_x_has_no_line_of_its_own():
    data = lt.load_dataset("sleepstudy")
    fit = lt.fit_lmm("Reaction ~ Days + (1 | Subject)", data[(data["Subject"] != "308") | (data["Days"] == 3)])
    found = lt.plots.trellis.extract(fit, lines=("fitted", "separate"))
    assert found.table.loc[found.table["level"] == "308", "separate"].isna().all()
    assert "1 group without a least-squares line" in lt.figure(lt.plots.trellis, fit, lines="separate").alt


def test_the_population_line_is_the_marginal_mean(fits):
    fit = fits["slopes"]
    x, y = population_line(fit, "age", np.array([8.0, 14.0]))
    means = lt.marginal_means(fit, "age", at={"age": [8, 14]}, weights="proportional")
    np.testing.assert_allclose(y[[0, -1]], means["estimate"], rtol=1e-12)
    assert (x[0], x[-1]) == (8, 14)
    assert population_line(fits["no fixed"], "Days", np.arange(3.0)) is None
    assert "population" not in lt.figure(lt.plots.spaghetti, fits["no fixed"]).caption


def test_groups_are_named_drawn_by_seed_or_all(fits):
    fit = fits["many"]
    named = lt.plots.trellis.extract(fit, groups=["9586", "1224"], order="given")
    assert named.table["level"].unique().tolist() == ["9586", "1224"]
    drawn = [lt.plots.trellis.extract(fit, groups=12, seed=seed).table["level"].unique() for seed in (1, 1, 2)]
    assert len(drawn[0]) == 12
    assert drawn[0].tolist() == drawn[1].tolist() != drawn[2].tolist()
    assert lt.plots.trellis.extract(fits["slopes"], groups="all").table["level"].nunique() == 27


def test_panels_stand_in_the_order_asked(fits):
    fit = fits["slopes"]
    by_slope = lt.plots.trellis.extract(fit, order="age").table["level"].unique()
    assert np.all(np.diff(fit.ranef["Subject"]["age"].loc[by_slope]) >= 0)
    by_mean = lt.plots.trellis.extract(fit, order="mean").table.groupby("panel")["y"].mean()
    assert by_mean.is_monotonic_increasing
    by_size = lt.plots.trellis.extract(fits["many"], order="size").table.groupby("panel").size()
    assert by_size.is_monotonic_decreasing


def test_heavy_lines_are_always_drawn_and_named(thousands):
    found = lt.plots.spaghetti.extract(thousands, highlight=[4321, "17"], seed=5)
    assert found.table.loc[found.table["named"], "level"].unique().tolist() == ["17", "4321"]
    assert 200 <= found.table["code"].nunique() <= 202
    figure = lt.figure(lt.plots.spaghetti, thousands, highlight=[4321, "17"])
    assert {"17", "4321"} <= set(texts(figure))
    assert "Heavy lines: 4321 and 17." in figure.caption


def test_a_density_counts_every_line_once_across(thousands):
    found = lt.plots.spaghetti.extract(thousands, many="density")
    np.testing.assert_array_equal(found.facts["density"].sum(axis=0), 5000)
    assert not len(found.table)
    caption = lt.figure(lt.plots.spaghetti, thousands, many="density").caption
    assert f"at most {found.facts['density'].max():.0f}" in caption
    few = lt.load_dataset("sleepstudy")
    assert lt.plots.spaghetti.extract(lt.fit_lmm("Reaction ~ Days + (1 | Subject)", few), many="density").facts[
        "density"] is None  # fmt: skip


def test_observed_lines_are_the_observations(fits):
    fit = fits["slopes"]
    table = lt.plots.spaghetti.extract(fit, show="observed").table
    data = lt.load_dataset("Orthodont")
    joined = data.assign(Subject=data["Subject"].astype(str)).merge(
        table, left_on=["Subject", "age"], right_on=["level", "x"])  # fmt: skip
    assert len(joined) == len(data) == len(table)
    np.testing.assert_array_equal(joined["distance"], joined["y"])


@pytest.mark.parametrize(
    ("plot", "asked", "sentence"),
    [
        ("trellis", {"groups": ["M1"]}, r"`Subject` has no level `M1` \(did you mean"),
        ("trellis", {"groups": 28}, "28 groups are asked for, and there are 27 groups"),
        ("trellis", {"groups": 2, "seed": -1}, "seed must be a whole number, at least 0"),
        ("trellis", {"order": "Age"}, r"no order 'Age' \(did you mean `age`\?\)"),
        ("trellis", {"lines": "seperate"}, r"no lines 'seperate' \(did you mean `separate`\?\)"),
        ("trellis", {"covariate": "Age"}, r"`Age` is no numeric covariate of this model \(did you mean `age`\?\)"),
        ("spaghetti", {"factor": "Sex"}, "`Sex` is no grouping factor of this model"),
        ("spaghetti", {"highlight": 9}, "9 groups are to be highlighted, and at most 8 names"),
        ("spaghetti", {"show": "fit"}, "show='fit' is unknown"),
        ("residuals_by_group", {"kind": "pearsn"}, "pearsn"),
        ("matrix", {"name": "v"}, r"there is no matrix 'v' \(did you mean `V`\?\)"),
        ("matrix", {"groups": ["Z"]}, "`Subject` has no level `Z`"),
        ("matrix", {"factor": "Sex"}, "`Sex` is no grouping factor"),
    ],
)
def test_mistakes_have_their_sentences(fits, plot, asked, sentence):
    with pytest.raises(lt.LMMError, match=sentence):
        getattr(lt.plots, plot)(fits["slopes"], **asked)


def test_more_panels_than_can_be_read_are_refused(fits):
    with pytest.raises(lt.LMMError, match="160 groups of `School` are asked for, and 60 panels are the most"):
        lt.plots.trellis(fits["many"], groups="all")


def test_profiles_are_of_a_table_or_of_a_fit(fits):
    names = ["Intercept", "sigma"]
    for plot in (lt.plots.profile_zeta, lt.plots.profile_pairs):
        own = plot.extract(fits["intercept"], which=names)
        pd.testing.assert_frame_equal(own.table, plot.extract(lt.profile(fits["intercept"], names)).table)


# --- residuals ------------------------------------------------------------------------------------------


def test_the_kind_fits_the_model(fits):
    assert [kind_for(fits[name]) for name in ("slopes", "gls", "plain")] == ["response", "normalized", "pearson"]
    for name in ("slopes", "gls", "plain"):
        table = lt.plots.residual_panels.extract(fits[name]).table
        np.testing.assert_array_equal(table["residual"], fits[name].residuals(kind_for(fits[name])))
        np.testing.assert_array_equal(table["fitted"], fits[name].fitted)
        np.testing.assert_allclose(table["root"] ** 2, np.abs(table["residual"]))
    assert "√|normalized residual|" in texts(lt.figure(lt.plots.residual_panels, fits["gls"]))


def test_marginal_residuals_stand_at_the_marginal_mean(fits):
    fit = fits["slopes"]
    for plot in (lt.plots.residual_panels, lt.plots.residuals_fitted):
        table = plot.extract(fit, kind="marginal").table
        np.testing.assert_array_equal(table["fitted"], fit.predict(random=False))
        np.testing.assert_array_equal(table["residual"], fit.residuals("marginal"))


def test_captions_name_residuals_without_their_unit(fits):
    for kind, said in (("marginal", "Marginal residuals against"), (None, "Residuals against")):
        data = lt.plots.residuals_fitted.extract(fits["slopes"], kind=kind)
        assert data.labels["y"].endswith(")")  # which has a unit
        assert lt.plots.residuals_fitted.describe(data).caption.startswith(said)


def test_rows_without_a_residual_are_left_out_and_counted():
    data = lt.load_dataset("sleepstudy").assign(only=0.0)
    data.loc[7, "only"] = 1.0  # a parameter of its own
    fit = lt.fit_lmm("Reaction ~ Days + only + (1 | Subject)", data)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", lt.LMMWarning)
        for name in ("residuals_fitted", "qq_residuals", "residuals_by_group", "residual_panels"):
            plot = getattr(lt.plots, name)
            said = plot.describe(plot.extract(fit, kind="standardized"))
            assert "1 row without such a residual is left out." in said.caption


def test_panels_show_quantiles_and_means(fits):
    fit = fits["many"]
    facts = lt.plots.residual_panels.extract(fit).facts
    pd.testing.assert_frame_equal(facts["quantiles"], normal_quantiles(fit.resid.to_numpy()))
    line = facts["mean"]
    assert len(line) == 20
    lowest = fit.fitted < np.quantile(fit.fitted, 0.05)
    assert line["y"].iloc[0] == pytest.approx(fit.resid[lowest].mean())
    assert line["x"].iloc[0] == pytest.approx(fit.fitted[lowest].mean())


def test_means_are_at_the_values_where_these_are_few():
    x = np.repeat([1.0, 2.0, 5.0], 10)
    y = np.arange(30.0)
    pd.testing.assert_frame_equal(binned_means(x, y), pd.DataFrame({"x": [1.0, 2.0, 5.0], "y": [4.5, 14.5, 24.5]}))
    assert not len(binned_means(np.arange(12.0), np.arange(12.0)))
    assert len(binned_means(np.arange(100.0), np.arange(100.0))) == 5


def test_groups_have_their_quartiles_and_fences():
    residual = np.array([-1.0, 0.0, 1.0, 2.0, 3.0, 30.0, 5.0, 5.0, 5.0])
    codes = np.array([1] * 6 + [0] * 3)
    table, beyond = group_table(codes, pd.Index(["a", "b"]), residual)
    b = table.set_index("level").loc["b"]
    assert (b["lower"], b["median"], b["upper"]) == tuple(np.quantile(residual[:6], [0.25, 0.5, 0.75]))
    assert (b["low"], b["high"], b["rows"]) == (-1, 3, 6)
    assert table["level"].tolist() == ["b", "a"]
    assert np.flatnonzero(beyond).tolist() == [5]


def test_a_factor_of_the_fixed_part_makes_groups_too(fits):
    found = lt.plots.residuals_by_group.extract(fits["slopes"], factor="Sex")
    rows = found.table.set_index("level")["rows"]
    assert rows.to_dict() == {"Male": 64, "Female": 44}
    assert lt.plots.residuals_by_group.extract(fits["gls"], factor="Subject").facts["groups"] == 27


def test_small_groups_show_their_residuals_one_by_one(fits):
    found = lt.plots.residuals_by_group.extract(fits["intercept"])
    assert not found.facts["boxes"]
    np.testing.assert_allclose(np.sort(found.facts["alone"]["residual"]), np.sort(fits["intercept"].resid))
    assert lt.plots.residuals_by_group.extract(fits["many"]).facts["boxes"]


def test_observed_stand_against_both_fitted_values(fits):
    fit = fits["slopes"]
    found = lt.plots.observed_fitted.extract(fit)
    np.testing.assert_array_equal(found.table["observed"], fit.design.y)
    np.testing.assert_array_equal(found.table["conditional"], fit.fitted)
    np.testing.assert_array_equal(found.table["marginal"], fit.predict(random=False))
    assert found.facts["cor"]["conditional"] == pytest.approx(np.corrcoef(fit.design.y, fit.fitted)[0, 1])
    assert lt.plots.observed_fitted.extract(fits["gls"]).facts["kinds"] == ("marginal",)
    assert "all fitted values equal" in lt.figure(lt.plots.observed_fitted, fits["intercept"]).alt


# --- matrices -------------------------------------------------------------------------------------------


def drawn(data):
    found = np.zeros(data.facts["shape"])
    found[data.table["row"], data.table["column"]] = data.table["value"]
    return found


@pytest.mark.parametrize("name", ["Z", "Lambda", "L", "T", "R", "V", "cor(V)", "var(y)", "X", "vcov", "cor(vcov)"])
def test_the_matrix_drawn_is_the_models(fits, name):
    fit = fits["two terms"]
    matrix = lt.model_matrices(fit, by="Subject").matrix(name)
    dense = matrix if isinstance(matrix, np.ndarray) else matrix.toarray()
    found = lt.plots.matrix.extract(fit, name)
    np.testing.assert_allclose(drawn(found), dense, rtol=0, atol=1e-12 * np.abs(dense).max())
    assert f"{dense.shape[0]} × {dense.shape[1]}" in lt.plots.matrix.describe(found).caption


def test_rows_stand_in_blocks_whatever_their_order_in_the_data():
    data = lt.load_dataset("sleepstudy").sample(frac=1.0, random_state=3)
    fit = lt.fit_lmm("Reaction ~ Days + (Days | Subject)", data)
    found = lt.plots.matrix.extract(fit, "V")
    assert found.facts["rows"].edges == tuple(range(0, 181, 10))
    block = found.table["row"] // 10 == found.table["column"] // 10
    assert block.all()
    assert len(found.table) == 1800


def test_sides_name_their_blocks(fits):
    two = lt.plots.matrix.extract(fits["two terms"], "Lambda").facts["columns"]
    assert two.outer == (("Subject", 18), ("Subject.1", 36))
    assert len(two.names) == 36
    few = lt.plots.matrix.extract(fits["slopes"], "L", groups=["M01", "F02"]).facts["rows"]
    assert few == Side("Effect, by Subject", ("M01 Intercept", "M01 age", "F02 Intercept", "F02 age"), (0, 1, 2, 3, 4))
    fixed = lt.plots.matrix.extract(fits["slopes"], "vcov").facts["rows"]
    assert fixed.names == tuple(fits["slopes"].fixef.index)


def test_large_matrices_show_the_first_or_the_named_groups(fits):
    first = lt.plots.matrix.extract(fits["many"], "V")
    assert first.facts["rows"].names == ("1224", "1288", "1296")
    assert first.facts["shape"] == (120, 120)
    named = lt.plots.matrix.extract(fits["many"], "V", groups=["9586", "1224"])
    assert named.facts["said"] == " Shown: 2 groups of 160."
    many = lt.plots.matrix.extract(fits["many"], "Z", groups=list(fits["many"].ranef["School"].index[:12]))
    assert many.facts["shape"] == (120, 24)
    assert many.facts["said"] == " Shown: 10 rows of each of 12 groups of 160."
    crossed = lt.plots.matrix.extract(fits["crossed"], "L", groups=["a", "b"]).facts["said"]
    assert crossed == " Shown: 2 groups of 24. It is the factor for these rows, as if there were no others."
    assert "no others" not in lt.plots.matrix.extract(fits["many"], "L").facts["said"]


def test_a_matrix_takes_the_matrices_themselves(fits):
    m = lt.model_matrices(fits["slopes"], groups=["M01", "M02"], by="Subject")
    np.testing.assert_array_equal(drawn(lt.plots.matrix.extract(m, "V")), m.V.toarray())
    with pytest.raises(lt.LMMError, match="takes a fit, or what model_matrices returns; got DataFrame"):
        lt.plots.matrix(pd.DataFrame())


def test_what_has_no_columns_is_refused(fits):
    with pytest.raises(lt.LMMError, match="Z is empty: `distance ~ age` has no random effects"):
        lt.plots.matrix(fits["gls"], "Z")
    with pytest.raises(lt.LMMError, match="X is empty: .* has no fixed effects"):
        lt.plots.matrix(fits["no fixed"], "X")


def test_signs_can_be_told_without_colours(fits):
    from lmmtools.plots.heat import _pixels

    pixels = _pixels(np.array([[1.0, -1.0], [0.0, -0.1]]), 1.0, bars=True)
    size = pixels.shape[0] // 2
    alpha = [pixels[i * size : (i + 1) * size, j * size : (j + 1) * size, 3] for i in (0, 1) for j in (0, 1)]
    assert np.ptp(alpha[0]) == 0.0
    assert alpha[1].min() == 0.0 < alpha[1].max()  # a bar cut out of a strong cell
    assert np.all(alpha[2] == 0.0)
    assert alpha[3].max() == 0.9 > np.median(alpha[3])  # a bar put into a weak one


def test_small_matrices_have_their_numbers(fits):
    shown = texts(lt.figure(lt.plots.matrix, fits["slopes"], "cor(vcov)"))
    assert "1.00" in shown
    assert sum("−" in text for text in shown) >= 4
