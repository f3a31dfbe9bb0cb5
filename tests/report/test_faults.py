"""Fourteen runs, a fault of every kind in some: each keeps its own; once it is gone all is as if nothing had been."""

import html
import json
import os
import re
import resource
import signal
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager
from dataclasses import replace
from itertools import zip_longest
from pathlib import Path

import pytest

from lmmtools.report.runs import pool
from lmmtools.report.runs.files import folder_lock, write_set, write_whole
from lmmtools.report.runs.keys import environment
from lmmtools.report.runs.outcome import failed_outcome
from lmmtools.report.runs.run import Job, write_stub
from lmmtools.report.runs.staging import Staging, scratch_folder
from tests.report.toys import SUFFIXES, files_of, make_toys, toy_run

# What goes wrong in a run while the cause is there, and what its report says of it.
FAULTS = {
    "until raise": "ValueError: no such <batch>",
    "until die": "The process that ran the notebook died: it left with exit code 3.",
    "until crash": "The process that ran the notebook died: it crashed (SIGSEGV",
    "until out of memory": "The process that ran the notebook died: it was killed from outside (SIGKILL)",
    "until kill": "The process that made this report died; too little memory",
    "until slow": "A cell ran longer than the 3 s it may take",
    "until large": "File too large",
}
TEMPLATE = "house", 'The template "house" cannot be used for the HTML page; it is made with the shipped one.'
OCCUPIED = "occupied", "The report could not be written (Is a directory)"
GOOD = [f"good-{number:02}" for number in range(4)] + ["warn"]
LARGEST = 3_000_000  # bytes a file may have while the disk is full

TEMPLATE_TEXT = '{% extends "lmm_html/index.html.j2" %}\n'
BROKEN_TEXT = TEMPLATE_TEXT + "{% block nothing %}\n{% oops %}"


@contextmanager
def full_disk(largest=LARGEST):
    """No file can grow beyond a size: as good as a full disk for whoever writes it."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (largest, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def fourteen(toy, template):
    runs = [toy_run(toy, name=name, timeout=60.0, values={"level": 0.5 + at / 100}) for at, name in enumerate(GOOD)]
    runs[-1] = toy_run(toy, "warn", name="warn", timeout=60.0)
    faults = [toy_run(toy, mode, timeout=3.0 if "slow" in mode else 60.0) for mode in FAULTS]
    own = toy_run(toy, name=TEMPLATE[0], templates={"html": template}, timeout=60.0)
    mixed = [one for pair in zip_longest(runs, [*faults, own]) for one in pair if one is not None]
    return [*mixed, toy_run(toy, name=OCCUPIED[0], timeout=60.0)]


def bytes_of(out):
    """All files of a folder but the clock times, and what is remembered of the runs."""
    found = {path.name: path.read_bytes() for path in out.iterdir() if path.is_file() and path.name != "run.json"}
    return found | {path.name + " state": path.read_bytes() for path in (out / ".lmmtools").glob("*.json")}


@pytest.fixture(scope="module")
def study(toy_folder, tmp_path_factory):
    """Fourteen runs made with all causes there, then repaired, and without any."""
    folder = tmp_path_factory.mktemp("fourteen")
    toy, template, cause, starts = folder / "toy.ipynb", folder / "house", folder / "cause", folder / "starts"
    toy.write_bytes((toy_folder / "toy.ipynb").read_bytes())
    template.mkdir()
    (template / "conf.json").write_text('{"base_template": "base"}')
    (template / "index.html.j2").write_text(BROKEN_TEXT)
    cause.touch()
    patch = pytest.MonkeyPatch()
    patch.setenv("LMM_TOY_CAUSE", str(cause))
    runs = fourteen(toy, template)
    (folder / "out" / f"{OCCUPIED[0]}.html").mkdir(parents=True)
    (folder / "out" / f"{OCCUPIED[0]}.html" / "precious").touch()
    with full_disk():
        broken = make_toys(runs, folder / "out")
    left = bytes_of(folder / "out")
    cause.unlink()
    (template / "index.html.j2").write_text(TEMPLATE_TEXT)
    (folder / "out" / f"{OCCUPIED[0]}.html" / "precious").unlink()
    (folder / "out" / f"{OCCUPIED[0]}.html").rmdir()
    patch.setenv("LMM_TOY_STARTS", str(starts))
    repaired = make_toys(runs, folder / "out", failed=True)
    started = starts.read_text().split()
    make_toys(runs, folder / "undisturbed", jobs=1)
    patch.undo()
    return {"folder": folder, "runs": runs, "broken": broken, "left": left, "repaired": repaired, "started": started}


def faulty():
    return {**{f"toy-{mode.replace(' ', '-')}": words for mode, words in FAULTS.items()}, **dict([TEMPLATE, OCCUPIED])}


@pytest.mark.slow
@pytest.mark.parametrize(("name", "words"), faulty().items())
def test_a_fault_marks_its_own_run_and_leaves_a_report_with_the_reason(study, name, words):
    (outcome,) = [one for one in study["broken"].outcomes if one.run.name == name]
    assert outcome.status == "failed"
    assert words in " ".join(outcome.reasons)
    left = {suffix: study["left"].get(f"{name}.{suffix}") for suffix in SUFFIXES}
    result = json.loads(left["json"])
    assert result["status"] == "failed"
    assert words in " ".join(result["reasons"])
    assert json.loads(left["ipynb"])["cells"]
    assert left["pdf"].startswith(b"%PDF-")
    if name != OCCUPIED[0]:
        assert "<batch>" not in left["html"].decode()
        assert words in html.unescape(left["html"].decode())
    assert f"{name}.html" in outcome.files or name == OCCUPIED[0]
    assert json.dumps(words.split(":")[0], ensure_ascii=False)[1:-1] in study["left"]["index.json"].decode()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("toy-until-crash", "Fatal Python error: Segmentation fault"),
        ("toy-until-crash", 'File "ctypes/__init__.py"'),
        ("house", "Encountered unknown tag"),
    ],
)
def test_the_log_says_where(study, name, words):
    assert words in study["left"][f"{name}.log"].decode()
    assert words in json.loads(study["left"][f"{name}.json"])["log"]
    if "crash" in name:
        assert words.replace('"', "&#34;") in study["left"][f"{name}.html"].decode().replace("&quot;", "&#34;")


@pytest.mark.slow
def test_no_report_names_a_folder_of_this_machine(study):
    private = str(study["folder"]).encode(), f"{tempfile.gettempdir()}/lmm".encode()
    assert not [name for name, data in study["left"].items() if any(place in data for place in private)]


@pytest.mark.slow
def test_all_other_reports_are_those_of_an_undisturbed_study(study):
    good = {run.name for run in study["runs"]} - set(faulty())
    assert len(study["runs"]) == 14
    assert len(good) == 5
    undisturbed = bytes_of(study["folder"] / "undisturbed")
    for name in good:
        for suffix in SUFFIXES:
            assert study["left"][f"{name}.{suffix}"] == undisturbed[f"{name}.{suffix}"], (name, suffix)


@pytest.mark.slow
def test_failed_runs_are_repaired_alone_and_nothing_remains(study):
    assert not study["broken"].good
    assert study["repaired"].good
    assert study["repaired"].asked == set(study["repaired"].done) == set(faulty())
    assert sorted(study["started"]) == sorted(set(faulty()) - {TEMPLATE[0]})  # a template is no reason to fit again
    assert bytes_of(study["folder"] / "out") == bytes_of(study["folder"] / "undisturbed")


@pytest.mark.slow
def test_on_a_full_disk_what_fits_is_written_and_the_outcome_says_so(toy_folder, tmp_path):
    out, run = tmp_path / "out", toy_run(toy_folder / "toy.ipynb", name="a")
    (out / ".lmmtools").mkdir(parents=True)
    write_set(out, {"a.html": "old", "a.json": "old"})
    with scratch_folder() as scratch:
        job = Job(run, Staging(scratch, environment()).stage(run), out, scratch / "log")
        with full_disk(8_000):
            outcome = write_stub(job, "The report could not be written (No space left on device).", "the log")
    assert outcome.status == "failed"
    assert outcome.files == ("a.json", "a.ipynb", "a.log")
    assert re.search(r" Of its report, [a-z., ]+ could be written \(File too large\)\.$", outcome.reasons[0])
    assert (out / "a.html").read_text() == "old"
    assert json.loads((out / "a.json").read_text())["log"] == "the log"
    assert not list((out / ".lmmtools").iterdir())


@pytest.mark.slow
def test_what_a_notebook_prints_without_end_is_cut(toy_folder, tmp_path):
    run = toy_run(toy_folder / "toy.ipynb", "print", name="a", timeout=60.0)
    (outcome,) = make_toys([run], tmp_path).outcomes
    assert outcome.status == "ok"
    left = files_of(tmp_path, "a")
    assert set(left) == set(SUFFIXES)
    assert sum(map(len, left.values())) < 3_000_000
    assert b"the last line" in left["html"]
    assert b"characters left out" in left["html"]


@pytest.mark.slow
def test_a_job_that_cannot_travel_fails_alone(toy_folder, tmp_path):
    runs = [toy_run(toy_folder / "toy.ipynb", name=name) for name in "ab"]
    runs.append(replace(toy_run(toy_folder / "toy.ipynb", name="c"), focal=type("Local", (str,), {})("x")))
    made = {outcome.run.name: outcome for outcome in make_toys(runs, tmp_path / "out").outcomes}
    assert [made[name].status for name in "abc"] == ["ok", "ok", "failed"]
    assert "Its result could not be handed over (PicklingError" in made["c"].reasons[0]
    assert set(files_of(tmp_path / "out", "c")) == set(SUFFIXES)


def test_an_outcome_that_cannot_travel_leaves_a_report(monkeypatch):
    class Executor:
        def submit(self, function, job):
            made = pool.Future()
            made.set_exception(TypeError("cannot pickle '_thread.lock' object"))
            return made

    job = type("Job", (), {"run": toy_run("toy.ipynb")})()
    monkeypatch.setattr(pool, "write_stub", lambda job, reason: failed_outcome(job.run, reason))
    (outcome,) = pool._until_broken(Executor(), [job], [], 1)
    assert outcome.reasons == ("Its result could not be handed over (TypeError: cannot pickle '_thread.lock' object).",)


def test_a_set_is_written_whole_or_not_at_all(tmp_path, monkeypatch):
    long = "x" * 120
    write_set(tmp_path, {f"{long}.a": "1", f"{long}.b": "2"})
    (tmp_path / f"{long}.c").mkdir()
    with pytest.raises(IsADirectoryError):  # each is put back, though their names begin alike
        write_set(tmp_path, {f"{long}.a": "3", f"{long}.b": "4", f"{long}.c": "5"})
    (tmp_path / f"{long}.c").rmdir()
    assert [(tmp_path / f"{long}.{suffix}").read_text() for suffix in "ab"] == ["1", "2"]
    write_set(tmp_path, {f"{long}.a": None, f"{long}.b": None})
    write_set(tmp_path, {"a": "1", "b": "1", "c": "1"})
    write_set(tmp_path, {"a": "2", "b": None, "d": "2"})
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == {"a": "2", "c": "1", "d": "2"}
    before = {path.name: path.read_text() for path in tmp_path.iterdir()}
    (tmp_path / "x").mkdir()
    with pytest.raises(IsADirectoryError):
        write_set(tmp_path, {"a": "3", "c": None, "new": "3", "x": "3"})
    (tmp_path / "x").rmdir()
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == before
    with full_disk(10), pytest.raises(OSError, match="File too large"):
        write_set(tmp_path, {"a": "3", "c": "3" * 100})
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == before
    replaced = os.replace

    def refused(source, target):
        if Path(target).name == "d" and "old" not in Path(source).name:
            raise PermissionError(1, "Operation not permitted")
        replaced(source, target)

    monkeypatch.setattr(os, "replace", refused)
    for link in (os.link, lambda *_: (_ for _ in ()).throw(PermissionError(1, "no links"))):
        monkeypatch.setattr(os, "link", link)
        with pytest.raises(PermissionError):
            write_set(tmp_path, {"a": "4", "new": "4", "c": None, "d": "4"})
        assert {path.name: path.read_text() for path in tmp_path.iterdir()} == before


def test_what_a_killed_process_left_is_cleared_by_the_next(tmp_path, monkeypatch):
    (tmp_path / ".lmmtools").mkdir()
    for part in (tmp_path / ".a.html.x.lmmtools-part", tmp_path / ".lmmtools" / ".a.json.y.lmmtools-part"):
        part.write_text("half")
    (tmp_path / ".keep").touch()
    with folder_lock(tmp_path):
        write_whole(tmp_path / "a", "1")
    assert {path.name for path in tmp_path.iterdir()} == {".keep", ".lmmtools", "a"}
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    for name in ("lmm-dead", "lmm-young", "lmm-foreign", "lmm-busy"):
        (tmp_path / name).mkdir()
        if name != "lmm-foreign":
            (tmp_path / name / "lock").touch()
            os.utime(tmp_path / name / "lock", None if name == "lmm-young" else (0, 0))
    from filelock import FileLock

    with FileLock(tmp_path / "lmm-busy" / "lock"):
        os.utime(tmp_path / "lmm-busy" / "lock", (0, 0))
        with scratch_folder() as scratch:
            assert scratch.is_dir()
    assert {path.name for path in tmp_path.glob("lmm-*")} == {"lmm-young", "lmm-foreign", "lmm-busy"}


SCRIPT = """\
import sys
from pathlib import Path
from tests.report.toys import make_toys, toy_run

if __name__ == "__main__":
    toy, out, mode = Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3]
    made = make_toys([toy_run(toy, mode, name=name, timeout=60.0) for name in "abc"], out)
    print(" ".join(made.done))
"""


@pytest.fixture
def start(tmp_path, toy_folder, monkeypatch):
    """A function that starts a process which makes three reports in one folder."""
    (tmp_path / "script.py").write_text(SCRIPT)
    root = Path(__file__).resolve().parents[2]
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(filter(None, (str(root), os.environ.get("PYTHONPATH")))))
    monkeypatch.setenv("LMM_TOY_STARTS", str(tmp_path / "starts"))
    monkeypatch.setenv("TMPDIR", str(tmp_path / "tmp"))
    (tmp_path / "tmp").mkdir()
    processes = []

    def begin(mode="good"):
        script, toy, out = tmp_path / "script.py", toy_folder / "toy.ipynb", tmp_path / "out"
        command = [sys.executable, str(script), str(toy), str(out), mode]
        processes.append(subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True))
        return processes[-1]

    yield begin
    for process in processes:
        process.kill()
        process.communicate()


@pytest.mark.slow
def test_two_processes_on_one_folder_take_turns(start, tmp_path):
    ended = [process.communicate(timeout=120) for process in (start(), start())]
    assert sorted(out.split() for out, _ in ended) == [[], ["a", "b", "c"]]
    assert sorted("Another process writes to" in err for _, err in ended) == [False, True]
    assert sorted((tmp_path / "starts").read_text().split()) == ["a", "b", "c"]


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc").is_dir(), reason="processes are looked up in /proc")
def test_a_killed_study_leaves_no_process_and_the_next_one_finishes_it(start, tmp_path):
    first = start("until slow")  # no cause: all good, but long enough to be killed in
    wait_until(lambda: (tmp_path / "starts").is_file())
    first.send_signal(signal.SIGKILL)
    first.wait()
    wait_until(lambda: not processes_naming(str(tmp_path / "tmp")))
    out, err = start("until slow").communicate(timeout=120)
    assert set(out.split()) <= {"a", "b", "c"}, err
    assert {path.suffix for path in (tmp_path / "out").glob("[abc].*")} == {f".{suffix}" for suffix in SUFFIXES}
    assert not list((tmp_path / "out").glob(".*part"))


def wait_until(there, seconds=60):
    end = time.monotonic() + seconds
    while not there():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.05)


def processes_naming(text):
    """Processes that were started with a folder in their command or environment."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            told = (folder / "cmdline").read_bytes() + (folder / "environ").read_bytes()
        except OSError:
            continue
        if text.encode() in told and int(folder.name) != os.getpid():
            found.append(folder.name)
    return found
