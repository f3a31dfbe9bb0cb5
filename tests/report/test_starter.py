"""`lmmtools new`: a study that runs as it is, and nothing is ever overwritten."""

import json
import os
import tomllib

import pandas as pd
import pytest
from typer.testing import CliRunner

from lmmtools import StudyError, load_dataset
from lmmtools.__main__ import app
from lmmtools.report.asked.expand import expand
from lmmtools.report.asked.schema import json_schema
from lmmtools.report.asked.starter import new_study
from lmmtools.report.asked.study import read_study


def test_a_new_study_is_sound_and_complete(tmp_path):
    study = new_study(tmp_path / "mine")
    assert sorted(one.name for one in study.parent.iterdir()) == ["growth.csv", "study.schema.json", "study.toml"]
    runs = expand(*read_study(study))
    assert [run.name for run in runs] == [
        "growth-exploration", "growth-intercept-reml", "growth-slope-reml", "growth-comparison",
    ]  # fmt: skip
    assert all(run.source == tmp_path / "mine" / "growth.csv" and run.focal == "age" for run in runs)
    assert study.read_text(encoding="utf-8").startswith("#:schema study.schema.json\n")
    assert json.loads((study.parent / "study.schema.json").read_text(encoding="utf-8")) == json.loads(json_schema())


def test_its_data_are_the_shipped_ones(tmp_path):
    ours = pd.read_csv(new_study(tmp_path / "mine").parent / "growth.csv")
    assert ours["distance"].tolist() == load_dataset("Orthodont")["distance"].tolist()


@pytest.mark.parametrize(
    "name", ['a "quoted" name', "模型 😀", "a\nb", "\u202e<script>", "'''", "back\\slash", "x" * 200]
)
def test_odd_names_are_names(tmp_path, name):
    study = new_study(tmp_path / name)
    assert tomllib.loads(study.read_text(encoding="utf-8"))["title"]
    assert expand(*read_study(study))


def test_what_is_there_stays(tmp_path):
    (tmp_path / "empty").mkdir()
    assert new_study(tmp_path / "empty").is_file()
    before = {one.name: one.read_bytes() for one in (tmp_path / "empty").iterdir()}
    with pytest.raises(StudyError, match=r"exists and holds growth.csv, study.schema.json, study.toml; nothing was wr"):
        new_study(tmp_path / "empty")
    assert {one.name: one.read_bytes() for one in (tmp_path / "empty").iterdir()} == before
    (tmp_path / "file").write_text("x", encoding="utf-8")
    with pytest.raises(StudyError, match="is a file; nothing was written"):
        new_study(tmp_path / "file")
    os.symlink(tmp_path / "gone", tmp_path / "link")
    with pytest.raises(StudyError, match="is a file; nothing was written"):
        new_study(tmp_path / "link")


@pytest.mark.parametrize(
    ("name", "expected"),
    [("no/such/parent", "There is no folder"), ("x" * 5000, "name too long"), ("a\0b", "cannot be made")],
)
def test_where_nothing_can_be_made(tmp_path, name, expected):
    with pytest.raises(StudyError, match=expected):
        new_study(tmp_path / name)
    assert list(tmp_path.iterdir()) == []


def test_a_disk_that_refuses(tmp_path, monkeypatch):
    def full(*arguments, **options):
        raise OSError(28, "No space left on device")

    for target in ("pathlib.Path.mkdir", "os.replace"):
        with monkeypatch.context() as patch, pytest.raises(StudyError, match="No space left .*; nothing was written"):
            patch.setattr(target, full)
            new_study(tmp_path / "mine")
        assert list(tmp_path.iterdir()) == []


def test_on_the_command_line(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    made = CliRunner().invoke(app, ["new", "my study"])
    assert made.exit_code == 0 and "lmmtools report 'my study/study.toml'" in made.stdout
    again = CliRunner().invoke(app, ["new", "my study"])
    assert again.exit_code == 2 and "nothing was written" in again.stderr
    printed = CliRunner().invoke(app, ["schema"])
    assert printed.exit_code == 0 and printed.stdout == json_schema()


@pytest.mark.parametrize("name", ["", "  "])
def test_a_name_that_is_empty_is_no_folder(tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    done = CliRunner().invoke(app, ["new", name])
    assert done.exit_code == 2 and done.stderr.startswith("The name is empty; nothing was written.")
    assert not list(tmp_path.iterdir())
