"""The etace compiler: `.etace` text in, a readable JAX module out. Architecture: `pipeline.py`."""

from etacec.diagnostics import Diagnostic, Mistakes, Span, render_all
from etacec.pipeline import Compilation, compile_file, compile_text

__all__ = ["Compilation", "Diagnostic", "Mistakes", "Span", "compile_file", "compile_text", "render_all"]
