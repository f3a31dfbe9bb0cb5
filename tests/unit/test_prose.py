"""Sentences and mathematics: their own terms, the tables' numbers, and no markup from data."""

import re
import warnings

import numpy as np
import pandas as pd
import pypandoc
import pytest

import lmmtools as lt
from lmmtools.collapsed import zero_directions
from lmmtools.prose.marks import written_out
from lmmtools.prose.value import Prose, alert, literal

HOSTILE = ("*a*", "_b_", "`c`", "$d$", "$$", "[e](f)", "<script>", "# g", "{h}", "&amp;", "a|b", "~i~", "^j^", "@tbl-k",
           "l\nm", "1. n", "- o", "\\(p\\)", '"q"', "r--s...", "![t](u)")  # fmt: skip


def fit(dataset, formula, **kw):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", lt.LMMWarning)
        return lt.fit_lmm(formula, lt.load_dataset(dataset), **kw)


def mathematics(formula, dataset="Orthodont", **kw):
    return str(lt.prose.model(fit(dataset, formula, **kw)))


def plain(markdown):
    """What pandoc understands the Markdown to say."""
    return pypandoc.convert_text(str(markdown), "plain", format="markdown+alerts", extra_args=["--wrap=none"]).strip()


@pytest.mark.parametrize("text", HOSTILE)
def test_literal_text_is_read_as_itself(text):
    from lmmtools.formats import visible

    assert plain(f"The level {literal(text)} is one.") == f"The level {visible(text)} is one."
    assert plain(literal(text)) == visible(text)


def test_jupyter_finds_no_mathematics_in_literal_text():
    assert not re.search(r"\$|\\\\[([]|\\begin", "".join(map(literal, HOSTILE)))


def test_the_model_has_its_own_terms():
    text = mathematics("distance ~ age + (age | Subject)")
    assert (
        "\\text{distance}_{ij} &= \\beta_{0} + \\beta_{1}\\,\\text{age}_{ij} + b_{0i} + b_{1i}\\,\\text{age}_{ij}"
        in text
    )
    assert "\\begin{pmatrix} \\tau_{0}^2 & \\tau_{01} \\\\ \\tau_{01} & \\tau_{1}^2 \\end{pmatrix}" in text
    assert "\\varepsilon_{ij} &\\sim \\mathcal{N}\\left(0,\\ \\sigma^2\\right)" in text
    assert "$i$ counts the levels of Subject" in text


def test_indicators_and_interactions():
    text = mathematics("distance ~ age * Sex + (1 | Subject)")
    assert "\\beta_{2}\\,[\\text{Sex} = \\text{Female}]_{ij}" in text
    assert "\\beta_{3}\\,\\text{age}_{ij}\\,[\\text{Sex} = \\text{Female}]_{ij}" in text
    assert "A bracket is 1" in text


@pytest.mark.parametrize(
    ("formula", "dataset", "piece"),
    [
        ("Reaction ~ I(Days^2) + (1 | Subject)", "sleepstudy", "\\text{Days}_{ij}^{2}"),
        ("log(Reaction) ~ Days + (1 | Subject)", "sleepstudy", "\\text{log(Reaction)}_{ij} &="),
        ("yield ~ poly(nitro, 2) + (1 | Block)", "Oats", "\\text{poly(nitro, 2)[1]}_{ij}"),
        ("Reaction ~ 0 + Days + (1 | Subject)", "sleepstudy", "&= \\beta_{1}\\,\\text{Days}_{ij} + b_{0i}"),
        ("score ~ Machine + (0 + Machine | Worker)", "Machines", "b_{1i}\\,[\\text{Machine} = \\text{A}]_{ij}"),
        ("angle ~ temperature * recipe + (1 | recipe:replicate)", "cake", "\\mathbf{x}_{ij}^\\top\\boldsymbol{\\beta}"),
    ],
)
def test_terms(formula, dataset, piece):
    assert piece in mathematics(formula, dataset)


def test_uncorrelated_terms_are_counted_on_and_stand_alone():
    text = mathematics("Reaction ~ Days + (Days || Subject)", "sleepstudy")
    assert "b_{0i} &\\sim \\mathcal{N}\\left(0,\\ \\tau_{0}^2\\right)" in text
    assert "b_{1i} &\\sim \\mathcal{N}\\left(0,\\ \\tau_{1}^2\\right)" in text


def test_a_diagonal_matrix_is_written_as_one():
    text = mathematics("score ~ 1 + diag(Machine | Worker)", "Machines")
    assert "\\tau_{0}^2 & 0 & 0" in text


def test_weights_and_offset_are_in_the_model():
    data = lt.load_dataset("sleepstudy").assign(w=np.linspace(1, 4, 180))
    text = str(lt.prose.model(lt.fit_lmm("Reaction ~ Days + offset(Days) + (1 | Subject)", data, weights="w")))
    assert "o_{ij} + \\beta_{0}" in text
    assert "\\sigma^2 / w_{ij}" in text
    assert "from 1 to 4" in text


def test_names_that_mathematics_cannot_hold_get_symbols():
    data = lt.load_dataset("sleepstudy").rename(columns={"Days": "$x\\y{", "Reaction": "rea_ct"})
    text = str(lt.prose.model(lt.fit_lmm("rea_ct ~ `$x\\y{` + (1 | Subject)", data)))
    display = text.split("$$")[1]
    assert "\\text{rea\\_ct}_{ij}" in display
    assert "\\beta_{1}\\,v_{1,ij}" in display
    assert "v_{1,ij}$ is &#36;x&#92;y&#123;." in text


@pytest.mark.parametrize(
    "formula",
    ["distance ~ age * Sex + (age | Subject)", "distance ~ age + (1 | Subject)", "distance ~ age + (age || Subject)"],
)
def test_pandoc_reads_all_of_the_mathematics(formula):
    import typst

    text = mathematics(formula)
    html = pypandoc.convert_text(text, "html", format="markdown", extra_args=["--mathml"])
    outside = re.sub(r"<annotation.*?</annotation>", "", html, flags=re.DOTALL)
    assert "<math" in outside
    assert "\\" not in outside  # what pandoc cannot read it leaves as TeX
    typ = pypandoc.convert_text(text, "typst", format="markdown", extra_args=["--standalone"])
    assert typst.compile({"main": typ.encode()}, ignore_system_fonts=True).startswith(b"%PDF")


def test_data_in_numbers():
    assert str(lt.prose.data(fit("Orthodont", "distance ~ age + (1 | Subject)"))) == (
        "The fit uses 108 rows. The response is distance, in mm, from 16.5 to 31.5. "
        "Subject has 27 levels of 4 rows each."
    )


def test_one_row_left_out_is_singular():
    data = lt.load_dataset("sleepstudy")
    data.loc[3, "Reaction"] = np.nan
    said = str(lt.prose.data(lt.fit_lmm("Reaction ~ Days + (1 | Subject)", data)))
    assert "179 rows; 1 row with missing values was left out." in said
    assert "18 levels of 9 to 10 rows, 10 in the median" in said


def test_icc_or_why_there_is_none():
    assert str(lt.prose.icc(fit("Dyestuff", "Yield ~ 1 + (1 | Batch)"))) == (
        "Intraclass correlation of Batch: 41.8 % of the variance."  # the mean alone leaves all of it
    )
    assert str(lt.prose.icc(fit("Orthodont", "distance ~ age + (1 | Subject)"))).endswith(
        "68.6 % of the variance that the fixed effects leave, 51.3 % of all variance, that of the fixed part included."
    )
    assert ": averaged over the rows, 73.7 % of" in str(
        lt.prose.icc(fit("Orthodont", "distance ~ age + (age | Subject)"))
    )
    data = lt.load_dataset("sleepstudy").assign(w=np.linspace(1, 4, 180))
    weighted = str(lt.prose.icc(lt.fit_lmm("Reaction ~ Days + (1 | Subject)", data, weights="w")))
    assert weighted.startswith("> [!NOTE]\n> With weights the residual variance")


def test_shares_of_several_factors_and_what_rows_of_the_inner_one_have_in_common():
    assert str(lt.prose.icc(fit("Pastes", "strength ~ 1 + (1 | batch/cask)"))) == (
        "Of the variance, 15.4 % lies between batches and 78.3 % between casks within batches. Rows of the same cask "
        "of a batch have the batch in common too: their intraclass correlation is the sum, 93.7 %."
    )
    assert str(lt.prose.icc(fit("Penicillin", "diameter ~ 1 + (1 | plate) + (1 | sample)"))) == (
        "Of the variance, 15.1 % lies between plates and 78.5 % between samples."
    )


def test_a_good_certificate_is_a_paragraph_and_others_are_boxes():
    assert str(lt.prose.certificate(fit("Dyestuff", "Yield ~ 1 + (1 | Batch)"))).startswith("**Certified.**")
    boundary = str(lt.prose.certificate(fit("Dyestuff2", "Yield ~ 1 + (1 | Batch)")))
    assert boundary.startswith("**Certified at the boundary.**")  # its box is among the caveats
    flat = fit("Machines", "score ~ Machine + (1 | Worker) + (0 + Machine | Worker)")
    assert str(lt.prose.certificate(flat)).startswith("> [!WARNING]\n> **Flat direction.**")


def test_caveats():
    singular = str(lt.prose.caveats(fit("Dyestuff2", "Yield ~ 1 + (1 | Batch)")))
    zero = "**Singular fit:** `Intercept` by Batch has variance zero: it is the same in every level of `Batch`"
    assert zero in singular
    assert "**Few groups:** With 6 batches the variance between them is poorly known." in singular
    assert "[@self1987; @stram1994]" in singular


def test_a_perfect_correlation_is_named():
    said = str(lt.prose.caveats(fit("MathAchieve", "MathAch ~ SES * MEANSES + SES * Sector + (SES | School)")))
    assert "**Singular fit:** `SES` by School is " in said
    assert "× `Intercept` in every level (correlation +1)" in said
    assert "and all their lines meet at `SES` = −" in said
    assert "not evidence that they are one. Tests of the other terms take the correlation as known" in said
    assert "take the zero" not in said


def test_several_combinations_without_variance_are_listed():
    made = fit("Oats", "yield ~ nitro * Variety + (nitro | Block/Variety)")
    zeros = [zero.sentence for zero in zero_directions(made.design, made.Lambda, made.sigma)]
    said = str(lt.prose.caveats(made))
    assert len(zeros) > 1
    assert said.count("\n> - ") == len(zeros)


def test_what_simpler_models_change_is_told_of_singular_fits_alone():
    assert lt.prose.singular(fit("Dyestuff", "Yield ~ 1 + (1 | Batch)")) is None
    made = fit("Dyestuff2", "Yield ~ 1 + (1 | Batch)")
    said = str(lt.prose.singular(made, lt.explain_singular(made)))
    assert said.startswith("### What would simpler random effects change?\n\nWhat does not vary here is left out in")
    assert said.endswith(
        "By AIC, it is no worse than this fit. With it, neither a fixed effect nor a standard error changes."
    )
    assert "it is singular (see @tbl-singular)" in str(lt.prose.summary(made))


def test_what_simpler_models_change_is_what_their_table_shows():
    made = fit("MathAchieve", "MathAch ~ SES * MEANSES + SES * Sector + (SES | School)")
    table = lt.explain_singular(made)
    said = str(lt.prose.singular(made, table))
    good = table[table["model"] != "(1 + SES | School)"]  # whose criterion is 218 higher with three parameters less
    assert "By AIC, 2 of them are no worse than this fit: without correlations in (1 + SES \\| School); " in said
    assert f"change of a fixed effect is {good['shift'].abs().max():.2g} standard errors (MEANSES without" in said
    assert f"to {good['se_ratio'].min():.3f} times what it is (MEANSES" in said


def test_groups_of_very_different_sizes_are_told_by_their_sizes():
    said = str(lt.prose.caveats(fit("MathAchieve", "MathAch ~ SES + (1 | School)")))
    assert "**Unequal groups:** schools have from 14 to 67 rows;" in said
    assert "Unequal" not in str(lt.prose.caveats(fit("Orthodont", "distance ~ age + (1 | Subject)")))


def test_rows_and_columns_left_out_are_told_once_with_their_numbers():
    data = lt.load_dataset("sleepstudy").assign(twice=lambda d: 2 * d["Days"])
    data.loc[3, "Reaction"] = np.nan
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", lt.LMMWarning)
        made = lt.fit_lmm("Reaction ~ Days + twice + (1 | Subject)", data)
    said = str(lt.prose.caveats(made))
    assert said.count("[!NOTE]") == 1
    assert "1 of 180 rows was left out for missing values, in `Reaction` (1)." in said
    assert "The fixed effect `twice` was dropped" in said


def test_caveats_leave_what_is_not_identified_to_the_certificate():
    flat = fit("Machines", "score ~ Machine + (1 | Worker) + (0 + Machine | Worker)")
    assert "split between" in str(lt.prose.certificate(flat))
    assert "split between" not in str(lt.prose.caveats(flat))


def test_one_box_for_few_groups():
    data = lt.load_dataset("Machines").query("Worker in ['1', '2', '3']").astype({"Worker": str})
    said = str(lt.prose.caveats(lt.fit_lmm("score ~ Machine + (1 | Worker)", data)))
    assert said.count("[!NOTE]") == said.count("3 levels") == 1
    assert "Intervals and p-values that take variances as known are too sure." in said


def test_no_caveats_say_what_was_looked_for():
    said = str(lt.prose.caveats(fit("Orthodont", "distance ~ age + (age | Subject)")))
    assert said == "The fit is not singular, it rests on 27 children, and it left no messages."


def check(verdicts):
    made = pd.DataFrame({"quantity": [f"q_{i}" for i in range(len(verdicts))], "verdict": verdicts})
    made.attrs["ok"] = "unexplained" not in verdicts

    class Check(pd.DataFrame):
        ok = made.attrs["ok"]
        engine = "other 1.0"

    return Check(made)


def test_crosscheck_counts_verdicts():
    said = str(lt.prose.crosscheck(check(["equal", "equal", "joint Hessian"])))
    assert said == (
        "3 quantities compared with other 1.0 (@tbl-crosscheck): equal (2) and joint Hessian (1). No difference is "
        "unexplained."
    )


def test_a_model_that_the_other_engine_does_not_have_is_not_said_to_agree():
    made = fit("Machines", "score ~ Machine + cs(0 + Machine | Worker)")
    check = lt.cross_check(made)
    said = str(lt.prose.crosscheck(check))
    assert said.startswith("No number could be compared with statsmodels")
    assert said.endswith("MixedLM (@tbl-crosscheck): MixedLM has no covariance structure cs.")
    assert "is compared" not in str(lt.prose.methods(made, check))


def test_an_unexplained_difference_cannot_be_overlooked():
    said = str(lt.prose.crosscheck(check(["equal", "unexplained"])))
    assert said.startswith("> [!CAUTION]\n> 2 quantities")
    assert "Unexplained: q\\_1." in said


def test_no_crosscheck_is_said_to_be_none():
    assert str(lt.prose.crosscheck(None)) == "No cross-check was asked for."


def test_a_real_crosscheck():
    said = str(lt.prose.crosscheck(lt.cross_check(fit("Dyestuff", "Yield ~ 1 + (1 | Batch)"))))
    assert said.endswith("No difference is unexplained.")


@pytest.mark.parametrize("name", ["model", "data", "summary", "icc", "certificate", "caveats", "methods"])
def test_hostile_names_are_never_markup(name):
    rng = np.random.default_rng(3)
    data = pd.DataFrame(
        {
            "<b>y</b>": rng.normal(size=30),
            "*x* [a](b)": np.tile(np.arange(6.0), 5),
            "$g$ # @h": np.repeat(list("abcde"), 6),
        }
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", lt.LMMWarning)
        made = lt.fit_lmm("`<b>y</b>` ~ `*x* [a](b)` + (1 | `$g$ # @h`)", data)
    text = written_out(str(getattr(lt.prose, name)(made)))
    html = pypandoc.convert_text(text, "html", format="markdown+alerts", extra_args=["--mathml"])
    assert not re.search(r"<(b|em|a|h\d)\b", html)
    assert "citation" not in html


def test_mime_bundle_has_the_marks_for_reports_and_words_for_readers():
    data, metadata = Prose("*a* [@laird1982; @bates2015] in @tbl-coef, @fig-my-own.")._repr_mimebundle_()
    plain = "*a* (Laird & Ware, 1982; Bates et al., 2015) in the table of fixed effects, the figure “my own”."
    assert data == {
        "text/markdown": plain,
        "text/vnd.lmmtools.markdown": "*a* [@laird1982; @bates2015] in @tbl-coef, @fig-my-own.",
        "text/plain": plain,
    }
    assert metadata["lmmtools"]["kind"] == "prose"


@pytest.mark.parametrize("text", ["[@bates2015]", "@tbl-coef", "[@no-such-key]", "a@fig-x", "@fig-qq [@a; @b]"])
def test_what_looks_like_a_mark_in_data_stays_text(text):
    markdown = literal(text)
    assert written_out(markdown) == markdown
    assert plain(markdown) == text


def test_a_citation_of_nothing_is_an_error():
    with pytest.raises(lt.LMMError, match="no reference `bates1815`"):
        written_out("[@bates1815]")


def test_small_parts():
    assert alert("NOTE", "a\n\nb") == "> [!NOTE]\n> a\n>\n> b"
