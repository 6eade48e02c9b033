"""Text of a user in generated code: what stands in comments and docstrings of Python and C.

Docs, formulas, values and names of files come from outside. Names in quotes are identifiers (`names.quoted`);
all other text passes `safe`, and nothing else of a user reaches a generated file.
"""

from __future__ import annotations

LONGEST = 2_000  # characters on one line
# a backslash goes on with the next line (`??/` is one), `*/` ends a comment of C, quotes end a docstring
REPLACED = (("\\", "/"), ('"', "'"), ("??", "? ?"), ("*/", "* /"), ("/*", "/ *"))


def safe(text: str) -> str:
    """One line that ends no comment and no docstring, of either language, and looks as it is read.

    What cannot be printed becomes a space: line ends, null bytes, marks that change the direction of text,
    half characters that no file can hold.
    """
    text = "".join(c if c.isprintable() else " " for c in text)
    for old, new in REPLACED:
        while old in text:
            text = text.replace(old, new)
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}..."


def comment(text: str, lead: bool = False) -> list[str]:
    """Lines of text as comments of Python. lead: an empty one before them"""
    if not text:
        return []
    lines = [f"# {safe(line)}".rstrip() for line in text.split("\n")]
    return ["#", *lines] if lead else lines
