"""Model families as `.etace` files: their params are their arguments."""
