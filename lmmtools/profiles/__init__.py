"""Profile likelihood: how the ML criterion rises as one parameter moves away from its estimate, and intervals by it.

`parameters` names what has a profile; `held` and `forms` are the criterion with one parameter held, `path` minimises
it, `limits` finds where ζ reaches a cutoff, and `value` is what users see.
"""

from __future__ import annotations

from lmmtools.profiles.value import Profile, profile, profile_confint

__all__ = ["Profile", "profile", "profile_confint"]
