"""A whole study with every kind of trouble: each run keeps its own, and two runs of one study are identical."""

import json
import os
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import nbformat
import pytest
from typer.testing import CliRunner

from lmmtools import StudyError
from lmmtools.__main__ import app
from lmmtools.report.runs.files import prepare_folder, write_whole
from lmmtools.report.runs.make import make_reports

SUFFIXES = ("html", "pdf", "json", "ipynb")
STUDY_FILES = {"index.html", "index.csv", "index.json", "crosscheck.html", "run.json"}
MODES = ("good", "raise", "kill", "die", "slow", "warn", "unexplained")


def study_text(*modes, methods='["REML"]', timeout=4):
    variants = "".join(
        f'[[datasets.variants]]\nname = "{mode}"\nformula = "Yield ~ 1 + (1 | Batch)"\nmethods = {methods}\n'
        f'[datasets.variants.parameters]\nmode = "{mode}"\n'
        for mode in modes
    )
    return f'title = "Toy"\nnotebook = "toy.ipynb"\ntimeout = {timeout}\n[[datasets]]\nname = "Dyestuff"\n{variants}'


@pytest.fixture(scope="module")
def troubled(toy_folder, tmp_path_factory):
    """One study of every trouble, beside runs without any; and the same without the troubles."""
    folder = tmp_path_factory.mktemp("troubled")
    nbformat.write(nbformat.read(toy_folder / "toy.ipynb", as_version=4), folder / "toy.ipynb")
    (folder / "all.toml").write_text(study_text(*MODES))
    (folder / "good.toml").write_text(study_text("good", "warn", "unexplained"))
    before = dict(os.environ)
    made = make_reports(folder / "all.toml", folder / "all", jobs=2)
    assert dict(os.environ) == before  # one BLAS thread is for the kernels alone
    make_reports(folder / "good.toml", folder / "good", jobs=1)
    return folder, {outcome.run.variant: outcome for outcome in made.outcomes}, made


@pytest.mark.slow
@pytest.mark.parametrize(
    ("mode", "status", "words"),
    [
        ("good", "ok", ""),
        ("warn", "ok", ""),
        ("unexplained", "unexplained", "It differs."),
        ("raise", "failed", "ValueError: no such <batch>"),
        ("die", "failed", "The process that ran the notebook died"),
        ("slow", "failed", "A cell ran longer than the 4 s it may take"),
        ("kill", "failed", "The process that made this report died"),
    ],
)
def test_every_run_has_its_status_and_leaves_a_whole_report(troubled, mode, status, words):
    folder, outcomes, _ = troubled
    outcome = outcomes[mode]
    assert outcome.status == status
    assert words in " ".join(outcome.reasons)
    for suffix in SUFFIXES:
        assert (folder / "all" / f"dyestuff-{mode}-reml.{suffix}").stat().st_size > 200, suffix
    result = json.loads((folder / "all" / f"dyestuff-{mode}-reml.json").read_text())
    assert result["status"] == status
    assert result["parameters"]["mode"] == mode
    page = (folder / "all" / f"dyestuff-{mode}-reml.html").read_text()
    if words:
        assert words.replace("<", "&lt;").replace(">", "&gt;") in page
    assert (folder / "all" / f"dyestuff-{mode}-reml.pdf").read_bytes().startswith(b"%PDF-")


@pytest.mark.slow
@pytest.mark.parametrize("mode", ["good", "warn", "unexplained"])
@pytest.mark.parametrize("suffix", SUFFIXES)
def test_troubles_of_others_leave_no_trace(troubled, mode, suffix):
    folder, *_ = troubled
    name = f"dyestuff-{mode}-reml.{suffix}"
    assert (folder / "all" / name).read_bytes() == (folder / "good" / name).read_bytes()


@pytest.mark.slow
def test_a_warning_reaches_page_and_numbers(troubled):
    folder, outcomes, _ = troubled
    assert outcomes["warn"].warnings == ("mind the gap",)
    assert "mind the gap" in (folder / "all" / "dyestuff-warn-reml.html").read_text()
    assert json.loads((folder / "all" / "dyestuff-warn-reml.json").read_text())["warnings"] == ["mind the gap"]


@pytest.mark.slow
def test_the_index_says_how_each_run_ended(troubled):
    folder, _, made = troubled
    page = (folder / "all" / "index.html").read_text()
    for words in ("2 ok", "1 unexplained", "4 failed", "It differs.", "no such &lt;batch&gt;", "Mind the gap",
                  "1528", "19.40"):  # fmt: skip
        assert words in page, words
    links = set(re.findall(r'href="([^"#]+)"', page))
    assert {f"dyestuff-{mode}-reml.{suffix}" for mode in MODES for suffix in SUFFIXES} < links
    assert all((folder / "all" / link).is_file() for link in links)
    assert not re.search(r'(?:src|href)="(?:https?:)?//', page)
    assert not made.good


@pytest.mark.slow
def test_a_warning_equal_to_a_reason_is_said_once(troubled):
    folder, outcomes, _ = troubled
    assert outcomes["unexplained"].reasons == outcomes["unexplained"].warnings == ("It differs.",)
    for name in ("index", "dyestuff-unexplained-reml"):
        assert (folder / "all" / f"{name}.html").read_text().count(">It differs.<") == 1, name
    result = json.loads((folder / "all" / "dyestuff-unexplained-reml.json").read_text())
    assert result["reasons"] == result["warnings"] == ["It differs."]


@pytest.mark.slow
def test_clock_times_are_in_one_file(troubled):
    folder, *_ = troubled
    times = json.loads((folder / "all" / "run.json").read_text())
    assert set(times) == {"started", "seconds", "jobs", "runs"}
    assert len(times["runs"]) == 7


@pytest.mark.slow
def test_nothing_is_left_behind(troubled):
    folder, *_ = troubled
    names = {path.name for path in (folder / "all").iterdir()}
    reports = {f"dyestuff-{mode}-reml.{suffix}" for mode in MODES for suffix in SUFFIXES}
    assert names - {name for name in names if name.endswith(".log")} == reports | STUDY_FILES | {".lmmtools"}
    remembered = {path.name for path in (folder / "all" / ".lmmtools").iterdir()}
    assert remembered == {f"dyestuff-{mode}-reml.json" for mode in MODES} | {"lock"}


REAL = """
[[datasets]]
name = "Dyestuff2"
[[datasets.variants]]
name = "batch"
formula = "Yield ~ 1 + (1 | Batch)"
methods = ["ML"]
"""


@pytest.mark.slow
def test_the_shipped_notebook_run_twice_gives_the_same_bytes(tmp_path):
    study = tmp_path / "real.toml"
    study.write_text(REAL)
    command = [sys.executable, "-m", "lmmtools", "report", str(study), "--out", str(tmp_path / "first"), "--jobs", "1"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("1 made")
    made = make_reports(study, tmp_path / "second", jobs=1)
    assert [outcome.status for outcome in made.outcomes] == ["singular"]
    files = [path.name for path in (tmp_path / "first").iterdir() if path.is_file() and path.name != "run.json"]
    assert len(files) == 4 + len(STUDY_FILES) - 1
    for name in files:
        assert (tmp_path / "first" / name).read_bytes() == (tmp_path / "second" / name).read_bytes(), name
    record = json.loads((tmp_path / "first" / "dyestuff2-batch-ml.json").read_text())["record"]
    assert record["numbers"]["criterion"] == pytest.approx(162.87303665, abs=1e-6)  # lme4's ML deviance
    assert not record["cross_checks"][0]["counts"].get("unexplained")


@pytest.mark.slow
@pytest.mark.parametrize(("mode", "code"), [("good", 0), ("warn", 0), ("unexplained", 1), ("raise", 1)])
def test_exit_codes(troubled, monkeypatch, mode, code):
    folder, outcomes, made = troubled
    name = outcomes[mode].run.name
    only = replace(made, outcomes=(outcomes[mode],), asked=frozenset([name]), done=(name,))
    monkeypatch.setattr("lmmtools.report.runs.make.make_study", lambda *args, **kwargs: only)
    done = CliRunner().invoke(app, ["report", str(folder / "all.toml")])
    assert done.exit_code == code, done.output
    assert "1 made" in done.stdout
    assert (name in done.stderr) == bool(code)


def test_only_what_was_asked_for_counts(troubled):
    _, outcomes, made = troubled
    assert replace(made, asked=frozenset(outcomes[mode].run.name for mode in ("good", "warn"))).good
    assert not made.good


def test_a_wrong_request_runs_nothing(study_file, tmp_path):
    path = study_file(study_text("good").replace("formula", "formla"))
    done = CliRunner().invoke(app, ["report", str(path), "--out", str(tmp_path / "out")])
    assert done.exit_code == 2
    assert "formla" in done.stderr
    assert not (tmp_path / "out").exists()


def test_a_folder_that_cannot_be_written_to_loses_nothing(study_file, tmp_path):
    path = study_file(study_text("good"))
    occupied = tmp_path / "out"
    occupied.write_text("precious")
    done = CliRunner().invoke(app, ["report", str(path), "--out", str(occupied)])
    assert done.exit_code == 2
    assert "cannot be written to" in done.stderr
    assert occupied.read_text() == "precious"


def test_a_folder_without_permission(tmp_path, monkeypatch):
    def refused(*args, **kwargs):  # root may write everywhere, so the refusal is put on
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("tempfile.TemporaryFile", refused)
    with pytest.raises(StudyError, match=r"cannot be written to \(Permission denied\); nothing was run"):
        prepare_folder(tmp_path)


def test_a_file_is_written_whole_or_not_at_all(tmp_path, monkeypatch):
    path = tmp_path / "report.html"
    write_whole(path, "old")

    def full(*args):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(OSError, match="No space"):
        write_whole(path, "new")
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_version_help_and_data_sets():
    run = CliRunner().invoke
    assert run(app, ["--version"]).stdout.startswith("lmmtools ")
    assert "STUDY" in run(app, ["report", "--help"]).stdout
    listed = run(app, ["datasets"])
    assert "sleepstudy (180 rows): " in listed.stdout
    assert run(app, ["rport"]).exit_code == 2


def test_the_default_study_is_sound():
    from lmmtools.report.asked.expand import expand
    from lmmtools.report.asked.study import read_study
    from lmmtools.report.locate import resource_dir

    runs = expand(*read_study(Path(resource_dir("notebooks")) / "studies" / "default.toml"))
    assert len(runs) == 27
    assert sum(run.notebook.name == "inference_report.ipynb" for run in runs) == 2
    assert sum(run.notebook.name == "covariance_report.ipynb" for run in runs) == 1
    assert sum(run.notebook.name == "diagnostics_report.ipynb" for run in runs) == 1
    one = {"Orthodont", "MathAchieve", "sleepstudy", "Dyestuff", "Dyestuff2"}
    assert {run.dataset for run in runs} == one | {"Penicillin", "Pastes", "Machines", "cake"}


@pytest.mark.skipif(not Path("/proc/self/status").is_file(), reason="memory is read off /proc")
def test_what_typst_remembers_of_one_page_is_let_go_of():
    script = """
from pathlib import Path
from lmmtools.report.pages.pdf import compile_pdf, forget_layouts
def held():
    return next(int(line.split()[1]) for line in Path("/proc/self/status").read_text().splitlines() if "VmRSS" in line)
held_at = []
for number in range(8):
    text = " ".join(f"word{number * 10_000 + at}" for at in range(6_000))
    compile_pdf(lambda plain: f"#set document(title: [x])\\n{text}", {"page.typ": b""})
    forget_layouts()
    held_at.append(held())
print((held_at[-1] - held_at[1]) // 1024)
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) < 20  # MB; some 15 for each page otherwise
