"""Intraclass correlations: by group, at covariate values, at a weight, with intervals."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import lmmtools as lt


@pytest.fixture(scope="module")
def slopes():
    return lt.fit_lmm("Reaction ~ Days + (Days | Subject)", lt.load_dataset("sleepstudy"))


def test_at_covariate_values_it_is_the_variance_there(slopes):
    T, s2 = slopes.random_covariance["Subject"].to_numpy(), slopes.sigma**2
    fixed = np.var(slopes.design.X @ slopes.beta, ddof=1)
    days = np.array([0.0, 5.0, 9.0])
    between = np.array([[1.0, d] @ T @ [1.0, d] for d in days])
    table = lt.icc(slopes, at={"Days": [0, 5, 9]})
    assert table["Days"].tolist() == [0, 5, 9]
    assert table["group"].tolist() == ["Subject"] * 3
    np.testing.assert_allclose(table["adjusted"], between / (between + s2), rtol=1e-12)
    np.testing.assert_allclose(table["icc"], between / (between + s2 + fixed), rtol=1e-12)
    assert table.caption.endswith("at values of Days")
    one = lt.icc(slopes, at={"Days": 5.0})
    assert one["adjusted"].iloc[0] == pytest.approx(table["adjusted"].iloc[1])


def test_at_the_rows_own_values_the_mean_is_the_mean(slopes):
    days = sorted(slopes.design.X[:, 1])
    table = lt.icc(slopes, at={"Days": days})
    share = table["adjusted"].to_numpy()
    between = np.mean(share / (1 - share))
    assert between / (1 + between) == pytest.approx(lt.icc(slopes)["adjusted"].iloc[0], rel=1e-12)


def test_at_levels_of_a_factor_and_with_several_terms():
    data = lt.load_dataset("Orthodont")
    fit = lt.fit_lmm("distance ~ age * Sex + (age || Subject)", data)
    table = lt.icc(fit, at={"age": [8, 14]})
    sd = fit.varcorr["sdcor"].to_numpy()
    between = sd[0] ** 2 + np.array([8, 14]) ** 2 * sd[1] ** 2
    np.testing.assert_allclose(table["adjusted"], between / (between + sd[2] ** 2), rtol=1e-12)
    machines = lt.fit_lmm("score ~ Machine + (0 + Machine | Worker)", lt.load_dataset("Machines"))
    table = lt.icc(machines, at={"Machine": ["A", "C"]})
    own = np.diag(machines.random_covariance["Worker"].to_numpy())[[0, 2]]
    np.testing.assert_allclose(table["adjusted"], own / (own + machines.sigma**2), rtol=1e-12)
    assert table["Machine"].tolist() == ["A", "C"]


def test_a_term_that_does_not_depend_on_the_values_keeps_its_mean():
    data = lt.load_dataset("Pastes").assign(x=np.arange(60) % 5)
    fit = lt.fit_lmm("strength ~ x + (x | batch) + (1 | sample)", data)
    table = lt.icc(fit, at={"x": [0, 2]})
    assert table["group"].tolist() == list(fit.ngroups) * 2
    whole = 1 - table.groupby("x")["adjusted"].sum()
    T, s2 = fit.random_covariance["batch"].to_numpy(), fit.sigma**2
    sample = fit.random_covariance["sample"].to_numpy()[0, 0]
    expected = [s2 / (s2 + sample + np.array([1, x]) @ T @ np.array([1, x])) for x in (0, 2)]
    np.testing.assert_allclose(whole, expected, rtol=1e-10)


def test_known_matrices_count_with_their_own_size():
    data = lt.load_dataset("sleepstudy")
    levels = sorted(data["Subject"].unique())
    known = {"Subject": pd.DataFrame(2.0 * np.eye(18), index=levels, columns=levels)}
    plain = lt.fit_lmm("Reaction ~ Days + (Days | Subject)", data)
    twice = lt.fit_lmm("Reaction ~ Days + (Days | Subject)", data, known=known)
    for at in (None, {"Days": [1, 7]}):
        ours, theirs = (lt.icc(f, at=at)["adjusted"] for f in (twice, plain))
        np.testing.assert_allclose(ours, theirs, rtol=1e-5)


def test_with_weights_at_the_weight_named():
    data = lt.load_dataset("sleepstudy")
    fit = lt.fit_lmm("Reaction ~ Days + (1 | Subject)", data, weights=np.tile([1.0, 2.0], 90))
    assert lt.icc(fit)["adjusted"].equals(lt.icc(fit, weight=1.0)["adjusted"])
    assert "of an observation of weight 1; name `weight` for another" in lt.icc(fit).notes[0]
    assert "of an observation of weight 2, σ²/2" in lt.icc(fit, weight=np.int64(2)).notes[0]
    between = fit.random_covariance["Subject"].to_numpy()[0, 0]
    for weight in (1.0, 2.0):
        assert lt.icc(fit, weight=weight)["adjusted"].iloc[0] == pytest.approx(
            between / (between + fit.sigma**2 / weight)
        )
    with pytest.raises(lt.LMMError, match="positive number; got 0"):
        lt.icc(fit, weight=0)


def test_intervals_are_the_quantiles_of_refits(slopes):
    table = lt.icc(slopes, at={"Days": [0, 9]}, n=60, rng=4, level=0.9)
    assert (table["low"] < table["adjusted"]).all()
    assert (table["adjusted"] < table["high"]).all()
    assert (table["icc_low"] < table["icc_high"]).all()
    again = lt.icc(slopes, at={"Days": [0, 9]}, n=60, rng=4, level=0.9)
    pd.testing.assert_frame_equal(pd.DataFrame(table), pd.DataFrame(again))
    assert "60 replicates" in table.notes[0]


def test_refusals_name_what_is_missing(slopes):
    with pytest.raises(lt.LMMError, match=r"no random effect depends on `days` \(did you mean `Days`"):
        lt.icc(slopes, at={"days": [0]})
    with pytest.raises(lt.LMMError, match="does not say of which variable"):
        lt.icc(slopes, at=[0, 5])
    with pytest.raises(lt.LMMError, match="no values of `Days`"):
        lt.icc(slopes, at={"Days": []})
    with pytest.raises(lt.LMMError, match="has no weights"):
        lt.icc(slopes, weight=1.0)
    with pytest.raises(lt.LMMError, match="rng"):
        lt.icc(slopes, n=60)
    fit = lt.fit_lmm("distance ~ age * Sex + diag(0 + age:Sex | Subject)", lt.load_dataset("Orthodont"))
    with pytest.raises(lt.ModelError, match="`at` has no value of `Sex`"):
        lt.icc(fit, at={"age": [8]})


def test_positions_have_no_values():
    rng = np.random.default_rng(5)
    data = pd.DataFrame({"g": np.repeat(np.arange(12), 6), "t": np.tile(np.arange(6), 12)})
    data["y"] = rng.normal(size=12)[data["g"]] + rng.normal(size=(12, 6)).cumsum(axis=1)[data["g"], data["t"]]
    data["y"] += rng.normal(size=72)
    fit = lt.fit_lmm("y ~ 1 + ar1(t | g)", data)
    with pytest.raises(lt.ModelError, match="stands over positions"):
        lt.icc(fit, at={"t": [0]})
