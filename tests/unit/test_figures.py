"""Figures: the same bytes each time, at home beside others in any page, light or dark."""

import re
import subprocess
import sys
import xml.etree.ElementTree as ET

import numpy as np
import pytest

from lmmtools.figures import FONTS, Figure, figure

HOSTILE = '$$ <b>"\' #000000 id="x" url(#y) &amp; \n日本'
X = np.linspace(0, 1, 7)


def line(scale=1.0, text="x", *, ax):
    ax.plot(X, scale * X**2, "o-", label=text, clip_on=True)
    ax.fill_between(X, 0, X, color="black", alpha=0.1)
    ax.set(xlabel=text, title=text)
    ax.legend()


def cloud(n, ax):
    rng = np.random.default_rng(1)
    ax.plot(*rng.normal(size=(2, n)), ".", rasterized=n > 3000)


@pytest.fixture(scope="module")
def drawn():
    return figure(line, caption="A & <b>", label="fig-a", alt='Says "x"')


def test_two_renderings_are_the_same_bytes(drawn):
    assert figure(line, caption="A & <b>", label="fig-a", alt='Says "x"') == drawn


def test_each_mark_has_its_colours_itself():
    def marks(ax):
        ax.plot([1, 2], [1, 2], "o", markerfacecolor="none", markeredgecolor="#0072B2", markeredgewidth=0.9)
        ax.plot([1, 2], [2, 1], "|", color="#D55E00")

    root = ET.fromstring(figure(marks).svg)
    shapes = [node for node in root.iter("{http://www.w3.org/2000/svg}path") if "id" in node.attrib]
    uses = [node.get("style", "") for node in root.iter("{http://www.w3.org/2000/svg}use")]
    assert len(shapes) >= 2 and not any("stroke" in node.get("style", "") for node in shapes)
    assert [sum(colour in style for style in uses) for colour in ("stroke: #0072b2", "stroke: #d55e00")] == [2, 2]
    assert sum("stroke-width: 0.9" in style for style in uses) == 2


def test_another_process_writes_the_same_bytes():
    code = (
        "import numpy as np; from lmmtools.figures import figure\n"
        "def line(ax): ax.plot([1, 2], [1, 3], 'o-')\n"
        "import hashlib; print(hashlib.sha256(figure(line).svg.encode()).hexdigest())"
    )
    first, second = (
        subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout for _ in "ab"
    )
    assert first == second


def test_the_users_own_settings_change_nothing(drawn):
    import matplotlib as mpl

    with mpl.rc_context({"font.size": 30, "lines.linewidth": 9, "svg.fonttype": "path", "text.parse_math": True}):
        assert figure(line, caption="A & <b>", label="fig-a", alt='Says "x"') == drawn


def test_it_leaves_no_settings_behind_and_keeps_no_state():
    code = (
        "import sys; import matplotlib as mpl; from lmmtools.figures import figure\n"
        "def settings(): return {key: dict.__getitem__(mpl.rcParams, key) for key in mpl.rcParams}\n"
        "before = settings()\n"  # read past rcParams' own lookup, which would choose a backend
        "figure(lambda ax: ax.plot([1, 2]), caption='c', label='l')\n"
        "assert settings() == before\n"
        "assert 'matplotlib.pyplot' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_it_is_named_for_those_who_do_not_see_it(drawn):
    root = ET.fromstring(drawn.svg)
    assert root.attrib["role"] == "img"
    assert root.attrib["aria-label"] == 'Says "x"'
    assert root.find("{http://www.w3.org/2000/svg}title").text == "A & <b>"


def ids(svg):
    return set(re.findall(r'<[^>]* id="([^"]*)"', svg))


def test_ids_are_a_figures_own(drawn):
    other = figure(line, 2.0, caption="A & <b>", label="fig-a", alt='Says "x"')
    assert ids(drawn.svg)
    assert not ids(drawn.svg) & ids(other.svg)
    assert all(name.startswith("fig-a-") for name in ids(drawn.svg))


def test_every_reference_has_its_id(drawn):
    used = set(re.findall(r'(?:xlink:href="#|url\(#)([^")]+)', drawn.svg))
    assert used == ids(drawn.svg)


def test_black_follows_the_page(drawn):
    assert "#000000" not in drawn.svg
    assert ET.fromstring(drawn.svg).attrib["fill"] == "currentColor"


def test_no_rule_reaches_the_page_around_it(drawn):
    rules = re.findall(r"<style[^>]*>(.*?)</style>", drawn.svg, re.DOTALL)
    assert rules == ["svg:root{background:#fff;color:#000}"]
    assert "<metadata" not in drawn.svg
    assert "<?xml" not in drawn.svg


def test_hostile_text_is_shown_as_it_is():
    svg = figure(line, text=HOSTILE, caption=HOSTILE, label=HOSTILE, alt=HOSTILE).svg
    root = ET.fromstring(svg)
    texts = ["".join(node.itertext()) for node in root.iter("{http://www.w3.org/2000/svg}text")]
    assert any(text.startswith('$$ <b>"\' #000000 id="x" url(#y) &amp;') for text in texts)
    assert "\n" not in root.attrib["aria-label"]


def test_many_marks_become_a_picture_and_text_stays_text():
    few, many = figure(cloud, 3000).svg, figure(cloud, 7000).svg
    assert "<image" not in few
    assert many.count("<image") == 1
    assert len(many) < len(few)
    assert many.count("<text") > 5


def test_defaults_say_what_is_known():
    made = figure(line)
    assert (made.caption, made.label, made.alt) == ("line", "fig-line", "line")


def test_mime_bundle(drawn):
    data, metadata = drawn._repr_mimebundle_()
    assert data == {"image/svg+xml": drawn.svg, "text/plain": 'Figure: A & <b>\nSays "x"'}
    assert metadata["lmmtools"] == {"kind": "figure", "caption": "A & <b>", "label": "fig-a", "alt": 'Says "x"'}


def test_typst_sets_it(drawn):
    import matplotlib as mpl
    import typst

    page = b'#set page(width: auto, height: auto)\n#image("a.svg")'
    fonts = [str(FONTS), f"{mpl.get_data_path()}/fonts/ttf"]
    pdf = typst.compile({"main": page, "a.svg": drawn.svg.encode()}, ignore_system_fonts=True, font_paths=fonts)
    assert b"SourceSans3" in pdf


def test_words_are_measured_in_the_shipped_font_and_bold_needs_no_other(caplog):
    from matplotlib.font_manager import FontProperties, findfont

    def bold(ax):
        ax.set_title("bold", weight="bold")

    figure(bold)
    assert findfont(FontProperties(family="Source Sans 3")) == str(FONTS / "SourceSans3-Regular.ttf")
    assert not caplog.records


def test_fonts_and_their_licences_are_shipped():
    names = {path.name for path in FONTS.iterdir()}
    assert {"OFL-Libertinus.txt", "OFL-STIXTwo.txt", "OFL-SourceSans3.txt", "README.md"} <= names
    assert all("SIL OPEN FONT LICENSE" in path.read_text(encoding="utf-8") for path in FONTS.glob("OFL-*.txt"))


def test_it_is_frozen(drawn):
    with pytest.raises(AttributeError):
        drawn.svg = ""
    assert isinstance(drawn, Figure)
