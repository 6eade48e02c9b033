"""Native kernels as calls in JAX programs, through XLA's foreign function interface.

A wrapper in C++ (`ffi.cc`) stands between XLA and the C of every kernel; it is built once, and finds a
kernel by a hash of what it was made of. A compiled JAX program names that hash and no address: out of
JAX's persistent cache it works in every process in which the kernel is registered.
"""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from etace.inference.form import Inference
from etace.native import toolchain
from etace.native.build import BuildError, content_key, library
from etace.native.kernel import Kernel
from etace.native.layout import APART, FAR
from etace.native.program import Program
from etace.native.toolchain import Toolchain

FUNCTIONS = ("etace_scratch", "etace_positions", "etace_blocks", "etace_results")


@dataclass(frozen=True)
class Call:
    """A kernel that the wrapper knows. One kernel, one Call: they compare by key and threads.

    key: hash of what it was made of; threads: at most; 0: as many as XLA has
    inference: the form that its coefficients are of; toolchain: what it was compiled with
    """

    key: str
    threads: int
    lanes: int = field(compare=False)
    inference: Inference = field(compare=False, repr=False)
    program: Program = field(compare=False, repr=False)
    toolchain: Toolchain = field(compare=False, repr=False)

    def __call__(
        self, coefficients: Any, positions: Any, cells: Any, graph: Sequence[Any], each: int
    ) -> tuple[jax.Array, jax.Array, jax.Array, jax.Array]:
        """(energy [S], energies [n], forces [n, 3], virial [S, 6] in Voigt order) inside a JAX program.

        coefficients: of the program; positions: [n, 3], Å; cells: [S, 3, 3], Å; graph: the arrays
        slot, species, atom, rows, neighbour, owner, shift, images and structure of a `NativeGraph`;
        each: blocks of a part
        """
        n, structures = len(positions), len(cells)
        shapes = [
            jax.ShapeDtypeStruct(shape, self.program.dtype)
            for shape in ((structures,), (n,), (n, 3), (structures, 6))
        ]
        call = jax.ffi.ffi_call(
            f"etace_native_{self.program.dtype}", shapes, vmap_method="sequential"
        )
        reals = [jnp.asarray(x) for x in (coefficients, positions, cells)]
        energy, energies, forces, virial = call(
            *reals, *(jnp.asarray(x) for x in graph), key=self.key, each=np.int64(each),
            apart=np.int64(APART), threads=np.int64(self.threads), far=np.float64(FAR),
        )  # fmt: skip
        return energy, energies, forces, virial


def call_of(kernel: Kernel, inference: Inference, toolchain: Toolchain, threads: int) -> Call:
    """The kernel of this inference form, registered. toolchain: what it was compiled with. Raises BuildError."""
    key = content_key(kernel.program.text, toolchain)
    functions = [ctypes.cast(getattr(kernel.c, name), ctypes.c_void_p) for name in FUNCTIONS]
    _wrapper(toolchain).etace_register(key.encode(), ctypes.c_int64(kernel.lanes), *functions)
    return Call(key, threads, kernel.lanes, inference, kernel.program, toolchain)


@cache
def _wrapper(c: Toolchain) -> ctypes.CDLL:
    """The wrapper, built with the C++ compiler beside the C compiler, its targets registered with JAX."""
    cxx = toolchain.find_cxx(c)
    if cxx is None:
        raise BuildError(toolchain.missing("c++"))
    text = Path(__file__).with_suffix(".cc").read_text(encoding="utf8")
    text = f"// for jaxlib {version('jaxlib')}\n{text}"
    made = library(text, cxx, "-isystem", jax.ffi.include_dir(), what="the wrapper for JAX")
    for dtype in ("float64", "float32"):
        handler = jax.ffi.pycapsule(getattr(made, f"etace_{dtype}"))
        jax.ffi.register_ffi_target(f"etace_native_{dtype}", handler, platform="cpu")
    return made
