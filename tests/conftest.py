"""What every test shares: how hypothesis searches, a frame to build designs from, programs that look at pages."""

import os
import shutil

import numpy as np
import pandas as pd
import pytest
from hypothesis import settings

settings.register_profile("local", deadline=None, max_examples=40)
settings.register_profile("ci", settings.get_profile("local"), derandomize=True, print_blob=True)  # the same every run
settings.load_profile("ci" if os.environ.get("CI") else "local")


@pytest.fixture
def data() -> pd.DataFrame:
    """Rows of numbers, counts, plain and ordered categories, in eight groups."""
    rng = np.random.default_rng(7)
    n = 48
    return pd.DataFrame(
        {
            "y": rng.normal(size=n),
            "x": rng.uniform(1, 5, size=n),
            "z": rng.normal(size=n),
            "k": np.arange(n) % 6,
            "f": np.array(list("dbca"))[np.arange(n) % 4],
            "h": pd.Categorical(
                np.array(["low", "mid", "high"])[np.arange(n) // 16], ["low", "mid", "high"], ordered=True
            ),
            "g": np.arange(n) % 8 + 1,
        }
    )


def _program(names: tuple[str, ...], package: str) -> str:
    """Return the path of the first program found; else skip, or fail where the run asks for pages seen."""
    for name in names:
        path = shutil.which(name)
        if path:
            return path
    sentence = f"{names[0]} is not installed (package {package}), so the pages were not looked at"
    if os.environ.get("LMMTOOLS_REQUIRE_BROWSER"):
        pytest.fail(f"{sentence}, and LMMTOOLS_REQUIRE_BROWSER asks for it")
    pytest.skip(sentence)


@pytest.fixture(scope="session")
def chromium() -> str:
    """Path of a Chromium that runs headless."""
    return _program(("chromium", "chromium-browser", "google-chrome"), "chromium")


@pytest.fixture(scope="session")
def pdftoppm() -> str:
    """Path of poppler's pdftoppm, which turns the pages of a PDF into pictures."""
    return _program(("pdftoppm",), "poppler-utils")


@pytest.fixture(scope="session")
def pdftotext() -> str:
    """Path of poppler's pdftotext, which takes the text out of a PDF."""
    return _program(("pdftotext",), "poppler-utils")
