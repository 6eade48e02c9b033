"""Code broken into lines as ruff formats it, which here means the brackets of calls and tuples."""

from __future__ import annotations

WIDTH = 100
OPENING, CLOSING = "([{", ")]}"


def broken(code: str, indent: str = "") -> list[str]:
    """A statement, or an item of a list with its comma, on as many lines as it takes."""
    if len(indent) + len(code) <= WIDTH or not (found := _bracket(code, WIDTH - len(indent))):
        return [indent + code]
    first, last = found
    inside, deeper = code[first + 1 : last], indent + "    "
    # a name before the bracket makes it a call, whose arguments may share a line of their own
    called = first > 0 and (code[first - 1].isalnum() or code[first - 1] in "_]")
    if called and len(deeper) + len(inside) <= WIDTH:
        middle = [deeper + inside]
    else:
        middle = [line for item in _items(inside) for line in broken(f"{item},", deeper)]
    return [indent + code[: first + 1], *middle, indent + code[last:]]


def _bracket(code: str, width: int) -> tuple[int, int] | None:
    """Where the last bracket starts and ends before which the code fits; not one without anything inside."""
    pairs, starts = [], []
    for at, letter in _letters(code):
        if letter in OPENING:
            starts.append(at)
        elif letter in CLOSING:
            first = starts.pop()
            if not starts and at > first + 1:
                pairs.append((first, at))
    return next((p for p in reversed(pairs) if p[0] < width), pairs[0] if pairs else None)


def _items(inside: str) -> list[str]:
    """At the commas outside brackets."""
    parts, depth, start = [], 0, 0
    for at, letter in _letters(inside):
        depth += (letter in OPENING) - (letter in CLOSING)
        if letter == "," and depth == 0:
            parts.append(inside[start:at].strip())
            start = at + 1
    return [*parts, last] if (last := inside[start:].strip()) else parts


def _letters(code: str) -> list[tuple[int, str]]:
    """Places and letters outside of texts in quotes."""
    out, within = [], ""
    for at, letter in enumerate(code):
        if within:
            within = "" if letter == within else within
        elif letter in "\"'":
            within = letter
        else:
            out.append((at, letter))
    return out
