"""The file of a source: its format, what can be wrong in it, and the numbers and models that are read from it."""
