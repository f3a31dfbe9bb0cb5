"""What an analysis of variance tests: for each fixed term, linear functions of β that are zero.

They are derived from the design, as SAS and lmerTest define them, and are the same whatever contrasts code the factors.
`overparameterised` writes each term with a parameter for every cell of its factors, `containment` says which terms lie
within which, `sequential` has types I and II, `balanced` type III, and `derive` brings these together.
"""

from lmmtools.inference.hypotheses.derive import TYPES, hypotheses

__all__ = ["TYPES", "hypotheses"]
