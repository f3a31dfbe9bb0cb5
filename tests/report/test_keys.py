"""A rerun does what changed and nothing else, and never shows the result of another request."""

import gzip
import json
from dataclasses import replace

import nbformat
import pytest

from lmmtools import StudyError, read_data
from lmmtools.report.locate import resource_dir
from lmmtools.report.runs.imports import modules_digest
from lmmtools.report.runs.keys import canonical, digest, environment, file_digest, run_keys, tree_digest
from lmmtools.report.runs.outcome import outcome_of
from lmmtools.report.runs.plan import Wish, choose, make_plan
from lmmtools.report.runs.run import Job, _commit
from lmmtools.report.runs.staging import Staging, _shipped_digest, scratch_folder
from lmmtools.report.runs.state import State, known_runs, read_state, write_state
from tests.report.toys import SUFFIXES, files_of, make_toys, toy_run

NO_FILE = {"notebook": "n", "data": "d", "templates": {}}


@pytest.fixture(scope="module")
def shared():
    return environment()


@pytest.fixture
def toy(toy_folder, tmp_path):
    """A toy notebook of the test's own."""
    path = tmp_path / "in" / "toy.ipynb"
    path.parent.mkdir()
    path.write_bytes((toy_folder / "toy.ipynb").read_bytes())
    return path


def pretend(runs, out, shared, status="ok", executed=False):
    """Leave in a folder what the runs would have left, without a kernel."""
    out.mkdir(exist_ok=True)
    (out / ".lmmtools").mkdir(exist_ok=True)
    with scratch_folder() as scratch:
        staging = Staging(scratch, shared, out=out)
        for run in runs:
            job = Job(run, staging.stage(run), out, scratch / "log")
            result = {"status": status, "reasons": [], "record": None, "warnings": []}
            contents = dict.fromkeys(("html", "pdf", "ipynb"), run.name)
            _commit(job, contents | {"json": json.dumps(result), "log": None}, executed=executed)


def plan(runs, out, shared, **wish):
    with scratch_folder() as scratch:
        return make_plan(runs, Staging(scratch, shared, out=out), out, Wish(**wish), {})


def works(runs, out, shared, **wish):
    """What is done of each run: a word, or nothing."""
    made = plan(runs, out, shared, **wish)
    done = {job.run.name: job.work for job in made.jobs}
    return [done.get(run.name, "") for run in runs]


def test_parts_of_a_digest_do_not_run_together():
    assert digest("ab", "c") != digest("a", "bc")
    assert digest() != digest("")
    assert canonical({"b": 1, "a": 2}) != canonical({"a": 2, "b": 1})  # a notebook may walk a table in its order
    assert canonical(1) != canonical(1.0) != canonical("1.0")


def test_a_tree_is_its_names_and_bytes(tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "x.txt").write_text("1")
    first = tree_digest(tmp_path)
    (tmp_path / ".cache").mkdir()
    (tmp_path / ".cache" / "x").touch()
    (tmp_path / "a" / "__pycache__").mkdir()
    (tmp_path / "a" / "__pycache__" / "x.pyc").write_text("compiled")
    assert tree_digest(tmp_path) == first
    (tmp_path / "a" / "x.txt").rename(tmp_path / "a" / "y.txt")
    renamed = tree_digest(tmp_path)
    (tmp_path / "a" / "y.txt").write_text("2")
    assert len({first, renamed, tree_digest(tmp_path)}) == 3


def test_keys_hold_on_to_every_part(shared):
    run = toy_run("toy.ipynb")
    first = run_keys(run, shared, **NO_FILE)
    assert run_keys(run, environment(), **NO_FILE) == first
    fitting = [
        run_keys(run, shared, **(NO_FILE | {"notebook": "other"})),
        run_keys(run, shared, **(NO_FILE | {"data": "other"})),
        run_keys(run, shared, **(NO_FILE | {"modules": "other"})),
        run_keys(toy_run("toy.ipynb", values={"mode": "warn"}), shared, **NO_FILE),
        run_keys(toy_run("toy.ipynb", values={"reml": 1}), shared, **NO_FILE),
        run_keys(replace(run, parameters=run.parameters[:-1]), shared, **NO_FILE),
        run_keys(replace(run, parameters=(*run.parameters[:-1], (*run.parameters[-1][:2], False))), shared, **NO_FILE),
        *(run_keys(run, replace(shared, fit={**shared.fit, part: "other"}), **NO_FILE) for part in shared.fit),
    ]
    assert all(keys.fit != first.fit for keys in fitting)
    paging = [
        run_keys(run, shared, **(NO_FILE | {"templates": {"html": "x"}})),
        *(run_keys(replace(run, **{name: "x"}), shared, **NO_FILE) for name in ("title", "focal", "variant")),
        run_keys(replace(run, outputs=("html",)), shared, **NO_FILE),
        *(run_keys(run, replace(shared, page={**shared.page, part: "other"}), **NO_FILE) for part in shared.page),
    ]
    assert all(keys.page != first.page and keys.fit == first.fit for keys in paging)
    assert len({canonical([keys.fit, keys.page]) for keys in [first, *fitting, *paging]}) == 1 + len(fitting + paging)


def test_the_time_a_cell_may_take_is_no_part_of_a_result(shared):
    run = toy_run("toy.ipynb")
    assert run_keys(replace(run, timeout=9.0), shared, **NO_FILE) == run_keys(run, shared, **NO_FILE)


def test_a_rerun_does_only_what_changed(toy, tmp_path, shared):
    out, runs = tmp_path / "out", [toy_run(toy, name=name) for name in "abc"]
    assert works(runs, out, shared) == ["execute"] * 3
    pretend(runs, out, shared)
    assert works(runs, out, shared) == ["", "", ""]
    changed = [runs[0], toy_run(toy, name="b", values={"level": 0.9}), replace(runs[2], outputs=("html",))]
    assert works(changed, out, shared) == ["", "execute", "render"]
    assert plan(changed, out, shared, only=("a",)).there["b"].reasons == (
        "Out of date; changed since it was made: its level.",
    )
    (out / "a.html").unlink()
    (out / "b.json").write_text("{}")
    (out / "c.ipynb").write_text("edited")
    assert works(runs, out, shared) == ["render", "render", "execute"]


def test_a_changed_notebook_is_executed(toy, tmp_path, shared):
    out, run = tmp_path / "out", toy_run(toy)
    pretend([run], out, shared)
    toy.write_text(toy.read_text().replace("A toy report", "Another"))
    assert works([run], out, shared) == ["execute"]


def test_a_changed_template_makes_pages_again(toy, tmp_path, shared):
    out, own = tmp_path / "out", tmp_path / "house" / "parts"
    own.mkdir(parents=True)
    (own / "logo.txt").write_text("old")
    run = toy_run(toy, templates={"html": own.parent})
    pretend([run], out, shared)
    assert works([run], out, shared) == [""]
    (own / "logo.txt").write_text("new")
    assert works([run], out, shared) == ["render"]


def test_reports_below_a_template_are_no_part_of_it(toy, tmp_path, shared):
    house = tmp_path / "house"
    house.mkdir()
    (house / "index.html.j2").touch()
    run = toy_run(toy, templates={"html": house})
    for out in (house / "reports", house / "other" / "reports"):
        out.mkdir(parents=True)
        pretend([run], out, shared)
        (out / "more.html").write_text("of another run")
        assert works([run], out, shared) == [""], out


def test_the_date_that_is_asked_for_is_one_of_the_page(monkeypatch):
    monkeypatch.delenv("SOURCE_DATE_EPOCH", raising=False)
    first = environment()
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1700000000")
    second = environment()
    assert first.fit == second.fit
    assert {part for part in first.page if first.page[part] != second.page[part]} == {"date"}


IMPORTS = ("import own", "import json, own.part as p", "from own.part import x", "a = 1; import own")


@pytest.mark.parametrize("line", IMPORTS)
def test_a_module_of_one_s_own_is_part_of_the_notebook(toy, tmp_path, shared, monkeypatch, line):
    monkeypatch.syspath_prepend(tmp_path / "lib")
    (tmp_path / "lib" / "own").mkdir(parents=True)
    (tmp_path / "lib" / "own" / "__init__.py").write_text("from deeper import y\n")
    (tmp_path / "lib" / "own" / "part.py").write_text("x = 1\n")
    (tmp_path / "lib" / "deeper.py").write_text("y = 1\n")
    cells = nbformat.read(toy, as_version=4)
    cells.cells.append(nbformat.v4.new_code_cell(f"%matplotlib inline\n{line}", id="imports"))
    nbformat.write(cells, toy)
    out, run = tmp_path / "out", toy_run(toy)
    pretend([run], out, shared)
    assert works([run], out, shared) == [""]
    for name in ("own/part.py", "deeper.py"):
        (tmp_path / "lib" / name).write_text("x = y = 2\n")
        assert works([run], out, shared) == ["execute"], name
        reasons = plan([run], out, shared, failed=True).there[run.name].reasons
        assert reasons == ("Out of date; changed since it was made: a module that the notebook imports.",)
        pretend([run], out, shared)


def test_shipped_notebooks_have_no_modules_of_their_own():
    notebooks = list(resource_dir("notebooks").glob("*.ipynb"))
    assert len(notebooks) >= 3
    assert [modules_digest(path) for path in notebooks] == [""] * len(notebooks)


def test_a_broken_template_that_is_mended_costs_no_kernel(toy, tmp_path, shared):
    out, house = tmp_path / "out", tmp_path / "house"
    house.mkdir()
    (house / "index.html.j2").write_text("{% oops %}")
    run = toy_run(toy, templates={"html": house})
    pretend([run], out, shared, status="failed", executed=True)
    assert works([run], out, shared) == ["render"]
    (house / "index.html.j2").write_text("")
    assert works([run], out, shared) == works([run], out, shared, failed=True) == ["render"]
    assert works([toy_run(toy, values={"level": 0.9})], out, shared) == ["execute"]
    (out / f"{run.name}.ipynb").write_text("edited")
    assert works([run], out, shared) == ["execute"]


def test_failed_runs_are_done_again_and_alone_if_asked(toy, tmp_path, shared):
    out, runs = tmp_path / "out", [toy_run(toy, name=name) for name in "abc"]
    pretend(runs[:1], out, shared)
    pretend(runs[1:2], out, shared, status="failed")
    assert works(runs, out, shared) == ["", "execute", "execute"]
    assert works(runs, out, shared, failed=True) == ["", "execute", "execute"]
    outdated = [toy_run(toy, name="a", values={"level": 0.9}), *runs[1:]]
    assert works(outdated, out, shared, failed=True) == ["", "execute", "execute"]
    assert works(runs, out, shared, force=True) == ["execute"] * 3
    assert works(runs, out, shared, force=True, only=("[ab]",)) == ["execute", "execute", ""]


def test_what_is_not_asked_for_says_whether_it_still_holds(toy, tmp_path, shared):
    out, runs = tmp_path / "out", [toy_run(toy, name=name) for name in "abc"]
    pretend(runs[:2], out, shared)
    runs[1] = toy_run(toy, name="b", values={"level": 0.9, "mode": "warn"})
    made = plan(runs, out, shared, only=("a",))
    assert made.asked == {"a"}
    assert not made.jobs
    kept = made.there
    assert [kept[name].current for name in "abc"] == [True, False, False]
    assert kept["a"].status == "ok"
    assert kept["b"].reasons == ("Out of date; changed since it was made: its level, its mode.",)
    assert kept["b"].files == tuple(f"b.{suffix}" for suffix in SUFFIXES)
    assert kept["c"].reasons == ("It has not been made yet.",)
    assert kept["c"].files == ()
    assert not any(kept[name].record for name in "bc")


def test_a_pattern_without_a_run_is_a_mistake():
    runs = [toy_run("toy.ipynb", name=name) for name in ("orthodont-slope", "orthodont-intercept", "dyestuff-batch")]
    assert choose(runs, ()) == {run.name for run in runs}
    assert choose(runs, ("ortho*", "dye*")) == {run.name for run in runs}
    assert choose(runs, ("*-slop?",)) == {"orthodont-slope"}
    with pytest.raises(StudyError, match=r'called "orthodont-slop", so nothing was run.*"orthodont-slope"'):
        choose(runs, ("dye*", "orthodont-slop"))


NO_FILES = '{"version": 1, "run": "a", "status": "ok", "fit": {}, "page": {}, "outputs": {}}'


@pytest.mark.parametrize(
    "text",
    [
        NO_FILES,
        "",
        "{",
        "[]",
        "null",
        '{"version": 1}',
        '{"version": 2, "run": "a"}',
        '{"version": 1, "run": 3}',
        "\x00\xff",
    ],
)
def test_a_state_that_is_none_is_taken_for_none(toy, tmp_path, shared, text):
    out, run = tmp_path / "out", toy_run(toy, name="a")
    pretend([run], out, shared)
    path = out / ".lmmtools" / "a.json"
    good = path.read_text()
    path.write_text(text)
    assert read_state(out, "a") is None
    assert works([run], out, shared) == ["execute"]
    assert known_runs(out) == []
    (out / ".lmmtools" / "b.json").write_text(good)  # another run's
    assert read_state(out, "b") is None


def test_a_state_outlives_its_file(tmp_path):
    (tmp_path / ".lmmtools").mkdir()
    state = State(1, "a", "ok", {"data": "1"}, {"title": "2"}, {"json": "3", "ipynb": "4"}, "5", "6")
    write_state(tmp_path, state)
    first = (tmp_path / ".lmmtools" / "a.json").read_bytes()
    assert read_state(tmp_path, "a") == state
    write_state(tmp_path, state)
    assert (tmp_path / ".lmmtools" / "a.json").read_bytes() == first


def test_runs_that_left_the_study_are_named_and_left_alone(toy, tmp_path, shared):
    out, runs = tmp_path / "out", [toy_run(toy, name=name) for name in "abc"]
    pretend(runs, out, shared)
    assert plan(runs[:1], out, shared).orphans == ("b", "c")
    assert (out / "b.html").is_file()


def statuses(out):
    return {one["name"]: one["status"] for one in json.loads((out / "index.json").read_text())["runs"]}


@pytest.mark.parametrize("full", [False, True])
def test_no_index_shows_a_number_that_is_being_replaced(toy, tmp_path, shared, monkeypatch, full):
    out, runs = tmp_path / "out", [toy_run(toy, name=name) for name in "abc"]
    pretend(runs, out, shared)
    make_toys(runs, out)
    assert statuses(out) == dict.fromkeys("abc", "ok")
    changed = [runs[0], *(toy_run(toy, name=name, values={"level": 0.9}) for name in "bc")]
    seen = []

    def stopped(jobs, **_):
        assert [job.run.name for job in jobs] == ["b", "c"]
        seen.append(statuses(out) if (out / "index.json").exists() else "no index")
        yield replace(plan(runs, out, shared).there["b"], run=changed[1])
        raise KeyboardInterrupt

    def no_space(folder, contents):
        monkeypatch.undo()
        raise OSError(28, "No space left on device")

    if full:
        monkeypatch.setattr("lmmtools.report.runs.make.write_set", no_space)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("lmmtools.report.runs.pool.perform_all", stopped)
        with pytest.raises(KeyboardInterrupt):
            make_toys(changed, out)
    assert seen == ["no index" if full else {"a": "ok", "b": "out of date", "c": "out of date"}]
    assert statuses(out) == {"a": "ok", "b": "ok", "c": "out of date"}


@pytest.mark.parametrize("name", ["index.csv", "run.json", "a.json", "crosscheck.html"])
def test_what_a_study_reads_is_not_overwritten(toy, tmp_path, name):
    (tmp_path / "link").symlink_to(toy.parent)
    source = toy.parent / name
    source.write_text("precious")
    with pytest.raises(StudyError, match=rf"{name} would be overwritten by a report of that name; nothing was run"):
        make_toys([toy_run(toy, name="a", source=source)], tmp_path / "link")
    assert sorted(path.name for path in toy.parent.iterdir()) == sorted([name, "toy.ipynb"])


def test_reports_do_not_go_where_a_template_is(toy, tmp_path):
    run = toy_run(toy, templates={"html": toy.parent})
    with pytest.raises(StudyError, match="is a template's folder; nothing was run"):
        make_toys([run], toy.parent)


TABLE = "y,x,use\n1.5,1,yes\n2.5,2,yes\n9,9,no\n"


@pytest.fixture
def reading(toy, tmp_path, monkeypatch):
    """A run that reads a file by `read_data`, with its rows filtered, and the calls of it outside the run."""

    def counted(source, **options):
        calls.append(source)
        return read_data(source, **options)

    calls = []
    monkeypatch.setattr("lmmtools.read_data", counted, raising=False)
    monkeypatch.setattr(Staging, "_shipped", {file_digest(toy)})
    path = tmp_path / "in" / "table.csv"
    path.write_text(TABLE)
    run = toy_run(toy, source=path, values={"dataset": "table.csv", "filter": 'use == "yes"'})
    return run, path, calls


def test_the_rows_that_are_used_are_what_counts(reading, tmp_path, shared):
    run, path, calls = reading
    out = tmp_path / "out"
    pretend([run], out, shared)
    assert len(calls) == 1
    assert works([run], out, shared) == [""]
    assert len(calls) == 1  # the same file read the same way: not read again
    path.write_text(TABLE.replace("9,9,no", "9,8,no"))
    assert works([run], out, shared) == [""]  # only a row that the filter drops
    assert len(calls) == 2
    path.write_text(TABLE.replace("2.5,2", "2.6,2"))
    assert works([run], out, shared) == ["execute"]
    assert plan([run], out, shared, only=("*",)).jobs
    path.write_text(TABLE.replace("y,x", "z,x"))
    assert works([run], out, shared) == ["execute"]
    path.write_text(TABLE)
    assert works([run], out, shared) == [""]


def test_a_notebook_that_may_read_by_other_means_is_keyed_by_the_file(toy, tmp_path, shared):
    cells = nbformat.read(toy, as_version=4)
    both = "lt.read_data(dataset, filter=filter)\nall_of_it = lt.read_data(dataset)"
    cells.cells.append(nbformat.v4.new_code_cell(both, id="reads"))
    nbformat.write(cells, toy)
    path = tmp_path / "in" / "table.csv"
    path.write_text(TABLE)
    out, run = tmp_path / "out", toy_run(toy, source=path, values={"filter": 'use == "yes"'})
    pretend([run], out, shared)
    path.write_text(TABLE.replace("9,9,no", "9,8,no"))
    assert works([run], out, shared) == ["execute"]


def test_data_that_cannot_be_read_are_left_to_their_run(reading, tmp_path, shared):
    run, path, _ = reading
    path.write_bytes(gzip.compress(b"x")[:9])
    assert works([run], tmp_path / "out", shared) == ["execute"]


def test_a_file_that_is_not_there_stops_everything(toy, tmp_path, shared):
    run = toy_run(toy, source=tmp_path / "none.csv")
    with pytest.raises(StudyError, match=r"none\.csv cannot be read \(No such file or directory\); nothing was run"):
        works([run], tmp_path / "out", shared)


def test_a_copy_is_what_was_keyed(toy, tmp_path, shared):
    path = tmp_path / "in" / "table.csv"
    path.write_text(TABLE)
    runs = [toy_run(toy, source=path), toy_run(toy, "warn", source=path)]
    with scratch_folder() as scratch:
        staging = Staging(scratch, shared)
        first, second = [staging.stage(run).run for run in runs]
        path.write_text("changed")
        toy.write_text("changed")
        assert first.source == second.source
        assert (first.source.name, first.source.read_text()) == ("table.csv", TABLE)
        assert "A toy report" in first.notebook.read_text()
    assert not scratch.exists()


def test_outcomes_that_are_kept_are_as_they_were():
    run = toy_run("toy.ipynb")
    text = json.dumps({"status": "ok", "reasons": ["r"], "record": {"a": 1}, "warnings": ["w"]})
    made = outcome_of(run, text, ["json", "html"], {"pages": 1.0})
    assert made.files == ("toy-good.html", "toy-good.json")
    assert (made.status, made.reasons, made.record, made.warnings) == ("ok", ("r",), {"a": 1}, ("w",))


@pytest.mark.slow
def test_pages_are_made_again_without_a_kernel(toy, tmp_path, monkeypatch):
    starts = tmp_path / "starts"
    monkeypatch.setenv("LMM_TOY_STARTS", str(starts))
    out, runs = tmp_path / "out", [toy_run(toy, name="a"), toy_run(toy, "warn", name="b")]
    first = make_toys(runs, out, jobs=1)
    assert first.done == ("a", "b")
    assert sorted(starts.read_text().split()) == ["a", "b"]
    before = {name: files_of(out, name) for name in ("a", "b", "index")}
    assert make_toys(runs, out, jobs=1).done == ()
    (out / "a.html").write_text("edited")
    (out / "b.pdf").unlink()
    again = make_toys(runs, out, jobs=1)
    assert again.done == ("a", "b")
    assert {name: files_of(out, name) for name in ("a", "b", "index")} == before
    assert len(starts.read_text().split()) == 2
    assert [outcome.seconds["notebook"] for outcome in again.outcomes] == [0.0, 0.0]
    make_toys([toy_run(toy, name="a", outputs=("html",)), runs[1]], out, jobs=1)
    assert set(files_of(out, "a")) == {"html", "json", "ipynb"}
    assert files_of(out, "a")["html"] == before["a"]["html"]
    assert len(starts.read_text().split()) == 2
    make_toys(runs, out, only=("a",), force=True, jobs=1)
    assert sorted(starts.read_text().split()) == ["a", "a", "b"]
    assert {name: files_of(out, name) for name in ("a", "b", "index")} == before


@pytest.mark.slow
def test_a_run_finds_its_data_by_their_bare_name_and_its_folder_in_no_output(toy, tmp_path):
    cells = nbformat.read(toy, as_version=4)
    cells.cells.insert(3, nbformat.v4.new_code_cell("open(dataset).read()", id="reads"))
    nbformat.write(cells, toy)
    path = tmp_path / "in" / "table of data.csv"
    path.write_text(TABLE)
    run = toy_run(toy, "where", name="a", source=path, values={"dataset": path.name})
    for out in ("first", "second"):
        assert make_toys([run], tmp_path / out).outcomes[0].status == "ok"
        assert not [suffix for suffix, data in files_of(tmp_path / out, "a").items() if str(tmp_path).encode() in data]
        page = (tmp_path / out / "a.html").read_text()
        assert "1.5,1,yes" in page
        assert "/here" not in page
        assert "object at 0x…" in page
    assert files_of(tmp_path / "first", "a") == files_of(tmp_path / "second", "a")


def test_shipped_data_are_keyed_by_their_file_and_their_entry(monkeypatch, tmp_path):
    (tmp_path / "datasets.json").write_text('{"a": {"file": "a.csv", "title": "A"}, "b": {"file": "b.csv"}}')
    (tmp_path / "a.csv").write_text("1")
    (tmp_path / "b.csv").write_text("1")
    monkeypatch.setattr("lmmtools.report.runs.staging.resource_dir", lambda kind: tmp_path)
    first = _shipped_digest("a")
    (tmp_path / "b.csv").write_text("2")
    assert _shipped_digest("a") == first
    (tmp_path / "a.csv").write_text("2")
    second = _shipped_digest("a")
    (tmp_path / "datasets.json").write_text('{"a": {"file": "a.csv", "title": "Another"}}')
    assert len({first, second, _shipped_digest("a")}) == 3
