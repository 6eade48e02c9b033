"""Model graph to text: the generated JAX module. Knows nothing of sympy."""
