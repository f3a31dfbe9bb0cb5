"""Predictions over a grid: those of predict and of marginal_means at the same points, and what is said of them."""

from functools import cache

import numpy as np
import pandas as pd
import pytest

import lmmtools as lt

ORTHODONT = lt.load_dataset("Orthodont")


@cache
def orthodont(**options):
    return lt.fit_lmm("distance ~ age * Sex + (age | Subject)", ORTHODONT, **options)


@cache
def unbalanced():
    rng = np.random.default_rng(2)
    n = 80
    data = pd.DataFrame(
        {"a": rng.choice(list("pqr"), n, p=[0.6, 0.3, 0.1]), "b": rng.choice(list("uv"), n), "x": rng.uniform(1, 4, n),
         "z": rng.normal(2, 1, n), "g": rng.integers(0, 8, n), "h": rng.integers(0, 5, n), "o": rng.normal(size=n)}
    )  # fmt: skip
    data["y"] = np.log(data.x) + data.z * (data.a == "q") + rng.normal(size=8)[data.g] + rng.normal(size=n)
    return data


def test_every_cell_is_a_row_that_predict_takes():
    fit = orthodont()
    for interval in ("mean", "observation"):
        grid = lt.prediction_grid(fit, {"age": [8, 11, 14], "Sex": None}, interval=interval)
        same = fit.predict(grid[["age", "Sex"]], random=False, interval=interval)
        for column in same:
            np.testing.assert_allclose(grid[column], same[column], rtol=1e-9)
        modes = lt.prediction_grid(fit, {"age": [8, 11]}, True, {"Subject": ["M01", "F02"]}, interval=interval)
        rows = pd.DataFrame({"age": [8, 11] * 2, "Sex": ["Male"] * 2 + ["Female"] * 2,
                             "Subject": ["M01"] * 2 + ["F02"] * 2})  # fmt: skip
        same = fit.predict(rows, interval=interval)
        for column in same:
            np.testing.assert_allclose(modes[column], same[column], rtol=1e-9)
    assert modes["Subject"].tolist() == rows["Subject"].tolist()


@pytest.mark.parametrize("weights", ["equal", "proportional"])
@pytest.mark.parametrize("ddf", ["normal", "satterthwaite", "kenward-roger"])
def test_averages_are_marginal_means(weights, ddf):
    fit = lt.fit_lmm("y ~ log(x) * a + z + b + (1 + z | g) + (1 | h)", unbalanced(), offset="o")
    grid = lt.prediction_grid(fit, {"a": None, "x": [1.5, 3]}, weights=weights, ddf=ddf)
    means = lt.marginal_means(fit, ["a", "x"], at={"x": [1.5, 3]}, weights=weights, ddf=ddf)
    np.testing.assert_allclose(grid["prediction"], means["estimate"], rtol=1e-10)
    for column, theirs in (("std_error", "std_error"), ("low", "ci_low"), ("high", "ci_high")):
        np.testing.assert_allclose(grid[column], means[theirs], rtol=1e-8)
    assert any("Averaged over `b`" in note for note in grid.notes) and any("offset" in note for note in grid.notes)


def test_intervals_of_averages_are_of_the_mean_of_their_rows():
    data = unbalanced()
    fit = lt.fit_lmm("y ~ a + x + (1 + x | g) + (1 | h)", data)
    grid = lt.prediction_grid(fit, {"x": [1.0, 2.5]}, True, {"g": 3, "h": [0, 2]}, interval="observation")
    rows = pd.DataFrame({"x": np.repeat([1.0, 2.5] * 2, 3), "a": list("pqr") * 4, "g": 3, "h": np.repeat([0, 2], 6)})
    expected = fit.predict(rows).to_numpy().reshape(4, 3).mean(axis=1)
    np.testing.assert_allclose(grid["prediction"], expected, rtol=1e-10)
    assert grid["h"].tolist() == [0, 0, 2, 2]
    middle = fit.predict(rows, interval="mean")["std_error"].to_numpy().reshape(4, 3)
    assert np.all(grid["std_error"] ** 2 - fit.sigma**2 < (middle**2).max(axis=1))


def test_a_factor_that_is_not_named_is_at_a_level_not_seen():
    fit = lt.fit_lmm("y ~ x + (1 | g) + (1 | h)", unbalanced())
    grid = lt.prediction_grid(fit, {"x": [2.0]}, True, {"g": 3})
    same = fit.predict(pd.DataFrame({"x": [2.0], "g": 3, "h": "?"}), unseen="population", interval="mean")
    np.testing.assert_allclose(grid[["prediction", "std_error"]], same[["prediction", "std_error"]], rtol=1e-10)


def test_ranges_and_points():
    fit = orthodont()
    grid = lt.prediction_grid(fit)
    assert grid.shape == (100, 7) and grid["age"].iloc[[0, 49]].tolist() == [8.0, 14.0]
    assert grid.array().shape == (50, 2) and grid.array("low")[3, 1] == grid["low"][53]
    assert len(lt.prediction_grid(fit, "age", points=7)) == 7
    assert list(lt.prediction_grid(fit, {"age": 11, "Sex": "Male"}, interval="observation")["age"]) == [11.0]
    surface = lt.prediction_grid(lt.fit_lmm("y ~ x * z + (1 | g)", unbalanced()), ["x", "z"])
    assert surface.array().shape == (25, 25)
    with pytest.raises(lt.LMMError, match="changed copy"):
        _ = grid.assign(low=0.0).surface


def test_extrapolation_is_told():
    data = ORTHODONT[(ORTHODONT.Sex == "Male") | (ORTHODONT.age < 13)]
    fit = lt.fit_lmm("distance ~ age + Sex + (1 | Subject)", data)
    grid = lt.prediction_grid(fit, {"age": [8, 13, 14, 15], "Sex": None})
    assert grid["extrapolated"].tolist() == [False, False, False, True] + [False, True, True, True]
    assert "4 of 8 predictions lie beyond what was observed." in grid.notes
    x = np.linspace(0, 1, 40)
    line = pd.DataFrame({"x": x, "z": x + np.tile([0, 0.1, 0.05, -0.1], 10), "g": np.arange(40) % 8})
    line["y"] = line.x + np.sin(np.arange(40.0))
    pairs = lt.prediction_grid(lt.fit_lmm("y ~ x + z + (1 | g)", line), {"x": [0.0, 0.5, 1.0], "z": [0.0, 0.5, 0.9]})
    assert (~pairs.array("extrapolated").astype(bool)).astype(int).tolist() == [[1, 0, 0], [0, 1, 0], [0, 0, 1]]
    curved = lt.prediction_grid(lt.fit_lmm("y ~ poly(x, 2) + (1 | g)", line), {"x": [-1.0, 0.5]})
    assert curved["extrapolated"].tolist() == [True, False]


def test_cells_that_the_data_do_not_determine():
    data = unbalanced()
    data = data[~((data.a == "r") & (data.b == "u"))]
    fit = lt.fit_lmm("y ~ a * b + (1 | g)", data)
    for asked in ({}, {"interval": "observation"}):
        grid = lt.prediction_grid(fit, ["a", "b"], **asked)
        lost = grid["prediction"].isna()
        assert grid.loc[lost, ["a", "b"]].values.tolist() == [["r", "u"]]
        assert any("1 of 6 predictions the data do not determine" in note for note in grid.notes)


def test_other_models():
    gls = lt.fit_gls("distance ~ age * Sex", ORTHODONT, residual="ar1(factor(age) | Subject) * varident(Sex)")
    grid = lt.prediction_grid(gls, {"age": [8, 14], "Sex": None}, interval="observation")
    same = gls.predict(grid[["age", "Sex"]], interval="observation")
    np.testing.assert_allclose(grid["std_error"], same["std_error"], rtol=1e-9)
    with pytest.raises(lt.LMMError, match=r"residual sd depends on `Sex` \(`ar1.*name it in at="):
        lt.prediction_grid(gls, "age", interval="observation")
    assert np.isfinite(lt.prediction_grid(gls, "age")["std_error"]).all()
    own = lt.fit_lmm("distance ~ age * Sex + (1 | Subject)", ORTHODONT, residual="varident(Sex)")
    groups = {"Subject": ["M01", "F01"]}
    wide = lt.prediction_grid(own, {"age": 9}, True, groups, interval="observation")["std_error"]
    assert wide[0] > wide[1]  # boys vary more, and M01 is one
    series = lt.fit_lmm("distance ~ age + ar1(factor(age) | Subject)", ORTHODONT.assign(age=ORTHODONT.age))
    rows = pd.DataFrame({"age": [8.0, 14.0], "Subject": "M01"})
    np.testing.assert_allclose(
        lt.prediction_grid(series, {"age": [8, 14]}, True, {"Subject": "M01"})["prediction"], series.predict(rows)
    )


@pytest.mark.parametrize(
    ("asked", "match"),
    [
        ({"at": "agee"}, r"no variable `agee` \(did you mean `age`\?\)"),
        ({"at": "Subject"}, r"grouping factor: groups=\{'Subject': \[…\]\}"),
        ({"at": {"Sex": "X"}}, "`Sex` has no level 'X'"),
        ({"at": {"age": "old"}}, "holds what is none"),
        ({"random": True}, "must be named, as in groups="),
        ({"random": True, "groups": {"Subject": "M99"}}, r"no level 'M99' \(did you mean `M09`\?\)"),
        ({"random": True, "groups": {"subject": "M01"}}, r"no grouping factor of this model \(did you mean `Subject`"),
        ({"groups": {"Subject": "M01"}}, "say random=True"),
        ({"interval": "observed"}, 'use "mean" or "observation"'),
        ({"interval": "observation", "ddf": "satterthwaite"}, "ddf='satterthwaite' is for means of the population"),
        ({"points": 1}, "points, of each number, must be a whole number, at least 2"),
        ({"level": 95}, "between 0 and 1"),
        ({"weights": "rows"}, "weights='rows'"),
    ],
)  # fmt: skip
def test_what_cannot_be_asked(asked, match):
    with pytest.raises(lt.LMMError, match=match):
        lt.prediction_grid(orthodont(), **asked)


def test_models_without_anything_to_run_over():
    with pytest.raises(lt.ModelError, match="no fixed effects"):
        lt.prediction_grid(lt.fit_lmm("distance ~ 0 + (1 | Subject)", ORTHODONT))
    one = lt.prediction_grid(lt.fit_lmm("distance ~ 1 + (1 | Subject)", ORTHODONT), random=True,
                             groups={"Subject": ["M01", "F01"]})  # fmt: skip
    assert len(one) == 2 and one["prediction"][0] > one["prediction"][1]
    with pytest.raises(lt.LMMError, match="takes a fit"):
        lt.prediction_grid(ORTHODONT)
    with pytest.raises(lt.LMMError, match="no random effects"):
        lt.prediction_grid(lt.fit_gls("distance ~ age", ORTHODONT), random=True)
    beside = lt.fit_lmm("distance ~ Sex + (1 + log(age) | Subject)", ORTHODONT)
    with pytest.raises(lt.LMMError, match="read `age`, which the fixed part does not have"):
        lt.prediction_grid(beside, interval="observation")
