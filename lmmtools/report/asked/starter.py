"""A study to start from: a folder with a commented study file, data of its own and the schema for editors."""

from __future__ import annotations

import json
from pathlib import Path

from lmmtools.errors import StudyError
from lmmtools.formats import shortened, visible
from lmmtools.report.asked.schema import json_schema
from lmmtools.report.locate import resource_dir
from lmmtools.report.runs.files import write_whole

__all__ = ["new_study"]

_STUDY = """\
#:schema study.schema.json
# A study: what is fitted to which data, and what is made of it. `lmmtools report study.toml` runs it; every
# mistake in this file is then named with its line before anything runs. Editors that know the schema above
# complete and explain the keys as you type.
title = {title}
methods = ["REML"] # one run for each: "REML", "ML" or both
outputs = ["html", "pdf"] # the pages made of each run; numbers (.json) and notebook are always written
timeout = 300 # seconds that one cell of a notebook may take

[[datasets]]
name = "growth" # begins the names of the files
file = "growth.csv" # .csv, .tsv or .parquet, beside this file; without `file`, name is a shipped data set
# filter = "age > 8 and Sex == 'Female'" # the rows used; all if left out
focal = "age" # the coefficient that the index shows of every run
explore = true # one run that looks at the data before any model
compare = true # one run that compares the variants below

# What the file cannot say of its columns.
[datasets.columns]
distance = {{ kind = "number", unit = "mm", description = "distance between two points of the skull" }}
age = {{ kind = "number", unit = "years" }}
Subject = {{ kind = "factor", noun = ["child", "children"] }}
Sex = {{ kind = "factor", levels = ["Male", "Female"] }} # the first level is the reference

[[datasets.variants]]
name = "intercept"
title = "Growth: each child its own level"
formula = "distance ~ age + (1 | Subject)"

[[datasets.variants]]
name = "slope"
title = "Growth: each child its own line"
formula = "distance ~ age + (age | Subject)"
# methods = ["REML", "ML"] # any key from the top may stand here too, for this variant alone

# Without random effects, rows of one child may be correlated by a residual structure; it may stand beside them too.
# [[datasets.variants]]
# name = "unstructured"
# title = "Growth: any two ages their own correlation"
# formula = "distance ~ age * Sex"
# residual = "us(age | Subject) * varident(age)"

# More that can be said, with examples: docs/studies.md.
#   [[variants]]   variants of every data set
#   [[include]]    a variant of some: datasets = ["growth*"], then as a variant
#   [[exclude]]    runs left out: dataset = "growth", variant = "slope", method = "ML"
#   [parameters]   further parameters of the notebook, such as level = 0.9
#   notebook       of a variant or of all: "inference_report.ipynb", "diagnostics_report.ipynb",
#                  "covariance_report.ipynb", or your own
"""


def new_study(folder: Path) -> Path:
    """Write a study that runs as it is, and return its file.

    Parameters
    ----------
    folder : Path
        Made here; it may exist if it is empty.

    Raises
    ------
    StudyError
        If something is there already, or the folder cannot be written.
    """
    made: list[Path] = []
    try:
        name = folder.resolve().name
        _refuse_what_is_there(folder)
        contents = {
            "growth.csv": (resource_dir("data") / "Orthodont.csv").read_text(encoding="utf-8"),
            "study.schema.json": json_schema(),
            "study.toml": _STUDY.format(title=_toml_text(shortened(name, 80))),
        }
        if not folder.exists():
            folder.mkdir()
            made.append(folder)
        for file, text in contents.items():
            made.append(folder / file)
            write_whole(folder / file, text)
    except (OSError, ValueError) as error:
        if isinstance(error, StudyError):
            raise
        _unmake(made)
        reason = getattr(error, "strerror", None) or error
        raise StudyError(f"{visible(str(folder))} cannot be made ({reason}); nothing was written.") from error
    return folder / "study.toml"


def _unmake(made: list[Path]) -> None:
    for path in reversed(made):
        if path.is_dir():
            path.rmdir()
        else:
            path.unlink(missing_ok=True)


def _refuse_what_is_there(folder: Path) -> None:
    if folder.is_dir():
        there = sorted(visible(one.name) for one in folder.iterdir())
        if there:
            more = f" and {len(there) - 5} more" if len(there) > 5 else ""
            shown = f"{visible(str(folder))} exists and holds {', '.join(there[:5])}{more}"
            raise StudyError(f"{shown}; nothing was written. Choose another name.")
    elif folder.exists() or folder.is_symlink():
        raise StudyError(f"{visible(str(folder))} is a file; nothing was written. Choose another name.")
    if not folder.parent.is_dir():
        raise StudyError(f"There is no folder {visible(str(folder.parent))} to make a study in; nothing was written.")


def _toml_text(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)
