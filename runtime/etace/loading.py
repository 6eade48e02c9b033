"""Models from files: an `.etace` file, or a model file that carries one. The compiler is imported here only."""

from __future__ import annotations

import hashlib
import types
from collections.abc import Mapping
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np

from etace import extrapolation
from etace.backend import check_settings
from etace.domain import Domain
from etace.errors import EtaceError, ModelFileError, ParameterError, RequestError, SpecError
from etace.io import schema
from etace.io.model_file import read_model
from etace.model import File, Model
from etace.potential import Potential
from etace.uncertainty import RAW, Calibration
from etace.words import shortened


def load(
    path: str | Path,
    model: str | None = None,
    *,
    seed: int = 0,
    params: str | Path | None = None,
    overrides: Mapping[str, str] | None = None,
    dtype: str | None = None,
    cores: int | None = None,
    splines: int | None = None,
    backend: str = "auto",
) -> Model:
    """A model from an `.etace` file (parameters at their starts) or from a `.safetensors` model file.

        model = etace.load("si_o.safetensors")
        model = etace.load("si_o.etace", "si_o", overrides={"rcut": "5 Å"})

    path: of the file
    model: which of the file's models; None where there is only one
    seed: of random starts; params: a model file to take the parameters from
    overrides: values for the file's `param`s, as text
    dtype: float64 or float32; None: that of the model file, else float64
    cores: how many to use, 1 or more; None: all this process may run on
    splines: evaluate radials by splines of so many knots, 2 or more (`model.evaluator.spline_errors` says
        how far off they are); None: exactly
    backend: jax, native or auto, see `Model`

    Raises EtaceError for whatever is wrong with the files, in words: ModelFileError, RequestError (a model
    that is not there, settings that cannot be).
    """
    path = Path(path)
    check_settings(backend, cores, splines)
    if path.suffix == ".safetensors":
        if overrides:
            raise RequestError("a model file is complete: its params cannot be overridden")
        tensors, metadata = read_model(path)
        loaded = from_tensors(tensors, metadata, str(path), dtype)
        if loaded.potential.dtype == metadata["dtype"]:
            loaded.file = File(path.name, hashlib.sha256(path.read_bytes()).hexdigest())
    else:
        loaded = _from_spec(path, model, seed, overrides, dtype)
    if model is not None and loaded.name != model:
        raise RequestError(f"{path.name} holds the model `{loaded.name}`, not `{model}`")
    if params is not None:
        loaded.params = _other_params(Path(params), loaded)
    loaded.cores, loaded.splines, loaded.backend = cores, splines, backend
    return loaded


def compiler(part: str = "") -> Any:
    """The package `etacec`, or a module of it. Raises EtaceError: it is not installed."""
    try:
        return import_module(f"etacec.{part}" if part else "etacec")
    except ImportError:
        raise EtaceError("the compiler (package etacec) is not installed with this etace") from None


def _from_spec(
    path: Path, model: str | None, seed: int, overrides: Mapping[str, str] | None, dtype: str | None
) -> Model:
    etacec = compiler()
    try:
        done = etacec.compile_file(
            path, overrides=overrides, dtype=dtype or "float64", cache=_coupling_cache()
        )
    except etacec.Mistakes as mistakes:
        raise SpecError(
            etacec.render_all(mistakes.diagnostics, mistakes.sources).rstrip()
        ) from None
    except OSError as error:
        raise EtaceError(f"{path}: {(error.strerror or 'cannot be read').lower()}") from None
    except UnicodeDecodeError:
        raise EtaceError(f"{path}: not UTF-8 text, so not an .etace file") from None
    return from_compilation(done, model, seed)


def from_text(text: str, name: str) -> Model:
    """A model of the text of an `.etace` file, its parameters at their starts. name: for messages"""
    etacec = compiler()
    try:
        done = etacec.compile_text(text, name, cache=_coupling_cache())
    except etacec.Mistakes as mistakes:
        raise SpecError(
            etacec.render_all(mistakes.diagnostics, mistakes.sources).rstrip()
        ) from None
    return from_compilation(done)


def _coupling_cache() -> Path | None:
    from etacec.coupling import cache_folder

    return cache_folder()


def from_compilation(done: Any, model: str | None = None, seed: int = 0) -> Model:
    """A model of a `etacec.Compilation`, its parameters at their starts."""
    module = run_module(done.module, done.spec.name)
    potential = choose(module, model)
    origin = {
        "sources": dict(done.sources),
        "root": done.file.name,
        "overrides": dict(done.overrides),
        "dtype": done.dtype,
        "spec_sha256": done.digest,
        "versions": _versions(),
    }
    return Model(
        potential, potential.init(seed), module, done.module, origin, dict(done.arrays),
        kernel=partial(done.native, potential.name), rows=partial(done.native_rows, potential.name),
        given=done.loaded,
    )  # fmt: skip


def choose(module: types.ModuleType, model: str | None) -> Potential:
    """The model asked for, or the only one."""
    models: dict[str, Potential] = module.MODELS
    if model is None and len(models) == 1:
        return next(iter(models.values()))
    if model not in models:
        names = ", ".join(models)
        what = (
            "say which model (--model NAME)"
            if model is None
            else f"there is no model `{shortened(model)}`"
        )
        raise RequestError(f"{what}; this file has: {names}")
    return models[model]


def run_module(source: str, name: str) -> types.ModuleType:
    """Import the text of a generated module (our compiler's output, never a user's text)."""
    module = types.ModuleType(
        f"etace_generated_{name}" if name.isidentifier() else "etace_generated"
    )
    module.__file__ = f"<generated from {name}>"
    exec(compile(source, module.__file__, "exec"), module.__dict__)
    return module


def from_tensors(
    tensors: Mapping[str, np.ndarray],
    metadata: Mapping[str, Any],
    where: str,
    dtype: str | None = None,
) -> Model:
    """The inverse of `Model.save`: compiles the carried texts, runs nothing from the file."""
    done = compilation(tensors, metadata, where, dtype)
    loaded = from_compilation(done, metadata["model"])
    loaded.params = _params_of(tensors, loaded, where)
    try:
        calibration = (
            Calibration.from_json(metadata["calibration"]) if "calibration" in metadata else RAW
        )
        loaded.set_committee(tensors.get("committee"), calibration)
        graded_by = metadata.get("graded_by", extrapolation.TRAINING)
        loaded.set_extrapolation(tensors.get("extrapolation"), graded_by)
    except ParameterError as error:
        raise ModelFileError(f"{where}: {error}") from None
    if "domain" in metadata:
        loaded.domain = Domain.from_json(metadata["domain"])
    elif loaded.extrapolation is not None:
        loaded.domain = Domain.from_grades(loaded.extrapolation, loaded.species)
    if "card" in metadata:
        loaded.card = dict(metadata["card"])
    names = [str(p) for p in loaded.potential.linear_parameters]
    if metadata["linear_parameters"] != names:
        raise ModelFileError(
            f"{where}: its linear parameters are in another order than this etace makes"
        )
    if not np.isclose(metadata["cutoff"], loaded.cutoff_radius, rtol=1e-12, atol=0.0):
        raise ModelFileError(
            f"{where}: it says its cutoff is {metadata['cutoff']:g} Å, its spec "
            f"{loaded.cutoff_radius:g} Å"
        )
    return loaded


def compilation(
    tensors: Mapping[str, np.ndarray],
    metadata: Mapping[str, Any],
    where: str,
    dtype: str | None = None,
) -> Any:
    """What the texts in a model file compile to, an `etacec.Compilation`. Raises ModelFileError.

    The file is checked whole before anything of it is used.
    """
    schema.model(tensors, metadata, where)
    etacec = compiler()
    from etacec.model.files import Files

    sources, root = dict(metadata["sources"]), metadata["root"]
    text = sources.pop(root)
    carried = {k.removeprefix("arrays/"): v for k, v in tensors.items() if k.startswith("arrays/")}
    try:
        done = etacec.compile_text(
            text, root, files=Files(None, carried_texts=sources, carried_arrays=carried),
            overrides=metadata["overrides"], dtype=dtype or metadata["dtype"],
            cache=_coupling_cache(),
        )  # fmt: skip
    except etacec.Mistakes as mistakes:
        first = mistakes.diagnostics[0].message
        raise ModelFileError(f"{where}: the spec it carries does not compile: {first}") from None
    _same_spec(done, metadata, where)
    return done


def _same_spec(done: Any, metadata: Mapping[str, Any], where: str) -> None:
    """That the texts are those the parameters belong to, and couplings have the signs they had: both are in
    the digest, with the version that wrote it."""
    from etacec.pipeline import spec_digest

    own = spec_digest(
        done.sources, done.arrays, done.overrides, metadata["dtype"], metadata["versions"]["etace"]
    )
    if own != metadata["spec_sha256"]:
        raise ModelFileError(
            f"{where}: its spec is not the one its parameters belong to (spec_sha256 is another)"
        )
    species = [str(s) for s in done.spec.species]
    if species != metadata["species"]:
        raise ModelFileError(
            f"{where}: it says its species are {', '.join(metadata['species'])}, its spec "
            f"{', '.join(species)}"
        )


def _params_of(
    tensors: Mapping[str, np.ndarray], model: Model, where: str
) -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = {}
    for name, array in tensors.items():
        kind, _, rest = name.partition("/")
        if kind == "params":
            block, _, key = rest.rpartition("/")
            found.setdefault(block, {})[key] = np.array(array, model.potential.dtype)
    try:
        model.potential.check(found)
    except ParameterError as error:
        raise ModelFileError(f"{where}: {error}") from None
    return found


def _other_params(path: Path, model: Model) -> dict[str, dict[str, Any]]:
    tensors, metadata = read_model(path)
    schema.model(tensors, metadata, str(path))
    return _params_of(tensors, model, str(path))


def _versions() -> dict[str, str]:
    from etace import __version__

    return {"etace": __version__}
