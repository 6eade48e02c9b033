"""The etace compiler: `.etace` text in, a readable JAX module out. Architecture: `pipeline.py`.

Names are loaded when they are first used, so that `etace --help` answers at once.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

_WHERE = {
    "Compilation": "etacec.pipeline",
    "Diagnostic": "etacec.diagnostics",
    "Mistakes": "etacec.diagnostics",
    "Span": "etacec.diagnostics",
    "compile_file": "etacec.pipeline",
    "compile_text": "etacec.pipeline",
    "prune": "etacec.pruned",
    "render_all": "etacec.diagnostics",
}

if TYPE_CHECKING:
    from etacec.diagnostics import Diagnostic, Mistakes, Span, render_all
    from etacec.pipeline import Compilation, compile_file, compile_text
    from etacec.pruned import prune

__all__ = [
    "Compilation",
    "Diagnostic",
    "Mistakes",
    "Span",
    "compile_file",
    "compile_text",
    "prune",
    "render_all",
]


def __getattr__(name: str) -> Any:
    if name in _WHERE:
        return getattr(import_module(_WHERE[name]), name)
    raise AttributeError(f"module 'etacec' has no attribute {name!r}")
