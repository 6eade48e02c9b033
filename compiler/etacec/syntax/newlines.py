"""Which newlines end a statement; the grammar sees only those that do."""

from collections.abc import Iterator

from lark import Token

OPEN = {"LPAR", "LSQB"}
CLOSE = {"RPAR", "RSQB"}
BINARY = {"PLUS", "MINUS", "STAR", "SLASH", "CIRCUMFLEX", "COMPARE", "AND", "OR"}
GOES_ON_AFTER = BINARY | {"COMMA", "EQUAL", "NOT", "_DOTDOT"}
GOES_ON_BEFORE = BINARY


class Newlines:
    """A lark post-lexer: at most one _NL between statements, none inside one.

    A newline is dropped inside ( ) and [ ], after a token that needs more, and before a
    line that starts with a binary operator. Inside { } it stays: there it separates fields.
    """

    always_accept = ()

    def process(self, stream: Iterator[Token]) -> Iterator[Token]:
        depth = 0
        last = None
        held = None  # a newline that may yet turn out to end a statement
        for token in stream:
            if token.type == "_NL":
                if depth == 0 and last not in GOES_ON_AFTER:
                    held = held or token
                continue
            if held is not None and token.type not in GOES_ON_BEFORE:
                yield held
            held = None
            depth += (token.type in OPEN) - (token.type in CLOSE)
            last = token.type
            yield token
        if held is not None:
            yield held
