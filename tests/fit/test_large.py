"""What large fits are made of says what plain linear algebra says, in bounded memory, with the same bits on any cores."""

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import etace
import numpy as np
import pytest
from etace.data import read
from etace.errors import RequestError
from etace.fit import factors, triangle
from etace.fit.assemble import BESIDE, SPARE, Joining, assemble, merge_into, plan
from etace.fit.checkpoint import Checkpoint
from etace.fit.factors import JOINED, Factor, Key, System, eliminate, factor, merged, system
from etace.fit.fitting import solve, targets
from etace.fit.priors import Prior
from etace.fit.solve import evidence
from etace.fit.tuning import tune_noise
from etace.fit.weights import Weights
from etace.memory import available
from threadpoolctl import threadpool_limits

ROOT = Path(__file__).parents[2]
SILICA = ROOT / "examples/data/SiO2_EDI_train.xyz"
SPEC = """etace 1
species Si, O
learnable onebody E0 {}
use linear_ace as ace { max_order = 2, max_level = 5, max_l = 2, cutoff = 4.5 Å }
model m = E0 + ace.many_body
"""
KEY = Key("train", "a", "forces")


@pytest.fixture(autouse=True)
def one_thread():
    """As in a fit."""
    with threadpool_limits(1, user_api="blas"):
        yield


def fortran(*shape, seed=0):
    return np.asfortranarray(np.random.default_rng(seed).normal(size=shape))


def gram_is(R, wanted):
    assert not np.tril(R, -1).any()
    np.testing.assert_allclose(R.T @ R, wanted, rtol=0, atol=1e-12 * np.abs(wanted).max())


# ------------------------------------------------------------ triangles


@pytest.mark.parametrize("n", [1, 5, 64, 65, 200])
def test_triangles_keep_the_sums_of_squares(n):
    A, B = fortran(n + 30, n), fortran(n + 7, n, seed=1)
    wanted = A.T @ A
    triangle.triangulate(A)
    R = A[:n].copy(order="F")
    gram_is(R, wanted)
    wanted = wanted + B.T @ B
    triangle.absorb(R, B.copy(order="F"))
    gram_is(R, wanted)
    other = np.triu(fortran(n, n, seed=2))
    triangle.absorb_triangle(R, other, 3.0)
    wanted = wanted + 9 * other.T @ other
    gram_is(R, wanted)
    d = np.linspace(1, 2, n)
    triangle.absorb_diagonal(R, d)
    gram_is(R, wanted + np.diag(d * d))


@pytest.mark.parametrize("n", [1, 2, 63, triangle.SMALL + 1, triangle.SMALL + 2 * triangle.BAND])
def test_singular_values_and_what_they_see_of_z(n):
    A, z = fortran(n, n), fortran(n, 1, seed=1)[:, 0]
    U, s, _ = np.linalg.svd(A)
    found, b = triangle.spectrum(A.copy(order="F"), z)
    np.testing.assert_allclose(found, s, atol=1e-12 * s[0])
    for q in s[0] ** 2 * np.logspace(-8, 0, 5):  # single components turn where values are close
        wanted = np.sum((U.T @ z) ** 2 / (s * s + q))
        assert np.sum(b * b / (found * found + q)) == pytest.approx(wanted, rel=1e-9)


def test_threads_change_no_bit(monkeypatch):
    cores = os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else set()
    if len(cores) < 2:
        pytest.skip("one core here, or nobody says which")
    monkeypatch.setattr(triangle, "FEW", 1)  # all is large
    n = 3 * triangle.TILE
    R, B = np.triu(fortran(n, n)), fortran(100, n, seed=1)

    def found():
        T = np.asfortranarray(R)
        triangle.absorb(T, B.copy(order="F"))
        return T, *triangle.spectrum(T.copy(order="F"), np.ones(n))

    both = found()
    try:
        os.sched_setaffinity(0, {min(cores)})
        one = found()
    finally:
        os.sched_setaffinity(0, cores)
    for x, y in zip(both, one, strict=True):
        np.testing.assert_array_equal(x, y)


# ------------------------------------------------------------ evidence


def by_svd(R, z, rest, rows, q, v0):
    """(log evidence, mean, root of the covariance) by all singular vectors, at given variances."""
    U, s, Vt = np.linalg.svd(R)
    b, v = U.T @ z, v0 * (s * s + q)
    log = np.sum(b * b / v) + rest / (q * v0) + np.sum(np.log(v))
    log += (rows - len(s)) * np.log(q * v0) + rows * np.log(2 * np.pi)
    return -log / 2, Vt.T @ (s / (s * s + q) * b), Vt.T * np.sqrt(v0 * q / (s * s + q))


@pytest.mark.parametrize(("n", "lowest"), [(40, -3), (40, -18), (520, -18)])
def test_the_evidence_without_singular_vectors_is_that_with_them(n, lowest):
    """Columns of condition 1e3, and numerically singular ones, mixed."""
    rng = np.random.default_rng(n)
    mix = np.linalg.qr(rng.normal(size=(n, n)))[0]
    A = rng.normal(size=(3 * n, n)) * np.logspace(0, lowest, n) @ mix
    y = A @ rng.normal(size=n) + 1e-3 * rng.normal(size=3 * n)
    made = system({KEY: factor([np.column_stack([A, y])])}, lambda key: 1.0)
    found = evidence(made)
    ve, v0 = found.notes["noise"] ** 2, found.notes["prior scale"] ** 2
    assert found.notes["noise"] == pytest.approx(1e-3, rel=0.2)
    log, c, root = by_svd(made.R, made.z, made.rest, made.rows, ve / v0, v0)
    assert found.notes["log evidence"] == pytest.approx(log, rel=1e-8)
    new = rng.normal(size=(20, n)) @ mix  # nothing that the data hold back
    np.testing.assert_allclose(A @ found.c, A @ c, atol=1e-8 * np.abs(A @ c).max())
    np.testing.assert_allclose(new @ found.c, new @ c, atol=1e-6 * np.abs(new @ c).max())
    wanted = np.linalg.norm(new @ root, axis=1)
    np.testing.assert_allclose(found.posterior.spread(new), wanted, rtol=1e-6)
    np.testing.assert_allclose(found.root.T @ new.T, found.posterior.across(new.T), atol=1e-9)


def test_a_scaled_system_is_made_when_it_is_asked_for():
    A, scale = fortran(50, 9), np.linspace(1, 3, 8)
    whole = system({KEY: factor([A])}, lambda key: 1.0)
    scaled = whole.scaled(scale)
    np.testing.assert_array_equal(scaled.R, whole.R / scale)
    given = System(whole.R / scale, whole.z, whole.rest, whole.rows)
    np.testing.assert_allclose(evidence(scaled).c, evidence(given).c, rtol=1e-10)


@pytest.mark.parametrize("first", [0, 3])
@pytest.mark.parametrize("dependent", [False, True])
@pytest.mark.parametrize("packed", [False, True])
def test_free_columns_anywhere_are_eliminated_with_their_posterior(
    first, dependent, packed, monkeypatch
):
    monkeypatch.setattr(factors, "ROWS", 4)  # several blocks
    rng = np.random.default_rng(0)
    A, y = rng.normal(size=(60, 9)), rng.normal(size=60)
    if dependent:
        A[:, first + 1] = 2 * A[:, first]
    one = factor([np.column_stack([A, y])])
    plain = system({KEY: one.copy()}, lambda key: 1.0)
    if packed:
        one.pack()
    whole = system({KEY: one}, lambda key: 1.0)
    np.testing.assert_array_equal(whole.R, plain.R)
    assert (whole.z == plain.z).all() and (whole.rest, whole.rows) == (plain.rest, plain.rows)
    assert whole.norm == pytest.approx(y @ y)
    free = np.isin(np.arange(9), [first, first + 1])
    done = eliminate(whole, free)
    c = done.back(np.linalg.lstsq(done.rest.R, done.rest.z, rcond=None)[0])
    np.testing.assert_allclose(c, np.linalg.lstsq(A, y, rcond=1e-12)[0], atol=1e-12)
    assert whole.loss(c) == pytest.approx(np.sum((A @ c - y) ** 2))
    own = rng.normal(size=(7, 4))
    moved = done.back_moves(own)
    seen = done.seen(whole)
    np.testing.assert_allclose(seen.loss(own[:, 0]), whole.loss(done.back(own[:, 0])), rtol=1e-12)
    for k in range(9):  # one is the other's transpose
        e = np.eye(9)[:, [k]]
        np.testing.assert_allclose(done.across(e).T @ own, moved[[k]], atol=1e-12)


# ------------------------------------------------------------ merging


@pytest.mark.parametrize("sizes", [(3, 4, 5), (3, 40, 2, 30), (40, 3, 3, 50), (12, 13, 1, 12)])
def test_factors_merged_in_any_pieces_are_those_of_all_rows(sizes):
    pieces = [fortran(n, 13, seed=n + k) for k, n in enumerate(sizes)]
    rows = np.concatenate(pieces)
    total = factor([pieces[0]])
    for piece in pieces[1:]:
        old, more = total, factor([piece])
        total = merged(old, more)
        assert old.spent and more.spent and not total.spent
    assert total.rows == len(rows)
    np.testing.assert_allclose(total.R.T @ total.R, rows.T @ rows, atol=1e-11)
    assert len(total.R) == min(13, len(rows))


def test_a_checkpoint_of_factors_that_are_being_merged_leaves_the_last_one(tmp_path, monkeypatch):
    monkeypatch.setenv("ETACE_CACHE_DIR", str(tmp_path / "cache"))
    mark = Checkpoint(tmp_path / "m.checkpoint", "ab" * 32)
    total = {KEY: factor([fortran(20, 5)])}
    mark.keep(1, total)
    mark.write()
    before = mark.path.read_bytes()
    total[KEY].take()  # as a merge that was interrupted leaves it
    mark.keep(2, {**total})
    mark.write()
    assert mark.path.read_bytes() == before
    assert mark.load()[0] == 1


# ------------------------------------------------------------ memory


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    path = tmp_path_factory.mktemp("spec") / "small.etace"
    path.write_text(SPEC.replace("{}", "{ Si = -0.8 eV, O = -1.0 eV }"))
    return etace.load(path)


def test_rows_share_a_factor_where_memory_is_short(model):
    data = read([SILICA], want=("energy", "forces")).structures[:10]
    data = [replace(s, group="ab"[k % 2]) for k, s in enumerate(data)]
    weights = Weights({"default": {"energy": 7.0}, "b": {"forces": 3.0}})
    goals = targets(data, ("energy", "forces"), weights)
    goals = [replace(t, fold=k % 3) for k, t in enumerate(goals)]
    columns = model.length_basis + 1

    def made(squares):
        """With memory for so many factors."""
        free = int((8 * columns**2 * squares + BESIDE) / SPARE) + 1
        shape = plan(model, goals, weights, free)
        return shape, assemble(model, goals, shape, cores=1)

    (_, apart), (_, folds), (shape, one) = made(30), made(6), made(2)
    assert {k.kind for k in apart} == {"energy", "forces"} and {k.group for k in apart} == {*"ab"}
    assert sorted(folds) == [Key("train", "", JOINED, fold) for fold in range(3)]
    assert list(one) == [Key("train", "", JOINED)] and shape.joining is Joining.FOLDS
    found = [solve(model, f, weights, Prior()) for f in (apart, folds, one)]
    assert found[2].system.rows == found[0].system.rows
    rows = [model.energy_forces_virial_basis(s.atoms).forces for s in data]
    for other in found[1:]:
        assert other.notes["log evidence"] == pytest.approx(found[0].notes["log evidence"])
        for A in rows:
            np.testing.assert_allclose(A @ other.c, A @ found[0].c, atol=1e-6)
    with pytest.raises(RequestError, match="memory is for one only"):
        tune_noise(model, one, weights, Prior())
    assert one[Key("train", "", JOINED)].packed is not None
    fit = int(columns / 1.5**0.5) - 1
    with pytest.raises(RequestError, match=f"{columns - 1} columns .* {fit} columns would fit"):
        made(1)


def test_memory_is_what_limits_say():
    assert 1 << 24 < available() < 1 << 50
    if not sys.platform.startswith("linux"):
        return
    code = (
        "import resource, sys; from etace.memory import available; resource.setrlimit("
        "resource.RLIMIT_AS, (1 << 32, 1 << 32)); print(available())"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert 0 <= int(done.stdout) <= 1 << 32


def test_in_place_merging_keeps_a_clusters_own_results():
    a, b = {KEY: factor([fortran(30, 5)])}, {KEY: factor([fortran(40, 5, seed=1)])}
    from etace.fit.cluster import _merge

    kept = a[KEY].R.copy(), b[KEY].R.copy()
    found = _merge(a, b)
    np.testing.assert_array_equal(a[KEY].R, kept[0])
    np.testing.assert_array_equal(b[KEY].R, kept[1])
    total: dict[Key, Factor] = dict(a)
    merge_into(total, b)
    np.testing.assert_array_equal(found[KEY].R, total[KEY].R)
