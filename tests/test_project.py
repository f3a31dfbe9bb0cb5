"""The project around the code: the lock, the wheel, what the tree may not hold, the names promised."""

import contextlib
import doctest
import io
import json
import os
import re
import subprocess
import sys
import tomllib
import zipfile
from importlib import import_module
from pathlib import Path

import pytest

import lmmtools

ROOT = Path(__file__).resolve().parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
LOCK = (ROOT / "requirements.lock").read_text(encoding="utf-8")
MADE = set(".git reports dist build __pycache__ .pytest_cache .ruff_cache .hypothesis .cases".split())
WRITTEN = set(".py .ipynb .md .toml .yml .yaml .json .lock .txt .R .j2 .typ .lua .css .js .html".split())

BARE = {"Makefile", "LICENSE", "run", ".gitignore"}

PUBLIC = (
    "fit_lmm parse_formula build_design Criterion minimize summarize LMMFit Design Certificate lrt compare "
    "icc r2 exact_lrt profile bootstrap marginal_means robust_vcov triangulate "
    "cross_check load_dataset list_datasets record figure plots prose LMMWarning"
).split()
ATTRIBUTES = (
    "formula reml nobs npar ngroups fixef stderr vcov theta theta_names varcorr sigma criterion loglik aic "
    "bic df_resid ranef ranef_cov fitted resid residual_params is_singular certificate messages "
    "n_evaluations design"
).split()
METHODS = "coef_table test anova confint predict residuals simulate refit summary".split()


def written_files() -> list[Path]:
    """Files somebody wrote: no environments, caches, or what a command makes again."""
    found = []
    for folder, folders, names in os.walk(ROOT):
        folders[:] = [name for name in folders if name not in MADE and not name.startswith(".venv")]
        found += [Path(folder, name) for name in names if Path(name).suffix in WRITTEN or name in BARE]
    return found


def locked() -> dict[str, str]:
    """Packages of the lock with their versions."""
    return dict(re.findall(r"^([a-z0-9._-]+)==(\S+)", LOCK, flags=re.MULTILINE))


def test_the_lock_names_no_place():
    assert "://" not in LOCK
    assert not re.search(r"--(extra-)?index-url|--find-links", LOCK)
    assert not re.search(r"(^|\s)/\w", LOCK, flags=re.MULTILINE), "an absolute path"


def test_every_locked_package_has_a_hash():
    entries = [entry for entry in re.split(r"\n(?=[a-z0-9])", LOCK) if "==" in entry]
    assert len(entries) == len(re.findall(r"^[a-z0-9._-]+==", LOCK, flags=re.MULTILINE)) > 50
    assert all("--hash=sha256:" in entry for entry in entries)


def test_the_lock_holds_what_the_project_asks_for():
    project, build = PROJECT["project"], PROJECT["dependency-groups"]["build"]
    extras = project["optional-dependencies"]
    for line in (*project["dependencies"], *extras["lab"], *extras["test"], *build):
        name, least = line.lower().replace("_", "-").split(">=")
        have = locked()[name]
        numbers = [tuple(int(part) for part in re.findall(r"\d+", version)[:3]) for version in (have, least)]
        assert numbers[0] >= numbers[1], f"{name} {have} is locked, {least} or newer is asked for"


def test_one_version_everywhere():
    assert lmmtools.__version__ == PROJECT["project"]["version"]
    changes = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    assert re.search(r"^## (\S+)", changes, flags=re.MULTILINE).group(1) == lmmtools.__version__


def test_no_file_names_a_machine_or_an_index():
    # A kernel calls its cells /tmp/ipykernel_…: the reports take those names away, and tests say so.
    places = re.compile(r"(?<![\w.~])/(?:home|root|Users|work|opt)/\w|(?<![\w.~])/tmp/(?!ipykernel_)\w")
    hosts = ("py" + "pi.org", "python" + "hosted", "py" + "pi.python")
    wrong = []
    for path in written_files():
        text = path.read_text(encoding="utf-8")
        wrong += [f"{path.relative_to(ROOT)}: {found}" for found in places.findall(text)]
        wrong += [f"{path.relative_to(ROOT)}: {host}" for host in hosts if host in text]
    assert wrong == []


def test_notebooks_are_stored_without_outputs():
    notebooks = [path for path in written_files() if path.suffix == ".ipynb"]
    assert ROOT / "notebooks" / "model_report.ipynb" in notebooks
    for path in notebooks:
        for cell in json.loads(path.read_text(encoding="utf-8"))["cells"]:
            assert not cell.get("outputs") and cell.get("execution_count") is None, path.name


@pytest.mark.parametrize("name", PUBLIC)
def test_public_names_resolve(name):
    assert getattr(lmmtools, name) is not None
    assert name in dir(lmmtools)


def test_a_fit_has_what_is_promised():
    fit = lmmtools.fit_lmm("Yield ~ 1 + (1 | Batch)", lmmtools.load_dataset("Dyestuff"))
    missing = [name for name in (*ATTRIBUTES, *METHODS) if not hasattr(fit, name)]
    assert missing == []
    with pytest.raises(AttributeError):
        fit.sigma = 1.0


def test_unknown_names_are_refused():
    with pytest.raises(AttributeError, match="fit_glmm"):
        _ = lmmtools.fit_glmm


@pytest.mark.slow
def test_the_wheel_carries_data_notebooks_and_templates(tmp_path):
    build = [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", str(tmp_path)]
    subprocess.run(build, cwd=ROOT, check=True, capture_output=True)
    (wheel,) = tmp_path.glob("lmmtools-*.whl")
    unpacked = tmp_path / "installed"
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(unpacked)
    for kind, source in (("_data", "data"), ("_notebooks", "notebooks"), ("_templates", "templates")):
        place, origin = unpacked / "lmmtools" / kind, ROOT / source
        inside = {path.relative_to(place) for path in place.rglob("*")}
        assert inside >= {path.relative_to(origin) for path in written_files() if origin in path.parents}
    code = "import lmmtools as lt; print(lt.__file__, len(lt.load_dataset('sleepstudy')))"
    away = {"PYTHONPATH": str(unpacked), "PATH": os.environ["PATH"]}
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, env=away, capture_output=True, text=True, check=True
    )
    where, rows = done.stdout.split()
    assert Path(where).is_relative_to(unpacked)
    assert rows == "180"


def test_the_pages_point_at_what_is_there():
    for page in (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))):
        links = [link.split("#")[0] for link in re.findall(r"\]\(([^)]+)\)", page.read_text(encoding="utf-8"))]
        missing = [link for link in links if link and not (page.parent / link).exists()]
        assert missing == [], page.name


def test_the_readme_shows_what_the_fit_prints():
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    code, shown = re.search(r"```python\n(.*?)```\n+```text\n(.*?)```", text, flags=re.DOTALL).groups()
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    # The last digits of an optimum may differ by platform; what is printed must not.
    assert done.stdout.split() == shown.split()


@pytest.mark.parametrize(
    "page",
    [
        "models.md",
        "inference.md",
        "covariance.md",
        "growth.md",
        "random_effects.md",
        "checks.md",
        "influence.md",
        "residuals.md",
        "prediction.md",
        "power.md",
    ],
)
def test_the_page_is_true(page):
    """Its blocks are run one after the other, and print what stands below them."""
    text = (ROOT / "docs" / page).read_text(encoding="utf-8")
    blocks = re.findall(r"```python\n(.*?)```(?:\n+```text\n(.*?)```)?", text, flags=re.DOTALL)
    assert len(blocks) == text.count("```python") > 5
    names = {"__name__": "models"}
    for code, shown in blocks:
        out = io.StringIO()
        with contextlib.redirect_stdout(out):
            exec(code, names)
        assert out.getvalue().split() == shown.split(), code


EXAMPLES = [path for path in sorted((ROOT / "lmmtools").rglob("*.py")) if ">>>" in path.read_text(encoding="utf-8")]


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_examples_in_docstrings_are_true(path):
    module = import_module(".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"))
    found = doctest.testmod(module)
    assert found.attempted > 0
    assert found.failed == 0
