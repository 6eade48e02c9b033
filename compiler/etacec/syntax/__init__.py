"""Text to syntax tree: grammar (etace.lark), newlines, parser, tree types, printing back."""
