"""What a replication found: numbers, the models and places they are of, sources, and all of them as one value."""

from lmmtools.replication.result.gather import gathered
from lmmtools.replication.result.models import ModelRun
from lmmtools.replication.result.numbers import ReplicatedNumber
from lmmtools.replication.result.replication import Replication
from lmmtools.replication.result.sources import Place, ReplicatedSource

__all__ = ["ModelRun", "Place", "ReplicatedNumber", "ReplicatedSource", "Replication", "gathered"]
