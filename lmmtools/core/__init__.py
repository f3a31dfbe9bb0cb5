"""The numerical core: numpy arrays in, numpy arrays out; nothing here knows formulas or data frames."""
