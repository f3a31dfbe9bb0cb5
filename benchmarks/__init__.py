"""lmmtools beside other engines, on the same data, in one run: `make bench`."""
