"""The architecture, kept: who may import whom, what stays light, and how long a piece of code may get."""

import ast
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "lmmtools"
MODULES = sorted(PACKAGE.rglob("*.py"))

# Low to high. A module imports from floors below its own, and on its own floor from those named before it.
FLOORS = (
    ("errors", "arguments", "processors"),
    ("core", "formats", "formula", "tables", "figures", "bibliography", "toml"),
    ("estimable", "collapsed", "certificate", "design", "frames", "equations", "datasets", "sources"),
    # functions of a fit's numbers
    ("noise", "ranef", "fitted_variances", "projection", "residuals", "predictive", "predict", "simulate",
     "residual_parameters", "varcorr", "inference", "resampling", "profiles", "parameterised", "methods",
     "summary",
     "dependence"),
    ("results", "fit", "singular", "algorithms", "nesting", "comparison", "measures", "triangulation", "lattices",
     "models", "variants", "residual_choice", "growth",
     "groupwise", "matrices", "deletion", "uniformity", "surfaces", "validation", "planning", "assumptions"),
    ("explore", "plots", "prose", "crosscheck", "replication"),
    ("findings", "records", "report", "__main__"),
)
# Words and digits, tables, pictures, papers and files people write: what a report needs, whatever the model is.
NEUTRAL = ("formats", "tables", "figures", "bibliography", "toml")
RANK = {name: (floor, place) for floor, names in enumerate(FLOORS) for place, name in enumerate(names)}

# Third parties a place may import; everywhere else they are free, within the declared dependencies.
ONLY = {
    "errors": set(),
    "arguments": set(),
    "processors": set(),
    "core": {"numpy", "scipy"},
    "formats": set(),
    "formula": set(),
    "tables": set(),
}
ONLY_IN = {
    "statsmodels": {"crosscheck"},
    "papermill": {"report"},
    "nbconvert": {"report"},
    "nbclient": {"report"},
    "typst": {"report"},
    "pypandoc": {"report"},
    "formulaic": {"design"},
    "filelock": {"report"},
    "tree_sitter": {"toml"},
    "tree_sitter_toml": {"toml"},
}
HEAVY = ("statsmodels", "matplotlib", "papermill", "nbconvert", "scipy.stats", "IPython", "typst", "jinja2")
NEVER_AT_THE_TOP = {"statsmodels", "matplotlib", "papermill", "formulaic"}


def place(path: Path) -> str:
    """Top-level module or package a file belongs to."""
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def named(node: ast.stmt) -> list[str]:
    """Dotted names a statement imports; those of `from lmmtools import x` are lmmtools.x."""
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    if isinstance(node, ast.ImportFrom) and node.module == "lmmtools":
        return [f"lmmtools.{alias.name}" for alias in node.names]
    if isinstance(node, ast.ImportFrom):
        return [f"{node.module}.{alias.name}" for alias in node.names]
    return []


def is_for_types(node: ast.AST) -> bool:
    """Whether a statement is `if TYPE_CHECKING:`, which nothing runs."""
    return isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)


def imports(tree: ast.AST, top: bool = True) -> Iterator[tuple[str, bool]]:
    """Every imported name of a file, with whether it is imported as the file is."""
    for node in ast.iter_child_nodes(tree):
        if is_for_types(node):
            continue
        for name in named(node):
            yield name, top
        yield from imports(node, top and not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))


@cache
def parsed(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


@cache
def imports_of(path: Path) -> tuple[tuple[str, bool], ...]:
    """Every imported name of a file, read once for all that is asked of it."""
    return tuple(imports(parsed(path)))


def label(path: Path) -> str:
    return path.relative_to(PACKAGE).as_posix()


def test_the_table_of_floors_names_every_module_and_no_other():
    assert {place(path) for path in MODULES} - {"__init__"} == set(RANK)
    assert sum(map(len, FLOORS)) == len(RANK), "a module stands on two floors"


def test_the_readme_has_the_same_floors():
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| \d+ \| (.+?) \|", text, flags=re.MULTILINE)
    assert [tuple(re.findall(r"`(\w+)/?`", row)) for row in rows] == list(FLOORS)


@pytest.mark.parametrize("path", MODULES, ids=label)
def test_imports_only_from_floors_below(path):
    here = place(path)
    if here == "__init__":
        return  # the way in: names only, resolved when they are used
    public = public_names()
    for name, _ in imports_of(path):
        if not name.startswith("lmmtools."):
            continue
        there = name.split(".")[1]
        there = public.get(there, there)  # `from lmmtools import fit_lmm`, as users write it
        if there in (here, "__version__"):
            continue
        assert RANK[there] < RANK[here], f"{label(path)} imports {name}, which is not below it"


@cache
def public_names() -> dict[str, str]:
    """Public names of the package, each with the place it is defined in."""
    import lmmtools

    return {name: home.split(".")[0] for name, home in lmmtools._HOME.items()}


@pytest.mark.parametrize("path", [path for path in MODULES if place(path) == "report"], ids=label)
def test_the_report_uses_public_names_only(path):
    for name, _ in imports_of(path):
        parts = name.split(".")
        if parts[0] == "lmmtools" and parts[1] in RANK:
            own = RANK[parts[1]][0] in (0, len(FLOORS) - 1) or parts[1] in NEUTRAL
            assert own, f"{label(path)} imports {name}; a report knows models by public names alone"


@pytest.mark.parametrize(
    "name",
    ("bygroup", "correlation_laws", "dense", "derivatives", "jets", "layout", "residual_laws", "rounding",
     "structures"),
)
def test_what_checks_the_engine_shares_nothing_with_it(name):
    """Words and errors apart: `crosscheck` compares, and only its tables know both sides."""
    path = PACKAGE / "crosscheck" / f"{name}.py"
    ours = {there.split(".")[1] for there, _ in imports_of(path) if there.startswith("lmmtools.")}
    assert ours <= {"crosscheck", "errors", "formats"}


@pytest.mark.parametrize("path", MODULES, ids=label)
def test_third_parties_stay_where_they_belong(path):
    here = place(path)
    for name, top in imports_of(path):
        first = name.split(".")[0]
        if first in sys.stdlib_module_names or first == "lmmtools":
            continue
        assert first in ONLY.get(here, {first}), f"{label(path)} imports {name}"
        assert here in ONLY_IN.get(first, {here}), f"{label(path)} imports {name}"
        assert not name.startswith("matplotlib.pyplot"), f"{label(path)} imports pyplot, which keeps state"
        home = ONLY_IN.get(first, {"plots", "figures"})
        light = not top or first not in NEVER_AT_THE_TOP or here in home
        assert light, f"{label(path)} imports {name} before anything needs it"


def loaded_after(code: str) -> set[str]:
    """Heavy modules a fresh interpreter holds after running `code`."""
    heavy = (*HEAVY, "formulaic")
    script = f"{code}\nimport sys\nprint(*[name for name in {heavy!r} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    return set(done.stdout.split())


def test_import_is_light():
    assert loaded_after("import lmmtools") == set()


def test_a_fit_needs_nothing_heavy_but_formulaic():
    code = (
        "import lmmtools as lt\n"
        "fit = lt.fit_lmm('Reaction ~ Days + (Days | Subject)', lt.load_dataset('sleepstudy'))\n"
        "fit.coef_table(), fit.varcorr, fit.confint()"
    )
    assert loaded_after(code) == {"formulaic"}


def test_dependencies_are_those_the_code_imports():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    declared = {line.split(">")[0].strip().lower().replace("-", "_") for line in project["dependencies"]}
    distribution = {"pypandoc": "pypandoc_binary"}
    used = {
        distribution.get(first, first)
        for path in MODULES
        for first in (name.split(".")[0] for name, _ in imports_of(path))
        if first not in sys.stdlib_module_names and first not in ("lmmtools", "")
    }
    # Columns backed by pyarrow exist only where it is installed; the kernel is started by name.
    assert used - declared == set()
    assert declared - used <= {"ipykernel", "pyarrow"}  # the kernel is started by name, Parquet read by pandas


@pytest.mark.parametrize("path", MODULES, ids=label)
def test_files_and_functions_fit_the_eye(path):
    lines = path.read_text(encoding="utf-8").splitlines()
    assert len(lines) <= 400, f"{label(path)} has {len(lines)} lines; look for the second idea in it"
    for node in ast.walk(parsed(path)):
        if isinstance(node, ast.FunctionDef):
            documented = ast.get_docstring(node) is not None
            first = node.body[min(1, len(node.body) - 1)] if documented else node.body[0]
            length = node.end_lineno - first.lineno + 1
            assert length <= 60, f"{label(path)}: {node.name} runs over {length} lines"
