"""Which residual structure for one mean model, and how much hangs on it.

`structures` fits several to the same rows and compares them, of `candidates` where none are named; `effects` puts the
fixed effects under each of them side by side.
"""

from lmmtools.residual_choice.effects import StructureEffects, structure_effects
from lmmtools.residual_choice.structures import ResidualStructures, pick_structure, residual_structures

__all__ = ["ResidualStructures", "StructureEffects", "pick_structure", "residual_structures", "structure_effects"]
