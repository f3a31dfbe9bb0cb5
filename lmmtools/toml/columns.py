"""A column of a data file, as whoever names the file in TOML describes it."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import UNSET, Meta, UnsetType

__all__ = ["Column"]


class Column(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What a data file cannot say of a column."""

    kind: Annotated[
        Literal["number", "factor", "ordered"] | UnsetType,
        Meta(description="Left out, the column stays as it was read."),
    ] = UNSET
    levels: Annotated[
        Annotated[list[str | int | float], Meta(min_length=1)] | UnsetType,
        Meta(description="All levels in their order; the first is the reference."),
    ] = UNSET
