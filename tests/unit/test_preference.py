"""The verdict in words: nothing but what the tables say, and all that they say against it."""

import dataclasses
import re

import numpy as np
import pandas as pd
import pytest

import lmmtools as lt
from lmmtools.bibliography import references
from lmmtools.models import Models
from lmmtools.prose.preference import headline


@pytest.fixture(scope="module")
def sleep():
    formulas = [
        "Reaction ~ Days + (1 | Subject)", "Reaction ~ Days + (Days || Subject)", "Reaction ~ Days + (Days | Subject)",
    ]  # fmt: skip
    return lt.fit_models(formulas, lt.load_dataset("sleepstudy"), names=["ri", "diag", "us"])


def growth(*formulas, **options):
    return lt.fit_models([f"distance ~ {one}" for one in formulas], lt.load_dataset("Orthodont"), **options)


def replaced(models, **fits):
    """Models with some fits exchanged, for what sound fits do not show."""
    return Models(dict(models.fits) | fits, models.formulas, models.failures, models.messages)


def test_the_preferred_model_its_margin_and_the_tests_next_to_it(sleep):
    text = str(lt.prose.verdict(sleep))
    assert text.startswith(r"**diag is preferred** among 3 models: Reaction \~ Days + (Days \|\| Subject). ")
    table = lt.compare(sleep)
    assert f"the lowest: {table['aic']['diag']:.2f}, with an Akaike weight of {table['weight']['diag']:.3f}" in text
    assert f"hardly distinguishable from *us* ({table['delta']['us']:.2f} behind)" in text
    assert "*us* contains it and fits hardly better with more parameters." in text
    steps = pd.DataFrame(lt.lattice(sleep)).set_index("smaller")
    assert f"LR = {steps['chisq']['ri']:.2f}, p &lt; 0.001 for the step from *ri* to it" in text
    by, p = steps["chisq"]["diag"], steps["p_value"]["diag"]
    assert f"χ²(1) = {by:.2f}, p = {p:.3f} for the step from it to *us*." in text
    assert "They agree with AIC: at a level of 0.05 the step to it is significant and none beyond it is." in text
    assert "@self1987; @stram1994" in text
    assert "The models are compared by maximum likelihood. The numbers of *diag*" in text  # one mean: no more is said


def test_a_clear_winner_has_its_distance_to_the_next():
    models = growth("age + (1 | Subject)", "1 + (1 | Subject)")
    text = str(lt.prose.verdict(models))
    behind = lt.compare(models)["delta"]["M2"]
    assert f"No other comes within 2 of it: the next, *M2*, is {behind:.2f} behind." in text
    assert "hardly" not in text
    assert "No interval here allows for the model's having been chosen by the same data" in text
    assert "stram1994" not in text  # no variance under test
    assert "restricted likelihoods of models with different fixed effects are not comparable" in text


def test_simpler_rivals_are_named_as_such():
    models = growth("age + (1 | Subject)", "age + (age || Subject)", names=["simple", "rich"])
    text = str(lt.prose.verdict(models, alpha=0.02))
    assert models.preferred == "rich"
    assert "*simple* is a special case of it: who wants a simpler model loses little with it." in text
    assert "The likelihood-ratio test next to it (@fig-lattice) gives LR = " in text
    assert "for the step from *simple* to it." in text
    assert "It does not agree with AIC: at a level of 0.02 the step from *simple* is not significant." in text
    assert "p that of a mixture of χ² distributions, which holds for many groups" in text
    assert "at a level of 0.05 the step to it is significant." in str(lt.prose.verdict(models))
    assert "AIC leans towards those with fewer [@greven2010]" in text
    same = str(lt.prose.verdict(growth("age + (1 | Subject)", "1 + (1 | Subject)")))
    assert "greven2010" not in same  # they differ in their means alone


def test_a_significant_step_beyond_the_preferred_one_is_told(sleep):
    text = str(lt.prose.verdict(sleep, alpha=0.9))
    assert "at a level of 0.9 the step to *us* is significant." in text


def test_bic_is_quoted_where_it_disagrees():
    models = growth("age + (1 | Subject)", "age * Sex + (1 | Subject)", "age + Sex + (1 | Subject)")
    table = lt.compare(models)
    text = str(lt.prose.verdict(models))
    if table["bic"].idxmin() == models.preferred:
        assert "BIC [@schwarz1978] and AICc [@hurvich1989] prefer the same model." in text
    else:
        assert f"BIC [@schwarz1978] prefers *{table['bic'].idxmin()}*" in text
    larger = replaced(models, M2=dataclasses.replace(models["M2"], criterion=models["M3"].criterion - 2.5))
    assert larger.preferred == "M2"
    said = str(lt.prose.verdict(larger))
    assert "BIC [@schwarz1978] prefers *M3* and AICc [@hurvich1989] prefers the same model" in said
    assert "BIC asks more of each further parameter" in said


def test_a_singular_choice_is_not_recommended_silently():
    data = lt.load_dataset("Dyestuff2").assign(half=lambda d: np.arange(len(d)) % 2.0)
    one = lt.fit_models(["Yield ~ 1 + (1 | Batch)"], data)
    text = str(lt.prose.verdict(one))
    assert "**M1 is the only model that could be fitted**" in text
    assert "> **The preferred model is singular:** the variance of Intercept by Batch is estimated as zero." in text
    two = lt.fit_models(["Yield ~ 1 + (1 | Batch)", "Yield ~ 1 + (half | Batch)"], data)
    assert "**Singular fit:** *M2*" in str(lt.prose.verdict(two))


def test_a_step_from_a_singular_model_has_no_p_value_and_settles_nothing():
    data = lt.load_dataset("Dyestuff2").assign(half=lambda d: np.arange(len(d)) % 2.0)
    text = str(lt.prose.verdict(lt.fit_models(["Yield ~ 1 + (1 | Batch)", "Yield ~ 1 + (half | Batch)"], data)))
    assert "without a p-value, for the step from it to *M2*." in text
    assert "`bootstrap_lrt` simulates one." in text
    assert "agree" not in text


def test_the_best_that_is_not_singular_is_named(sleep):
    cornered = dataclasses.replace(sleep["diag"], Lambda=tuple(0.0 * L for L in sleep["diag"].Lambda))
    text = str(lt.prose.verdict(replaced(sleep, diag=cornered)))
    behind = lt.compare(sleep)["delta"]["us"]
    assert f"The best that is not singular is *us*, {behind:.2f} behind in AIC." in text


def test_what_is_not_certified_is_not_recommended(sleep):
    bad = dataclasses.replace(sleep["diag"].certificate, status="not an optimum", sentence="This is not an optimum.")
    doubtful = replaced(sleep, diag=dataclasses.replace(sleep["diag"], certificate=bad))
    text = str(lt.prose.verdict(doubtful))
    assert text.startswith("**us is preferred** among 3 models")
    assert "is the lowest of the 2 whose optimum is certified" in text
    assert "> **Not recommended, whatever its AIC: diag:** This is not an optimum." in text
    assert "Akaike weight" not in text  # which the other one has
    assert "No likelihood-ratio test applies to it: no other certified model is a special case of it" in text


def test_what_was_left_out_and_why(sleep):
    data = lt.load_dataset("sleepstudy").assign(z=lambda d: d["Days"].where(d["Days"] != 3).astype(float) ** 2)
    models = lt.fit_models(["Reaction ~ Days + (1 | Subject)", "Reaction ~ z + (1 | Subject)",
                            "log(Reaction) ~ Days + (1 | Subject)", "Reaction ~ I(2*Days) + (1 | Subject)"],
                           data)  # fmt: skip
    text = str(lt.prose.verdict(models))
    assert "> **M3 is left out:** its response is" in text
    assert "18 of 180 rows were left out for missing values" in text
    assert "*M1* and *M4* are the same model, written differently; Akaike weights count it once for each name." in text
    assert "2 pairs of models are compared by the criteria alone" in text  # the equal pair is none of them


def test_names_are_text_in_markdown():
    hostile = ["<script>", "$$ @fig-x [@key] *b* `c`"]
    models = growth("age + (1 | Subject)", "age * Sex + (1 | Subject)", names=hostile)
    text = str(lt.prose.verdict(models))
    assert "<script>" not in text
    assert "$" not in text
    assert "@fig-x" not in re.sub(r"\\@", "", text)


def test_every_citation_is_in_the_bibliography(sleep):
    keys = set(re.findall(r"@([a-z]+\d{4})", str(lt.prose.verdict(sleep))))
    assert {"akaike1974", "schwarz1978", "stram1994"} <= keys <= set(references())


def test_reml_is_explained():
    models = growth("age + (1 | Subject)", "age + (age | Subject)", reml=True)
    assert "All models are fitted by REML" in str(lt.prose.verdict(models))
    differ = growth("age + (1 | Subject)", "age * Sex + (1 | Subject)", reml=True)
    with pytest.raises(lt.ModelError, match="refit both with reml=False"):
        lt.prose.verdict(differ)


def test_the_headline_is_one_plain_sentence(sleep):
    aic = lt.compare(sleep)["aic"]["diag"]
    assert headline(sleep) == f"diag is preferred among 3 models: AIC {aic:.2f}; hardly distinguishable from us."
    assert headline(growth("age + (1 | Subject)")) == "M1 is the only model that could be fitted."


def test_a_fit_is_no_comparison(sleep):
    with pytest.raises(lt.ModelError, match="takes what fit_models returns"):
        lt.prose.verdict(sleep["us"])
