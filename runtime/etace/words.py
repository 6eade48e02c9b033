"""Numbers and names in sentences."""


def count(n: int, what: str) -> str:
    """`1 structure`, `2 structures`."""
    return f"{n} {what}{'' if n == 1 else 's'}"


def plain(text: str) -> str:
    """Without characters that command a terminal or turn a line: names come from files."""
    return "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text)


def shortened(text: str, longest: int = 60) -> str:
    """The start of a text that may be of any length."""
    return text if len(text) <= longest else f"{text[:longest]}..."
