"""The tables by name, in the order in which they are made."""

from collections.abc import Callable

from benchmarks.compare import Session
from benchmarks.report import Table
from benchmarks.tables import columns, fit, forms, growth, kernels, md, speed

TABLES: dict[str, Callable[[Session], Table]] = {
    "linear_si": speed.linear_si,
    "one_hot": speed.one_hot,
    "tutorial": speed.tutorial,
    "species": speed.species,
    "neighbours": speed.neighbours,
    "cores": speed.cores,
    "kernels": kernels.kernels,
    "basis": growth.basis,
    "compile": growth.compile_seconds,
    "specs": growth.specs,
    "memory": growth.memory,
    "rows": forms.rows,
    "training": forms.training,
    "compilations": forms.compilations,
    "md": md.md,
    "nve": md.nve,
    "fit": fit.fit,
    "columns": columns.columns,
}
