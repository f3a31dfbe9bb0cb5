"""Cluster-robust covariance: clubSandwich's numbers on unbalanced data, and what is refused."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import lmmtools as lt
from lmmtools.inference import clusters
from lmmtools.inference.robust import robust_functions, robust_table, robust_vcov

# R 4.2.2, clubSandwich 0.5.8 on lme4 1.1-31: standard errors, covariance, Satterthwaite df and p of two coefficients;
# the weighted fit by nlme 3.1-162 with varFixed, since vcovCR takes no lmer fit with weights.
CLUBSANDWICH = {
    "slopes": {
        "CR0": (7.37546278, 1.99359932, -4.71111096, 16.9512992, 16.7186864, 4.92834688e-17, 3.53023681e-05),
        "CR1": (7.58928859, 2.05139678, -4.98823514, 16.9512992, 16.7186864, 7.94566737e-17, 4.84420094e-05),
        "CR2": (7.58630105, 2.0489752, -4.96791353, 16.9463773, 16.6904585, 7.95700015e-17, 4.80994176e-05),
    },
    "intercepts, ML": {
        "CR0": (7.37926169, 1.62344711, -3.32440597, 16.9703886, 13.1320899, 5.73565113e-17, 6.08355375e-06),
        "CR1": (7.59319764, 1.67051329, -3.51995927, 16.9703886, 13.1320899, 9.25075385e-17, 8.24080092e-06),
        "CR2": (7.60075479, 1.68227082, -3.60563025, 16.9667465, 12.9626136, 9.46132029e-17, 9.51783171e-06),
    },
    "nested": {
        "CR0": (0.635590219, 0.0833789035, -0.00182224927, 8.71162996, 4.84875152, 1.97410451e-14, 0.127768285),
        "CR1": (0.669970917, 0.0878890813, -0.00202472141, 8.71162996, 4.84875152, 3.12245639e-14, 0.144012946),
        "CR2": (0.668768416, 0.0910194646, -0.00184519791, 8.6703454, 4.57351337, 3.47558902e-14, 0.159032002),
    },
    "weighted": {
        "CR0": (7.63413275, 1.9110371, -4.77479517, 16.9313068, 16.5604946, 8.13239408e-17, 2.9982e-05),
        "CR1": (7.8554578, 1.96644095, -5.05566547, 16.9313068, 16.5604946, 1.30990122e-16, 4.12110905e-05),
        "CR2": (7.84635968, 1.96442123, -5.03559107, 16.9256281, 16.5201847, 1.29656345e-16, 4.11052596e-05),
    },
}


def _sleep() -> pd.DataFrame:
    data = lt.load_dataset("sleepstudy").reset_index(drop=True)
    i = np.arange(180)
    data = data[(i % 7 != 3) & ~((i % 10 > 5) & (i < 60))]
    return data.assign(w=1.0 / (1.0 + data["Days"] % 3))


def _pastes() -> pd.DataFrame:
    data = lt.load_dataset("Pastes").reset_index(drop=True)
    i = np.arange(60)
    return data.assign(x=i % 5)[(i % 7 != 2) & (i > 4)]


@pytest.fixture(scope="module")
def fits():
    sleep = _sleep()
    return {
        "slopes": (lt.fit_lmm("Reaction ~ Days + (Days | Subject)", sleep), "Subject"),
        "intercepts, ML": (lt.fit_lmm("Reaction ~ Days + (1 | Subject)", sleep, reml=False), "Subject"),
        "nested": (lt.fit_lmm("strength ~ x + (1 | batch/cask)", _pastes()), "batch"),
        "weighted": (lt.fit_lmm("Reaction ~ Days + (Days | Subject)", sleep, weights="w"), "Subject"),
    }


@pytest.mark.parametrize("kind", ["CR0", "CR1", "CR2"])
@pytest.mark.parametrize("case", CLUBSANDWICH)
def test_clubsandwichs_numbers(fits, case, kind):
    fit, cluster = fits[case]
    table = robust_table(fit, cluster, kind)
    V = robust_vcov(fit, cluster, kind)
    se, covariance, df, p = np.split(np.array(CLUBSANDWICH[case][kind]), [2, 3, 5])
    np.testing.assert_allclose(table["std_error"], se, rtol=2e-7)  # what the optimisers of R leave
    assert V.iloc[0, 1] == pytest.approx(covariance[0], rel=2e-6)
    np.testing.assert_allclose(table["df"], df, rtol=2e-7)
    np.testing.assert_allclose(table["p_value"], p, rtol=2e-5)
    np.testing.assert_allclose(np.sqrt(np.diag(V)), table["std_error"], rtol=1e-12)
    assert V.df.tolist() == table["df"].tolist()


def test_ways_to_name_the_clusters(fits):
    fit, _ = fits["slopes"]
    data = _sleep()
    by_name = robust_vcov(fit, "Subject")
    for given in (data["Subject"], data["Subject"].to_numpy(), data["Subject"].sample(frac=1.0, random_state=1)):
        pd.testing.assert_frame_equal(pd.DataFrame(robust_vcov(fit, given)), pd.DataFrame(by_name))
    pairs = data["Subject"].astype("category").cat.codes // 2
    assert robust_vcov(fit, pairs).n_clusters == 9


def test_a_contrast_is_a_row_of_its_own(fits):
    fit, cluster = fits["slopes"]
    V = robust_vcov(fit, cluster)
    L = np.array([[1.0, 5.0], [0.0, 1.0]])
    found = robust_functions(fit, L, cluster)
    np.testing.assert_allclose(found.covariance, L @ V.to_numpy() @ L.T)
    assert found.df[1] == pytest.approx(V.df["Days"])
    assert found.estimate[0] == pytest.approx(float(L[0] @ fit.beta))


def test_units_and_large_means_change_nothing(fits):
    fit, cluster = fits["slopes"]
    data = _sleep()
    moved = lt.fit_lmm("Reaction ~ x + (x | Subject)", data.assign(x=1e-3 * (data["Days"] + 1e5)))
    table, other = robust_table(fit, cluster), robust_table(moved, cluster)
    assert other.loc["x", "std_error"] == pytest.approx(1e3 * table.loc["Days", "std_error"], rel=1e-6)
    assert other.loc["x", "df"] == pytest.approx(table.loc["Days", "df"], rel=1e-6)


def test_a_coefficient_of_one_cluster_alone_leaves_nothing_there(fits):
    # the first subject's own mean: its residuals there are none, and the inverse root leaves that direction out
    data = _sleep()
    data = data.assign(first=(data["Subject"] == data["Subject"].iloc[0]).astype(float))
    fit = lt.fit_lmm("Reaction ~ Days + first + (1 | Subject)", data)
    table = robust_table(fit, "Subject")
    assert np.isfinite(table["std_error"]).all()
    assert (table["df"] > 0).all()


def test_without_fixed_effects_there_is_nothing_to_say():
    fit = lt.fit_lmm("Reaction ~ 0 + (1 | Subject)", _sleep())
    assert robust_vcov(fit, "Subject").shape == (0, 0)


def test_text_says_kind_and_clusters(fits):
    fit, cluster = fits["slopes"]
    assert "CR2" in robust_vcov(fit, cluster).caption
    assert "18 clusters of `Subject`" in robust_table(fit, cluster, level=0.9).caption
    assert "90 %" in repr(robust_table(fit, cluster, level=0.9))
    assert "too small" in robust_table(fit, cluster, "CR0").notes[0]


def test_refusals_say_what_and_where(fits):
    fit, _ = fits["slopes"]
    with pytest.raises(lt.LMMError, match=r"`subject` is no grouping factor.*did you mean `Subject`"):
        robust_vcov(fit, "subject")
    with pytest.raises(lt.LMMError, match="one value for each of the"):
        robust_vcov(fit, np.arange(3))
    with pytest.raises(lt.LMMError, match="labels are not those"):
        robust_vcov(fit, pd.Series(["a", "b"], index=[900, 901]))
    with pytest.raises(lt.LMMError, match="no value in 1 row"):
        robust_vcov(fit, np.r_[np.nan, np.ones(fit.nobs - 1)])
    with pytest.raises(lt.LMMError, match="'CR4' is unknown"):
        robust_vcov(fit, "Subject", "CR4")
    with pytest.raises(lt.LMMError, match="takes a fit"):
        robust_vcov(fit.design, "Subject")
    with pytest.raises(lt.ModelError, match="all rows are in one cluster"):
        robust_vcov(fit, np.ones(fit.nobs))
    with pytest.raises(lt.ModelError, match=r"effects of `Subject` reach across.*rows \d+ and \d+"):
        robust_vcov(fit, _sleep()["Days"])


def test_crossed_factors_are_refused_by_name():
    fit = lt.fit_lmm("diameter ~ 1 + (1 | plate) + (1 | sample)", lt.load_dataset("Penicillin"))
    with pytest.raises(lt.ModelError, match="`sample` reach across the clusters of `plate`: 6 levels of 6"):
        robust_vcov(fit, "plate")


def test_related_levels_must_share_a_cluster():
    data = _sleep()
    levels = sorted(data["Subject"].unique())
    A = np.eye(len(levels))
    A[0, 1] = A[1, 0] = 0.5
    known = {"Subject": pd.DataFrame(A, index=levels, columns=levels)}
    fit = lt.fit_lmm("Reaction ~ Days + (1 | Subject)", data, known=known)
    with pytest.raises(lt.ModelError, match="relates levels of different clusters"):
        robust_vcov(fit, "Subject")
    together = data["Subject"].where(data["Subject"] != levels[1], levels[0])
    assert robust_vcov(fit, together).n_clusters == len(levels) - 1


def test_clusters_too_large_are_refused_before_they_start(fits, monkeypatch):
    monkeypatch.setattr(clusters, "_MOST", 5)
    with pytest.raises(lt.ModelError, match="residual variances differ"):
        robust_vcov(fits["weighted"][0], "Subject")
    with pytest.raises(lt.ModelError, match="nearly as many"):
        robust_vcov(fits["nested"][0], _pastes()["batch"] == "A")
    assert len(robust_vcov(fits["weighted"][0], "Subject", "CR1"))


def test_functions_of_one_cluster_alone_are_named_and_not_tested():
    rng = np.random.default_rng(2)
    g = np.repeat(np.arange(6), 5)
    data = pd.DataFrame({"g": g, "f": np.where(g == 0, "alone", "rest"), "y": rng.normal(size=30)})
    fit = lt.fit_lmm("y ~ 0 + f + (1 | g)", data)
    for kind in ("CR0", "CR1", "CR2"):
        table = lt.robust_table(fit, "g", kind)
        assert table.loc["f[alone]", ["std_error", "df", "statistic", "p_value", "ci_low"]].isna().all()
        assert table.loc["f[rest]"].notna().all()
        assert "No robust standard error of `f[alone]`: the fixed effects fit exactly" in table.notes[1]


def test_a_row_that_the_fixed_effects_fit_does_not_blow_its_cluster_up():
    """A cluster of one row with leverage one: its residual has no variance, and rounding is not divided by itself."""
    rng = np.random.default_rng(3)
    g = np.r_[np.repeat(np.arange(6), 3), 6]
    data = pd.DataFrame({"g": g, "f": np.where(g == 6, "b", "a"), "y": rng.normal(size=19)})
    table = lt.robust_table(lt.fit_lmm("y ~ f + (1 | g)", data), "g")
    assert 4 < table.loc["Intercept", "df"] <= 6
    assert 0 < table.loc["f[T.b]", "std_error"] < 1
    assert "Too small on average for `f[T.b]`" in table.notes[1]


def test_a_list_is_no_kind():
    fit = lt.fit_lmm("Reaction ~ Days + (1 | Subject)", lt.load_dataset("sleepstudy"))
    with pytest.raises(lt.LMMError, match="kind="):
        lt.robust_vcov(fit, "Subject", ["CR2"])
