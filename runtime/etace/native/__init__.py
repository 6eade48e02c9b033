"""Native kernels: what the compiler writes in C, built, kept and called."""

from etace.native.program import Part, Program

__all__ = ["Part", "Program"]
