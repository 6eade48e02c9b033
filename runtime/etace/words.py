"""Numbers in sentences."""


def count(n: int, what: str) -> str:
    """`1 structure`, `2 structures`."""
    return f"{n} {what}{'' if n == 1 else 's'}"
