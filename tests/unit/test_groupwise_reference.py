"""Regressions within groups beside nlme's lmList, and coefficients by group beside lme4's coef."""

import gzip
import json
from functools import cache
from pathlib import Path

import numpy as np
import pytest

import lmmtools as lt

FILE = Path(__file__).parent.parent / "reference" / "group_regressions.json.gz"
LISTS = {"Orthodont": "distance ~ age | Subject", "MathAchieve": "MathAch ~ SES | School"}
MODELS = {
    "sleepstudy": "Reaction ~ Days + (Days | Subject)",
    "Penicillin": "diameter ~ 1 + (1 | plate) + (1 | sample)",
    "MathAchieve": "MathAch ~ SES + (SES | School)",
}


@cache
def reference():
    return json.loads(gzip.decompress(FILE.read_bytes()))


@pytest.mark.parametrize("name", LISTS)
def test_nlmes_lists(name):
    there = reference()["lists"][name]
    groups = lt.fit_groups(LISTS[name], lt.load_dataset(name))
    tables = {"estimate": groups.coef, "std_error": groups.std_error(), "own_error": groups.std_error(False)}
    for key, ours in tables.items():
        np.testing.assert_allclose(ours.loc[there["levels"]], there[key], rtol=1e-9)
    assert groups.pooled_sigma == pytest.approx(there["sigma"], rel=1e-10)
    assert groups.pooled_df == there["df"]
    np.testing.assert_allclose(groups.sigma.loc[there["levels"]], there["own_sigma"], rtol=1e-9)
    table = groups.intervals(level=0.9).pivot(index="level", columns="effect")
    for end in ("low", "high"):
        ours = table[end].loc[there["levels"], list(groups.effects)]
        np.testing.assert_allclose(ours, there[f"{end}90"], rtol=1e-8, atol=1e-9)


def test_intervals_of_their_own_variances():
    there = reference()["lists"]["Orthodont"]
    table = lt.fit_groups(LISTS["Orthodont"], lt.load_dataset("Orthodont")).intervals(0.9, pooled=False)
    ours = table.set_index("level").loc[there["levels"], ["low", "high"]].to_numpy().reshape(-1, 4)
    np.testing.assert_allclose(ours, reference()["own"], rtol=1e-8)


@pytest.mark.parametrize("name", MODELS)
def test_lme4s_coefficients_by_group(name):
    fit = lt.fit_lmm(MODELS[name], lt.load_dataset(name))
    for factor in fit.ngroups:
        there = reference()["coefs"][name]["coef"][factor]
        s = lt.shrinkage(fit, factor)
        # with a second factor the population has its modes too: lme4's is the fixed effects alone
        ours = (s.matrix("mode") + fit.fixef.to_numpy()).loc[there["levels"]]
        if len(fit.ngroups) == 1:
            np.testing.assert_allclose(ours, s.matrix("compromise").loc[there["levels"]], rtol=1e-9)
        assert np.abs(ours.to_numpy() - np.array(there["values"])).max() <= 1e-4 * fit.sigma  # the modes' bound
