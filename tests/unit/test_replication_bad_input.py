"""Whatever is wrong with a number of a ledger, its row says so and all other numbers are computed."""

import json
import pickle
import subprocess
import sys

import pytest

import lmmtools as lt
from lmmtools.errors import LMMError, StudyError
from lmmtools.replication.computing.workers import Died, each

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


@pytest.fixture(scope="module")
def faulty(tmp_path_factory):
    """All of these numbers in one ledger, with one that is good at the end."""
    cases = [(models.replace(".bad]", f".bad{i}]"), entry.replace('"bad"', f'"bad{i}"'))
             for i, (models, entry, _) in enumerate(CASES.values())]  # fmt: skip
    path = tmp_path_factory.mktemp("faulty") / "own.toml"
    models, entries = zip(*cases, strict=True)
    path.write_text(text_of("\n".join(models), *entries), encoding="utf-8")
    return lt.replicate(path, jobs=1)


@pytest.mark.parametrize("case", CASES)
def test_its_row_says_so(faulty, case):
    place = list(CASES).index(case)
    bad, said = faulty.entries[place], CASES[case][-1]
    assert (bad.verdict, bad.verdict_text, bad.good, bad.looked_at) == ("error", "error", False, False)
    assert said in bad.remark, bad.remark
    assert bad.remark.startswith("own.toml:") or ": own.toml:" in bad.remark  # of the number, or of its model
    assert bad.computed is None
    assert bad.computed_text == ""
    assert json.loads(faulty.to_json())["sources"][0]["places"][0]["entries"][place]["remark"] == bad.remark


def test_the_rest_is_computed(faulty):
    good = faulty.entries[-1]
    assert (good.verdict, good.remark) == ("reproduced", "")
    assert not faulty.good
    assert faulty.source("own").models["fm1"].message == ""
    assert list(faulty.misses["quantity"]) == ["criterion"] * len(CASES)


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


def test_a_model_that_memory_does_not_hold_is_not_one_without_an_estimate(own, monkeypatch):
    monkeypatch.setattr("lmmtools.core.several.sizes.memory_limit", lambda: 1000.0)
    models = '[models.large]\ndata = "Penicillin"\nformula = "diameter ~ 1 + (1 | plate) + (1 | sample)"'
    found = lt.replicate(own(text_of(models, number(model="large"))), jobs=1)
    assert (found.entries[0].verdict, found.entries[0].search) == ("error", None)
    assert "GB can be used" in found.entries[0].remark


def test_a_reason_does_not_excuse_an_error_but_a_miss(own):
    missed = number(printed="119.5", reason="not found")
    found = lt.replicate(own(text_of("", missed)), jobs=1)
    assert found.entries[0].verdict == "not reproduced"
    assert found.entries[0].remark.startswith("Reason not found.")
    assert (found.entries[0].looked_at, found.good) == (True, True)
    needless = lt.replicate(own(text_of("", number(reason="not found"))), jobs=1).entries[0]
    assert (needless.good, needless.remark) == (True, "The ledger gives a reason why it is not reproduced; it is.")
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
        (__file__, "is no ledger: the name of one ends in .toml"),
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


def test_numbers_whose_process_died_say_so(own, monkeypatch):
    def dead(work, pieces, jobs):
        return ((place, Died()) for place in range(len(pieces)))

    monkeypatch.setattr("lmmtools.replication.run.each", dead)
    found = lt.replicate(own(text_of()), jobs=1)
    assert [(one.verdict, one.looked_at) for one in found.entries] == [("error", False)]
    assert found.entries[0].remark.endswith("ended early; too little memory is the usual reason.")


def test_a_process_starts_without_what_computes():
    """So that it can still be told how many threads its linear algebra may use."""
    module = "lmmtools.replication.computing.workers"
    code = f"import sys, {module}; sys.exit(bool({{'numpy', 'scipy', 'pandas'}} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_a_reason_of_a_table_is_of_its_numbers_that_fail_and_is_said_once(own):
    numbers = (number(printed="119.5"), number(), number(printed="120", reason="Mine."), number(path="criterium"))
    text = text_of("", *numbers).replace("[[tables]]", '[[tables]]\nreason = "Ours"\nsays = "p. 3"')
    assert text.count("Ours") == 1
    found = lt.replicate(own(text), jobs=1)
    [place] = found.sources[0].places
    missed, reproduced, mine, wrong, _ = place.entries
    assert place.remark == "Ours. The source itself says so (p. 3)."
    assert (missed.shared, missed.reason, missed.looked_at) == (True, "Ours", True)
    assert missed.remark == f"{place.remark} {missed.own_remark}"
    assert "Ours" not in missed.own_remark
    assert (reproduced.shared, reproduced.reason, reproduced.remark) == (False, "", "")
    assert (mine.shared, mine.own_remark) == (False, mine.remark)
    assert mine.remark.startswith("Mine.")
    assert (wrong.verdict, wrong.shared, wrong.looked_at) == ("error", False, False)
    stale = lt.replicate(own(text_of().replace("[[tables]]", '[[tables]]\nreason = "Ours"')), jobs=1)
    assert (stale.sources[0].places[0].remark, stale.good) == ("", True)


@pytest.mark.parametrize(
    ("printed", "path", "verdict", "good"),
    [
        ("-inf", "deviance", "no estimate", True),
        ("-inf", "devianse", "error", False),
        ("3", "devianse", "error", False),
        ("-inf", "deviance(x=1)", "error", False),
        ("-inf", "sigma2", "no estimate", False),
        ("-inf", "loglik", "no estimate", False),
        ("64", "npar", "reproduced", True),
    ],
)
def test_minus_infinity_is_right_of_a_criterion_that_is_named(own, printed, path, verdict, good):
    models = (
        '[models.free]\ndata = "Orthodont"\ngrowth = "distance ~ age | Subject"\nbetween = "free"\nwithin = "~ age"\n'
        'sigma = "free"'
    )
    text = text_of(models, number(printed=printed, path=path, model="free"))
    entry = lt.replicate(own(text), jobs=1).entries[0]
    assert (entry.verdict, entry.good) == (verdict, good)


def test_blanks_are_no_reason_and_the_word_of_a_source_needs_one(own):
    blank, says = number(printed="119.5", reason="  "), number(printed="119.5", says="p. 3")
    found = lt.replicate(own(text_of("", blank, says)), jobs=1)
    assert [entry.looked_at for entry in found.entries] == [False, False, True]
    assert "but there is no reason; add it" in found.entries[1].remark


def test_a_stated_variant_that_fails_is_not_passed_over(own):
    variant = '[[variants]]\nname = "v"\nchange = { formula = "travle ~ 1 + (1 | Rail)" }'
    found = lt.replicate(own(text_of(variant, number(printed="119.5", reason="not found"))), jobs=1)
    assert 'The variant "v" cannot be tried' in found.entries[0].remark
    assert not found.good


def test_many_mistakes_are_read_in_a_time_that_grows_as_they_do(own):
    from time import perf_counter

    begun = perf_counter()
    found = lt.replicate(own(text_of("", *[number(printed="x")] * 1000)), jobs=1)
    assert len(found.entries) == 1001
    assert perf_counter() - begun < 5


def test_who_interrupts_does_not_wait_for_what_is_at_work():
    script = (
        "import time\n"
        "from lmmtools.replication.computing.workers import each\n"
        "if __name__ == '__main__':\n"
        "    begun = time.monotonic()\n"
        "    try:\n"
        "        for place, _ in each(time.sleep, [0.0, 60.0, 60.0], 2):\n"
        "            raise KeyboardInterrupt\n"
        "    except KeyboardInterrupt:\n"
        "        print(time.monotonic() - begun)\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=50, check=True)
    assert float(done.stdout) < 30
