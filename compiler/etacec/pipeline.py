"""The stages of the compiler, in order: this page is the architecture.

1. parse     text                 -> syntax tree        syntax/     `etace show --stage ast`
2. resolve   tree, files, -D      -> Spec (numbers)     model/      `etace show --stage model`
3. smooth    formulas             -> contact orders     formula/    `etace check`
4. lower     Spec                 -> ModelGraph         ir/         `etace show --stage graph`
5. passes    ModelGraph           -> ModelGraph         passes/     `etace show --stage passes`
             (couple takes exact coefficients from coupling/)
6. generate  ModelGraph           -> text of a module   codegen/    `etace show --stage module`

Each stage is a function of what the one before it made; nothing is kept between compilations but
the couplings on disk.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from etace import __version__

from etacec import passes
from etacec.codegen.context import Header
from etacec.codegen.module import generate
from etacec.coupling import GAUGE_VERSION
from etacec.diagnostics import Diagnostic, Mistakes
from etacec.ir.graph import ModelGraph
from etacec.ir.lower import lower
from etacec.model.files import Files
from etacec.model.resolve import resolve
from etacec.model.smoothness import Contact, smoothness
from etacec.model.spec import Spec
from etacec.syntax import ast
from etacec.syntax.parse import normal, parse

DType = Literal["float64", "float32"]


@dataclass(frozen=True)
class Compilation:
    """Everything the stages made, from the syntax tree to the module's text.

    sources: display name -> text of the file and of all it uses; arrays: of `load = ...`.
    digest: sha256 of all that decides the result: texts, arrays, overrides, dtype, versions.
    """

    file: ast.File
    spec: Spec
    contacts: tuple[Contact, ...]
    stages: tuple[tuple[str, ModelGraph], ...]
    module: str
    warnings: tuple[Diagnostic, ...]
    sources: Mapping[str, str]
    arrays: Mapping[str, np.ndarray]
    overrides: Mapping[str, str]
    dtype: DType
    digest: str

    @property
    def graph(self) -> ModelGraph:
        return self.stages[-1][1]


def compile_text(
    text: str,
    name: str = "model.etace",
    *,
    files: Files | None = None,
    overrides: Mapping[str, str] | None = None,
    dtype: DType = "float64",
    cache: Path | None = None,
) -> Compilation:
    """Compile the text of an `.etace` file; raises `Mistakes` with everything that is wrong.

    name: display name, for messages and the module's header; files: where `use` and `load` look.
    cache: folder for coupling coefficients, or None.
    """
    files = files if files is not None else Files()
    overrides = dict(overrides or {})
    text = normal(text)
    sources = {name: text}
    try:
        file = parse(text, name)
        spec, found = resolve(file, files, overrides)
        contacts, more = smoothness(spec)
        errors = [d for d in more if d.severity == "error"]
        if errors:
            raise Mistakes([*found, *more])
    except Mistakes as mistakes:
        raise Mistakes(mistakes.diagnostics, {**sources, **files.texts}) from None
    stages = passes.run(lower(spec), cache)
    digest = _digest({**sources, **files.texts}, files.arrays, overrides, dtype)
    header = Header(
        source=name.rsplit("/", 1)[-1],
        digest=digest,
        version=__version__,
        gauge=GAUGE_VERSION,
        overrides=tuple(sorted(overrides.items())),
        smoothness=tuple(str(c) for c in contacts),
    )
    module = generate(stages[-1][1], header, _arrays(spec, files), dtype)
    return Compilation(
        file,
        spec,
        tuple(contacts),
        tuple(stages),
        module,
        (*found, *more),
        {**sources, **files.texts},
        dict(files.arrays),
        overrides,
        dtype,
        digest,
    )


def compile_file(
    path: str | Path,
    *,
    overrides: Mapping[str, str] | None = None,
    dtype: DType = "float64",
    cache: Path | None = None,
) -> Compilation:
    """Compile a file. Raises OSError or UnicodeDecodeError if it cannot be read, else as above."""
    path = Path(path)
    text = path.read_text(encoding="utf8")
    return compile_text(
        text, path.name, files=Files(path.parent), overrides=overrides, dtype=dtype, cache=cache
    )


def _arrays(spec: Spec, files: Files) -> dict[str, np.ndarray]:
    """The arrays of `load = ...` by block; that they are there and fit was checked with the spec."""
    found = [(b, getattr(b, "weights", None)) for b in [*spec.radials, *spec.potentials]]
    return {b.name: files.array(w.load, b.span.file) for b, w in found if w is not None and w.load}


def _digest(
    sources: Mapping[str, str],
    arrays: Mapping[str, np.ndarray],
    overrides: Mapping[str, str],
    dtype: str,
) -> str:
    whole = {
        "sources": [sources[k] for k in sorted(sources)],
        "arrays": {k: hashlib.sha256(a.tobytes()).hexdigest() for k, a in arrays.items()},
        "overrides": dict(overrides),
        "dtype": dtype,
        "gauge": GAUGE_VERSION,
        "etace": __version__,
    }
    return hashlib.sha256(json.dumps(whole, sort_keys=True).encode()).hexdigest()
