"""Which backend evaluates a model and makes its design rows: JAX, or native kernels."""

from __future__ import annotations

import types
from collections.abc import Callable
from numbers import Integral
from typing import TypeVar

from etace import devices
from etace.errors import RequestError
from etace.inference.evaluator import Evaluator, available_cores
from etace.inference.form import Inference
from etace.native import Program, RowProgram, toolchain
from etace.native.build import BuildError
from etace.native.evaluator import NativeEvaluator
from etace.native.ffi import Call, call_of
from etace.native.rows import RowKernel
from etace.native.toolchain import Toolchain
from etace.potential import Potential

T = TypeVar("T")
BACKENDS = ("jax", "native", "auto")


def check_settings(
    backend: str = "auto", cores: int | None = None, splines: int | None = None
) -> None:
    """Raises RequestError: a backend there is not, or numbers of cores or knots that cannot be."""
    if backend not in BACKENDS:
        raise RequestError(f"the backend is one of {', '.join(BACKENDS)}, not `{backend}`")
    if cores is not None and not _at_least(cores, 1):
        raise RequestError(f"at least one core is needed, found cores = {cores}")
    if splines is not None and not _at_least(splines, 2):
        raise RequestError(f"splines need at least 2 knots, found {splines}")


def _at_least(value: object, least: int) -> bool:
    return isinstance(value, Integral) and not isinstance(value, bool) and int(value) >= least


def choose_evaluator(
    inference: Inference,
    kernel: Callable[[], Program] | None,
    backend: str,
    cores: int | None,
    splines: int | None,
) -> tuple[Evaluator | NativeEvaluator, str]:
    """(evaluator, what is in use and why). kernel: makes the native kernel's program

    Raises BuildError: backend is native, and there can be none.
    """
    if backend == "jax":
        return Evaluator(inference, cores, splines), "jax"
    try:
        made = _native(inference, kernel, cores, splines)
        return made, made.name
    except BuildError as error:
        if backend == "native":
            raise BuildError(f"no native kernel: {error}") from None
        return Evaluator(inference, cores, splines), f"jax ({error})"


def choose_call(
    evaluator: Evaluator | NativeEvaluator, in_use: str, backend: str, cores: int | None
) -> tuple[Call | None, str]:
    """The same inside JAX: (the kernel as a call, what is in use and why). in_use: of `evaluator`

    Raises BuildError: backend is native, and there can be none.
    """
    if not isinstance(evaluator, NativeEvaluator):
        return None, in_use
    try:
        e = evaluator
        return call_of(e.kernel, e.inference, e.toolchain, cores or 0), in_use
    except BuildError as error:
        if backend == "native":
            raise BuildError(f"no native kernel in JAX: {error}") from None
        return None, f"jax ({error})"


def choose_rows(
    potential: Potential,
    module: types.ModuleType,
    kernel: Callable[[], RowProgram] | None,
    backend: str,
) -> tuple[RowKernel | None, str]:
    """(what makes design rows, or None for JAX; what is in use and why). kernel: makes its program

    Raises BuildError: backend is native, and there can be none.
    """
    if backend == "jax":
        return None, "jax"
    try:
        program, compiler = _compilable(kernel)
        made = RowKernel(program, potential, module, compiler)
        return made, made.name
    except BuildError as error:
        if backend == "native":
            raise BuildError(f"no native kernel of rows: {error}") from None
        return None, f"jax ({error})"


def _native(
    inference: Inference,
    kernel: Callable[[], Program] | None,
    cores: int | None,
    splines: int | None,
) -> NativeEvaluator:
    if splines is not None:
        raise BuildError("splines are JAX's")
    program, compiler = _compilable(kernel)
    return NativeEvaluator(inference, program, compiler, cores or available_cores())


def _compilable(kernel: Callable[[], T] | None) -> tuple[T, Toolchain]:
    """(program, compiler), or BuildError: why there cannot be both."""
    if kernel is None:
        raise BuildError("this model was not made by the compiler")
    if devices.accelerator():
        raise BuildError("there is an accelerator")
    found = toolchain.find()
    if found is None:
        raise BuildError(toolchain.missing())
    return kernel(), found
