"""The list of neighbours in C against the runtime's."""

import ctypes

import numpy as np
import pytest
from etace.errors import StructureError
from etace.native.build import library
from etace.neighbours import neighbour_list
from etacec.codegen.native.texts import text_of
from test_native import FOUND, needs_compiler

pytestmark = needs_compiler


@pytest.fixture(autouse=True)
def cache(monkeypatch, tmp_path_factory):
    monkeypatch.setenv("ETACE_CACHE_DIR", str(tmp_path_factory.getbasetemp() / "list/coupling"))


class List(ctypes.Structure):
    """`struct etace_list`."""

    _fields_ = [
        *((n, ctypes.c_int64) for n in ("atoms", "extended", "blocks", "longest")),
        *((n, ctypes.POINTER(ctypes.c_int64)) for n in ("slot", "rows", "images")),
        *(
            (n, ctypes.POINTER(ctypes.c_int32))
            for n in ("species", "atom", "neighbour", "owner", "shift")
        ),
    ]


class Listing:
    """What `etace_list_make` made of a structure, as arrays."""

    def __init__(self, species, positions, cell, pbc, cutoffs, lanes):
        c = library(text_of("list.c"), FOUND)
        self.c, self.list = c, List()
        self.kinds, self.lanes = len(cutoffs), lanes
        arrays = [
            np.ascontiguousarray(a, t)
            for a, t in ((species, "i4"), (positions, "f8"), (cell, "f8"), (pbc, "i4"))
        ]
        cutoffs = np.ascontiguousarray(cutoffs, float)
        self.error = c.etace_list_make(
            ctypes.byref(self.list), ctypes.c_int64(len(arrays[0])),
            *(ctypes.c_void_p(a.ctypes.data) for a in arrays), ctypes.c_int32(self.kinds),
            ctypes.c_void_p(cutoffs.ctypes.data), ctypes.c_int32(lanes),
        )  # fmt: skip

    def array(self, name, *shape):
        if 0 in shape:
            return np.zeros(shape, int)
        return np.ctypeslib.as_array(getattr(self.list, name), shape).copy()

    def pairs(self):
        """(i, j, shift) of all pairs, from what the kernel would read."""
        blocks, extended = self.list.blocks, self.list.extended
        rows = self.array("rows", blocks * self.kinds + 1)
        atom = self.array("atom", blocks, self.lanes)
        neighbour = self.array("neighbour", rows[-1], self.lanes)
        owner, shift = self.array("owner", extended), self.array("shift", extended, 3)
        species = self.array("species", blocks)
        longest = 0
        for b in range(blocks):
            own = neighbour[rows[b * self.kinds] : rows[(b + 1) * self.kinds]]
            longest = max(longest, len(own))
            assert (np.diff(rows[b * self.kinds : (b + 1) * self.kinds + 1]) >= 0).all()
            for k, lane in zip(*np.nonzero(own < extended), strict=True):
                i, j = atom[b, lane], own[k, lane]
                yield int(i), int(owner[j]), *(int(x) for x in shift[j] - shift[i])
        assert longest == self.list.longest
        slot = self.array("slot", self.list.atoms)
        assert (atom.ravel()[slot] == np.arange(len(slot))).all()
        assert len(species) == blocks
        images = self.array("images", self.list.atoms + 1)
        assert images[-1] == extended - len(slot)
        assert (owner[len(slot) :] == np.repeat(np.arange(len(slot)), np.diff(images))).all()

    def free(self):
        self.c.etace_list_free(ctypes.byref(self.list))


def some_structure(rng):
    """Skew, flat, needle-like, left-handed cells, periodic in some directions; atoms anywhere."""
    n, pbc = int(rng.integers(1, 25)), rng.random(3) < 0.6
    cell = rng.normal(size=(3, 3)) * rng.choice([1.5, 4, 10, 25])
    if rng.random() < 0.2:
        cell[rng.integers(3)] *= rng.choice([0.2, 20])
    if rng.random() < 0.2:
        cell[0] += rng.integers(-50, 50) * cell[1]
    for d in np.flatnonzero(~pbc & (rng.random(3) < 0.5)):
        cell[d] = rng.choice([0, np.nan])
    positions = (rng.random((n, 3)) - 0.3) * rng.choice([1, 5, 20, 100])
    if rng.random() < 0.2:
        positions[rng.integers(n)] += rng.normal(size=3) * 1e4
    cutoffs = rng.random((2, 2)) * rng.choice([0.5, 2, 3.5])
    cutoffs = cutoffs + cutoffs.T
    if rng.random() < 0.2:
        cutoffs[0, 0] = 0
    return rng.integers(0, 2, n), positions, cell, pbc, cutoffs


@pytest.mark.parametrize("seed", [0, pytest.param(range(1, 20), marks=pytest.mark.slow)], ids=str)
def test_its_list_is_the_runtimes(seed):
    for one in np.atleast_1d(seed):
        rng = np.random.default_rng(one)
        compared = 0
        for _ in range(100):
            species, x, cell, pbc, cutoffs = some_structure(rng)
            made = Listing(species, x, cell, pbc, cutoffs, int(rng.choice([1, 2, 4, 8])))
            try:
                found = neighbour_list(x, cell, pbc, cutoffs.max())
            except StructureError:
                assert made.error
                continue
            assert made.error == 0
            if len(found.i) > 3_000:
                continue  # flat cells: slow to read in Python
            near = found.r < cutoffs[species[found.i], species[found.j]]
            expected = zip(
                *(a[near].tolist() for a in (found.i, found.j)), *found.shift[near].T, strict=True
            )
            pairs = list(made.pairs())
            assert len(pairs) == near.sum()
            assert set(pairs) == {tuple(map(int, p)) for p in expected}
            made.free()
            compared += 1
        assert compared > 50


def test_its_list_refuses_what_the_runtimes_refuses():
    square, two, near = np.eye(3), np.array([[3.0]]), [[0.0, 0, 0], [1, 0, 0]]
    cases = {
        "number": (1, [0, 0], [[0, 0, 0], [np.nan, 0, 0]], square, [0, 0, 0]),
        "beyond": (1, [0, 0], [[0, 0, 0], [2e8, 0, 0]], square, [0, 0, 0]),
        "cell": (1, [0, 0], near, np.diag([1, 1, np.inf]), [1, 1, 1]),
        "species": (2, [0, 1], near, square, [0, 0, 0]),
        "negative": (2, [0, -1], near, square, [0, 0, 0]),
        "zero": (3, [0, 0], near, np.diag([1, 0, 1]), [1, 1, 1]),
        "plane": (3, [0, 0], near, [[1, 0, 0], [0, 1, 0], [0.3, 0.4, 0]], [1, 1, 1]),
        "one line": (3, [0, 0], near, [[1, 1, 0], [2, 2, 0], [0, 0, 0]], [1, 1, 0]),
        "close": (4, [0, 0], [[0, 0, 0], [0, 1e-7, 0]], square, [0, 0, 0]),
        "image": (4, [0, 0], [[0, 0, 0], [5, 0, 0]], 5 * square, [1, 1, 1]),
        "many": (5, [0, 0], near, np.diag([1.1e-5, 1.1e-5, 5]), [1, 1, 1]),
    }
    for name, (error, species, x, cell, pbc) in cases.items():
        made = Listing(species, x, cell, pbc, two, 4)
        assert made.error == error, name
        assert not made.list.slot, name
    assert Listing([], np.zeros((0, 3)), square, [1, 1, 1], two, 4).error == 0
