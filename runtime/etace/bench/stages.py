"""Where a native kernel's time goes: the same text, compiled to read a clock between its stages."""

from __future__ import annotations

import ctypes
from collections.abc import Mapping
from typing import Any

from etace.native.evaluator import NativePrepared
from etace.native.kernel import Kernel
from etace.native.program import Program
from etace.native.toolchain import Toolchain

STAGES = ("edges forward", "products", "edges backward", "around them")
FLAG = "-DETACE_PROFILE"


class Profile:
    """A kernel with clocks, on one core. Raises BuildError."""

    def __init__(self, program: Program, toolchain: Toolchain):
        self.kernel = Kernel(program, toolchain, 1, FLAG)
        self._spent = (ctypes.c_int64 * len(STAGES)).in_dll(self.kernel.c, "etace_spent")

    def __call__(self, near: NativePrepared, coefficients: Any) -> Mapping[str, float]:
        """Seconds of one evaluation by stage."""
        for k in range(len(STAGES)):
            self._spent[k] = 0
        self.kernel(near.layout, near.positions, near.cells, coefficients)
        return {name: 1e-9 * self._spent[k] for k, name in enumerate(STAGES)}
