"""The executive summary and the methods: whole sentences, right for every kind of column, in the tables' numbers."""

import html
import pickle
import re
import warnings
from itertools import product

import numpy as np
import pandas as pd
import pypandoc
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import lmmtools as lt
from lmmtools.formats import estimate_format, format_column, rounded
from lmmtools.prose.columns import meanings
from lmmtools.prose.marks import written_out
from lmmtools.prose.value import Prose
from lmmtools.prose.words import capital, step

# A number of a table or sentence: digits with thousands, decimals, and a power of ten.
NUMBER = re.compile(r"\d+(?:,\d{3})*(?:\.\d+)?(?:×10[⁻⁰¹²³⁴⁵⁶⁷⁸⁹]+)?")


def fit(data, formula, **kw):
    data = lt.load_dataset(data) if isinstance(data, str) else data
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", lt.LMMWarning)
        return lt.fit_lmm(formula, data, **kw)


def said(made, **kw):
    return written_out(str(lt.prose.summary(made, **kw)))


def findings(data, formula, **kw):
    """The findings of a summary, a sentence each."""
    made = fit(data, formula, **{key: kw.pop(key) for key in ("weights", "offset", "contrasts") if key in kw})
    return [line[2:] for line in said(made, **kw).splitlines() if line.startswith("- ")]


def in_tables(made, level=0.95):
    """Every number that the tables of a fit show, counts included."""
    cells = [cell for table in made.summary().tables() for row in table.cells for cell in row]
    cells += [cell for row in made.coef_table(level=level).table().cells for cell in row]
    if made.design.weights is None:
        shares = [cell for row in lt.icc(made).table().cells for cell in row]
        cells += [f"{100 * float(share):.1f}" for share in shares if NUMBER.fullmatch(share)]
    cells += [f"{made.nobs}", f"{made.nobs:,}", *(f"{n:,}" for n in made.ngroups.values()), f"{100 * level:g}", "0"]
    return {number for cell in cells for number in NUMBER.findall(str(cell))}


def stands_in(numbers, told):
    """Whether a number of a sentence is one of the tables', rounded to the digits it is told with."""
    decimals = len(told.partition(".")[2])
    places = [decimals] if decimals else range(0, -10, -1)
    return told in numbers or any(rounded(number, at) == told for number in numbers for at in places)


# --- whole summaries ----------------------------------------------------------------------------------


def test_orthodont_slope():
    assert said(fit("Orthodont", "distance ~ age + (age | Subject)")) == (
        "The model describes distance (distance from the pituitary to the pterygomaxillary fissure, read off X-ray "
        "films, in mm) by age, from 108 rows of 27 children.\n\n"
        "- Distance grows by 0.660 mm a year (95 % interval 0.514 to 0.807).\n"
        "- On average over the rows, 73.7 % of the variance that the fixed effects leave lies between children; the "
        "share changes with age.\n"
        "- The children’s own slopes of age scatter with a standard deviation of 0.226 mm a year.\n"
        "- Within one child, the rows scatter about its own fitted values with a standard deviation of 1.31 mm.\n\n"
        "The fit is certified as an optimum. The 95 % intervals are from t distributions whose degrees of freedom "
        "(Satterthwaite's) allow for estimated variances."
    )


def test_orthodont_intercept_and_another_level():
    assert findings("Orthodont", "distance ~ age + (1 | Subject)", level=0.8) == [
        "Distance grows by 0.660 mm a year (80 % interval 0.581 to 0.740).",
        "68.6 % of the variance that the fixed effects leave lies between children, which scatter with a standard "
        "deviation of 2.12 mm.",
        "Within one child, the rows scatter about its own fitted values with a standard deviation of 1.43 mm.",
    ]


def test_orthodont_slope_by_sex():
    assert findings("Orthodont", "distance ~ age * Sex + (age | Subject)")[:3] == [
        "Where Sex is Male, distance grows by 0.784 mm a year (95 % interval 0.607 to 0.962).",
        "Distance grows by 0.30 mm a year less for Sex Female than for Male (0.03 to 0.58).",
        r"Sex\[T.Female\] is left to the table of fixed effects: it holds where age is 0, outside the data.",
    ]


def test_sleepstudy():
    assert findings("sleepstudy", "Reaction ~ Days + (Days | Subject)")[:2] == [
        "Reaction grows by 10.5 ms a day (95 % interval 7.2 to 13.7).",
        "Where Days is 0, the mean of Reaction is 251.4 ms (237.0 to 265.8).",
    ]


def test_dyestuff2_is_singular():
    text = said(fit("Dyestuff2", "Yield ~ 1 + (1 | Batch)"))
    assert "by its mean, from 30 rows of 6 batches." in text
    assert "- The mean of Yield is 5.67 g (95 % interval 4.28 to 7.05).\n" in text
    assert "The variance between batches is estimated as zero: the batches differ no more than" in text
    assert "certified as an optimum at the boundary: it is singular (see the table of simpler random effects)." in text
    assert text.endswith("with a variance estimated as zero and 6 batches they may still be too short.")
    normal = said(fit("Dyestuff2", "Yield ~ 1 + (1 | Batch)"), ddf="normal")
    assert normal.endswith("which takes the variances as known; with 6 batches they are too short.")


def test_math_achieve():
    assert findings("MathAchieve", "MathAch ~ SES * Sector + Sex + (1 | School)") == [
        "Where Sector is Public, MathAch grows by 2.91 points per unit of SES (95 % interval 2.63 to 3.18).",
        "Where SES is 0, MathAch is 2.14 points higher for Sector Catholic than for Public (1.49 to 2.79).",
        "MathAch is 1.19 points lower for Sex Female than for Male (0.87 to 1.51).",
        "MathAch grows by 1.28 points per unit of SES less for Sector Catholic than for Public (0.87 to 1.70).",
        "Where SES is 0, Sector is Public and Sex is Male, the mean of MathAch is 12.42 points (11.95 to 12.88).",
        "8.5 % of the variance that the fixed effects leave lies between schools, which scatter with a standard "
        "deviation of 1.84 points.",
        "Within one school, the rows scatter about its own fitted values with a standard deviation of 6.05 points.",
    ]


# --- every kind of column -----------------------------------------------------------------------------


def test_cell_means_without_an_intercept():
    assert findings("Machines", "score ~ 0 + Machine + (1 | Worker)")[:2] == [
        "Where Machine is A, the mean of score is 52.4 points (95 % interval 46.9 to 57.9).",
        "Where Machine is B, the mean of score is 60.3 points (54.8 to 65.8).",
    ]


def test_two_factors():
    _, first, second, *_ = findings("MathAchieve", "MathAch ~ 0 + Minority + SES + (1 | School)")
    assert first == "Where Minority is No and SES is 0, the mean of MathAch is 13.47 points (13.11 to 13.83)."
    assert second == "Where Minority is Yes and SES is 0, the mean of MathAch is 10.53 points (10.08 to 10.98)."
    told = findings("MathAchieve", "MathAch ~ Minority * Sex + (1 | School)")
    assert told[1] == "Where Minority is No, MathAch is 1.48 points lower for Sex Female than for Male (1.11 to 1.85)."
    assert told[2] == (
        "No clear change, for Sex Female against Male, of the difference in MathAch for Minority Yes against No: "
        "0.39 points (−0.31 to 1.08)."
    )


def test_two_numbers():
    told = findings("MathAchieve", "MathAch ~ SES * MEANSES + (1 | School)")
    assert told[0].startswith("Where MEANSES is 0, MathAch grows by 2.20 points per unit of SES")
    assert told[2] == (
        "No clear difference, with MEANSES, in the change of MathAch per unit of SES: 0.22 points per unit of "
        "MEANSES (−0.29 to 0.72)."
    )
    told = findings("MathAchieve", "MathAch ~ SES * MEANSES + SES * Sector + (1 | School)")
    assert told[3].startswith("The change of MathAch per unit of SES grows by 0.8")


def test_a_slope_that_turns_is_not_told_as_less_growth():
    x, sign = np.tile(np.arange(6.0), 20), np.repeat([1.0, -1.0], 60)
    noise = np.random.default_rng(1).normal(scale=0.3, size=120) + np.repeat(
        np.random.default_rng(2).normal(size=20), 6
    )
    data = pd.DataFrame(
        {"y": sign * x + noise, "x": x, "f": np.repeat(["up", "down"], 60), "g": np.repeat(range(20), 6)}
    )
    data["f"] = pd.Categorical(data["f"], ["up", "down"])
    told = findings(data, "y ~ x * f + (1 | g)")
    assert re.match(r"Where f is up, y grows by [01]\.\d+ per unit of x", told[0])
    assert re.match(r"The change of y per unit of x is [12]\.\d+ lower for f down than for up", told[2])


def test_falling_is_told_by_its_size():
    data = lt.load_dataset("sleepstudy").assign(Reaction=lambda d: -d["Reaction"])
    assert "Reaction falls by 10.5 ms a day (95 % interval 7.2 to 13.7)." in findings(
        data, "Reaction ~ Days + (Days | Subject)"
    )


def test_an_interval_over_zero_is_no_change():
    data = lt.load_dataset("sleepstudy")
    data["x"] = np.random.default_rng(4).normal(size=len(data))
    data["f"] = np.random.default_rng(5).choice(["a", "b"], size=len(data))
    told = findings(data, "Reaction ~ x + f + (1 | Subject)")
    assert any(re.match(r"No clear change of Reaction with x: −?[\d.]+ ms per unit of x \(", one) for one in told)
    assert any(re.match(r"No clear difference in Reaction for f b against a: −?[\d.]+ ms \(", one) for one in told)


@pytest.mark.parametrize(
    "formula",
    [
        "Reaction ~ poly(Days, 2) + (1 | Subject)",
        "Reaction ~ bs(Days, df=4) + (1 | Subject)",
        "Reaction ~ Days + I(Days^2) + (1 | Subject)",
        "Reaction ~ log1p(Days) * poly(Days, 2) + (1 | Subject)",
        "Reaction ~ Days * f + I(Days^2) + (1 | Subject)",
    ],
)
def test_curves_are_left_to_the_table(formula):
    data = lt.load_dataset("sleepstudy").assign(f=np.tile(["a", "b"], 90))
    told = [one for one in findings(data, formula) if "variance" not in one and "scatter" not in one]
    assert re.search(r"left to the table of fixed effects: they mean something only together", told[-1])
    assert not any("grows" in one or "falls" in one for one in told)


def test_a_three_way_interaction_is_left_to_the_table():
    told = findings("MathAchieve", "MathAch ~ SES * Sex * Sector + (1 | School)")
    assert told[6] == r"SES:Sex\[T.Female\]:Sector\[T.Catholic\] is left to the table of fixed effects."


@pytest.mark.parametrize("contrasts", ["sum", "helmert", "poly"])
def test_other_contrasts_are_left_to_the_table(contrasts):
    told = findings("Machines", "score ~ Machine + (1 | Worker)", contrasts={"Machine": contrasts})
    assert "left to the table of fixed effects" in told[0]
    assert "Machine is" not in told[0]


def test_another_reference_level_is_found():
    told = findings("Machines", "score ~ C(Machine, contr.SAS) + (1 | Worker)")
    assert told[0] == "Score is 13.9 points lower for Machine A than for C (95 % interval 11.8 to 16.0)."
    assert told[2].startswith("Where Machine is C, the mean of score is 66.3 points")


def test_centred_columns_hold_at_the_mean():
    told = findings("Orthodont", "distance ~ center(age) * Sex + (1 | Subject)")
    assert told[1] == (
        "Where age is at its mean, distance is 2.32 mm lower for Sex Female than for Male (0.75 to 3.89)."
    )
    assert told[3].startswith("Where age is at its mean and Sex is Male, the mean of distance is 24.97 mm")
    assert findings("Orthodont", "distance ~ I(age - 11) + (1 | Subject)")[:2] == [
        "Distance grows by 0.660 mm a year (95 % interval 0.538 to 0.783).",
        "Where age is 11, the mean of distance is 24.02 mm (23.14 to 24.91).",
    ]


def test_logarithms():
    data = lt.load_dataset("Oats").assign(dose=lambda d: d["nitro"] + 0.1)
    assert "for each doubling of dose (" in findings(data, "yield ~ log2(dose) + (1 | Block)")[0]
    assert "for each tenfold increase of dose (" in findings(data, "yield ~ log10(dose) + (1 | Block)")[0]
    assert "bushels/acre per unit of log(dose) (" in findings(data, "yield ~ log(dose) + (1 | Block)")[0]
    assert findings("sleepstudy", "log(Reaction) ~ Days + (1 | Subject)")[0].startswith("log(Reaction) grows by 0.0")
    assert "per standard deviation of Days (" in findings("sleepstudy", "Reaction ~ scale(Days) + (1 | Subject)")[0]


def test_offset_weights_and_no_fixed_effects():
    assert said(fit("sleepstudy", "Reaction ~ Days + offset(Days) + (1 | Subject)")).endswith(
        "All changes come on top of the known offset."
    )
    data = lt.load_dataset("sleepstudy").assign(w=np.linspace(1, 4, 180))
    told = findings(data, "Reaction ~ Days + (1 | Subject)", weights="w")
    assert "with weights there is no single share of variance." in told[2]
    assert "Within one driver, at weight one, the rows scatter" in told[3]
    assert findings("sleepstudy", "Reaction ~ 0 + (1 | Subject)")[0] == (
        "The model has no fixed effects: its mean is zero."
    )


def test_columns_left_out_change_what_the_others_mean():
    data = lt.load_dataset("sleepstudy").assign(twice=lambda d: 2 * d["Days"])
    assert "left to the table" in findings(data, "Reaction ~ Days + twice + (1 | Subject)")[0]


@pytest.mark.parametrize(
    "formula", ["Sex / age + (1 | Subject)", "0 + Sex + Sex:age + (1 | Subject)", "age:Sex + Sex + (1 | Subject)"]
)
def test_slopes_of_single_levels_are_told(formula):
    told = findings("Orthodont", f"distance ~ {formula}")
    assert told[:2] == [
        "Where Sex is Male, distance grows by 0.784 mm a year (95 % interval 0.630 to 0.939).",
        "Where Sex is Female, distance grows by 0.480 mm a year (0.293 to 0.666).",
    ]
    assert not any("only together" in one for one in told)


@pytest.mark.parametrize(
    ("random", "slope"),
    [
        ("(center(age) | Subject)", "own slopes of age scatter with a standard deviation of 0.226 mm a year."),
        ("(I(age - 11) || Subject)", "own slopes of age scatter with a standard deviation of 0.226 mm a year."),
        ("(scale(age) | Subject)", "own slopes of age scatter with a standard deviation of 0.509 mm per standard "
         "deviation of age."),
    ],
)  # fmt: skip
def test_slopes_of_moved_columns_are_slopes(random, slope):
    told = findings("Orthodont", f"distance ~ age + {random}")
    assert any(one.endswith(slope) for one in told)
    assert any(one.endswith("the share changes with age.") for one in told)
    assert not any("tbl-varcorr" in one or "table of variances" in one for one in told)


def test_slopes_without_a_common_one_scatter_about_zero():
    about = "scatter about zero, since the mean has no such slope, with a standard deviation of"
    assert any(about in one for one in findings("sleepstudy", "Reaction ~ 1 + (Days || Subject)"))
    assert not any(about in one for one in findings("sleepstudy", "Reaction ~ poly(Days, 2) + (Days | Subject)"))


def test_effects_of_levels_are_named_and_left_to_the_table():
    told = findings("Machines", "score ~ Machine + (Machine | Worker)")
    assert any(one.startswith(r"How much workers differ in Machine\[T.B\] and Machine\[T.C\] is in") for one in told)


def test_a_mean_held_at_zero_is_said():
    assert "by age, without an intercept, from" in said(fit("Orthodont", "distance ~ 0 + age + (1 | Subject)"))
    assert "intercept, from" not in said(fit("Orthodont", "distance ~ 0 + Sex + age + (1 | Subject)"))
    assert "mm) from" not in said(fit("Orthodont", "distance ~ 0 + (1 | Subject)"))


def test_what_names_a_scale_is_no_unit():
    text = said(fit("Ovary", "follicles ~ Time + (1 | Mare)"))
    assert "over 10 mm, a count) by Time" in text
    assert " count " not in text.replace("a count)", "")
    assert "per cycle of Time" in text


@pytest.mark.parametrize(
    ("data", "formula"),
    [
        ("Orthodont", "distance ~ center(age) * Sex + (age | Subject)"),
        ("MathAchieve", "MathAch ~ SES * Sector + Sex + (1 | School)"),
        ("Penicillin", "diameter ~ sample + (1 | plate)"),
        ("sleepstudy", "Reaction ~ Days + (Days | Subject)"),
    ],
)
@pytest.mark.parametrize("scale", [1.0, 1e-3, 1e4])
def test_sentences_round_the_table_to_the_second_digit_of_the_standard_error(data, formula, scale):
    data = lt.load_dataset(data)
    name = formula.split()[0]
    made = fit(data.assign(**{name: data[name] * scale}), formula)
    table = made.coef_table().table(max_rows=40)
    places = {column.name: j for j, column in enumerate(table.columns)}
    told = []
    for name, cells in zip(made.fixef.index, table.cells, strict=True):
        decimals = 1 - int(np.floor(np.log10(float(f"{made.stderr[name]:.1e}"))))
        row = [rounded(cells[places[key]].strip(), decimals) for key in ("estimate", "ci_low", "ci_high")]
        told.append({one.lstrip("−") for one in row})
    numbers = [NUMBER.findall(one.replace("95 %", ""))[-3:] for one in findings(data.assign(**{formula.split()[0]: data[
        formula.split()[0]] * scale}), formula) if "interval" in one or re.search(r"\(.* to .*\)", one)]  # fmt: skip
    assert numbers
    assert all(set(three) in told for three in numbers), (numbers, told)


def test_an_interval_that_leaves_zero_out_does_not_reach_it_by_rounding():
    from lmmtools.prose.fixed import _told

    row = pd.Series({"estimate": 0.3042, "ci_low": 0.0012, "ci_high": 0.6072, "std_error": 0.1546})
    assert _told(["0.3042", "0.0012", "0.6072"], row) == ("0.304", "0.001", "0.607")
    row = pd.Series({"estimate": 0.3042, "ci_low": -0.0012, "ci_high": 0.6072, "std_error": 0.1546})
    assert _told(["0.3042", "−0.0012", "0.6072"], row) == ("0.30", "0.00", "0.61")


def test_what_the_data_do_not_determine_is_not_told():
    told = findings("Machines", "score ~ Machine * Worker + (1 | Worker:Machine)")
    assert told == [
        "The fixed effects are left to the table of fixed effects: the data do not determine what their intervals "
        "rest on.",
        "How much groups differ is not determined by these data (see the certificate).",
    ]
    split = said(fit("Machines", "score ~ Machine + (1 | Worker) + (0 + Machine | Worker)"))
    assert "one of several that are equally good" in split
    assert "slopes" not in split


def test_many_coefficients_are_counted():
    told = findings("cake", "angle ~ recipe * temperature + (1 | recipe:replicate)")
    assert "11 further coefficients are left to the table of fixed effects." in told
    assert len(told) == 9


def test_the_focal_coefficient_comes_first():
    made = fit("MathAchieve", "MathAch ~ SES + Sex + (1 | School)")
    first = next(line for line in said(made, focal="Sex[T.Female]").splitlines() if line.startswith("- "))
    assert first.startswith("- MathAch is 1.1")
    assert "lower for Sex Female than for Male (95 % interval" in first
    assert "- The coefficient asked for, sex, is not in this model" in said(made, focal="sex")
    with pytest.raises(lt.LMMError, match="level must lie between"):
        lt.prose.summary(made, level=95)


# --- words --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("unit", "text"),
    [
        ("years", "a year"),
        ("hours", "an hour"),
        ("inches", "per inch of x"),
        ("students", "per student of x"),
        ("cwt/acre", "per cwt/acre of x"),
        ("°F", "per °F of x"),
        ("", "per unit of x"),
    ],
)
def test_units_after_a_change(unit, text):
    assert step("x", None, {"x": unit}, ["x"]) == text


def test_a_unit_that_two_numbers_share_does_not_say_which():
    assert step("x", None, {"x": "years", "z": "years"}, ["x", "z"]) == "per year of x"


def test_a_response_in_per_cent_changes_by_points():
    data = lt.load_dataset("sleepstudy")
    data.attrs["lmmtools"]["units"]["Reaction"] = "%"
    assert "grows by 10.5 percentage points a day" in findings(data, "Reaction ~ Days + (Days | Subject)")[0]
    assert "the mean of Reaction is 251.4 % (" in findings(data, "Reaction ~ Days + (Days | Subject)")[1]


@pytest.mark.parametrize(("text", "begun"), [("distance", "Distance"), ("y", "y"), ("log(y)", "log(y)"), ("", "")])
def test_capitals(text, begun):
    assert capital(text) == begun


def test_what_a_column_is_called_reaches_the_design_and_stays():
    data = lt.load_dataset("Orthodont")
    data.loc[0, "distance"] = np.nan
    design = pickle.loads(pickle.dumps(fit(data, "distance ~ age + (1 | Subject)").design))
    assert design.nouns["Subject"] == ("child", "children")
    assert design.descriptions["age"] == "age at the measurement"
    assert design.units["age"] == "years"
    data.attrs.clear()
    assert "from 107 rows of 27 levels of Subject." in said(fit(data, "distance ~ age + (1 | Subject)"))


def test_an_estimate_and_its_interval_have_the_same_decimals():
    table = fit("Orthodont", "distance ~ age * Sex + (age | Subject)").coef_table().table()
    places = [j for j, column in enumerate(table.columns) if column.name in ("estimate", "ci_low", "ci_high")]
    assert {len(row[j].partition(".")[2]) for row in table.cells for j in places} == {4}
    assert estimate_format([16.34, 0.0408, -2.1]) == "estimate4"
    assert format_column([16.34, None, 1e-9], "estimate2") == ("16.34", "—", "1.00×10⁻⁹")


# --- hostile text -------------------------------------------------------------------------------------

HOSTILE = ("<script>alert(1)</script>", "$x$", "$$", "`code`", "*a* _b_", "[l](u)", "[@bates2015]", "@fig-x", "a\nb",
           "\u202eRTL", "> [!NOTE]", "# h", "1. one", "|", "日本", "\\(x\\)", "&amp;", "😀", "")  # fmt: skip


@pytest.mark.parametrize("text", HOSTILE)
def test_text_from_data_is_said_and_not_obeyed(text):
    from lmmtools.formats import visible

    rng = np.random.default_rng(6)
    data = pd.DataFrame({"y": rng.normal(size=60), "x": rng.normal(size=60), "g": np.repeat([*"abcdef"], 10)})
    data["f"] = pd.Categorical.from_codes(rng.integers(0, 2, size=60), ["b", text])
    data["y"] += 5 * (data["f"] == text)
    nouns = {"g": [text, text]}
    data.attrs["lmmtools"] = {"units": {"y": text, "x": text}, "nouns": nouns, "descriptions": {"y": text}}
    made = fit(data, "y ~ x * f + (x | g)")
    plain = pypandoc.convert_text(
        said(made), "plain", format="gfm-raw_html+tex_math_dollars+alerts+footnotes", extra_args=["--wrap=none"]
    )
    shown = visible(text) or "(empty)"
    assert f"higher for f {shown} than for b" in plain
    assert f"60 rows of 6 {visible(text)}".strip() in plain
    tags = pypandoc.convert_text(
        said(made), "html", format="gfm+tex_math_dollars+alerts+footnotes", extra_args=["--mathml"]
    )
    assert set(re.findall(r"<(\w+)", tags)) <= {"p", "ul", "li"}


# --- methods ------------------------------------------------------------------------------------------


def cited(prose):
    return {key for marks in re.findall(r"\[(@[^\]]+)\]", str(prose)) for key in re.findall(r"@(\w+)", marks)}


def test_methods_cite_what_was_used_and_nothing_else():
    plain = lt.prose.methods(fit("Orthodont", "distance ~ age + (1 | Subject)"))
    assert isinstance(plain, Prose)
    used = {"laird1982", "patterson1971", "harville1977", "wilkinson1973", "bates2015", "akaike1974", "schwarz1978"}
    used |= {"satterthwaite1946", "giesbrecht1985", "kuznetsova2017", "nakagawa2017", "henderson1975"}
    assert cited(plain) == used
    assert "−2 × restricted log-likelihood is 447.0025 with 4 parameters" in str(plain)
    assert "compared with those of other REML fits of the same fixed effects only." in str(plain)
    by_ml = lt.prose.methods(fit("Orthodont", "distance ~ age + (1 | Subject)", reml=False))
    assert cited(by_ml) == used - {"patterson1971"}
    assert "fixed effects only" not in str(by_ml)
    normal = lt.prose.methods(fit("Orthodont", "distance ~ age + (1 | Subject)"), ddf="normal")
    assert cited(normal) - used == {"wald1943"}
    slopes = lt.prose.methods(fit("Orthodont", "distance ~ age + (age | Subject)"))
    assert cited(slopes) == used | {"johnson2014"}


def test_methods_of_a_singular_checked_fit():
    made = fit("Dyestuff2", "Yield ~ 1 + (1 | Batch)")
    text = lt.prose.methods(made, lt.cross_check(made))
    assert "seabold2010" in cited(text)
    assert "certified afterwards, from the criterion's exact first and second derivatives. The fit is singular" in str(
        text
    )
    assert "statsmodels" in str(text)


def test_methods_with_weights_offset_and_missing_rows():
    data = lt.load_dataset("sleepstudy").assign(w=np.linspace(1, 4, 180))
    data.loc[3, "Reaction"] = np.nan
    text = str(lt.prose.methods(fit(data, "Reaction ~ Days + offset(Days) + (1 | Subject)", weights="w")))
    assert "σ²/w" in text
    assert "offset" in text
    assert "missing value" in text
    assert "Shares of variance" not in text


# --- any design ---------------------------------------------------------------------------------------

PLAIN = ("x", "z", "f", "h", "x:f", "x * f", "f * h", "x * z", "h / z")
CURVED = ("poly(x, 2)", "I(x^2)", "log(z)", "center(x)", "C(f, contr.sum)", "x:z:f")


@st.composite
def designs(draw):
    """Small data and a formula for them: numbers, factors and their products, with and without an intercept."""
    rng = np.random.default_rng(draw(st.integers(0, 10_000)))
    n_groups, size = draw(st.integers(3, 9)), draw(st.integers(4, 7))
    n = n_groups * size
    data = pd.DataFrame({
        "y": rng.normal(size=n) * 10.0 ** draw(st.integers(-4, 5)),
        "x": rng.normal(loc=draw(st.sampled_from([0.0, 50.0])), size=n) * 10.0 ** draw(st.integers(-3, 3)),
        "z": rng.uniform(1, 2, size=n),
        "f": rng.choice(["a", "b", "c"], size=n),
        "h": rng.choice(["", "<b>"], size=n),
        "g": np.repeat([f"@fig-{chr(97 + i)}" for i in range(n_groups)], size),
    })  # fmt: skip
    data.attrs["lmmtools"] = {
        "units": {"y": draw(st.sampled_from(["mm", "%", ""])), "x": draw(st.sampled_from(["years", "$", ""]))},
        "nouns": {"g": ["[@bates2015]", "`many`"]} if draw(st.booleans()) else {},
    }
    terms = draw(st.lists(st.sampled_from(PLAIN), max_size=3, unique=True))
    terms += draw(st.lists(st.sampled_from(CURVED), max_size=1))
    start = draw(st.sampled_from(["1", "0"]))
    random = draw(st.sampled_from(["(1 | g)", "(z | g)", "(z || g)", "(0 + f | g)"]))
    return data, f"y ~ {' + '.join([start, *terms, random])}"


@settings(max_examples=25, deadline=None, derandomize=True)
@given(designs())
def test_the_prose_of_any_design_is_whole_and_its_numbers_are_the_tables(made):
    data, formula = made
    try:
        one = fit(data, formula)
    except lt.LMMError:
        return
    text = said(one)
    bare = html.unescape(text).replace("poly(x, 2)", "").replace(r"I(x \*\* 2)", "").replace("bates2015", "")
    bare = re.sub(r"\\\[\d\\\]|\d+ (further )?coefficients?", "", bare)
    assert not [number for number in NUMBER.findall(bare) if not stands_in(in_tables(one), number)], formula
    for prose in (text, str(lt.prose.methods(one)), str(lt.prose.caveats(one)), str(lt.prose.icc(one))):
        assert not re.search(r"\b(nan|None|inf)\b|  |\.\.|\( | \)", prose), prose
    assert len(meanings(one.design)) == len(one.fixef)


@settings(max_examples=25, deadline=None, derandomize=True)
@given(designs())
def test_what_is_told_of_a_coefficient_is_what_predictions_show(made):
    """The words' own test: predict at the places a sentence compares, and find its coefficient between them."""
    data, formula = made
    try:
        one = fit(data, formula)
    except lt.LMMError:
        return
    for meaning in meanings(one.design):
        fields = (*meaning.steps, *meaning.where)
        if meaning.kind not in ("mean", "change", "interaction") or any("(" in field.variable for field in fields):
            continue
        at = {field.variable: 0.0 if field.level is None else field.level for field in meaning.where}
        found, corners = 0.0, list(product((0, 1), repeat=len(meaning.steps)))
        for corner in corners:
            for step_, up in zip(meaning.steps, corner, strict=True):
                at[step_.variable] = (0.0, 1.0)[up] if step_.level is None else (step_.base, step_.level)[up]
            rows = data.iloc[[0]].assign(**at)
            found += (-1) ** (len(corner) - sum(corner)) * one.predict(rows, random=False).iloc[0]
        largest = np.abs(one.design.X * one.fixef.to_numpy()).max()
        assert found == pytest.approx(one.fixef[meaning.name], rel=1e-6, abs=1e-9 * largest), (formula, meaning)
