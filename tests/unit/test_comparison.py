"""Likelihood-ratio tests check nesting; information criteria check comparability."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from scipy.stats import chi2

import lmmtools as lt


@pytest.fixture(scope="module")
def fits():
    data = lt.load_dataset("sleepstudy")
    formulas = {
        "null": "Reaction ~ 1 + (1 | Subject)",
        "ri": "Reaction ~ Days + (1 | Subject)",
        "slope": "Reaction ~ Days + (0 + Days | Subject)",
        "diag": "Reaction ~ Days + (Days || Subject)",
        "us": "Reaction ~ Days + (Days | Subject)",
        "poly": "Reaction ~ poly(Days, 2) + (Days | Subject)",
        "log": "Reaction ~ log(Days + 1) + (Days | Subject)",
    }
    return {name: lt.fit_lmm(f, data, reml=False) for name, f in formulas.items()}


def test_lrt_is_the_difference_of_the_criteria(fits):
    table = lt.lrt(fits["ri"], fits["null"])  # any order
    chisq = fits["null"].criterion - fits["ri"].criterion
    assert list(table.columns) == ["npar", "loglik", "deviance", "chisq", "df", "p_value", "reference"]
    assert table["chisq"].iloc[1] == pytest.approx(chisq)
    assert table["p_value"].iloc[1] == pytest.approx(chi2.sf(chisq, 1))
    assert table["reference"].tolist() == ["", "χ²(1)"]
    assert table.notes == ()


def test_a_variance_under_test_is_at_the_boundary_and_a_correlation_is_not(fits):
    table = lt.lrt(fits["ri"], fits["diag"], fits["us"])
    assert "conservative" in table["reference"].iloc[1]
    assert table["reference"].iloc[2] == "χ²(1)"
    assert "boundary" in table.notes[0]


def test_slope_only_is_nested_in_uncorrelated(fits):
    assert "conservative" in lt.lrt(fits["slope"], fits["diag"])["reference"].iloc[1]


def test_what_is_not_nested_is_refused(fits):
    with pytest.raises(lt.ModelError, match="same number of parameters"):
        lt.lrt(fits["slope"], fits["ri"])
    with pytest.raises(lt.ModelError, match=r"the fixed effect `log\(Days \+ 1\)`, which the larger has not"):
        lt.lrt(fits["log"], fits["poly"])
    other = lt.fit_lmm("Reaction ~ Days + (1 | half)", _with_half(), reml=False)
    with pytest.raises(lt.ModelError, match=r"the random term `\(1 \| half\)`, which the larger cannot express"):
        lt.lrt(other, fits["us"])


def _with_half():
    data = lt.load_dataset("sleepstudy")
    return data.assign(half=data["Subject"].astype(str).str[-1])


def test_what_is_not_comparable_is_refused(fits):
    data = lt.load_dataset("sleepstudy")
    reml = lt.fit_lmm("Reaction ~ Days + (1 | Subject)", data)
    with pytest.raises(lt.ModelError, match="one fit is by REML and one by ML"):
        lt.lrt(reml, fits["us"])
    with pytest.raises(lt.ModelError, match="differ in fixed effects.*REML"):
        lt.lrt(lt.fit_lmm("Reaction ~ 1 + (1 | Subject)", data), reml)
    with pytest.raises(lt.ModelError, match="180 rows and `Reaction` on 179 rows"):
        lt.compare(fits["ri"], lt.fit_lmm("Reaction ~ Days + (1 | Subject)", data.iloc[1:], reml=False))
    with pytest.raises(lt.ModelError, match="differ in their response values"):
        lt.compare(fits["ri"], fits["ri"].refit(y=fits["ri"].design.y + np.arange(180)))
    with pytest.raises(lt.ModelError, match="differ in their weights"):
        w = np.full(180, 2.0)
        lt.compare(fits["ri"], lt.fit_lmm("Reaction ~ Days + (1 | Subject)", data, reml=False, weights=w))
    with pytest.raises(lt.ModelError, match="needs at least 2 fits"):
        lt.lrt(fits["ri"])
    with pytest.raises(lt.ModelError, match="takes fits made by fit_lmm; got str"):
        lt.compare("ri")


def test_compare_has_the_criteria_and_their_weights(fits):
    table = lt.compare(fits["ri"], fits["us"], fits["slope"])
    assert list(table.columns) == ["npar", "loglik", "aic", "aicc", "bic", "delta", "weight", "note"]
    shown = (fits["ri"], fits["us"], fits["slope"])
    np.testing.assert_allclose(table["aic"], [f.criterion + 2 * f.npar for f in shown])
    assert table["delta"].min() == 0.0
    assert table["weight"].sum() == pytest.approx(1.0)
    k, n = fits["us"].npar, 180
    assert table["aicc"].iloc[1] == pytest.approx(fits["us"].aic + 2 * k * (k + 1) / (n - k - 1))


def test_two_reml_fits_of_one_mean_may_be_compared():
    data = lt.load_dataset("sleepstudy")
    a = lt.fit_lmm("Reaction ~ Days + (1 | Subject)", data)
    b = lt.fit_lmm("Reaction ~ Days + (Days | Subject)", data)
    assert lt.lrt(a, b)["chisq"].iloc[1] == pytest.approx(42.8372, abs=1e-3)


def test_singular_fits_are_noted():
    fit = lt.fit_lmm("Yield ~ 1 + (1 | Batch)", lt.load_dataset("Dyestuff2"))
    assert "singular" in lt.compare(fit)["note"].iloc[0]
    good = lt.fit_lmm("Yield ~ 1 + (1 | Batch)", lt.load_dataset("Dyestuff"))
    assert lt.compare(good)["note"].tolist() == ["certified"]


def test_fits_are_frozen(fits):
    with pytest.raises(dataclasses.FrozenInstanceError):
        fits["ri"].sigma = 1.0
    with pytest.raises(ValueError, match="read-only"):
        fits["ri"].theta[0] = 2.0
