"""Native kernels: what the compiler writes in C, built, kept and called."""

from etace.native.program import TILE, Part, Program, RowProgram, RowTerm

__all__ = ["TILE", "Part", "Program", "RowProgram", "RowTerm"]
