"""Files that people write in TOML: read, and every mistake in them named by its line and the nearest valid name."""

from lmmtools.toml.columns import Column
from lmmtools.toml.mistakes import TYPE_WORDS, Mistake, find_mistakes, hint, key_text
from lmmtools.toml.positions import line_of, positions
from lmmtools.toml.reading import read_toml

__all__ = ["TYPE_WORDS", "Column", "Mistake", "find_mistakes", "hint", "key_text", "line_of", "positions", "read_toml"]
