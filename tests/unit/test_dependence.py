"""Semivariogram, autocorrelation and covariances by occasion: definitions, nlme's numbers, and what an envelope is."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import lmmtools as lt
from lmmtools.dependence.laws import correlation_at
from lmmtools.dependence.pairs import bins_of, pairs_of
from lmmtools.dependence.places import Places, distinct
from lmmtools.dependence.reestimated import Reestimated, ranks_of

GAP_IN_PARAMETERS = 3e-7  # nlme stops where its criterion moves by 1e-10; its parameters are then right to seven digits


def orthodont():
    return lt.load_dataset("Orthodont")


def ovary():
    data = lt.load_dataset("Ovary")
    angle = 2 * np.pi * data["Time"]
    step = data.groupby("Mare", observed=True).cumcount()
    return data.assign(s=np.sin(angle), c=np.cos(angle), step=step)


def longitudinal(groups=30, times=6, keep=0.8, seed=1):
    """Shuffled rows with gaps, a time for each."""
    rng = np.random.default_rng(seed)
    data = pd.DataFrame({"id": np.repeat(np.arange(groups), times), "t": np.tile(np.arange(times), groups)})
    data["x"] = rng.normal(size=len(data))
    data["y"] = data["x"] + np.repeat(rng.normal(size=groups), times) + rng.normal(size=len(data))
    return data[rng.random(len(data)) < keep].sample(frac=1.0, random_state=seed)


@pytest.fixture(scope="module")
def car1():
    return lt.fit_gls("follicles ~ s + c", ovary(), residual="car1(Time | Mare)")


@pytest.fixture(scope="module")
def ar1():
    return lt.fit_gls("y ~ x", longitudinal(), residual="ar1(t | id)")


# --- nlme -----------------------------------------------------------------------------------------------


def test_variogram_of_nlme(car1):
    # Variogram(gls(follicles ~ sin(2*pi*Time) + cos(2*pi*Time), Ovary, corCAR1(form = ~Time | Mare)), form = ~Time,
    #           resType = "normalized", nint = 8); cut() leaves out the one pair at the shortest distance
    found = lt.semivariogram(car1, bins=8, n=0)
    theirs = [0.9289054637, 0.8882807752, 0.8758825320, 0.9753985297, 0.9442103002, 0.9263692110, 1.0985683235]
    assert found["semivariance"].tolist()[1:] == pytest.approx(theirs, abs=GAP_IN_PARAMETERS)
    assert found["pairs"].tolist() == [526 + 1, 537, 508, 528, 542, 499, 512, 520]
    assert found["distance"].tolist()[:3] == pytest.approx([0.0526316, 0.15, 0.25])


@pytest.mark.parametrize(
    ("kind", "theirs"),
    [
        ("pearson", [0.3695549136, 0.3036028279, 0.4422453009]),
        ("normalized", [1.2515763162, 0.5259537556, 0.7615557287]),
    ],
)
def test_variogram_of_nlme_where_times_are_shared(kind, theirs):
    # Variogram(gls(distance ~ Sex*age, Orthodont, corAR1(form = ~1 | Subject)), form = ~age, resType = kind)
    data = orthodont().assign(visit=lambda d: ((d["age"] - 8) / 2).astype(int))
    fit = lt.fit_gls("distance ~ Sex * age", data, residual="ar1(visit | Subject)")
    found = lt.semivariogram(fit, kind, time="age", n=0)
    assert found["semivariance"].tolist() == pytest.approx(theirs, abs=GAP_IN_PARAMETERS)
    assert (found["distance"].tolist(), found["pairs"].tolist()) == ([2, 4, 6], [81, 54, 27])


def test_autocorrelation_of_nlme(car1):
    # ACF(the gls above, resType = "normalized", maxLag = 6), n.used
    found = lt.autocorrelation(car1, time=ovary()["step"], max_lag=6, n=0)
    theirs = [-0.14353871740, 0.04744691914, -0.01745458129, 0.11655434590, 0.03214871610, 0.12185347777]
    assert found["autocorrelation"].tolist() == pytest.approx(theirs, abs=GAP_IN_PARAMETERS)
    assert found["pairs"].tolist() == [297, 286, 275, 264, 253, 242]
    assert found["limit"].iloc[0] == pytest.approx(1.959963984540054 / np.sqrt(297))


def test_autocorrelation_of_nlme_with_random_effects():
    # ACF(lme(…, random = ~1 | Mare, correlation = corCAR1(form = ~Time | Mare)), resType = …)
    data = ovary()
    fit = lt.fit_lmm("follicles ~ s + c + (1 | Mare)", data, residual="car1(Time | Mare)")
    pearson = [0.53098448806, 0.36671380944, 0.23365580567, 0.21271325482, 0.13623891250, 0.13843577356]
    normalized = [-0.10579557893, 0.04185565036, -0.03618352891, 0.08632005199]
    for kind, theirs in (("pearson", pearson), ("normalized", normalized)):
        found = lt.autocorrelation(fit, kind, time=data["step"], max_lag=len(theirs), n=0)
        assert found["autocorrelation"].tolist() == pytest.approx(theirs, abs=GAP_IN_PARAMETERS)


def test_as_many_lags_as_in_nlme(car1):
    assert len(lt.autocorrelation(car1, time=ovary()["step"], n=0)) == 14  # min(30, 10 log10(31))


# --- definitions ----------------------------------------------------------------------------------------


def by_hand(fit, data, kind):
    """Pairs of rows of one group, in two loops: time apart, half squared difference, product."""
    r = fit.residuals(kind).reindex(data.index)
    rows = [(data.loc[k, "id"], data.loc[k, "t"], r[k]) for k in data.index]
    return pd.DataFrame(
        [
            (abs(t - u), 0.5 * (a - b) ** 2, a * b)
            for i, (g, t, a) in enumerate(rows)
            for h, u, b in rows[i + 1 :]
            if g == h
        ],
        columns=["lag", "half", "product"],
    ).groupby("lag")


@pytest.mark.parametrize("kind", ["normalized", "pearson"])
def test_gaps_and_order_of_rows_are_matched_by_time(ar1, kind):
    data = longitudinal()
    hand = by_hand(ar1, data, kind)
    found = lt.semivariogram(ar1, kind, n=0)
    assert found["distance"].tolist() == [1, 2, 3, 4, 5]
    assert found["semivariance"].tolist() == pytest.approx(hand["half"].mean().tolist(), rel=1e-12)
    assert found["pairs"].tolist() == hand.size().tolist()
    acf = lt.autocorrelation(ar1, kind, max_lag=5, n=0)
    expected = hand["product"].mean() / np.mean(ar1.residuals(kind) ** 2)
    assert acf["autocorrelation"].tolist() == pytest.approx(expected.tolist(), rel=1e-12)
    assert acf["pairs"].tolist() == hand.size().tolist()


def test_distances_in_the_plane():
    rng = np.random.default_rng(2)
    data = pd.DataFrame(rng.uniform(0, 5, (25, 2)), columns=["a", "b"]).assign(y=rng.normal(size=25))
    fit = lt.fit_gls("y ~ 1", data, residual="spher(a + b, nugget=True)")
    found = lt.semivariogram(fit, "pearson", bins=4, n=0)
    assert found["pairs"].sum() == 25 * 24 / 2
    gap = np.hypot(*(np.subtract.outer(data[x].to_numpy(), data[x].to_numpy()) for x in "ab"))[np.tril_indices(25, -1)]
    r = fit.residuals("pearson").to_numpy()
    half = (0.5 * np.subtract.outer(r, r) ** 2)[np.tril_indices(25, -1)]
    nearest = gap <= np.quantile(gap, 0.25)
    assert found["semivariance"].iloc[0] == pytest.approx(half[nearest].mean(), rel=1e-12)
    short = lt.semivariogram(fit, max_distance=1.0, bins=2, n=0)
    assert short["pairs"].sum() == (gap <= 1.0).sum()
    assert (found.variable, found.group, found.curve["distance"].max()) == ("a, b", "", pytest.approx(gap.max()))


@given(sizes=st.lists(st.integers(1, 9), min_size=1, max_size=8), seed=st.integers(0, 99))
@settings(max_examples=60, deadline=None)
def test_every_pair_is_there_once(sizes, seed):
    codes = np.random.default_rng(seed).permutation(np.repeat(np.arange(len(sizes)), sizes))
    places = Places(codes, pd.RangeIndex(len(sizes)), "g", np.arange(len(codes), dtype=float)[:, None], ("t",))
    if max(sizes) == 1:
        with pytest.raises(lt.ModelError, match="no group"):
            pairs_of(places, 10**6, np.random.default_rng(1), "x")
        return
    pairs = pairs_of(places, 10**6, np.random.default_rng(1), "x")
    assert np.all(codes[pairs.i] == codes[pairs.j])
    assert len({frozenset(pair) for pair in zip(pairs.i, pairs.j, strict=True)}) == len(pairs.i) == pairs.total
    assert pairs.total == sum(s * (s - 1) // 2 for s in sizes)
    assert np.all(pairs.distance == np.abs(pairs.i - pairs.j))


def test_a_sample_of_very_many_pairs_is_uniform():
    codes = np.repeat(np.arange(3), (3000, 1000, 20))
    places = Places(codes, pd.RangeIndex(3), "g", np.arange(len(codes), dtype=float)[:, None], ("t",))
    pairs = pairs_of(places, 40_000, np.random.default_rng(1), "x")
    assert (pairs.sampled, len(pairs.i), pairs.total) == (True, 40_000, 3000 * 2999 // 2 + 1000 * 999 // 2 + 190)
    assert len(np.unique(pairs.i * 5000 + pairs.j)) == 40_000
    assert np.all(codes[pairs.i] == codes[pairs.j])
    first = np.mean(codes[pairs.i] == 0)
    assert first == pytest.approx(3000 * 2999 / 2 / pairs.total, abs=5 * np.sqrt(0.09 / 40_000))
    middle = np.mean(np.minimum(pairs.i, pairs.j)[codes[pairs.i] == 0])  # a third of the way, in a triangle
    assert middle == pytest.approx(1000, abs=5 * 3000 / np.sqrt(18 * 36_000))


def test_a_sample_is_said(ar1):
    found = lt.semivariogram(ar1, most_pairs=100, n=0)
    assert found["pairs"].sum() == 100
    assert any("random sample of 100" in note for note in found.notes)
    assert found.total > 200


def test_bins_are_different_distances_or_quantiles():
    gap = np.array([0.1 + 0.2, 0.3, 0.5, 0.5, 0.9])
    assert bins_of(gap, 3).tolist() == [0, 0, 1, 1, 2]  # rounding makes no bin
    many = np.random.default_rng(1).exponential(size=1000)
    assert np.bincount(bins_of(many, 10)).tolist() == [100] * 10
    assert bins_of(many, 10)[np.argmin(many)] == 0


def test_times_equal_to_rounding_are_one():
    values, codes = distinct(np.array([0.3, 0.1 + 0.2, 0.0, 0.30001]))
    assert len(values) == 3
    assert codes.tolist() == [1, 1, 0, 2]


FORMULAS = {
    "ar1(t | id)": lambda p, d: p[0] ** d,
    "car1(t | id)": lambda p, d: p[0] ** d,
    "cs(id)": lambda p, d: np.full(len(d), p[0]),
    "toep(t | id)": lambda p, d: p[d.astype(int) - 1],
    "toep(t | id, 2)": lambda p, d: np.append(p, np.zeros(3))[d.astype(int) - 1],
    "arma(t | id, 0, 1)": lambda p, d: np.where(d == 1, p[0] / (1 + p[0] ** 2), 0.0),
    "exp(t | id)": lambda p, d: np.exp(-d / p[0]),
    "gaus(t | id)": lambda p, d: np.exp(-((d / p[0]) ** 2)),
    "spher(t | id)": lambda p, d: np.where(d < p[0], 1 - 1.5 * d / p[0] + 0.5 * (d / p[0]) ** 3, 0.0),
    "ratio(t | id, nugget=True)": lambda p, d: (1 - p[1]) / (1 + (d / p[0]) ** 2),
    "ar1(t | id) * varident(t)": lambda p, d: p[0] ** d,
}


@pytest.mark.parametrize("residual", FORMULAS)
def test_the_curve_is_the_fitted_correlation(residual):
    fit = lt.fit_gls("y ~ x", longitudinal(), residual=residual)
    d = np.arange(1.0, 5.0)
    assert correlation_at(fit, d) == pytest.approx(FORMULAS[residual](fit.phi, d), abs=1e-12)
    curve = lt.semivariogram(fit, "pearson", time="t" if "cs" not in residual else longitudinal()["t"], n=0).curve
    whole = curve[np.isin(curve["distance"], d)]
    assert 1 - whole["semivariance"].to_numpy() == pytest.approx(
        FORMULAS[residual](fit.phi, whole["distance"].to_numpy())
    )


def test_structures_without_a_curve():
    data = longitudinal()
    free = lt.fit_gls("y ~ x", data, residual="us(t | id)")
    assert lt.semivariogram(free, "pearson", n=0).curve.empty
    assert "fitted" not in lt.autocorrelation(free, "pearson", n=0)
    mixed = lt.fit_lmm("y ~ x + (1 | id)", data)
    assert lt.semivariogram(mixed, "pearson", time=data["t"], n=0).curve.empty
    by = lt.fit_gls("y ~ x", data.assign(h=np.where(data["id"] < 15, "a", "b")), residual="ar1(t | id, by=h)")
    curve = lt.semivariogram(by, "pearson", n=0).curve
    assert set(curve["level"]) == {"a", "b"}
    last = curve[curve["level"] == "b"]
    assert 1 - last["semivariance"].to_numpy() == pytest.approx(by.phi[1] ** last["distance"].to_numpy())


# --- what the model leaves ----------------------------------------------------------------------------------


MODELS = {
    "correlated": ("y ~ x", "ar1(t | id) * varident(t)"),
    "random": ("y ~ x + (t | id)", None),
    "both": ("y ~ x + (1 | id)", "ar1(t | id)"),
    "crossed": ("y ~ x + (1 | id) + (1 | t)", "varpower(t)"),
    "across levels": ("y ~ x + (1 | t)", "ar1(t | id)"),
    "no fixed effects": ("y ~ 0 + (1 | id)", None),
}


def fitted(name, reml=True):
    formula, residual = MODELS[name]
    data = longitudinal().assign(t=lambda d: d["t"] + 1)
    return lt.fit_model(formula, data, residual=residual, reml=reml)


@pytest.mark.parametrize("reml", [True, False])
@pytest.mark.parametrize("name", MODELS)
def test_of_the_response_itself_it_is_the_fit(name, reml):
    fit = fitted(name, reml)
    left = Reestimated(fit, "x")
    own = left.normalized(fit.noise.whiten(fit.design.y)[:, None])
    assert own[:, 0] == pytest.approx(fit.residuals("normalized").to_numpy(), abs=2e-7)  # θ̂ to the optimiser's end
    assert left.of_kind(own, "pearson")[:, 0] == pytest.approx(fit.residuals("pearson").to_numpy(), abs=2e-7)


@pytest.mark.parametrize("name", ["both", "across levels"])
def test_draws_have_the_covariance_that_the_model_leaves(name):
    fit = fitted(name)
    left = Reestimated(fit, "x")
    U, Q = left.U.toarray(), left.Q
    A = np.eye(fit.nobs) + U @ U.T
    inverse = np.linalg.inv(A)
    P = inverse - inverse @ Q @ np.linalg.solve(Q.T @ inverse @ Q, Q.T @ inverse)
    expected = P @ A @ P
    m = 3000
    draws = np.hstack(list(left.draws(m, np.random.default_rng(1), "normalized")))
    d = np.diag(expected)
    error = np.sqrt((np.outer(d, d) + expected**2) / m)
    found = draws @ draws.T / m
    z = (found - expected * np.trace(found) / np.trace(expected)) / error  # σ* of each draw is not σ
    assert np.abs(z).max() < 5.5
    assert np.sqrt(np.mean(z**2)) == pytest.approx(1.0, abs=0.1)


def test_an_envelope_holds_what_it_says():
    assert ranks_of(199, 0.95, "x") == (5, pytest.approx(0.95))
    assert ranks_of(39, 0.95, "x") == (1, pytest.approx(0.95))
    assert ranks_of(100, 0.9, "x") == (5, pytest.approx(1 - 10 / 101))
    with pytest.raises(lt.LMMError, match="at least 39"):
        ranks_of(38, 0.95, "x")


@pytest.mark.slow
def test_envelopes_cover():
    # 400 responses of one model, each with the envelope of the true parameters: 95 % at each of five lags
    data = longitudinal(groups=12)
    fit = lt.fit_gls("y ~ x", data, residual="ar1(t | id)")
    rng = np.random.default_rng(5)
    left = Reestimated(fit, "x")
    places = Places(
        *(getattr(fit.design.residual.correlation, n) for n in ("codes", "levels", "group", "positions")), ("t",)
    )
    pairs = pairs_of(places, 10**6, rng, "x")
    codes = bins_of(pairs.distance, 20)

    def semivariances(m):
        r = np.hstack(list(left.draws(m, rng, "normalized")))
        half = 0.5 * (r[pairs.i] - r[pairs.j]) ** 2
        return np.array([half[codes == b].mean(axis=0) for b in range(5)]).T

    inside = []
    for seen in semivariances(400):
        drawn = np.sort(semivariances(39), axis=0)
        inside.append((seen > drawn[0]) & (seen < drawn[-1]))
    assert np.mean(inside) == pytest.approx(0.95, abs=4 * np.sqrt(0.95 * 0.05 / 400))


def test_random_effects_leave_negative_correlations_that_the_envelope_expects():
    fit = lt.fit_lmm("distance ~ Sex * age + (age | Subject)", orthodont())
    found = lt.autocorrelation(fit, time="age")
    assert (found["expected"] < 0).all()
    assert found["autocorrelation"].iloc[0] < -found["limit"].iloc[0]  # beyond the limits of independence
    assert found["autocorrelation"].between(found["low"], found["high"]).all()


def test_a_wrong_structure_leaves_the_envelope():
    rng = np.random.default_rng(4)
    t = np.tile(np.arange(10), 60)
    e = rng.normal(size=(60, 10))
    for k in range(1, 10):
        e[:, k] = 0.8 * e[:, k - 1] + 0.6 * e[:, k]
    data = pd.DataFrame({"id": np.repeat(np.arange(60), 10), "t": t, "y": e.reshape(-1)})
    wrong = lt.semivariogram(lt.fit_gls("y ~ t", data, residual="cs(id)"), time=data["t"])
    right = lt.semivariogram(lt.fit_gls("y ~ t", data, residual="ar1(t | id)"))
    outside = [(~f["semivariance"].between(f["low"], f["high"])).sum() for f in (wrong, right)]
    assert outside[0] >= 5
    assert outside[1] <= 2


def test_the_same_seed_gives_the_same_envelope(ar1):
    one, other, third = (lt.semivariogram(ar1, n=39, rng=seed) for seed in (3, np.random.default_rng(3), 4))
    assert one["low"].tolist() == other["low"].tolist() != third["low"].tolist()


# --- covariances by occasion ----------------------------------------------------------------------------------


@pytest.mark.parametrize("reml", [True, False])
def test_a_free_covariance_of_complete_data_matches_exactly(reml):
    fit = lt.fit_gls("distance ~ Sex * C(age)", orthodont(), reml=reml, residual="us(age | Subject) * varident(age)")
    found = lt.covariance_match(fit)
    assert found["z"].abs().max() < 1e-5  # zero but for where the optimiser stops


@pytest.mark.parametrize("name", ["correlated", "random", "both", "crossed", "across levels"])
@pytest.mark.parametrize("reml", [True, False])
def test_covariances_are_those_of_the_definition(name, reml):
    fit = fitted(name, reml)
    data = longitudinal().assign(t=lambda d: d["t"] + 1)
    found = lt.covariance_match(fit, time=data["t"], group=data["id"])
    Z = fit.design.Z.toarray()
    T = np.zeros((Z.shape[1],) * 2)
    place = 0
    for term, L in zip(fit.design.terms, fit.Lambda, strict=True):
        for _ in term.levels:
            T[place : place + len(L), place : place + len(L)] = L @ L.T
            place += len(L)
    V = fit.sigma**2 * (Z @ T @ Z.T + fit.noise.matrix(np.arange(fit.nobs)))
    r = fit.residuals("marginal").to_numpy()
    E = np.outer(r, r) + (fit.design.X @ fit.vcov.to_numpy() @ fit.design.X.T if reml else 0.0)
    ids, t = data["id"].to_numpy(), data["t"].to_numpy()
    for row in found.itertuples():
        pairs = [
            (i, j)
            for i in np.flatnonzero(t == int(row.first))
            for j in np.flatnonzero(t == int(row.second))
            if ids[i] == ids[j]
        ]
        assert len(pairs) == row.groups
        assert row.empirical == pytest.approx(np.mean([E[p] for p in pairs]), rel=1e-10)
        assert row.fitted == pytest.approx(np.mean([V[p] for p in pairs]), rel=1e-10, abs=1e-12)
        error = np.sqrt(sum(V[i, i] * V[j, j] + V[i, j] ** 2 for i, j in pairs)) / len(pairs)
        assert row.std_error == pytest.approx(error, rel=1e-10)
    assert any("not independent" in note for note in found.notes) == (name in ("crossed", "across levels"))


def test_known_covariances_are_followed():
    data = longitudinal(groups=8, keep=1.0)
    A = np.full((8, 8), 0.4) + 0.6 * np.eye(8)
    fit = lt.fit_lmm("y ~ x + (1 | id)", data, known={"id": (list(range(8)), 2.0 * A)})
    found = lt.covariance_match(fit, time=data["t"])
    s2, b2 = fit.sigma**2, float(fit.varcorr["vcov"].iloc[0])
    assert found.matrix("fitted").loc["0", "0"] == pytest.approx(s2 + 2 * b2)
    assert found.matrix("fitted").loc["0", "3"] == pytest.approx(2 * b2)


def test_pairs_never_seen_together_are_said():
    data = longitudinal(keep=1.0)
    data = data[~((data["id"] % 2 == 0) & (data["t"] == 0)) & ~((data["id"] % 2 == 1) & (data["t"] == 5))]
    fit = lt.fit_gls("y ~ x", data, residual="ar1(t | id)")
    seen, found = lt.occasions(fit), lt.covariance_match(fit)
    assert seen.common
    assert seen.loc["0", "5"] == 0
    assert seen.notes == ("Never seen together: `0 and 5`.",)
    assert np.isnan(found.matrix("empirical").loc["0", "5"])
    assert found.matrix("groups").loc["1", "2"] == 30
    assert "1 pair of occasions were never seen together." in found.notes


# --- where rows stand -----------------------------------------------------------------------------------------


def test_occasions_of_factors_have_their_names():
    data = longitudinal()
    data["visit"] = pd.Categorical.from_codes(data["t"], ["base", "w1", "w2", "w4", "w8", "end"])
    fit = lt.fit_gls("y ~ x", data, residual="us(visit | id)")
    assert list(lt.occasions(fit).columns) == ["base", "w1", "w2", "w4", "w8", "end"]
    numbers = lt.fit_gls("distance ~ age", orthodont(), residual="us(age | Subject)")
    assert lt.semivariogram(numbers, n=0)["distance"].tolist() == [2, 4, 6]


def test_times_not_shared_are_summed_up(car1):
    seen = lt.occasions(car1)
    assert not seen.common
    assert "different values" in repr(seen)
    assert "Time has" in seen.notes[0]
    assert "different values, and 40 are the most shown" in seen.notes[0]
    with pytest.raises(lt.ModelError, match="look at semivariogram"):
        lt.covariance_match(car1)


def test_replicates_are_no_occasions():
    fit = lt.fit_lmm("score ~ Machine + (1 | Worker)", lt.load_dataset("Machines"))
    with pytest.raises(lt.ModelError, match="several rows at one occasion"):
        lt.covariance_match(fit, time=lt.load_dataset("Machines")["Machine"])
    with pytest.raises(lt.ModelError, match="several rows have the same time"):
        lt.autocorrelation(fit, time=lt.load_dataset("Machines")["Machine"])
    assert lt.semivariogram(fit, time=lt.load_dataset("Machines")["Machine"], n=0)["distance"].iloc[0] == 0.0


def test_what_is_missing_is_asked_for(ar1, car1):
    data = longitudinal()
    cs = lt.fit_gls("y ~ x", data, residual="cs(id)")
    ols = lt.fit_gls("y ~ x", data)
    plane = lt.fit_gls("y ~ x", data, residual="exp(t + x)")
    wrong = [
        (lambda: lt.semivariogram(cs), "has no time or place; pass time="),
        (lambda: lt.semivariogram(ols, time=data["t"]), "pass group="),
        (lambda: lt.semivariogram(ar1, group="idd"), "did you mean `id`"),
        (lambda: lt.semivariogram(ar1, time="z"), r"pass its values, time=data\['z'\]"),
        (lambda: lt.semivariogram(ar1, time=np.arange(3)), r"one value for each of the \d+ rows"),
        (lambda: lt.semivariogram(ar1, time=data["t"].where(data["t"] > 0)), "time is missing in"),
        (lambda: lt.semivariogram(ar1, time=data["t"].iloc[:5]), "other labels"),
        (lambda: lt.semivariogram(ar1, "response"), "kind='response' is unknown"),
        (lambda: lt.semivariogram(ar1, n=10), "at least 39"),
        (lambda: lt.semivariogram(ar1, rng=None), "rng=1"),
        (lambda: lt.semivariogram(ar1, max_distance=-1), "positive number"),
        (lambda: lt.semivariogram(ar1, max_distance=0.5), "the nearest are 1 apart"),
        (lambda: lt.autocorrelation(ar1, max_lag=0.5), "the shortest is 1"),
        (lambda: lt.autocorrelation(ar1, level=2), "level must lie"),
        (lambda: lt.autocorrelation(plane), "2 coordinates"),
        (lambda: lt.covariance_match(plane), "2 coordinates"),
        (lambda: lt.autocorrelation(car1), "different lags"),
        (lambda: lt.covariance_match(ar1, time="t", group=data["t"].rename("t2") % 2), "several rows at one occasion"),
        (lambda: lt.covariance_match(ar1).matrix("fit"), "matrix: 'fit' is unknown"),
        (lambda: lt.semivariogram("a"), "takes a fit; got str"),
    ]
    for ask, said in wrong:
        with pytest.raises(lt.LMMError, match=said):
            ask()


def test_residuals_correlated_across_groups_are_refused():
    data = longitudinal(keep=1.0)
    fit = lt.fit_gls("y ~ x", data, residual="ar1(t | id)")
    with pytest.raises(lt.ModelError, match="correlated across levels of row"):
        lt.covariance_match(
            fit, time=np.zeros(len(data)), group=pd.Series(np.arange(len(data)), data.index, name="row")
        )


def test_rows_left_out_are_left_out_of_times_too():
    data = longitudinal()
    data.loc[data.index[:4], "y"] = np.nan
    fit = lt.fit_gls("y ~ x", data, residual="cs(id)")
    assert lt.semivariogram(fit, time=data["t"], n=0)["pairs"].sum() == lt.occasions(
        fit, time=data["t"]
    ).to_numpy()[np.triu_indices(6, 1)].sum()  # fmt: skip


def test_near_pairs_of_very_many_rows_are_all_there():
    rng = np.random.default_rng(3)
    codes = rng.permutation(np.repeat(np.arange(20), 60))
    t = np.empty(1200)
    for g in range(20):
        t[codes == g] = rng.choice(100, size=60, replace=False)
    places = Places(codes, pd.RangeIndex(20), "g", t[:, None], ("t",))
    everything = pairs_of(places, 10**6, rng, "x", 5.0)
    near = pairs_of(places, 20_000, rng, "x", 5.0)  # of 35 400 pairs in all
    assert everything.total == 35_400
    assert {frozenset(p) for p in zip(near.i, near.j, strict=True)} == {
        frozenset(p) for p in zip(everything.i, everything.j, strict=True)
    }
    assert np.all(near.distance == np.abs(t[near.i] - t[near.j]))
    some = pairs_of(places, 1000, rng, "x", 5.0)
    assert (some.total, some.sampled) == (len(everything.i), True)
    assert len(some.i) == pytest.approx(1000, abs=5 * np.sqrt(1000))
    with pytest.raises(lt.ModelError, match="the nearest are 1 apart"):
        pairs_of(places, 1000, rng, "x", 0.5)


def test_an_autocorrelation_of_very_many_pairs_is_exact_at_its_lags():
    data = longitudinal(groups=40, times=12)
    fit = lt.fit_gls("y ~ x", data, residual="ar1(t | id)")
    exact = lt.autocorrelation(fit, max_lag=3, n=0)
    near = lt.autocorrelation(fit, max_lag=3, n=0, most_pairs=int(exact["pairs"].sum()) + 1)
    assert near["pairs"].tolist() == exact["pairs"].tolist()
    assert near["autocorrelation"].tolist() == pytest.approx(exact["autocorrelation"].tolist(), rel=1e-12)


def test_a_column_by_name_or_none():
    data = longitudinal()
    assert lt.column(data, "") is None
    pd.testing.assert_series_equal(lt.column(data, "t"), data["t"])
    with pytest.raises(lt.DataError, match="tt"):
        lt.column(data, "tt")
