"""Fixed effects under several residual structures, and the pictures of structures compared."""

import xml.etree.ElementTree as ET

import numpy as np
import pandas as pd
import pytest

import lmmtools as lt

CANDIDATES = ["independent", "cs(Subject)", "ar1(age | Subject)", "us(age | Subject) * varident(age)"]
SVG = "{http://www.w3.org/2000/svg}"


@pytest.fixture(scope="module")
def compared():
    return lt.residual_structures("distance ~ Sex * age", lt.load_dataset("Orthodont"), CANDIDATES)


def texts(figure):
    return ["".join(node.itertext()) for node in ET.fromstring(figure.svg).iter(f"{SVG}text")]


def test_each_row_is_that_of_its_own_fit(compared):
    found = lt.structure_effects(compared)
    assert len(found) == 3 * len(CANDIDATES)
    assert list(dict.fromkeys(found["coefficient"])) == ["Sex[T.Female]", "age", "Sex[T.Female]:age"]
    for row in found.to_dict("records"):
        for ddf in ("satterthwaite", "kenward-roger"):
            own = compared.fits[row["structure"]].coef_table(ddf=ddf).loc[row["coefficient"]]
            assert row["estimate"] == own["estimate"]
            assert [row[f"{c} | {ddf}"] for c in ("std_error", "df", "p_value")] == list(
                own[["std_error", "df", "p_value"]]
            )
    ends = found.intervals
    some = ends[(ends["structure"] == CANDIDATES[3]) & (ends["method"] == "kenward-roger")].set_index("coefficient")
    own = compared.fits[CANDIDATES[3]].coef_table(ddf="kenward-roger", level=0.95)
    assert some.loc["age", ["low", "high"]].tolist() == own.loc["age", ["ci_low", "ci_high"]].tolist()


def test_what_a_method_refuses_is_missing_and_said():
    by_ml = lt.residual_structures("distance ~ age", lt.load_dataset("Orthodont"), CANDIDATES[:2], reml=False)
    found = lt.structure_effects(by_ml)
    assert found["p_value | kenward-roger"].isna().all()
    assert found["p_value | satterthwaite"].notna().all()
    assert any(note.startswith("Kenward–Roger is missing for all: ") and "REML" in note for note in found.notes)
    figure = lt.plots.structure_effects(found)
    assert [len(line.get_xdata()) for line in figure.lines if line.get_marker() == "s"] == [0]


def test_one_coefficient_one_method(compared):
    found = lt.structure_effects(compared, "Intercept", ddf="normal", level=0.9)
    assert list(found.columns[3:]) == ["std_error | normal", "df | normal", "p_value | normal"]
    assert found.level == 0.9
    assert lt.structure_effects(compared, ["age", "Intercept"])["coefficient"].iloc[0] == "age"


def test_mistakes_are_told(compared):
    wrong = [
        (lambda: lt.structure_effects(compared.table), "takes what residual_structures returns; got Frame"),
        (lambda: lt.structure_effects(compared, "Age"), "no coefficient 'Age'; there are Intercept"),
        (lambda: lt.structure_effects(compared, ddf=("kr",)), r"ddf=\['kr'\] is unknown"),
        (lambda: lt.pick_structure(compared, "cs(subject)"), r"did you mean `cs\(Subject\)`"),
        (lambda: lt.pick_structure("x"), "takes what residual_structures returns"),
        (lambda: lt.plots.residual_structures("x"), "takes what residual_structures returns; got str"),
        (lambda: lt.plots.structure_effects(compared), "takes what structure_effects returns"),
    ]
    for ask, said in wrong:
        with pytest.raises(lt.LMMError, match=said):
            ask()


def test_a_structure_is_picked(compared):
    assert lt.pick_structure(compared) is compared.best
    assert lt.pick_structure(compared, " independent ") is compared.fits["independent"]


def test_a_structure_that_failed_is_not_picked():
    found = lt.residual_structures(
        "distance ~ age + (1 | Subject)", lt.load_dataset("Orthodont"), ["independent", "cs(Subject)"]
    )
    with pytest.raises(lt.LMMError, match=r"`cs\(Subject\)` could not be fitted: .*same model"):
        lt.pick_structure(found, "cs(Subject)")
    assert "1 structure without a fit." in lt.figure(lt.plots.residual_structures, found).caption


def test_criteria_are_drawn_above_the_lowest(compared):
    ax = lt.plots.residual_structures(compared)
    table = compared.table
    dots = next(line for line in ax.lines if line.get_marker() == "o")
    squares = next(line for line in ax.lines if line.get_marker() == "s")
    assert dots.get_xdata() == pytest.approx((table["aic"] - table["aic"].min()).tolist())
    assert squares.get_xdata() == pytest.approx((table["bic"] - table["bic"].min()).tolist())
    figure = lt.figure(lt.plots.residual_structures, compared)
    assert set(CANDIDATES) <= set(texts(figure))
    assert [text for text in texts(figure) if text in ("5", "6", "14")] != []
    assert lt.figure(lt.plots.residual_structures, compared.table) == figure


def test_large_differences_are_drawn_on_a_longer_scale():
    names = ["a", "b", "<c> $"]
    table = pd.DataFrame({"npar": [1, 2, 3], "aic": [0.0, 3.0, 5000.0], "bic": [0.0, 9.0, 5010.0]}, index=names)
    ax = lt.plots.residual_structures(table)
    assert ax.get_xscale() == "symlog"
    figure = lt.figure(lt.plots.residual_structures, table)
    assert "logarithmic beyond" in figure.caption
    assert "<c> $" in texts(figure)


def test_intervals_are_drawn_by_both_methods(compared):
    found = lt.structure_effects(compared)
    figure = lt.plots.structure_effects(found)
    panels = [ax for ax in figure.axes if ax.axison]
    assert [ax.get_title(loc="left") for ax in panels] == ["Sex[T.Female]", "age", "Sex[T.Female]:age"]
    low = found.intervals[(found.intervals["coefficient"] == "age") & (found.intervals["method"] == "kenward-roger")]
    drawn = panels[1].collections[1].get_segments()
    assert [segment[0, 0] for segment in drawn] == pytest.approx(low["low"].tolist())
    heavy = np.array(panels[1].collections[0].get_linewidths())
    assert (heavy == heavy.max()).tolist() == [name == compared.name for name in CANDIDATES]
    said = lt.figure(lt.plots.structure_effects, found)
    assert "mm per year" in texts(said)
    assert "Sex[T.Female]:age: intervals from" in said.alt
    assert said == lt.figure(lt.plots.structure_effects, found)


def test_many_structures_leave_room_for_fewer_coefficients(compared):
    found = lt.structure_effects(compared)
    many = found.intervals
    found.intervals = pd.concat(
        [
            many.assign(structure=many["structure"] + "x" * k, coefficient=many["coefficient"] + "x" * (k % 4))
            for k in range(12)
        ],
        ignore_index=True,
    )
    assert "The first 3 of 12 coefficients." in lt.figure(lt.plots.structure_effects, found).caption


def test_the_comparison_is_shown_without_columns_that_notes_tell(compared):
    shown = repr(compared)
    assert "Tested against" in shown and "Reference  " not in shown and "AICc" not in shown
    mixed = compared.table[compared.table["reference"].str.contains(r"\+", regex=True)]
    for name, reference in mixed["reference"].items():
        assert name in shown and f"is {reference}, for the others χ²." in shown
    assert "AICc" in repr(compared.table)


def test_names_of_structures_and_coefficients_stay_apart_where_they_are_shortened():
    from lmmtools.plots.structures import _both_ends, _row_name

    one, other = (_row_name(f"spher(latitude + longitude{nugget})") for nugget in (", nugget=True", ""))
    assert one == "spher(latitude + longitude, nugget)" and other == "spher(latitude + longitude)"
    product = "us(age | Subject, by=Sex) * varident(age:Sex)"
    assert _row_name(product) == "us(age | Subject, by=Sex)\n* varident(age:Sex)"
    ends = [_both_ends(f"Sex[T.Male]:C(age)[T.{age}]", 20) for age in (10, 12)]
    assert ends[0] != ends[1] and all(len(end) == 20 for end in ends)
