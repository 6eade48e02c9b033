"""Native kernels: what the compiler writes in C, built, kept and called."""

from etace.native.program import Part, Program

BACKENDS = ("jax", "native", "auto")

__all__ = ["BACKENDS", "Part", "Program"]
