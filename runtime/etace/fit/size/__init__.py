"""The size of the default model, chosen from the data."""

from etace.fit.size.choose import Choice, Stage, choose
from etace.fit.size.spec import default_spec

__all__ = ["Choice", "Stage", "choose", "default_spec"]
