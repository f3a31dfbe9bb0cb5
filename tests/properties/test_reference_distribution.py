"""The distribution a test is held against follows from where the smaller model lies, whatever the coding."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import chi2

import lmmtools as lt
from tests.properties.test_nesting import STEPS, fitted, frame, seeds

# The same covariances in other words: a mixture must not depend on them.
CODINGS = (
    ("(x + z | g)", "(I(x - 3) + I(2*z) | g)"), ("(f | g)", "(0 + f | g)"),
    ("(x + z | g)", "(I(x + z) + I(x - z) | g)"), ("(x || g) + (1 | h)", "diag(1 + x | g) + (1 | h)"),
)  # fmt: skip


@settings(max_examples=40)
@given(seeds, st.sampled_from(STEPS), st.booleans())
def test_inside_is_chi_squared_and_at_the_boundary_p_is_smaller(seed, step, reml):
    small, large, boundary = step
    models = fitted([f"y ~ x + {small}", f"y ~ x + {large}"], frame(seed), reml=reml)
    less, more = models.values()
    row = lt.lrt(less, more).iloc[1]
    plain = chi2.sf(row["chisq"], row["df"])
    if row["reference"].startswith("none: "):
        assert less.is_singular
        assert np.isnan(row["p_value"])
    elif boundary:
        assert "+" in row["reference"]
        assert 0.0 <= row["p_value"] <= plain + 1e-12
    else:
        assert row["reference"] == f"χ²({row['df']})"
        assert row["p_value"] == pytest.approx(plain)


@settings(max_examples=12)
@given(seeds, st.sampled_from(CODINGS))
def test_a_mixture_does_not_depend_on_how_effects_are_coded(seed, coding):
    models = fitted(["y ~ x + (1 | g)", *(f"y ~ x + {random}" for random in coding)], frame(seed))
    rows = [lt.lrt(models["M1"], models[name]).iloc[1] for name in ("M2", "M3")]
    if np.isnan(rows[0]["p_value"]):
        assert np.isnan(rows[1]["p_value"])
        return
    # the draws of another coding are others: 20,000 of them are good to half a hundredth
    assert rows[0]["p_value"] == pytest.approx(rows[1]["p_value"], abs=0.012)
