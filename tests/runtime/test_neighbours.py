"""Neighbour lists are complete, exact and sorted, for every kind of cell."""

import itertools
import subprocess
import sys

import numpy as np
import pytest
from etace.errors import StructureError
from etace.neighbours import Neighbours, neighbour_list, reverse_index, within
from scipy.spatial import cKDTree


def brute_force(x, cell, pbc, cutoff):
    """{(i, j, S)} by trying all images that can matter, with no cleverness at all."""
    x, cell = np.asarray(x, float), np.asarray(cell, float)
    frame = cell.copy()
    used = [d for d in range(3) if pbc[d]]
    if len(used) == 0:
        frame = np.eye(3)
    elif len(used) == 1:
        a = frame[used[0]]
        others = sorted(np.eye(3), key=lambda e: abs(e @ a))[:2]
        for d, e in zip([d for d in range(3) if not pbc[d]], others, strict=True):
            frame[d] = e
    elif len(used) == 2:
        frame[[d for d in range(3) if not pbc[d]]] = np.cross(frame[used[0]], frame[used[1]])
    inverse = np.linalg.inv(frame)
    fractional = x @ inverse
    spread = fractional.max(0) - fractional.min(0)
    reach = np.ceil(cutoff * np.linalg.norm(inverse, axis=0) + spread).astype(int) + 1
    ranges = [range(-m, m + 1) if p else range(1) for m, p in zip(reach, pbc, strict=True)]
    found = set()
    for s in itertools.product(*ranges):
        offset = sum(s[d] * cell[d] for d in range(3) if pbc[d]) + np.zeros(3)
        r = np.linalg.norm(x[None] - x[:, None] + offset, axis=-1)
        near = r < cutoff
        if s == (0, 0, 0):
            np.fill_diagonal(near, False)
        found |= {(int(i), int(j), *s) for i, j in np.argwhere(near)}
    return found


def as_tuples(pairs):
    return [
        (int(i), int(j), *map(int, s))
        for i, j, s in zip(pairs.i, pairs.j, pairs.shift, strict=True)
    ]


def random_structure(kind, rng):
    n = int(rng.integers(1, 7))
    cell = rng.normal(size=(3, 3)) * 2 + 4 * np.eye(3)[rng.permutation(3)]
    pbc = np.array([True, True, True])
    if kind == "tiny":
        cell, n = rng.normal(size=(3, 3)) * 0.4 + 1.3 * np.eye(3), int(rng.integers(1, 3))
    if kind in ("slab", "wire", "cluster"):
        pbc = rng.permutation(np.arange(3) < {"slab": 2, "wire": 1, "cluster": 0}[kind])
        if rng.random() < 0.5:
            cell[~pbc] = 0
    x = rng.random((n, 3)) @ (cell + np.eye(3))
    if kind == "outside":
        x += rng.integers(-2, 3, (n, 3)) @ cell
    if kind == "sparse":
        x, pbc = x * 30, rng.random(3) < 0.3
    return x, cell, pbc


KINDS = ["triclinic", "tiny", "slab", "wire", "cluster", "outside", "sparse"]


@pytest.mark.parametrize("kind", KINDS)
def test_the_list_is_what_trying_all_images_gives(kind):
    rng = np.random.default_rng(KINDS.index(kind))
    done = 0
    while done < 15:
        x, cell, pbc = random_structure(kind, rng)
        cutoff = rng.uniform(1.0, 4.0)
        if pbc.all() and abs(np.linalg.det(cell)) < 1.0:
            continue  # thousands of images: slow by brute force
        pairs = neighbour_list(x, cell, pbc, cutoff)
        assert as_tuples(pairs) == sorted(brute_force(x, cell, pbc, cutoff))
        r = x[pairs.j] - x[pairs.i] + pairs.shift @ cell
        np.testing.assert_allclose(pairs.r, np.linalg.norm(r, axis=1), rtol=1e-13, atol=1e-13)
        done += 1


def test_left_handed_cells_and_permuted_vectors_give_the_same_distances():
    rng = np.random.default_rng(3)
    cell, x = rng.normal(size=(3, 3)) + 4 * np.eye(3), rng.random((5, 3)) * 4
    r = np.sort(neighbour_list(x, cell, True, 5.0).r)
    np.testing.assert_allclose(np.sort(neighbour_list(x, cell[[1, 0, 2]], True, 5.0).r), r)
    np.testing.assert_allclose(np.sort(neighbour_list(x, -cell, True, 5.0).r), r)


@pytest.mark.parametrize("shear", [1, 30, 1000])
@pytest.mark.parametrize("pbc", [(1, 1, 1), (1, 1, 0), (0, 1, 1)])
def test_other_vectors_of_the_same_lattice_give_the_same_distances(shear, pbc):
    rng = np.random.default_rng(shear)
    cell, x = rng.normal(size=(3, 3)) + 4 * np.eye(3), rng.random((20, 3)) * 4
    r = np.sort(neighbour_list(x, cell, pbc, 5.0).r)
    change = np.triu(np.round(shear * rng.normal(size=(3, 3))) * np.outer(pbc, pbc), 1)
    other = (np.eye(3) + change) @ cell
    pairs = neighbour_list(x, other, pbc, 5.0)
    np.testing.assert_allclose(np.sort(pairs.r), r, rtol=0, atol=1e-14 * shear**3)
    vectors = x[pairs.j] - x[pairs.i] + pairs.shift @ other
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), pairs.r, atol=1e-13 * shear**3)


def test_atoms_far_outside_the_cell_have_the_same_neighbours():
    rng = np.random.default_rng(4)
    cell, x = rng.normal(size=(3, 3)) + 4 * np.eye(3), rng.random((5, 3)) * 4
    away = rng.integers(-1000000, 1000000, (5, 3))
    near, far = (neighbour_list(p, cell, True, 4.0) for p in (x, x + away @ cell))
    back = {(i, j, *(np.array(s) + away[j] - away[i])) for i, j, *s in as_tuples(far)}
    assert back == set(as_tuples(near))
    assert (far.i[reverse_index(far, 5)] == far.j).all()


def test_an_atom_exactly_at_the_cutoff_is_not_a_neighbour():
    x = [[0, 0, 0], [3.0, 0, 0]]
    assert len(neighbour_list(x, np.zeros((3, 3)), False, 3.0).i) == 0
    assert len(neighbour_list(x, np.zeros((3, 3)), False, np.nextafter(3.0, 4)).i) == 2
    cubic = neighbour_list([[0.1, 0.2, 0.3]], 3 * np.eye(3), True, 3.0)
    assert len(cubic.i) == 0


def test_a_supercell_has_the_neighbours_of_its_cell():
    base = np.array([[0, 0, 0], [0, 0.5, 0.5], [0.5, 0, 0.5], [0.5, 0.5, 0]]) * 3.6
    shifts = np.array(list(itertools.product(range(9), range(8), range(7)))) * 3.6
    x = (base[None] + shifts[:, None]).reshape(-1, 3)
    pairs = neighbour_list(x, np.diag([9, 8, 7]) * 3.6, True, 5.5)
    assert (np.bincount(pairs.i) == 54).all()


@pytest.mark.parametrize("box", [(250, 260, 240), (2500, 2400, 15), (40, 900, 900), (3e5, 20, 20)])
def test_large_sparse_boxes_miss_no_pair(box):
    """vesin coarsens its grid beyond 1e5 cells, and fails if the box is flat: still every pair."""
    x = np.random.default_rng(6).random((3000, 3)) * box
    pairs = neighbour_list(x, np.diag(box), True, 5.0)
    close = cKDTree(x, boxsize=box).query_pairs(5.0)
    assert {(int(i), int(j)) for i, j in zip(pairs.i, pairs.j, strict=True) if i < j} == close
    assert len(pairs.i) == 2 * len(close) > 0


def test_reversing_twice_does_nothing_and_reverses_the_shift():
    rng = np.random.default_rng(5)
    for kind in KINDS:
        x, cell, pbc = random_structure(kind, rng)
        pairs = neighbour_list(x, cell, pbc, 4.0)
        back = reverse_index(pairs, len(x))
        assert (back[back] == np.arange(len(back))).all()
        assert (pairs.i[back] == pairs.j).all()
        assert (pairs.shift[back] == -pairs.shift).all()
        assert (pairs.r[back] == pairs.r).all()  # bit for bit: a cutoff never splits a pair


def test_keys_too_large_for_an_integer_still_sort():
    cell = 3 * np.eye(3)
    x = np.array([[0, 0, 0], [1e7, -2e7, 2e7], [1.0, 1.0, 3e7]])
    pairs = neighbour_list(x, cell, True, 3.5)
    assert as_tuples(pairs) == sorted(as_tuples(pairs))
    assert (reverse_index(pairs, 3)[reverse_index(pairs, 3)] == np.arange(len(pairs.i))).all()


def test_no_atoms_or_no_cutoff_give_no_pairs():
    for x, cutoff in (([], 5.0), (np.zeros((0, 3)), 5.0), (np.eye(3), 0.0), (np.eye(3), -1.0)):
        pairs = neighbour_list(x, 4 * np.eye(3), True, cutoff)
        assert len(pairs.i) == 0
        assert pairs.shift.shape == (0, 3)


def test_pairs_within_shorter_cutoffs():
    pairs = neighbour_list(np.eye(3) * [1, 2, 3], np.zeros((3, 3)), False, 9.0)
    assert isinstance(within(pairs, 3.0), Neighbours)
    assert (within(pairs, 3.0).r < 3.0).all()
    each = within(pairs, np.where(pairs.i + pairs.j == 1, 9.0, 0.0))
    assert as_tuples(each) == [(0, 1, 0, 0, 0), (1, 0, 0, 0, 0)]


BAD = {
    "np.array([[0, 0, 0], [0, np.nan, 0]]), 5 * np.eye(3), True": "atom 1 is at",
    "np.array([[0, 0, np.inf]]), 5 * np.eye(3), True": "atom 0 is at",
    "np.array([[0, 0, 0], [1e300, 0, 0]]), np.zeros((3, 3)), False": "within 1e+08 Å",
    "np.zeros((1, 3)), np.diag([5, np.nan, 5]), True": "cell vector 1",
    "np.zeros((1, 3)), np.diag([5, 1e300, 5]), True": "cell vector 1",
    "np.zeros((1, 3)), np.zeros((3, 3)), True": "periodic along cell vector 0",
    "np.zeros((1, 3)), np.diag([5, 5, 0]), True": "periodic along cell vector",
    "np.zeros((1, 3)), np.diag([5, 5, 0]), [False, False, True]": "periodic along cell vector 2",
    "np.zeros((1, 3)), [[1, 2, 3], [2, 4, 6], [0, 0, 1]], True": "lies in the span",
    "np.zeros((1, 3)), [[1, 2, 3], [2, 4, 6], [0, 0, 1]], [1, 1, 0]": "lies in the span",
    "np.zeros((1, 3)), [[1, 0, 0], [2**0.5, 0, 0], [0, 0, 1]], True": "lies in the span",
    "np.zeros((1, 3)), [[1e8, 0, 0], [2e7**0.5, 0, 0], [0, 0, 1]], [1, 1, 0]": "lies in the span",
    "np.zeros((1, 3)), [[1, 0.3, 0], [2**0.5, 3**0.5, 0], [0.7, 5**0.5, 0]], True": "lies in",
    "np.zeros((1, 3)), np.diag([1e-4, 1e-4, 1e-4]), True": "neighbours would lie",
    "np.zeros((1, 3)), np.diag([1e-5, 1e-5, 5]), [True, True, False]": "neighbours would lie",
    "np.random.default_rng(0).random((100000, 3)), np.eye(3), False": "neighbours would lie",
    "np.array([[0, 0, 0], [1, 2, 3], [1, 2, 3]]), 5 * np.eye(3), True": "atom 1 and atom 2",
    "np.array([[0, 0, 0], [0, 5, 0]]), 5 * np.eye(3), True": "atom 0 and atom 1 (an image",
    "np.zeros((2, 2)), np.eye(3), True": "shape [atoms, 3]",
    "np.zeros((1, 3)), np.eye(2), True": "shape [3, 3]",
    "np.zeros((1, 3)), np.eye(3), [True, False]": "one or three",
}
GOOD = {
    "[[0, 0, 0], [1e6, 0, 0], [1e6, 1, 0]], np.zeros((3, 3)), False": 2,
    "[[0, 0, 0], [1e8, 1e8, -1e8], [1e8, 1e8, 1 - 1e8]], np.zeros((3, 3)), False": 2,
    "[[0, 0, 0], [1, 0, 0]], np.diag([1e7, 10, 10]), True": 2,
    "[[0, 0, 0], [1, 0, 0]], np.diag([1e5, 1e5, 10]), True": 2,
    "[[0, 0, 0], [1, 0, 0]], np.diag([1e8, 1e8, 1e8]), True": 2,
    "[[0, 0, 0], [1, 0, 0], [1e6, 1e6, 0]], np.diag([0, 0, 100]), [0, 0, 1]": 2,
    "[[0, 0, 0]], np.diag([0.01, 100, 100]), True": 2 * 499,
    "[[0, 0, 0]], [[1, 0, 0], [1e4, 1, 0], [0, 0, 1]], True": 484,
    "[[0, 0, 0]], [[1, 0, 0], [1e4, 1, 0], [-1e3, 1e5, 1]], True": 484,
}


def test_no_input_kills_the_process():
    """All in one process: vesin alone dies of SIGFPE on several of these."""
    code = ["import numpy as np", "from etace.neighbours import neighbour_list"]
    code += ["from etace.errors import StructureError"]
    for call in BAD:
        code += ["try:", f"    neighbour_list({call}, 5.0)", "    print('nothing raised')"]
        code += ["except StructureError as error:", "    print(error)"]
    code += [f"print(len(neighbour_list({call}, 5.0).i))" for call in GOOD]
    run = subprocess.run(
        [sys.executable, "-W", "error", "-c", "\n".join(code)], capture_output=True, text=True
    )
    assert run.returncode == 0, run.stderr
    lines = run.stdout.splitlines()
    for line, (call, message) in zip(lines, BAD.items(), strict=False):
        assert message in line, call
    assert [int(n) for n in lines[len(BAD) :]] == list(GOOD.values())


def test_a_cutoff_that_is_not_a_number_is_refused():
    with pytest.raises(StructureError, match="cutoff"):
        neighbour_list(np.eye(3), np.eye(3), True, np.nan)


@pytest.mark.parametrize("height", [1e-320, 1e-300, 1e-20, -1e-310])
def test_a_cell_too_flat_for_numbers_is_refused(height):
    cell = np.diag([7.0, 7.0, height])
    with pytest.raises(StructureError, match="zero or lies in the span of the others"):
        neighbour_list(np.zeros((1, 3)), cell, (True, True, True), 5.5)
