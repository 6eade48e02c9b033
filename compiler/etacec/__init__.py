"""The etace compiler: `.etace` text in, a readable JAX module out."""
