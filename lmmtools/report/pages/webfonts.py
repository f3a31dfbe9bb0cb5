"""The fonts of HTML pages as a style sheet that holds them whole."""

from __future__ import annotations

import base64
from functools import lru_cache

from lmmtools.figures import FONTS

__all__ = ["web_fonts"]

# File, the family's name in style sheets, weight and style.
_FACES = (
    ("LibertinusSerif-Regular", "Libertinus Serif", "400", "normal"),
    ("LibertinusSerif-Italic", "Libertinus Serif", "400", "italic"),
    ("LibertinusSerif-Bold", "Libertinus Serif", "700", "normal"),
    ("ReportSans-Regular", "Report Sans", "400", "normal"),
    ("ReportSans-Semibold", "Report Sans", "600", "normal"),
    ("STIXTwoMath-Regular", "STIX Two Math", "400", "normal"),
)


@lru_cache(maxsize=1)
def web_fonts() -> str:
    """Return ``@font-face`` rules with the fonts in base 64, for a page that asks nothing of the network."""
    rules = []
    for file, family, weight, style in _FACES:
        data = base64.b64encode((FONTS / f"{file}.woff2").read_bytes()).decode()
        rules.append(
            f'@font-face{{font-family:"{family}";font-weight:{weight};font-style:{style};'
            f'src:url(data:font/woff2;base64,{data}) format("woff2")}}'
        )
    return "\n".join(rules)
