"""exp, log, sin and cos of native kernels: how far off they are, and what they do at the ends."""

import ctypes

import numpy as np
import pytest
from etace.native import toolchain
from etace.native.build import library
from etacec.codegen.native.elementary import FORMATS, NAMES
from etacec.codegen.native.heading import head
from test_native import COMPILERS, FOUND, needs_compiler

pytestmark = needs_compiler
LOOP = """
void of_@NAME@(int64_t n, real *x) {
    for (int64_t k = 0; k < n; k += LANES) {
        vec v;
        memcpy(&v, x + k, sizeof v);
        v = vec_@NAME@(v);
        memcpy(x + k, &v, sizeof v);
    }
}
"""
BLOCK = 64  # numbers: a multiple of any number of lanes
EXACT = {"float64": np.longdouble, "float32": np.float64}
FLAGS = ((), ("-DLANES=2",), ("-DLANES=16", "-ffp-contract=off"))  # as it is, and others
flags = pytest.mark.parametrize("flags", FLAGS, ids=lambda f: " ".join(f) or "as it is")
dtypes = pytest.mark.parametrize("dtype", FORMATS)


class Functions:
    def __init__(self, dtype, *flags, compiler=None):
        body = "".join(LOOP.replace("@NAME@", name) for name in (*NAMES, "sqrt"))
        self.dtype, self.c = dtype, library(head(dtype, body) + body, compiler or FOUND, *flags)

    def __call__(self, name, x):
        x = np.asarray(x, self.dtype)
        out = np.append(x, np.ones(-len(x) % BLOCK, self.dtype))
        getattr(self.c, f"of_{name}")(ctypes.c_int64(len(out)), ctypes.c_void_p(out.ctypes.data))
        return out[: len(x)]


def arguments(name, dtype, n):
    """Ordinary ones, of all sizes, and such as lie near zeros of the function."""
    rng, real = np.random.default_rng(3), FORMATS[dtype]
    if name == "exp":
        ends = (real.bias - 2) * np.log(2)
        sets = [rng.uniform(-ends, ends, n), rng.normal(size=n), rng.uniform(-30, 3, n)]
    elif name == "log":
        powers = 2.0 ** rng.uniform(1 - real.bias, real.bias, n)
        sets = [powers, rng.uniform(0.4, 2.5, n), 1 + 1e-3 * rng.normal(size=n)]
    else:
        most = 2**real.turns
        zeros = np.pi / 2 * rng.integers(-most // 2, most // 2, n)
        tiny = 10.0 ** rng.uniform(-30, 0, n)
        sets = [rng.uniform(-most, most, n), zeros, tiny, rng.uniform(-7, 7, n)]
    return np.concatenate(sets).astype(dtype)


def ulps(found, exact):
    """Errors in units of the last place."""
    unit = np.spacing(np.abs(exact).astype(found.dtype))
    return np.abs((found.astype(exact.dtype) - exact) / unit).astype(float)


@dtypes
@flags
@pytest.mark.parametrize("name", NAMES)
def test_errors_are_below_one_unit_of_the_last_place(name, dtype, flags):
    if np.finfo(EXACT[dtype]).eps > np.finfo(dtype).eps / 500:
        pytest.skip("no longer numbers here to compare with")
    x = arguments(name, dtype, 400_000)
    exact = getattr(np, name)(x.astype(EXACT[dtype]))
    assert ulps(Functions(dtype, *flags)(name, x), exact).max() < 1


@dtypes
@flags
def test_they_know_their_limits(dtype, flags):
    f, real = Functions(dtype, *flags), np.finfo(dtype)
    inf, nan, huge, least = np.inf, np.nan, real.max, real.smallest_subnormal
    largest, smallest = np.log(real.max), np.log(real.smallest_subnormal)

    def same(name, x, expected):
        np.testing.assert_array_equal(f(name, x), np.array(expected, dtype))

    same("exp", [0, -0.0, -inf, inf, nan, -huge, huge], [1, 1, 0, inf, nan, 0, inf])
    same("exp", [largest * (1 + 1e-5), smallest * (1 + 1e-2)], [inf, 0])
    same("log", [1, 0, -0.0, inf, nan, -1, -inf, -least], [0, -inf, -inf, inf, *[nan] * 4])
    for name in ("sin", "cos"):
        same(name, [nan, inf, -inf, 0], [nan] * 3 + [getattr(np, name)(0.0)])
    same("sqrt", [0, 4, inf, nan, -1], [0, 2, inf, nan, nan])
    # up to the last numbers before, subnormal ones too
    x = np.linspace(smallest, -real.bits, 10_001, dtype=dtype)
    x = np.append(x, np.linspace(1, largest * (1 - 1e-6), 10_001, dtype=dtype))
    exact = np.exp(x.astype(EXACT[dtype]))
    assert (np.abs(f("exp", x) - exact) <= 1.5 * np.maximum(np.spacing(np.exp(x)), least)).all()
    x = least * np.arange(1, 10_001, 7).astype(dtype)
    assert ulps(f("log", x), np.log(x.astype(EXACT[dtype]))).max() < 1.5


@dtypes
def test_far_lanes_are_the_c_librarys(dtype):
    f, real = Functions(dtype), FORMATS[dtype]
    rng = np.random.default_rng(4)
    x = np.concatenate([10.0 ** rng.uniform(0, 18, 10_000), [2**real.turns, 2**real.turns + 1]])
    x = np.append(x, rng.uniform(-1, 1, 997)).astype(dtype)
    rng.shuffle(x)  # near and far lanes side by side
    exact = EXACT[dtype]
    for name in ("sin", "cos"):
        assert ulps(f(name, x), getattr(np, name)(x.astype(exact))).max() < 1.5


@pytest.mark.parametrize("command", COMPILERS, ids=("gcc", "clang", "ziglang"))
def test_any_compiler_makes_them(command, monkeypatch):
    monkeypatch.setenv(toolchain.VARIABLE, command)
    compiler = toolchain.find()
    if compiler is None:
        pytest.skip(f"`{command}` does not work here")
    f = Functions("float64", compiler=compiler)
    for name in (*NAMES, "sqrt"):
        x = np.linspace(0.01, 40, 10_000)
        assert ulps(f(name, x), getattr(np, name)(x.astype(EXACT["float64"]))).max() < 1.5
