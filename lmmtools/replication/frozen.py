"""Values whose mappings cannot be changed, and can be sent to another process."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from types import MappingProxyType

__all__ = ["Frozen"]


class Frozen:
    """What a frozen dataclass inherits from to have frozen mappings as well."""

    def __post_init__(self) -> None:
        for field in fields(self):
            if isinstance(value := getattr(self, field.name), Mapping):
                object.__setattr__(self, field.name, MappingProxyType(dict(value)))

    def __reduce__(self) -> tuple:
        # a mapping proxy cannot be pickled, a dict can
        values = (getattr(self, field.name) for field in fields(self))
        return type(self), tuple(dict(value) if isinstance(value, Mapping) else value for value in values)
