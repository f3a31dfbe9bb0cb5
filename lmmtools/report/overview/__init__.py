"""What there is: the index over all runs, the page of their cross-checks, the same as tables for programs."""
