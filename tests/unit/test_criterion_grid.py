"""The criterion over a grid: the same numbers as the criterion and the likelihood, and the pictures of them."""

import copy
import pickle
import warnings

import numpy as np
import pytest
from scipy.stats import multivariate_normal

import lmmtools as lt


def fitted(formula, dataset, **options):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", lt.LMMWarning)
        return lt.fit_model(formula, lt.load_dataset(dataset), **options)


@pytest.fixture(scope="module")
def slopes():
    return fitted("Reaction ~ Days + (Days | Subject)", "sleepstudy")


@pytest.fixture(scope="module")
def batch():
    return fitted("Yield ~ 1 + (1 | Batch)", "Dyestuff", reml=False)


@pytest.fixture(scope="module")
def edge():
    return fitted("Yield ~ 1 + (1 | Batch)", "Dyestuff2", reml=False)


def test_it_is_the_criterion_with_the_others_at_their_estimates(slopes):
    grid = lt.criterion_grid(slopes, {"Subject.Days": (0, 0.5), "Subject.Intercept": [0.5, 0.9, 2]}, points=4)
    assert list(grid.columns) == ["Subject.Days", "Subject.Intercept", "criterion", "above"]
    assert len(grid) == 12 and grid["Subject.Days"].iloc[:4].round(6).tolist() == [0, 0.166667, 0.333333, 0.5]
    criterion = lt.Criterion(slopes.design)
    theta = np.tile(slopes.theta, (12, 1))
    theta[:, 2], theta[:, 0] = grid["Subject.Days"], grid["Subject.Intercept"]
    np.testing.assert_allclose(grid["criterion"], [criterion(row) for row in theta], rtol=1e-12)
    np.testing.assert_allclose(grid["above"], grid["criterion"] - slopes.criterion, rtol=0, atol=1e-10)
    facts = grid.landscape
    assert facts.held == ("Subject.Days.Intercept",) and facts.method == "REML" and facts.edges == (False, False)
    assert facts.estimates == (slopes.theta[2], slopes.theta[0])


def test_variances_and_sigma_are_those_of_the_likelihood(batch):
    grid = lt.criterion_grid(batch, {"sigma": [2000, 2500, 3000], "Batch.Intercept": [0, 1500, 4000]}, scale="variance")
    y, Z = batch.design.y, batch.design.Z.toarray()
    for row in grid.itertuples(index=False):
        noise, between, value, _ = row
        V = noise * np.eye(len(y)) + between * Z @ Z.T
        inverse = np.linalg.inv(V)
        mean = np.full(len(y), (inverse @ y).sum() / inverse.sum())
        assert value == pytest.approx(-2 * multivariate_normal(mean, V).logpdf(y), abs=1e-8)


def test_ranges_go_to_where_the_criterion_has_risen_or_to_the_bound(batch, edge):
    grid = lt.criterion_grid(batch, "sigma")
    assert 8 < grid["above"].iloc[0] < 12 and 8 < grid["above"].iloc[-1] < 12
    assert grid["above"].min() >= -1e-9
    line = lt.criterion_grid(edge)
    assert line["Batch.Intercept"].iloc[0] == 0.0 == line["above"].iloc[0] and line["above"].iloc[-1] > 8
    assert line.landscape.edges == (True,)


def test_residual_parameters_have_curves_and_gaps_where_there_is_no_value():
    fit = fitted("distance ~ age", "Orthodont", residual="cs(Subject)")
    grid = lt.criterion_grid(fit, {"cs.rho": [-1 / 3, 0, 0.5, 1]})
    assert grid["criterion"].iloc[[0, -1]].min() > grid["criterion"].iloc[1:3].max() + 100
    free = fitted("distance ~ age", "Orthodont", residual="us(age | Subject)")
    square = lt.criterion_grid(free, {"us.cor[8, 10]": [-0.9, 0.5, 0.6], "us.cor[8, 12]": [0.5, 0.6, 0.9]})
    gaps = square["criterion"].isna()
    assert gaps.iloc[0] and not gaps.iloc[1]
    assert "<svg" in lt.figure(lt.plots.criterion, square).svg
    plain = fitted("distance ~ age", "Orthodont", residual="varident(Sex)")
    assert lt.criterion_grid(plain)["above"].min() == pytest.approx(0, abs=0.02)


def test_a_copy_knows_what_it_shows_and_a_changed_one_does_not(batch):
    grid = lt.criterion_grid(batch)
    for twin in (copy.copy(grid), grid.copy()):
        assert twin.landscape == grid.landscape
    assert pickle.loads(pickle.dumps(grid.landscape)) == grid.landscape
    with pytest.raises(lt.LMMError, match="changed copy"):
        _ = grid.assign(above=0.0).landscape


@pytest.mark.parametrize(
    ("at", "options", "message"),
    [
        ("Subject.Intercpt", {}, "did you mean `Subject.Intercept`|Subject.Intercept"),
        (None, {}, "name one or two of the parameters"),
        (["Subject.Intercept", "Subject.Days", "sigma"], {}, "one or two parameters, which can be drawn; got 3"),
        ({"Subject.Days": (-1, 1)}, {}, "`Subject.Days` must lie between 0 and inf; got -1 to 1"),
        ({"sigma": (0, 1)}, {}, "zero left out"),
        ({"Subject.Days": [1]}, {}, "two ends of a range, or its values"),
        ({"Subject.Days": "all"}, {}, "two ends of a range, or its values"),
        ("Subject.Days", {"points": 1}, "at least 2"),
        (["Subject.Days", "sigma"], {"points": 10**5}, "10000000000 points are asked for, and 100000 are the most"),
        ([["Subject.Days"]], {}, "no parameter of this fit"),
        ("Subject.Days", {"scale": "sd"}, "scale must be 'theta' and 'variance'|scale must be"),
        ("Subject.Days", {"scale": "variance"}, 'need σ: name "sigma"'),
        (["Subject.Days", "sigma"], {"scale": "variance"}, "stands for no variance"),
        (3, {}, "at must name parameters"),
    ],
)
def test_what_has_no_grid_is_refused(slopes, at, options, message):
    with pytest.raises(lt.LMMError, match=message):
        lt.criterion_grid(slopes, at, **options)


def test_what_is_too_large_for_floats_is_a_gap(slopes):
    grid = lt.criterion_grid(slopes, {"Subject.Days": [0.2, 0.3, 1e200]})
    assert grid["criterion"].isna().tolist() == [False, False, True]


def test_a_fit_of_no_other_parameter_runs_over_sigma():
    grid = lt.criterion_grid(lt.fit_gls("distance ~ age", lt.load_dataset("Orthodont")))
    assert grid.landscape.names == ("sigma",) and grid["above"].min() == pytest.approx(0.0, abs=1e-3)


def test_what_is_no_fit_is_refused():
    with pytest.raises(lt.LMMError, match="takes a fit"):
        lt.criterion_grid("fit")


def test_the_picture_says_where_the_optimum_lies(batch, edge, slopes):
    one = lt.figure(lt.plots.criterion, batch)
    assert "0.753" in one.caption and "327.33" in one.caption and "0.753" in one.alt
    both = lt.figure(lt.plots.criterion, {"a": lt.criterion_grid(batch), "b": lt.criterion_grid(batch)})
    assert "a 0.753; b 0.753" in both.caption and both.label == "fig-criterion"
    surface = lt.figure(lt.plots.criterion, edge, ["sigma", "Batch.Intercept"], scale="variance")
    assert "on the edge, since variance of Batch.Intercept cannot be negative" in surface.caption
    assert "(g squared)" in surface.svg
    held = lt.figure(lt.plots.criterion, slopes, ["Subject.Intercept", "Subject.Days"])
    assert "Subject.Days.Intercept at the estimate" in held.caption
    assert lt.figure(lt.plots.criterion, batch) == one


def test_what_cannot_be_drawn_together_is_refused(batch, slopes):
    pair = lt.criterion_grid(slopes, ["Subject.Intercept", "Subject.Days"], points=3)
    with pytest.raises(lt.ModelError, match="the same single parameter"):
        lt.plots.criterion({"a": pair, "b": pair})
    with pytest.raises(lt.ModelError, match="up to 4 curves"):
        lt.plots.criterion(dict.fromkeys("abcde", lt.criterion_grid(batch)))
    with pytest.raises(lt.ModelError, match="takes what criterion_grid returns"):
        lt.plots.criterion([1, 2])
    with pytest.raises(lt.ModelError, match="at, points and scale are of a fit"):
        lt.plots.criterion(pair, "Subject.Days")
    with pytest.raises(lt.ModelError, match="fewer than two points"):
        lt.plots.criterion(pair.iloc[:1])
