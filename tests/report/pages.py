"""A notebook with every kind of block, its text as hostile as data can make it, and its page."""

from nbformat.v4 import new_code_cell, new_markdown_cell, new_output

from lmmtools.figures import figure
from lmmtools.prose.value import literal
from lmmtools.report.asked.parameters import Parameter
from lmmtools.report.pages.export_html import LmmHtmlExporter
from lmmtools.report.pages.page import make_page
from lmmtools.tables import Column, Table
from tests.report.conftest import notebook

HOSTILE = (
    """<script>alert("1")</script> </style></title> $#[] $$ \\ 'a' "b" &amp; {{ 7 * 7 }} @fig-line [@bates2015] """
    "\N{RIGHT-TO-LEFT OVERRIDE}שלום <!-- 漢 😀 <img src='https://example.org/a.png' onerror='alert(2)'>"
)
EQUATIONS = r"y &= X\beta + \varepsilon \\ b &\sim N(0, \sqrt{\frac{a}{b}})"
PNG = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNkYPj/HwADBwIAMCbHYQAAAABJRU5ErkJggg=="
FOREIGN_SVG = (
    '<?xml version="1.0"?>\n<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 100 50" width="100" height="50">'
    "<style>*{fill:red}</style><script>alert(3)</script><rect id='content' width='50' height='30'/></svg>"
)
FOREIGN_TABLE = (
    '<style scoped>td{color:red}</style><div><table border="1" class="dataframe" onclick="alert(4)"><thead><tr>'
    "<th></th><th>a</th></tr></thead><tbody><tr><th>0</th><td>1 &lt;b&gt;</td></tr></table></div></div>"
    '<img src="https://example.org/a.png"><script>alert(5)</script>'
)


def table(level="A"):
    columns = (
        Column("batch", "Batch", header=True),
        Column("mean", "Mean (g)", "estimate"),
        Column("p", "p", "p"),
        Column("note", "Note"),
    )
    rows = (
        (level, 1505.0, 1e-12, "first"),
        ("B", 1528.0, 0.5, "second"),
        ("C", -3.25, 1e-7, "third"),
        ("D", None, float("nan"), "none"),
    )
    return Table(columns, rows, caption=f"Yield of {level}", label="tbl-yield", notes=("A note.",))


def shown(value):
    data, metadata = value._repr_mimebundle_()
    return new_output("display_data", data, metadata=metadata)


def drawing(level="A"):
    def line(ax):
        ax.plot([1, 2, 3], [2, 1, 3], "o-")
        ax.set(xlabel=level[:40], ylabel=level[-40:])

    return figure(line, caption=f"A line for {level}", label="fig-line", alt=f"Three points of {level}")


def example(level="A"):
    """The notebook; ``level`` is a label from data, and stands wherever one can."""
    said = literal(level)
    note = f"[^1]: A footnote: {said}."
    stream = new_output("stream", name="stderr", text=f"<cell>:1: UserWarning: mind {level}\n  f()\n")
    error = new_output("error", ename="ValueError", evalue=f"bad {level}", traceback=["line 1", f"in {level}"])
    about = {"lmmtools": {"caption": f"From elsewhere: {level}", "label": level, "alt": f"A picture of {level}"}}
    captioned = {"lmmtools": {"caption": f"Frame of {level}"}}
    foreign = [
        new_output("display_data", {"image/svg+xml": FOREIGN_SVG, "text/plain": level}, metadata=about),
        new_output("display_data", {"image/png": PNG, "text/plain": level}),
        new_output("display_data", {"text/html": FOREIGN_TABLE, "text/plain": level}, metadata=captioned),
        new_output("display_data", {"text/markdown": f"plain {said}", "text/plain": level}),
    ]
    kinds = ("NOTE", "TIP", "IMPORTANT", "WARNING", "CAUTION")
    alerts = "\n\n".join(f"> [!{kind}]\n> Of {said}." for kind in kinds)
    results = (
        "## Results\n\nSee @tbl-yield and @fig-line; [@laird1982; @bates2015, p. 3].[^1]\n\n[^1]: As @bates2015 do."
    )
    listed = (
        f"### Of {said}\n\n- one\n- two\n\n| a | b |\n|---|--:|\n| {said.replace('|', '')} | 2 |\n\n---\n\n> quoted"
    )
    return notebook(
        new_markdown_cell(f"# Batches\n\nOne paragraph on {said} with $\\hat\\beta_j$[^1].\n\n{note}"),
        new_markdown_cell(f"## Model\n\n$$\n\\begin{{aligned}}{EQUATIONS}\\end{{aligned}}\n$$"),
        new_markdown_cell(alerts),
        new_code_cell("show(table)  # the numbers", outputs=[shown(table(level))]),
        new_markdown_cell(results),
        new_code_cell('figure(line, label="a")\nx = 1.5', outputs=[shown(drawing(level))]),
        new_code_cell("figure(line)", outputs=[shown(drawing(level))]),
        new_markdown_cell(f"{listed}\n\n```python\nx = 1\n```\n\n![elsewhere](https://example.org/a.png)"),
        new_code_cell("others()", outputs=foreign),
        new_code_cell(
            f"f({level!r})", outputs=[new_output("stream", name="stdout", text=f"printed {level}"), stream, error]
        ),
    )  # fmt: skip


def page(level="A", status="flat direction"):
    declared = (
        (Parameter("reml", "bool", True, "REML or ML"), True, False),
        (Parameter("formula", "str", "", f"The model of {level}"), f"y ~ {level}", True),
    )
    return make_page(
        example(level),
        title=f"Report on {level}",
        status=status,
        reasons=(f"{level} is flat.",),
        parameters=declared,
        facts=(("Data", level), ("Model", f"y ~ {level}")),
    )


def html_of(level="A", **options):
    return LmmHtmlExporter(**options).from_notebook_node(example(level), {"lmmtools_page": page(level)})[0]
