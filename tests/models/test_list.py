"""The list of neighbours in C against the runtime's in Python, and the layouts of both."""

import ctypes

import etace
import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from etace.errors import StructureError
from etace.native.evaluator import NativeEvaluator
from etace.native.layout import APART, PARTS, layout
from etace.native.listing import List, listed, lister
from etace.native.toolchain import Toolchain
from etace.neighbours import neighbour_list
from test_native import FOUND, agree, loaded, needs_compiler

pytestmark = needs_compiler


@pytest.fixture(autouse=True)
def cache(monkeypatch, tmp_path_factory):
    monkeypatch.setenv("ETACE_CACHE_DIR", str(tmp_path_factory.getbasetemp() / "list"))


def made(species, positions, cell, pbc, cutoffs, lanes, parts=1, most=10**8):
    """(error, layout) of `etace_list_make` for one structure."""
    c, found = lister(FOUND), List()
    arrays = [
        np.ascontiguousarray(a, t)
        for a, t in (([len(species)], "i8"), (species, "i4"), (positions, "f8"), (cell, "f8"))
    ]
    arrays += [np.ascontiguousarray(pbc, "i4")]
    cutoffs = np.ascontiguousarray(cutoffs, float)
    error = c.etace_list_make(
        ctypes.byref(found), ctypes.c_int64(1), *(ctypes.c_void_p(a.ctypes.data) for a in arrays),
        ctypes.c_int32(len(cutoffs)), ctypes.c_void_p(cutoffs.ctypes.data), ctypes.c_int32(lanes),
        ctypes.c_int32(parts), ctypes.c_int32(APART), ctypes.c_int64(most),
    )  # fmt: skip
    if error:
        assert not found.slot
        return error, None
    graph = found.layout(len(cutoffs), lanes, None)
    assert graph.longest == found.longest
    c.etace_list_free(ctypes.byref(found))
    return error, graph


def pairs_of(graph, species):
    """(i, j, shift) of all pairs, from what the kernel would read; the rest is looked at by the way."""
    n, lanes, total = graph.atoms, graph.atom.shape[1], len(graph.owner)
    kinds = (len(graph.rows) - 1) // max(graph.blocks, 1)
    assert (graph.atom.ravel()[graph.slot] == np.arange(n)).all()
    assert (graph.species[graph.slot // lanes] == species).all()
    assert (np.diff(graph.rows) >= 0).all()
    assert len(graph.neighbour) == graph.rows[-1]
    assert graph.images[0] == 0
    assert graph.images[-1] == total - n
    assert (graph.owner[:n] == np.arange(n)).all()
    assert (graph.owner[n:] == np.repeat(np.arange(n), np.diff(graph.images))).all()
    block = np.repeat(np.arange(graph.blocks), np.diff(graph.rows[::kinds]))
    kind = np.repeat(np.tile(np.arange(kinds), graph.blocks), np.diff(graph.rows))
    far = total + APART * (np.arange(graph.blocks) // graph.each)
    for place, own in ((graph.atom, far), (graph.neighbour, far[block])):
        assert ((place < total) | (place == own[:, None])).all()
    row, lane = np.nonzero(graph.neighbour < total)
    i, k = graph.atom[block[row], lane], graph.neighbour[row, lane]
    assert (species[graph.owner[k]] == kind[row]).all()
    part = graph.slot // lanes // graph.each
    own = k < n
    assert (part[i[own]] == part[k[own]]).all()
    rows = np.unique(np.stack([k[~own], part[i[~own]]]), axis=1)[0]
    assert (rows == np.arange(n, total)).all()  # each is read, and by one part
    return sorted(zip(i, graph.owner[k], *(graph.shift[k] - graph.shift[i]).T, strict=True))


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
            lanes, parts = int(rng.choice([1, 2, 4, 8])), int(rng.integers(1, 6))
            error, graph = made(species, x, cell, pbc, cutoffs, lanes, parts)
            try:
                found = neighbour_list(x, cell, pbc, cutoffs.max())
            except StructureError:
                assert error
                continue
            assert error == 0
            if len(found.i) > 3_000:
                continue  # flat cells: slow to read in Python
            assert graph.parts <= parts
            near = found.r < cutoffs[species[found.i], species[found.j]]
            expected = zip(found.i[near], found.j[near], *found.shift[near].T, strict=True)
            assert pairs_of(graph, species) == sorted(expected)
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
        assert made(species, x, cell, pbc, two, 4)[0] == error, name
    assert made([0, 0], near, square, [0, 0, 0], [[np.inf]], 4)[0] == 1
    assert made([0, 0], near, square, [0, 0, 0], two, 4, most=1)[0] == 5
    assert made([0, 0], near, square, [0, 0, 0], two, 4, most=2)[0] == 0
    assert made([], np.zeros((0, 3)), square, [1, 1, 1], two, 4)[0] == 0


def odd_structures(species):
    """Tiny, skew, slab, wire, molecule, an atom alone, atoms far outside the cell, and a crystal; no
    distance is a cutoff."""
    rng = np.random.default_rng(3)
    skew = [[3, 0, 0], [40, 4, 0], [1, -90, 5.0]]
    crystal = bulk("Si", cubic=True) * 3
    crystal.rattle(0.1, seed=1)
    slab = crystal.copy()
    slab.pbc = [True, True, False]
    wire = Atoms(f"{species[-1]}2", [[0, 0, 0], [1, 1.0, 0.2]], cell=[0, 0, 2.917], pbc=[0, 0, 1])
    far = crystal.copy()
    far.positions += (rng.integers(-3, 4, (len(far), 3)) * 1.0) @ far.cell.array
    out = [
        Atoms(species[0], cell=np.eye(3) * 2.371, pbc=True),
        Atoms(f"{species[0]}{species[-1]}", [[0, 0, 0], [1.2, 0.5, 1]], cell=skew, pbc=True),
        slab, wire,
        Atoms(f"{species[-1]}3", rng.random((3, 3)) * 3 + 50),
        Atoms(species[0]), far, crystal,
    ]  # fmt: skip
    for atoms in out:
        if len(atoms) > 10:
            atoms.symbols[:] = rng.choice(species, len(atoms))
    return out


@pytest.mark.parametrize("name", ["bonds/bonds", "si_o/si_o"])
def test_evaluations_by_it_are_those_by_the_list_in_python(name):
    model = loaded(name, cores=1)
    evaluator = model.evaluator
    assert isinstance(evaluator, NativeEvaluator)
    without = NativeEvaluator(model.potential.inference, evaluator.program, evaluator.toolchain, 1)
    without.toolchain = Toolchain(("no-such-compiler",), "none", "none")  # for the list
    assert lister(without.toolchain) is None
    structures = odd_structures(model.species)
    for atoms in structures:
        pairs = [model.paired(atoms, skin=0.3)]
        graphs = [evaluator.prepare(pairs), without.prepare(pairs)]
        z = pairs[0].species
        assert pairs_of(graphs[0].layout, z) == pairs_of(graphs[1].layout, z)
        found = [
            etace.model.Result(r.energy[0], r.energies, r.forces, r.virial[0], r.virials)
            for e, g in zip((evaluator, without), graphs, strict=True)
            for r in [e(model.params, g)]
        ]
        agree(*found, 1e-12)
    pairs = [model.paired(a) for a in structures]
    whole = [e.prepare(pairs, batch=True) for e in (evaluator, without)]
    z = np.concatenate([p.species for p in pairs])
    assert pairs_of(whole[0].layout, z) == pairs_of(whole[1].layout, z)
    np.testing.assert_array_equal(whole[0].layout.structure, whole[1].layout.structure)
    for one, atoms in zip(model.evaluate_batch(structures), structures, strict=True):
        agree(one, model.evaluate(atoms), 1e-12)


def test_it_makes_no_pairs_in_python():
    model = loaded("bonds/bonds")
    pairs = model.paired(odd_structures(model.species)[-1])
    model.evaluator.prepare([pairs])
    assert "pairs" not in vars(pairs)


def test_cores_change_nothing_where_there_are_many_parts():
    one, two = loaded("bonds/bonds", cores=1), loaded("bonds/bonds", cores=2)
    atoms = bulk("Si", cubic=True) * 9
    atoms.rattle(0.1, seed=0)
    atoms.symbols[:] = np.random.default_rng(0).choice(one.species, len(atoms))
    pairs = one.paired(atoms)
    graph = listed([pairs], len(one.species), one.evaluator.kernel.lanes, False, FOUND)
    assert graph.parts == PARTS
    old = layout([pairs], len(one.species), one.evaluator.kernel.lanes, False)
    assert (graph.each, len(graph.owner)) == (old.each, len(old.owner))
    assert pairs_of(graph, pairs.species) == pairs_of(old, pairs.species)
    a, b = one.evaluate(atoms), two.evaluate(atoms)
    for x, y in zip(a, b, strict=True):
        np.testing.assert_array_equal(x, y)


def test_what_is_wrong_is_said_as_without_it():
    model = loaded("bonds/bonds")
    x = model.species[0]
    cases = {
        "no atoms": Atoms(),
        "the model knows only": Atoms("Xe"),
        "are at the same place": Atoms(f"{x}2", [[0, 0, 0], [0, 0, 1e-8]]),
        "coordinates must be finite": Atoms(x, [[0, 0, np.nan]]),
        "lies in the span of the others": Atoms(x, cell=[1, 1, 0], pbc=True),
        "pairs of neighbours would lie": Atoms(
            f"{x}4000", np.random.default_rng(0).random((4000, 3)), cell=np.eye(3) * 0.1, pbc=True
        ),
    }
    for words, atoms in cases.items():
        for find in (model.evaluate, model.fast_graph, lambda a: model.evaluate_batch([a])):
            with pytest.raises(StructureError, match=words):
                find(atoms)
