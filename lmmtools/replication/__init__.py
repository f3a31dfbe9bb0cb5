"""Published numbers as data: computed again, and held against what is printed.

`ledger` is the file of a source and how it is read, `printed` a number in print. `fits` makes a model's fit and
`quantities` reads numbers off it by their paths; `verdicts` says what a number computed says of the one printed, and
`alternatives` searches for what else would print it. `computing` does this for many numbers over processes, `result`
is what comes back, and `run` is all of it.
"""
