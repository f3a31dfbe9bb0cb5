"""What else would print a number that is not reproduced: a declared search, and the chance that it is luck.

`changes` lists other models, `readings` other readings of the same quantity, `stops` points at which looser searches
stop; `luck` is the chance that one of them prints the digits by luck, `distance` how far above the minimum they are
printed, `tried` puts it together and `told` says it in words.
"""

from __future__ import annotations

from lmmtools.replication.alternatives.tried import Candidates, Search, Tried

__all__ = ["Candidates", "Search", "Tried"]
