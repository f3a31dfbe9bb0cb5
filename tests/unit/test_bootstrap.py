"""The bootstrap: replicates that can be repeated, intervals by definition, failures counted, bad input refused."""

import os
import pickle
import signal
import subprocess
import sys
import time

import numpy as np
import pandas as pd
import pytest
from scipy.stats import beta, norm

from lmmtools import Frame, LMMError, ModelError, fit_lmm, load_dataset
from lmmtools.resampling import Bootstrap, Quick, Refits, bootstrap, bootstrap_confint, refits, replicate
from lmmtools.resampling.clusters import Clusters, main_factor
from lmmtools.resampling.draws import Residual
from lmmtools.resampling.intervals import basic, bca, needed, percentile, quantile

# lme4 1.1-31, bootMer(type = "parametric"), 4,000 replicates of Reaction ~ Days + (Days | Subject) by REML:
# means and standard deviations of each parameter, and the 0.1 and 0.9 quantiles.
LME4 = {
    "Intercept": (251.486193, 6.906101, 242.6265, 260.2553),
    "Days": (10.483705, 1.583977, 8.416104, 12.539722),
    "sd(Subject, Intercept)": (24.121240, 5.944505, 16.56267, 31.79541),
    "sd(Subject, Days)": (5.815087, 1.267308, 4.213817, 7.469608),
    "cor(Subject, Intercept, Days)": (0.1090791, 0.3549178, -0.32780583, 0.58798965),
    "sigma": (25.542233, 1.485134, 23.61125, 27.41029),
}


def fixed_effects(fit):
    """A statistic that other processes can import."""
    return fit.fixef


def spread(refit):
    return pd.Series({"sd": refit.sigma * refit.Lambda[0][0, 0], "sigma": refit.sigma})


@pytest.fixture(scope="module")
def sleep():
    return fit_lmm("Reaction ~ Days + (Days | Subject)", load_dataset("sleepstudy"))


@pytest.fixture(scope="module")
def boot(sleep):
    return bootstrap(sleep, 400, rng=1)


@pytest.fixture(scope="module")
def singular():
    """A variance at zero: four rows in each of eight groups that do not differ."""
    rng = np.random.default_rng(12)
    data = pd.DataFrame({"y": rng.normal(size=32), "x": rng.normal(size=32), "g": np.arange(32) // 4})
    data["y"] -= data.groupby("g")["y"].transform("mean")
    return fit_lmm("y ~ x + (1 | g)", data)


@pytest.fixture(scope="module")
def crossed():
    rng = np.random.default_rng(3)
    data = pd.DataFrame({"g": rng.integers(0, 9, 90), "h": rng.integers(0, 6, 90), "x": rng.normal(size=90)})
    y = rng.normal(size=9)[data["g"]] + rng.normal(size=6)[data["h"]] + rng.normal(size=90) + data["x"]
    return fit_lmm("y ~ x + (1 | g) + (1 | h)", data.assign(y=y))


# what it gives ------------------------------------------------------------------------------------------------------


def test_a_row_a_replicate_and_a_column_a_parameter(sleep, boot):
    assert isinstance(boot, Bootstrap) and boot.shape == (400, 6)
    assert list(boot.columns) == list(sleep.confint("wald").index) == list(LME4)
    assert boot.index.tolist() == list(range(1, 401)) and boot.index.name == "replicate"
    assert len(boot.failures) == 0 and 0 < boot.singular < 30
    estimates = boot.estimates
    assert estimates["sd(Subject, Days)"] == pytest.approx(sleep.varcorr["sdcor"].iloc[1])
    assert estimates["cor(Subject, Intercept, Days)"] == pytest.approx(sleep.varcorr["sdcor"].iloc[2])
    assert estimates["sigma"] == sleep.sigma


def test_replicates_are_those_of_lme4s_bootmer(boot):
    for name, (mean, sd, low, high) in LME4.items():
        values, n = boot[name].dropna(), boot[name].notna().sum()
        error = sd * np.sqrt(1 / n + 1 / 4000)
        assert abs(values.mean() - mean) < 4 * error, name
        assert abs(values.std() / sd - 1) < 4 * np.sqrt(0.5 * (1 / n + 1 / 4000)) + 0.03, name
        for q, theirs in ((0.1, low), (0.9, high)):
            value, ours = quantile(values.to_numpy(), q)
            assert abs(value - theirs) < 4 * ours * np.sqrt(1 + n / 4000), (name, q)


def test_in_a_balanced_layout_the_variances_have_their_known_moments():
    """Expected mean squares: σ̂² is MS_w and σ̂_b² (MS_b − MS_w)/k, with chi-squared mean squares, away from zero."""
    rng = np.random.default_rng(5)
    J, k = 30, 6
    g = np.repeat(np.arange(J), k)
    fit = fit_lmm("y ~ 1 + (1 | g)", pd.DataFrame({"y": 3 * rng.normal(size=J)[g] + rng.normal(size=J * k), "g": g}))
    boot = bootstrap(fit, 500, rng=2)
    s2, b2 = fit.sigma**2, fit.varcorr["vcov"].iloc[0]
    within = s2**2 * 2 / (J * (k - 1))
    between = (s2 + k * b2) ** 2 * 2 / (J - 1)
    for values, mean, variance in (
        (boot["sigma"] ** 2, s2, within),
        (boot["sd(g, Intercept)"] ** 2, b2, (between + within) / k**2),
        (boot["Intercept"], fit.beta[0], (s2 + k * b2) / (J * k)),
    ):
        assert abs(values.mean() - mean) < 4 * np.sqrt(variance / 500)
        assert values.var() == pytest.approx(variance, rel=4 * np.sqrt(3 / 500))
    assert boot.singular == 0


def test_the_table_is_the_summary_and_a_selection_is_a_plain_frame(boot):
    table = boot.summary()
    assert list(table.columns) == ["estimate", "mean", "bias", "std_error", "bias_error", "replicates"]
    assert table.loc["Days", "std_error"] == pytest.approx(boot["Days"].std())
    assert "Parametric bootstrap, 400 replicates" in repr(boot) and "singular; they count" in repr(boot)
    assert type(boot.iloc[:5]) is Frame and boot.iloc[:5].shape == (5, 6)
    assert "tbl-bootstrap" in boot._repr_mimebundle_()[0]["text/html"]


def test_it_can_be_stored(boot):
    again = pickle.loads(pickle.dumps(boot))
    pd.testing.assert_frame_equal(pd.DataFrame(again), pd.DataFrame(boot))
    pd.testing.assert_frame_equal(again.confint(), boot.confint())


def test_everything_a_model_can_be_is_resampled(crossed):
    rng = np.random.default_rng(7)
    n = 120
    data = pd.DataFrame({"g": rng.integers(0, 12, n), "t": rng.integers(1, 4, n), "x": rng.normal(size=n)})
    data["y"] = rng.normal(size=12)[data["g"]] + rng.normal(size=n) + data["x"]
    A = pd.DataFrame(0.4 * np.eye(12) + 0.6, index=range(12), columns=range(12))
    w, offset = rng.uniform(0.5, 2, n), rng.normal(size=n)
    fits = [
        crossed,
        fit_lmm("y ~ x + (1 | g)", data, known={"g": A}),
        fit_lmm("y ~ x + ar1(t | g)", data),
        fit_lmm("y ~ x + cs(0 + C(t) | g)", data),
        fit_lmm("y ~ x + diag(1 + x | g)", data, weights=w, offset=offset, reml=False),
    ]
    for fit in fits:
        for kind in ("parametric", "residual"):
            boot = bootstrap(fit, 6, rng=1, kind=kind)
            assert list(boot.columns) == list(fit.confint("wald").index)
            assert np.isfinite(boot[[*map(str, fit.fixef.index), "sigma"]].to_numpy()).all()
            assert boot["sigma"].mean() == pytest.approx(fit.sigma, rel=0.3)


# statistics ---------------------------------------------------------------------------------------------------------


def test_any_statistic_can_be_taken(sleep):
    boot = bootstrap(sleep, 10, rng=1, statistic=lambda fit: fit.predict().max())
    assert boot.shape == (10, 1) and boot.columns.tolist() == ["statistic"]
    named = bootstrap(sleep, 10, rng=1, statistic=fixed_effects)
    light = bootstrap(sleep, 10, rng=1, statistic=Quick(spread))
    whole = bootstrap(sleep, 10, rng=1)
    np.testing.assert_allclose(named, whole[["Intercept", "Days"]], rtol=1e-6)
    np.testing.assert_allclose(light, whole[["sd(Subject, Intercept)", "sigma"]], rtol=1e-6)
    pair = bootstrap(sleep, 10, rng=1, statistic=lambda fit: [1, 2.5])
    assert pair.columns.tolist() == ["statistic[0]", "statistic[1]"]


def test_a_statistic_that_fails_is_counted(sleep):
    def moody(fit):
        if fit.sigma > 25.0 and fit is not sleep:
            raise LMMError("no such luck")
        return fit.sigma

    boot = bootstrap(sleep, 60, rng=1, statistic=moody)
    assert 10 < len(boot.failures) < 55 and set(boot.failures["sentence"]) == {"no such luck"}
    assert boot["moody"].isna().sum() == len(boot.failures)
    assert f"{len(boot.failures)} of 60 refits have no estimates and are left out" in repr(boot)


def test_a_statistic_must_give_numbers(sleep):
    for statistic, words in (
        (3, "must be a function"),
        (lambda fit: "much", "it gave str"),
        (lambda fit: np.eye(2), "shape"),
        (lambda fit: [], "0 values"),
    ):
        with pytest.raises(LMMError, match=words):
            bootstrap(sleep, 10, rng=1, statistic=statistic)


# randomness and processes -------------------------------------------------------------------------------------------


def test_a_seed_repeats_itself_and_a_generator_moves_on(sleep):
    rng = np.random.default_rng(4)
    first, second = bootstrap(sleep, 5, rng=rng), bootstrap(sleep, 5, rng=rng)
    again = bootstrap(sleep, 5, rng=np.random.default_rng(4))
    np.testing.assert_array_equal(first, again)
    assert not np.allclose(first, second)
    np.testing.assert_array_equal(bootstrap(sleep, 5, rng=4), bootstrap(sleep, 5, rng=np.random.SeedSequence(4)))
    np.testing.assert_array_equal(bootstrap(sleep, 60, rng=4).iloc[:50], bootstrap(sleep, 70, rng=4).iloc[:50])


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["parametric", "residual", "cluster"])
def test_the_number_of_workers_changes_no_bit(sleep, kind):
    alone = bootstrap(sleep, 110, rng=9, kind=kind)
    shared = bootstrap(sleep, 110, rng=9, kind=kind, workers=2)
    np.testing.assert_array_equal(alone, shared)
    assert alone.singular == shared.singular


def test_what_cannot_be_sent_to_workers_is_told(sleep):
    with pytest.raises(LMMError, match="must be a function of a module, not a lambda"):
        bootstrap(sleep, 10, rng=1, statistic=lambda fit: fit.sigma, workers=2)


@pytest.mark.slow
def test_errors_in_workers_are_told(tmp_path):
    """Of a script without the guard, and of a function that raises."""
    script = tmp_path / "script.py"
    text = (
        "import lmmtools as lt\nfrom lmmtools.resampling import bootstrap\n"
        "fit = lt.fit_lmm('Reaction ~ 1 + (1 | Subject)', lt.load_dataset('sleepstudy'))\n"
        "print(bootstrap(fit, 10, rng=1, workers=2).shape)\n"
    )
    script.write_text(text)
    done = subprocess.run([sys.executable, script], capture_output=True, text=True)
    assert done.returncode == 1 and "must stand under" in done.stderr
    with pytest.raises(ZeroDivisionError):
        replicate(divided, 4, 1, nobs=10, workers=2)


def divided(rng, m):
    return [1 / 0] * m


@pytest.mark.slow
@pytest.mark.skipif(os.name != "posix", reason="sends a signal")
def test_an_interrupt_ends_the_workers(tmp_path):
    script = tmp_path / "script.py"
    script.write_text(
        "import lmmtools as lt\nfrom lmmtools.resampling import bootstrap\n"
        "if __name__ == '__main__':\n"
        "    fit = lt.fit_lmm('Reaction ~ Days + (Days | Subject)', lt.load_dataset('sleepstudy'))\n"
        "    print('begun', flush=True)\n"
        "    bootstrap(fit, 1_000_000, rng=1, workers=2)\n"
    )
    run = subprocess.Popen([sys.executable, script], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                           start_new_session=True)  # fmt: skip
    assert run.stdout.readline() == "begun\n"
    time.sleep(4)
    os.killpg(run.pid, signal.SIGINT)
    _, said = run.communicate(timeout=60)
    assert said.rstrip().endswith("KeyboardInterrupt") and "initializer" not in said
    for _ in range(100):  # the server that starts workers ends when it sees that its parent has
        try:
            os.killpg(run.pid, 0)
        except ProcessLookupError:
            return
        time.sleep(0.1)
    raise AssertionError("a process is left")


def test_a_bar_is_shown_only_when_asked(sleep, capfd):
    bootstrap(sleep, 4, rng=1)
    assert capfd.readouterr().err == ""
    bootstrap(sleep, 4, rng=1, progress=True)
    assert "bootstrap" in capfd.readouterr().err
    bootstrap(sleep, 4, rng=1, progress=False)
    assert capfd.readouterr().err == ""


# intervals ----------------------------------------------------------------------------------------------------------


def test_percentile_and_basic_limits_are_order_statistics(boot):
    values = np.sort(boot["Days"])[:399]
    limits = percentile(values, 0.9)
    assert (limits.low, limits.high) == pytest.approx((values[19], values[379]))  # (399 + 1) × 0.05 = 20
    other = basic(values, 10.0, 0.9)
    assert (other.low, other.high) == pytest.approx((20.0 - values[379], 20.0 - values[19]))
    assert (other.low_error, other.high_error) == (limits.high_error, limits.low_error)
    found = boot.confint(level=0.9)
    assert list(found.columns) == ["low", "high", "low_error", "high_error", "replicates"]
    assert found.loc["Days", "low"] == percentile(boot["Days"].to_numpy(), 0.9).low
    assert "Percentile 90 % intervals, parametric bootstrap, 400 replicates (REML)" in repr(found)


def test_errors_of_quantiles_are_those_of_repeated_samples():
    rng = np.random.default_rng(6)
    for draw, alpha in ((rng.normal, 0.025), (rng.exponential, 0.9), (rng.normal, 0.5)):
        found = np.array([quantile(draw(size=400), alpha) for _ in range(400)])
        assert np.mean(found[:, 1]) == pytest.approx(found[:, 0].std(), rel=0.15)


def test_errors_of_bca_limits_hold_that_of_the_bias_correction():
    rng = np.random.default_rng(8)
    left_out = rng.exponential(size=20)
    runs = [bca(rng.normal(size=400), 0.3, 0.9, left_out) for _ in range(400)]
    for value, error in (("low", "low_error"), ("high", "high_error")):
        spread_seen = np.std([getattr(x, value) for x in runs])
        assert np.mean([getattr(x, error) for x in runs]) == pytest.approx(spread_seen, rel=0.15)


def test_bca_is_efrons(sleep, boot):
    """Written out: bias from ranks, acceleration from fits to the data without each subject."""
    data = load_dataset("sleepstudy")
    left = []
    for subject in sleep.design.terms[0].levels:
        one = fit_lmm(sleep.formula, data[data["Subject"] != subject])
        left.append([*one.fixef, *one.varcorr["sdcor"]])
    left, found = np.array(left), boot.confint("bca")
    for k, name in enumerate(boot.columns):
        values = boot[name].to_numpy()
        z0 = norm.ppf(np.mean(values < boot.estimates[name]))
        off = left[:, k].mean() - left[:, k]
        a = np.sum(off**3) / (6 * np.sum(off**2) ** 1.5)
        for z, limit in ((norm.ppf(0.025), "low"), (norm.ppf(0.975), "high")):
            alpha = norm.cdf(z0 + (z0 + z) / (1 - a * (z0 + z)))
            assert found.loc[name, limit] == pytest.approx(np.quantile(values, alpha, method="weibull"), rel=1e-5)
    assert "jackknife over `Subject`, each level left out in turn" in repr(found)


def test_maritz_and_jarretts_weights():
    """Those of a beta distribution over the ranks."""
    x = np.sort(np.random.default_rng(1).normal(size=50))
    k = 51 * 0.2
    w = np.diff(beta.cdf(np.arange(51) / 50, k, 51 - k))
    assert quantile(x, 0.2)[1] == pytest.approx(np.sqrt(w @ x**2 - (w @ x) ** 2))


def test_at_the_boundary(singular):
    assert singular.is_singular
    boot = bootstrap(singular, 200, rng=1)
    assert boot.singular > 60 and (boot["sd(g, Intercept)"] == 0.0).sum() > 60
    found = boot.confint()
    assert found.loc["sd(g, Intercept)", "low"] == 0.0 < found.loc["sd(g, Intercept)", "high"]
    assert found.loc["sd(g, Intercept)", "low_error"] == 0.0
    assert boot.confint("basic").loc["sd(g, Intercept)", "low"] < 0.0
    assert "`sd(g, Intercept)` cannot be negative" in repr(boot.confint("basic"))
    # half of the ties count as below, so that there is a bias correction; nothing tells the acceleration
    table = boot.confint("bca")
    assert np.isnan(table.loc["sd(g, Intercept)", "low"]) and np.isfinite(table.loc["x", "low"])
    assert "No interval of `sd(g, Intercept)`: the estimate is the same whatever is left out" in repr(table)


def test_ties_count_half():
    values = np.r_[np.zeros(100), np.arange(1.0, 101.0)]
    tied = bca(values, 0.0, 0.9, np.random.default_rng(0).normal(size=30))
    assert np.isnan(tied.low) or tied.low == 0.0  # z₀ = Φ⁻¹(1/4): towards smaller values
    one_side = bca(np.arange(1.0, 101.0), 0.0, 0.9, np.arange(9.0))
    assert np.isnan(one_side.low) and "one side" in one_side.reason
    beyond = bca(np.arange(1.0, 101.0), 30.5, 0.95, np.arange(9.0))
    assert "beyond the most extreme of 100 replicates; at least 7" in beyond.reason
    assert np.isnan(beyond.low) and np.isnan(beyond.high)


def test_undefined_correlations_are_told():
    rng = np.random.default_rng(2)
    data = pd.DataFrame({"g": np.arange(60) // 6, "x": rng.normal(size=60)})
    data["y"] = 0.2 * rng.normal(size=10)[data["g"]] + rng.normal(size=60)
    boot = bootstrap(fit_lmm("y ~ x + (x | g)", data), 80, rng=3)
    missing = int(boot["cor(g, Intercept, x)"].isna().sum())
    assert missing > 0 and len(boot.failures) == 0
    found = boot.confint()
    assert found.loc["cor(g, Intercept, x)", "replicates"] == 80 - missing
    assert f"no value of cor(g, Intercept, x) ({missing})" in repr(found)


def test_too_few_replicates_for_a_level(sleep, boot):
    assert needed(0.95) == 39 and needed(0.9) == 19 and needed(0.99) == 199
    few = bootstrap(sleep, 30, rng=1)
    with pytest.raises(LMMError, match="most extreme of 30 replicates: at least 39 are needed"):
        few.confint()
    assert np.isfinite(few.confint(level=0.9).to_numpy()).all()
    with pytest.raises(LMMError, match="at least 1,999 are needed"):
        boot.confint(level=0.999)


# residuals ----------------------------------------------------------------------------------------------------------


def test_reflated_modes_and_residuals_have_the_estimated_covariances(sleep):
    source = Residual(sleep)
    ((_, modes),) = source.effects
    np.testing.assert_allclose(modes.mean(axis=0), 0.0, atol=1e-9)
    np.testing.assert_allclose(modes.T @ modes / 18, sleep.random_covariance["Subject"], rtol=1e-6)
    assert source.residuals.mean() == pytest.approx(0.0, abs=1e-9)
    assert np.mean(source.residuals**2) == pytest.approx(sleep.sigma**2)
    # they are the modes themselves, stretched: the order of subjects stays
    assert np.corrcoef(modes[:, 0], sleep.modes[0][:, 0])[0, 1] > 0.95
    draws = source(np.random.default_rng(1), 4000)
    mean = sleep.predict(random=False).to_numpy()
    V = sleep.design.Z @ np.kron(np.eye(18), sleep.random_covariance["Subject"]) @ sleep.design.Z.T
    V += sleep.sigma**2 * np.eye(180)
    assert np.abs(draws.mean(axis=1) - mean).max() < 5 * np.sqrt(np.diag(V).max() / 4000)
    np.testing.assert_allclose(draws[:10].var(axis=1), np.diag(V)[:10], rtol=0.2)
    np.testing.assert_allclose(np.cov(draws[:10])[0, 1:], V[0, 1:10], atol=200)


def test_residuals_are_drawn_with_weights_offsets_and_known_covariances():
    rng = np.random.default_rng(7)
    n = 150
    data = pd.DataFrame({"g": rng.integers(0, 15, n), "x": rng.normal(size=n)})
    data["y"] = 2 * rng.normal(size=15)[data["g"]] + rng.normal(size=n)
    w, offset = rng.uniform(0.2, 5, n), rng.normal(size=n)
    A = pd.DataFrame(0.5 * np.eye(15) + 0.5 * np.exp(-np.abs(np.subtract.outer(range(15), range(15)))))
    fit = fit_lmm("y ~ x + (1 | g)", data, weights=w, offset=offset, known={"g": A})
    draws = Residual(fit)(np.random.default_rng(1), 5000)
    Z = np.eye(15)[data["g"]]
    V = fit.varcorr["vcov"].iloc[0] * Z @ A.to_numpy() @ Z.T + fit.sigma**2 * np.diag(1 / w)
    assert np.abs(draws.mean(axis=1) - fit.design.X @ fit.beta - offset).max() < 0.4
    np.testing.assert_allclose(np.cov(draws), V, atol=0.2 * np.diag(V).max())


def test_modes_of_a_singular_fit_are_drawn_in_their_own_space(singular):
    source = Residual(singular)
    assert np.all(source.effects[0][1] == 0.0)
    assert np.isfinite(bootstrap(singular, 10, rng=1, kind="residual").to_numpy()).all()


def test_too_few_levels_to_draw_modes_from():
    rng = np.random.default_rng(1)
    data = pd.DataFrame({"g": np.repeat(np.arange(3), 20), "t": np.tile(np.arange(4), 15)})
    data["y"] = rng.normal(size=(3, 4))[data["g"], data["t"]] + 0.3 * rng.normal(size=60)
    fit = fit_lmm("y ~ 1 + homdiag(0 + C(t) | g)", data)
    with pytest.raises(ModelError, match='fewer dimensions than the estimated.*use kind="parametric"'):
        bootstrap(fit, 10, rng=1, kind="residual")


# clusters -----------------------------------------------------------------------------------------------------------


def test_whole_subjects_are_drawn(sleep):
    data = load_dataset("sleepstudy")
    clusters = Clusters(sleep, "Subject")
    levels = np.random.default_rng(1).integers(18, size=18)
    names = sleep.design.terms[0].levels[levels]
    parts = [data[data["Subject"] == s].assign(Subject=f"copy {k}") for k, s in enumerate(names)]
    whole = fit_lmm(sleep.formula, pd.concat(parts, ignore_index=True))
    assert clusters.fit(levels).criterion == pytest.approx(whole.criterion, abs=1e-8)
    boot = bootstrap(sleep, 100, rng=1, kind="cluster")
    assert boot["Days"].std() == pytest.approx(sleep.stderr["Days"], rel=0.35)
    assert "Cluster (Subject) bootstrap" in repr(boot)


def test_levels_of_nested_factors_are_copied_and_those_of_crossed_ones_stay():
    rng = np.random.default_rng(3)
    data = pd.DataFrame({"g": rng.integers(0, 9, 90), "h": rng.integers(0, 6, 90), "k": rng.integers(0, 2, 90)})
    data["y"] = rng.normal(size=9)[data["g"]] + rng.normal(size=6)[data["h"]] + rng.normal(size=90)
    fit = fit_lmm("y ~ 1 + (1 | g/k) + (1 | h)", data)
    clusters = Clusters(fit, "g")
    drawn = np.array([0, 0, 1, 2, 3, 3, 3, 4, 5])
    ours = clusters.fit(drawn)
    parts = [data[data["g"] == j].assign(g=f"copy {k}") for k, j in enumerate(drawn)]
    whole = fit_lmm(fit.formula, pd.concat(parts, ignore_index=True))
    assert ours.criterion == pytest.approx(whole.criterion, abs=1e-7)
    assert clusters.crossed() == ["h"]
    boot = bootstrap(fit, 10, rng=1, kind="cluster", by="g")
    assert "Levels of `h` stay what they are: the replicates vary over new levels of `g` only" in repr(boot)
    with pytest.raises(LMMError, match="cross, so it must be said whose levels are independent"):
        bootstrap(fit, 10, rng=1, kind="cluster")
    nested = fit_lmm("y ~ 1 + (1 | g/k)", data)
    assert main_factor(nested.design) == ("g", True)
    assert "Cluster (g)" in repr(bootstrap(nested, 5, rng=1, kind="cluster"))


def test_coefficients_that_a_replicate_cannot_estimate_are_counted():
    rng = np.random.default_rng(4)
    g = np.repeat(np.arange(8), 6)
    data = pd.DataFrame({"y": rng.normal(size=48) + rng.normal(size=8)[g], "g": g, "sex": np.where(g < 1, "F", "M")})
    fit = fit_lmm("y ~ sex + (1 | g)", data)
    boot = bootstrap(fit, 80, rng=1, kind="cluster")
    expected = 80 * (1 - 1 / 8) ** 8
    assert abs(len(boot.failures) - expected) < 4 * np.sqrt(expected)
    assert boot.failures["sentence"].str.contains("sex").all()
    assert np.isnan(boot.loc[boot.failures.index].to_numpy()).all()
    assert f"{len(boot.failures)} × `sex[T.M]` has no estimate" in repr(boot)
    found = boot.confint("bca")
    assert found.loc["sigma", "replicates"] == 80 - len(boot.failures)
    assert "1 of these 8 refits failed and is left out" in repr(found)


def test_related_levels_are_not_drawn():
    rng = np.random.default_rng(4)
    data = pd.DataFrame({"y": rng.normal(size=40), "g": np.arange(40) // 4})
    A = pd.DataFrame(0.5 * np.eye(10) + 0.5)
    fit = fit_lmm("y ~ 1 + (1 | g)", data, known={"g": A})
    with pytest.raises(ModelError, match="a known covariance relates the levels of `g`"):
        bootstrap(fit, 10, rng=1, kind="cluster")
    assert np.isfinite(bootstrap(fit, 60, rng=1).confint("bca").loc["Intercept"].to_numpy()).all()


def test_many_levels_are_left_out_in_sets():
    rng = np.random.default_rng(4)
    g = np.arange(420) // 2
    fit = fit_lmm("y ~ 1 + (1 | g)", pd.DataFrame({"y": rng.normal(size=420) + 2 * rng.normal(size=210)[g], "g": g}))
    left, size = Clusters(fit, "g").left_out()
    assert (len(left), size) == (200, 2)
    assert sum(420 - len(one.design.y) for one in left) == 420
    assert "each of 200 sets of its 210 levels" in repr(bootstrap(fit, 60, rng=1).confint("bca"))


# refits -------------------------------------------------------------------------------------------------------------


def test_two_models_of_the_same_draws(sleep):
    data = load_dataset("sleepstudy")
    small, large = (fit_lmm(f"Reaction ~ {x} + (1 | Subject)", data, reml=False) for x in ("1", "Days"))
    responses = small.simulate(20, np.random.default_rng(1))
    gains = [a.criterion - b.criterion for a, b in zip(refits(small, responses), refits(large, responses), strict=True)]
    assert min(gains) > -1e-8 and np.mean(gains) == pytest.approx(1.0, abs=1.2)
    again = list(Refits(small)(responses))
    assert [x.criterion for x in again] == [x.criterion for x in refits(small, responses)]
    assert pickle.loads(pickle.dumps(Refits(small))).fit.formula == small.formula


# bad input ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"rng": None}, "rng=numpy.random.default_rng"),
        ({"rng": "one"}, "got 'one'"),
        ({"rng": -1}, "got -1"),
        ({"rng": True}, "got True"),
        ({"kind": "wild"}, "kind='wild' is unknown; use one of 'parametric', 'residual', 'cluster'"),
        ({"n": 1}, "at least 2"),
        ({"n": 10.5}, "whole number"),
        ({"workers": 0}, "workers"),
        ({"by": "Subject"}, 'only kind="cluster" does'),
        ({"kind": "cluster", "by": "subject"}, "`?Subject"),
    ],
)
def test_arguments_that_mean_nothing(sleep, arguments, words):
    with pytest.raises(LMMError, match=words):
        bootstrap(sleep, **({"n": 10, "rng": 1} | arguments))


def test_other_things_that_mean_nothing(sleep, boot):
    with pytest.raises(LMMError, match="takes a fit made by fit_lmm; got str"):
        bootstrap("fit", 10, rng=1)
    with pytest.raises(LMMError, match="kind='bcs' is unknown"):
        boot.confint("bcs")
    with pytest.raises(LMMError, match="level must lie"):
        boot.confint(level=95)
    with pytest.raises(LMMError, match="is no grouping factor of this model"):
        boot.confint("bca", by="Day")
    with pytest.raises(LMMError, match='which only kind="bca" does'):
        boot.confint(by="Subject")
    with pytest.raises(LMMError, match="level must lie"):
        bootstrap_confint(sleep, 95)
    with pytest.raises(LMMError, match="kind='bcs' is unknown"):
        bootstrap_confint(sleep, kind="bcs", rng=1)


def test_where_all_refits_fail_it_says_why(sleep):
    def never(fit):
        if fit is sleep:
            return 1.0
        raise ModelError("it cannot be")

    with pytest.raises(ModelError, match="20 of 20 refits failed, .*; the first: it cannot be"):
        bootstrap(sleep, 20, rng=1, statistic=never)


def test_intervals_in_one_go(sleep, crossed):
    for resample in ("parametric", "cluster"):
        both = bootstrap_confint(crossed, 0.8, n=20, rng=1, kind="bca", resample=resample, by="h")
        assert "jackknife over `h`" in repr(both)
    found = bootstrap_confint(sleep, 0.9, n=40, rng=1)
    pd.testing.assert_frame_equal(pd.DataFrame(found), pd.DataFrame(bootstrap(sleep, 40, rng=1).confint(level=0.9)))
