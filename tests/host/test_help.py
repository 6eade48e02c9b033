"""What help() says of the public names: everything is explained, typed, and has an example."""

import inspect
import re

import etace
import pytest
from etace.model import Result

CLASSES = [
    etace.Model,
    etace.Calculator,
    etace.Stack,
    etace.Potential,
    etace.AtomGraph,
    Result,
]
PUBLIC = [(c, name) for c in CLASSES for name in vars(c) if not name.startswith("_")]


def function(owner, name):
    """The function behind a method or a property, or None."""
    found = inspect.getattr_static(owner, name)
    if isinstance(found, property):
        return found.fget
    found = getattr(
        found, "func", getattr(found, "__func__", found)
    )  # cached properties, static methods
    return found if inspect.isfunction(found) else None


KEYWORDS = ("load_keywords", "keywords")
METHODS = [(o, n) for o, n in PUBLIC if function(o, n) is not None]


@pytest.mark.parametrize("thing", [*CLASSES, etace.load], ids=lambda t: t.__name__)
def test_each_has_an_example(thing):
    assert re.search(r"^ {4,}\S.*(=|\().*$", inspect.getdoc(thing), flags=re.M), thing


@pytest.mark.parametrize(("owner", "name"), METHODS, ids=lambda x: getattr(x, "__name__", x))
def test_each_method_is_explained_and_typed(owner, name):
    own = function(owner, name)
    assert own.__doc__, "has no docstring"
    hints = own.__annotations__
    given = [p for p in inspect.signature(own).parameters if p != "self"]
    assert set(given) | {"return"} <= set(hints), "is not typed"
    plain = {
        k: str(v).replace("dict[str, Any]", "dict") for k, v in hints.items()
    }  # as JSON has it
    vague = [k for k, v in plain.items() if "Any" in v and k not in KEYWORDS]
    assert not vague, f"{vague} may be anything"


def test_load_is_typed():
    assert "Any" not in etace.load.__annotations__.values()
    assert etace.load.__annotations__["return"] == "Model"
