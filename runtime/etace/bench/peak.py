"""The fastest that one core of this machine is seen to compute: a loop of fused multiply-adds in registers,
compiled as kernels are."""

from __future__ import annotations

import ctypes
from pathlib import Path

import numpy as np

from etace.native.build import library
from etace.native.toolchain import Toolchain

SOURCE = Path(__file__).with_name("peak.c")
TYPES = {"float64": "double", "float32": "float"}
STEPS = 40_000  # of one call: 0.1 to 0.3 ms, so that many calls run without being interrupted
FACTOR, TERM = 0.5, 0.5  # 1 is where they lead: no number too large or too small for full speed


class Peak:
    """Vectors of as many numbers as a kernel's. Raises BuildError."""

    def __init__(self, dtype: str, lanes: int, toolchain: Toolchain):
        flags = f"-DREAL={TYPES[dtype]}", f"-DLANES={lanes}"
        text = SOURCE.read_text(encoding="utf8")
        self._c = library(text, toolchain, *flags, what="the loop that measures the peak")
        self._c.etace_peak_step.restype = ctypes.c_int64
        self.out = np.empty(lanes, dtype)
        numbers = np.array([FACTOR, TERM], dtype)
        self._held = numbers
        at = [ctypes.c_void_p(numbers[k:].ctypes.data) for k in range(2)]
        self._arguments = ctypes.c_int64(STEPS), *at, ctypes.c_void_p(self.out.ctypes.data)

    @property
    def operations(self) -> int:
        """Of one call."""
        return STEPS * int(self._c.etace_peak_step())

    def __call__(self) -> None:
        self._c.etace_peak(*self._arguments)
