"""The fit: rows and factors, planted coefficients, resuming, settings, the command."""

from dataclasses import replace
from pathlib import Path

import etace
import numpy as np
import pytest
from etace.data import Labelled, read
from etace.domain import ranges
from etace.fit.assemble import assemble, plan
from etace.fit.checkpoint import Checkpoint, fingerprint
from etace.fit.factors import System, eliminate, system
from etace.fit.fitting import fit, solve, targets
from etace.fit.priors import Prior, gamma
from etace.fit.solve import evidence
from etace.fit.solvers import solver
from etace.fit.weights import Weights
from etace.precision import host_precision

ROOT = Path(__file__).parents[2]
SILICA = ROOT / "examples/data/SiO2_EDI_train.xyz"

SMALL = """etace 1
species Si, O
onebody E0 { Si = -0.8 eV, O = -1.0 eV }
use linear_ace as ace { max_order = 2, max_level = 5, max_l = 2, cutoff = 4.5 Å }
model m = E0 + ace.many_body
"""

REPELLING = """etace 1
species Si, O
onebody E0 { Si = -0.8 eV, O = -1.0 eV }
use ace1 as ace { max_order = 2, totaldegree = [8, 5] }
model m = E0 + ace.two_body + ace.many_body
"""


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    path = tmp_path_factory.mktemp("spec") / "small.etace"
    path.write_text(SMALL)
    return etace.load(path)


@pytest.fixture
def data():
    return read([SILICA], want=("energy", "forces")).structures[:12]


def labelled_by(model, structures, c):
    """The same structures with the labels of a model whose linear parameters are c."""
    kept = model.get_linear_parameters()
    model.set_linear_parameters(c)
    found = model.evaluate_batch([s.atoms for s in structures])
    model.set_linear_parameters(kept)
    return [
        replace(s, energy=r.energy, forces=r.forces, virial=r.virial)
        for s, r in zip(structures, found, strict=True)
    ]


def random_cells(n, seed=0):
    from ase import Atoms

    rng = np.random.default_rng(seed)
    out = []
    for k in range(n):
        atoms = Atoms(
            rng.choice(["Si", "O"], 6), rng.uniform(0, 5, (6, 3)), cell=[5, 5, 5], pbc=True
        )
        out.append(
            Labelled(atoms, 0.0, np.zeros((6, 3)), np.zeros((3, 3)), f"g{k % 2}", 1.0, str(k))
        )
    return out


LEAST = Prior(kind="none")


@pytest.mark.parametrize(
    "kinds", [("energy", "forces", "virial"), ("energy",), ("forces",), ("virial",)]
)
def test_planted_coefficients_come_back(model, kinds):
    c = np.random.default_rng(1).normal(size=model.length_basis)
    structures = labelled_by(model, random_cells(120 if kinds == ("energy",) else 40), c)
    done = fit(model, structures, kinds=kinds, prior=LEAST)
    assert done.notes["rank"] == model.length_basis
    assert np.abs(done.c - c).max() < 1e-6 * np.abs(c).max()


def test_planted_coefficients_come_back_beside_a_repulsive_core(tmp_path):
    """A term without parameters: its energies, forces and virials are no part of what is fitted."""
    head, m, terms = SMALL.rpartition("model m = ")
    path = tmp_path / "core.etace"
    path.write_text(f"{head}zbl core {{ outer = 1.6 Å }}\n{m}core + {terms}")
    model = etace.load(path)
    model.set_linear_parameters(np.zeros(model.length_basis))
    c = np.random.default_rng(1).normal(size=model.length_basis)
    cells = random_cells(40)
    cores = [r.energy for r in model.evaluate_batch([s.atoms for s in cells])]
    assert max(cores) > 10 + min(cores)
    done = fit(model, labelled_by(model, cells, c), prior=LEAST)
    assert np.abs(done.c - c).max() < 1e-6 * np.abs(c).max()
    model.save(tmp_path / "core.safetensors")
    again = etace.load(tmp_path / "core.safetensors").evaluate(cells[0].atoms)
    assert again.energy == model.evaluate(cells[0].atoms).energy


def test_rows_and_factors_are_those_of_one_matrix(model, data):
    """Streamed and reduced, against all rows at once."""
    weights = Weights({"default": {"energy": 7.0, "forces": 2.0}})
    goals = targets(data, ("energy", "forces"), weights)
    factors = assemble(model, goals, plan(model, goals), cores=2)
    whole = system(factors, lambda k: weights(k.group, k.kind))
    A, y = [], []
    for t in goals:
        rows = model.energy_forces_virial_basis(t.atoms)
        n = len(t.atoms)
        A += [7 / np.sqrt(n) * rows.energy[None], 2 * rows.forces.reshape(3 * n, -1)]
        alone = sum({"Si": -0.8, "O": -1.0}[s] for s in t.atoms.symbols)
        y += [[7 / np.sqrt(n) * (t.energy - alone)], 2 * t.forces.ravel()]
    A, y = np.concatenate(A), np.concatenate(y)
    assert whole.rows == len(y)
    assert whole.norm == pytest.approx(y @ y, rel=1e-12)
    np.testing.assert_allclose(
        whole.R.T @ whole.R, A.T @ A, rtol=0, atol=1e-11 * np.abs(A.T @ A).max()
    )
    np.testing.assert_allclose(
        whole.R.T @ whole.z, A.T @ y, rtol=0, atol=1e-11 * np.abs(A.T @ y).max()
    )
    mine = solve(model, factors, weights, Prior()).c
    scale = gamma(model.potential, Prior())
    dense = System(A / scale, y, 0.0, len(y))
    theirs = evidence(replace_by_qr(dense)).c / scale
    np.testing.assert_allclose(A @ mine, A @ theirs, rtol=0, atol=1e-10 * np.abs(y).max())


def replace_by_qr(s):
    R = np.linalg.qr(np.concatenate([s.R, s.z[:, None]], axis=1), mode="r")
    return System(R[:-1, :-1], R[:-1, -1], float(R[-1, -1] ** 2), s.rows)


def test_factors_do_not_depend_on_cores_or_on_being_stopped(model, data, tmp_path):
    goals = targets(data, ("energy", "forces"), Weights())
    goals = goals * 24
    shape = plan(model, goals)
    assert len(shape.tasks) > 3
    whole = assemble(model, goals, shape, cores=1)
    two = assemble(model, goals, shape, cores=2)
    mark = Checkpoint(tmp_path / "c", fingerprint(model, goals, shape))

    def stop(count, total):
        mark.keep(count, total)
        if count == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        assemble(model, goals, shape, cores=2, done=stop)
    mark.write()
    start, factors = Checkpoint(mark.path, mark.belongs).load()
    assert start == 2
    rest = assemble(model, goals, shape, 2, start, factors)
    for key, f in whole.items():
        for other in (two, rest):
            assert other[key].rows == f.rows
            np.testing.assert_array_equal(other[key].R, f.R)
    assert Checkpoint(mark.path, "another fit").load() == (0, {})


def test_free_columns_are_eliminated_exactly():
    rng = np.random.default_rng(0)
    A, y = rng.normal(size=(60, 9)), rng.normal(size=60)
    A[:, 1] = 2 * A[:, 0]  # one composition: the free columns depend on each other
    R = np.linalg.qr(np.concatenate([A, y[:, None]], axis=1), mode="r")
    whole = System(R[:-1, :-1], R[:-1, -1], float(R[-1, -1] ** 2), 60)
    done = eliminate(whole, np.arange(9) < 2)
    c = done.back(np.linalg.lstsq(done.rest.R, done.rest.z, rcond=None)[0])
    best = np.linalg.lstsq(A, y, rcond=1e-12)[0]
    np.testing.assert_allclose(c, best, atol=1e-12)
    assert done.rest.norm + (y @ y - done.rest.norm) == pytest.approx(y @ y)


def test_the_evidence_is_that_of_the_dense_model():
    rng = np.random.default_rng(3)
    A = rng.normal(size=(50, 6)) * np.array([1, 1, 1, 1, 1e-3, 1e-3])
    y = A @ rng.normal(size=6) + 0.1 * rng.normal(size=50)
    R = np.linalg.qr(np.concatenate([A, y[:, None]], axis=1), mode="r")
    found = evidence(System(R[:-1, :-1], R[:-1, -1], float(R[-1, -1] ** 2), 50))
    v0, ve = found.notes["prior scale"] ** 2, found.notes["noise"] ** 2

    def log_evidence(v0, ve):
        C = v0 * A @ A.T + ve * np.eye(50)
        return -0.5 * (y @ np.linalg.solve(C, y) + np.linalg.slogdet(C)[1] + 50 * np.log(2 * np.pi))

    assert found.notes["log evidence"] == pytest.approx(log_evidence(v0, ve), rel=1e-10)
    for f, g in ((1.05, 1), (0.95, 1), (1, 1.05), (1, 0.95)):
        assert log_evidence(v0 * f, ve * g) < found.notes["log evidence"]
    S = np.linalg.inv(A.T @ A / ve + np.eye(6) / v0)
    np.testing.assert_allclose(found.root @ found.root.T, S, atol=1e-12 * np.abs(S).max())
    np.testing.assert_allclose(found.c, S @ A.T @ y / ve, atol=1e-10)


def test_priors_are_those_of_the_reference(model):
    g = gamma(model.potential, Prior("algebraic", p=4))
    names = [p.function for p in model.potential.linear_parameters]
    k = names.index("(n=1, l=1)(n=1, l=1)")
    assert g[k] == pytest.approx(2 * (1.5**4 + 1))
    assert gamma(model.potential, Prior("exponential"))[k] == pytest.approx(np.exp(3 + 2))
    assert gamma(model.potential, Prior("gaussian"))[k] == pytest.approx(np.exp(2 * (2 + 2)))
    with pytest.raises(etace.EtaceError, match=r"`prior.kind` must be one of algebraic"):
        Prior("smooth")
    with host_precision("float64"), pytest.raises(etace.EtaceError, match="V9"):
        gamma(model.potential, Prior(blocks={"V9": 2.0}))


def test_weights_name_what_is_there(model, data):
    with pytest.raises(etace.EtaceError, match="liquid"):
        fit(model, data, weights=Weights({"liquid": {"energy": 1.0}}))
    with pytest.raises(etace.EtaceError, match="stress"):
        Weights({"default": {"stress": 1.0}})


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::ResourceWarning")
def test_a_dask_cluster_gives_the_same_predictions(model, data):
    distributed = pytest.importorskip("distributed")
    from etace.fit.cluster import assemble_on

    goals = targets(data, ("energy", "forces"), Weights()) * 6
    shape = plan(model, goals)
    here = assemble(model, goals, shape, cores=2)
    with distributed.LocalCluster(
        n_workers=2, threads_per_worker=1, processes=False, dashboard_address=None
    ) as cluster:
        count = []
        there = assemble_on(cluster.scheduler_address, model, goals, shape, count.append)
    assert count == list(range(1, len(shape.tasks) + 1))
    found = [solve(model, f, Weights(), Prior()) for f in (here, there)]
    # the search for the evidence's maximum ends within its own tolerance
    assert found[0].notes["noise"] == pytest.approx(found[1].notes["noise"], rel=1e-6)
    chosen = solver("blr", noise=found[0].notes["noise"], prior_scale=found[0].notes["prior scale"])
    c = [solve(model, f, Weights(), Prior(), chosen).c for f in (here, there)]
    rows = [model.energy_forces_virial_basis(t.atoms).forces for t in goals[:3]]
    for A in rows:
        np.testing.assert_allclose(A @ c[0], A @ c[1], atol=1e-10)


def test_a_scheduler_that_does_not_answer_is_said(model, data, monkeypatch):
    pytest.importorskip("distributed")
    from etace.fit import cluster
    from etace.fit.cluster import assemble_on

    monkeypatch.setattr(cluster, "TIMEOUT", 1)

    goals = targets(data[:2], ("energy",), Weights())
    with pytest.raises(etace.EtaceError, match="no Dask scheduler answers"):
        assemble_on("nowhere:1", model, goals, plan(model, goals))


def test_core_repulsion_is_that_of_zbl(tmp_path):
    from etace.fit import repulsion

    # Z1 Z2 e^2 / r where nothing is screened, and a value by hand: Si-Si at 1 Å
    assert repulsion.zbl(np.array(1e-6), 14, 8) == pytest.approx(14.399645 * 112 / 1e-6, rel=1e-4)
    a = 0.8854 * 0.529177211 / (2 * 14**0.23)
    x = 1 / a
    phi = (
        0.1818 * np.exp(-3.2 * x) + 0.5099 * np.exp(-0.9423 * x)
        + 0.2802 * np.exp(-0.4029 * x) + 0.02817 * np.exp(-0.2016 * x)
    )  # fmt: skip
    assert repulsion.zbl(np.array(1.0), 14, 14) == pytest.approx(14.399645 * 196 * phi, rel=1e-6)

    path = tmp_path / "pairs.etace"
    path.write_text(REPELLING)
    model = etace.load(path)
    structures = read([SILICA], want=("energy", "forces")).structures[:20]
    seen = ranges(model, [s.atoms for s in structures])
    made = repulsion.dimers(model, seen)
    assert len(made) == 3 * len(repulsion.FRACTIONS)
    assert 1.3 < seen["Si", "O"][0] < 1.7
    alone = {s: model.energy(single(s)) for s in ("Si", "O")}

    def off():
        """How far the dimers are from ZBL, relative."""
        out = []
        for s in made:
            names = s.atoms.get_chemical_symbols()
            wall = model.energy(s.atoms) - sum(alone[n] for n in names)
            out.append(wall / repulsion.zbl(np.array(s.atoms.get_distance(0, 1)), *s.atoms.numbers))
        return np.array(out) - 1

    fit(model, structures, kinds=("energy", "forces"))
    without = off()
    fit(model, structures, kinds=("energy", "forces"), repulsion=True)
    assert np.abs(off()).mean() < 0.5 * np.abs(without).mean()
    assert (off() > -1).all()  # repelling, every one


def single(symbol):
    from ase import Atoms

    return Atoms(symbol)
