"""Whatever is wrong with a number of a ledger, its row says so and all other numbers are computed."""

import json
import pickle
import subprocess
import sys

import pytest

import lmmtools as lt
from lmmtools.errors import LMMError, StudyError
from lmmtools.replication.workers import Died, each

HEAD = """\
title = "A paper"
citation = "Somebody (2000). A paper."
read = "the paper itself"

[models.fm1]
data = "Rail"
formula = "travel ~ 1 + (1 | Rail)"

[models.fm2]
data = "Rail"
formula = "travel ~ 1 + (1 | Rail)"
method = "ML"

"""
LAST = '{ quantity = "σ", printed = "4.0208", path = "sigma" }'


def text_of(models="", *numbers):
    """A ledger with a number for each text, and one that is good at the end."""
    rows = ",\n".join(f"  {one}" for one in (*numbers, LAST))
    return f'{HEAD}{models}\n[[tables]]\nplace = "Table 1"\nmodel = "fm1"\nnumbers = [\n{rows},\n]\n'


def number(**changes):
    keys = {"quantity": "criterion", "printed": "122.2", "path": "criterion"} | changes
    return "{ " + ", ".join(f'{key} = "{value}"' for key, value in keys.items()) + " }"


@pytest.fixture
def own(tmp_path):
    """Writes a ledger of one's own."""

    def write(text, name="own.toml"):
        path = tmp_path / name
        path.write_text(text, encoding="utf-8")
        return path

    return write


CASES = {
    "a printed value that is no number": ("", number(printed="about 122"), '"about 122" is not a number as printed'),
    "an unknown key": ("", number(pth="x"), 'pth: unknown key; did you mean "path"?'),
    "an unknown model": ("", number(model="fn1"), 'there is no model "fn1"; did you mean "fm1"?'),
    "an unknown quantity": ("", number(path="criterium"), "Did you mean `criterion`?"),
    "an unknown name in a path": ("", number(path="varcorr.Rial.Intercept.sd"), "`Rial` is no group. Did you mean"),
    "an unknown coefficient": ("", number(path="fixef.Intercpt"), "Did you mean `Intercept`?"),
    "a path that cannot be read": ("", number(path="varcorr..sd"), "there are two dots in a row"),
    "an unknown model in a path": ("", number(path="lrt(fm1, fn2).chisq"), "`fn2` is no model of this file. Did you m"),
    "a path that goes too far": ("", number(path="sigma.sd"), "a number is reached before `sd`"),
    "an unknown data set": ('[models.bad]\ndata = "Rial"\nformula = "travel ~ 1 + (1 | Rail)"', number(model="bad"),
                            "`Rial` (did you mean `Rail`?)"),
    "an unknown file": ('[models.bad]\ndata = "no.csv"\nformula = "y ~ 1 + (1 | g)"', number(model="bad"), "`no.csv`"),
    "an unknown column": ('[models.bad]\ndata = "Rail"\nformula = "travel ~ 1 + (1 | Rial)"', number(model="bad"),
                          "did you mean `Rail`"),
    "a formula that cannot be read": ('[models.bad]\ndata = "Rail"\nformula = "travel ~ 1 + (1 | Rail"',
                                      number(model="bad"), "this parenthesis is never closed: close it, or remove it. "
                                      "travel ~ 1 + (1 | Rail"),
    "a filter that leaves no rows": ('[models.bad]\ndata = "Rail"\nfilter = "travel > 1000"\n'
                                     'formula = "travel ~ 1 + (1 | Rail)"', number(model="bad"), "row"),
    "an unknown coding": ('[models.bad]\ndata = "Orthodont"\nformula = "distance ~ Sex + (1 | Subject)"\n'
                          'contrasts = { Sex = "helmet" }', number(model="bad"), "helmert"),
    "an unknown structure of Σ": ('[models.bad]\ndata = "Orthodont"\ngrowth = "distance ~ age | Subject"\n'
                                  'between = "~ Sex"\nwithin = "~ age"\nsigma = "scaler"', number(model="bad"),
                                  "did you mean `scalar`"),
}  # fmt: skip


@pytest.mark.parametrize(("models", "entry", "said"), CASES.values(), ids=CASES.keys())
def test_its_row_says_so_and_the_rest_is_computed(own, models, entry, said):
    found = lt.replicate(own(text_of(models, entry)), jobs=1)
    bad, good = found.entries
    assert (bad.verdict, bad.verdict_text, bad.good, bad.looked_at) == ("error", "error", False, False)
    assert said in bad.remark, bad.remark
    assert bad.remark.startswith("own.toml:") or ": own.toml:" in bad.remark  # of the number, or of its model
    assert bad.computed is None
    assert bad.computed_text == ""
    assert (good.verdict, good.remark) == ("reproduced", "")
    assert not found.good
    assert found.source("own").models["fm1"].message == ""
    assert list(found.misses["quantity"]) == ["criterion"]
    assert json.loads(found.to_json())["sources"][0]["places"][0]["entries"][0]["remark"] == bad.remark


def test_a_source_that_was_not_run_is_refused_by_its_nearest(own):
    found = lt.replicate(own(text_of()), jobs=1)
    with pytest.raises(LMMError, match=r"no source is called `owm`: did you mean `own`\?"):
        found.table("owm")
    with pytest.raises(LMMError, match=r"no source is called `bates_2015`: there are own\."):
        found.source("bates_2015")


def test_a_model_that_fails_says_why_in_its_rows_and_its_own(own):
    models = '[models.bad]\ndata = "Rail"\nformula = "travle ~ 1 + (1 | Rail)"'
    found = lt.replicate(own(text_of(models, number(model="bad"))), jobs=1)
    message = found.source("own").models["bad"].message
    assert "`travle`" in message
    assert found.entries[0].remark == f"{found.entries[0].where}: {message}"


def test_a_reason_does_not_excuse_an_error_but_a_miss(own):
    missed = number(printed="119.5", reason="not found")
    found = lt.replicate(own(text_of("", missed)), jobs=1)
    assert found.entries[0].verdict == "not reproduced"
    assert found.entries[0].remark.startswith("Reason not found.")
    assert (found.entries[0].looked_at, found.good) == (True, True)
    silent = lt.replicate(own(text_of("", number(printed="119.5"))), jobs=1)
    assert "No reason is given." in silent.entries[0].remark
    assert not silent.good
    wrong = lt.replicate(own(text_of("", number(path="criterium", reason="not found"))), jobs=1)
    assert not wrong.good


def test_a_mistake_in_no_number_is_told_and_is_not_good(own):
    found = lt.replicate(own(text_of().replace("title", "titel", 1)), jobs=1)
    assert [entry.verdict for entry in found.entries] == ["reproduced"]
    assert not found.good
    assert ('own.toml:1: titel: unknown key; did you mean "title"?') in [text for _, text in found.sources[0].problems]
    assert found.summary.loc["own", "mistakes"] == 2


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ("bates_2051", 'There is no source "bates_2051" (did you mean "bates_2015"?); a ledger of your own is named b'),
        (["bates_2015", "nothing like it"], "valid here: bates_2015"),
        ("none.toml", "There is no ledger "),
        ([], "no source is named"),
        ([3], "a source is a name or a path, not 3"),
    ],
)
def test_an_unknown_source_is_refused_before_anything_runs(asked, said):
    with pytest.raises(StudyError, match="[Nn]othing was run") as caught:
        lt.replicate(asked, jobs=1)
    assert said in str(caught.value)


def test_two_ledgers_of_one_name_are_refused(own, tmp_path):
    (tmp_path / "other").mkdir()
    with pytest.raises(StudyError, match=r"have one name, .* rename one\. Nothing was run"):
        lt.replicate([own(text_of()), own(text_of(), "other/own.toml")], jobs=1)
    assert len(lt.replicate([own(text_of()), own(text_of())], jobs=1).sources) == 1  # one file named twice


def test_a_folder_and_a_broken_file_are_refused(own, tmp_path):
    with pytest.raises(StudyError, match=r"is a folder; name the ledger in it\. Nothing was run"):
        lt.replicate(tmp_path, jobs=1)
    with pytest.raises(StudyError, match=r"own\.toml:1: this is not valid TOML"):
        lt.replicate(own("title = "), jobs=1)


@pytest.mark.parametrize("jobs", [0, -1, 1.5, "two"])
def test_the_number_of_processes_is_a_whole_number(jobs):
    with pytest.raises(LMMError, match=r"replicate: jobs, the number of processes, must be a whole number"):
        lt.replicate("pbkrtest", jobs=jobs)


def test_what_a_user_wrote_is_shown_as_text(own):
    """Control characters and markup of a ledger are nothing that a page or a terminal obeys."""
    found = lt.replicate(own(text_of("", number(quantity="<b>\\u001b[31m</b>", printed="119.5"))), jobs=1)
    html = found.table("own").table().html()
    assert "<b>" not in html
    assert "\x1b" not in repr(found.table("own"))


def test_processes_find_what_this_one_finds(own):
    """In the order of the file, the same to the last digit, whatever is done first; and told as it is done."""
    models = '[models.bad]\ndata = "Rial"\nformula = "y ~ 1 + (1 | g)"'
    rows = (number(printed="122.3"), number(model="fm2", printed="128.6"), number(model="bad"), number(printed="x"))
    path = own(text_of(models, *rows))
    told = []
    alone = lt.replicate(path, jobs=1)
    over = lt.replicate(path, jobs=2, progress=lambda *said: told.append(said))
    assert over.sources == alone.sources
    texts = [json.loads(one.to_json()) | {"seconds": None} for one in (alone, over)]
    assert texts[0] == texts[1]
    assert told[0] == (1, 5, "")  # the malformed one
    assert [done for done, _, _ in told] == sorted(done for done, _, _ in told)
    assert told[-1][:2] == (5, 5)
    assert {what for _, _, what in told[1:]} == {"own: fm1", "own: fm2", "own: bad"}
    assert pickle.loads(pickle.dumps(over)).sources == over.sources


def _perish(piece):
    import os

    if piece == 2:
        os._exit(3)
    return piece


def test_a_process_that_dies_costs_its_own_piece_alone():
    found = dict(each(_perish, [1, 2, 3], 2))
    assert found[0] == 1
    assert isinstance(found[1], Died)
    assert found[2] == 3


def test_a_process_starts_without_what_computes():
    """So that it can still be told how many threads its linear algebra may use."""
    code = "import sys, lmmtools.replication.workers; sys.exit(bool({'numpy', 'scipy', 'pandas'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
