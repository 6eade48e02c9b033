"""Operations of a kernel, counted as they are done, against a count by hand; the peak is a number. No time is
asserted."""

import numpy as np
import pytest
from ase import Atoms
from cases import TEXTS
from etace.bench.operations import Counter
from etace.bench.peak import FACTOR, STEPS, TERM, Peak
from etace.loading import from_compilation
from etace.native import toolchain
from etacec import compile_text

C = toolchain.find()
CXX = None if C is None else toolchain.find_cxx(C)
pytestmark = pytest.mark.skipif(C is None or CXX is None, reason="no compiler of C or C++ here")

TINY = """
etace 1
species Si
bond *-* { rcut = 4 Å }
radial R[n in 1..2] {
  transform(r) = 1 - 2 * r / bond.rcut
  envelope(y)  = (1 - y^2)^2
  polynomials  = chebyshev(2)
}
pair V { from = R }
model tiny = V
"""


@pytest.fixture(autouse=True)
def cache(monkeypatch, tmp_path_factory):
    folder = tmp_path_factory.getbasetemp() / "native-cache"
    monkeypatch.setenv("ETACE_CACHE_DIR", str(folder))


def model(text):
    made = from_compilation(compile_text(text, "counted"))
    rng = np.random.default_rng(0)
    made.set_linear_parameters(rng.normal(size=made.length_basis))
    made.backend, made.cores = "native", 1
    return made


def counted(model, atoms):
    e, near = model.evaluator, model.prepare(atoms)
    counter = Counter(e.program, CXX)
    given = near.layout, near.positions, near.cells, e.coefficients(model.params)
    for found, expected in zip(
        vars(counter.kernel(*given)).values(), vars(e.kernel(*given)).values(), strict=True
    ):
        if expected is not None:  # what counts computes the same
            np.testing.assert_allclose(found, expected, rtol=1e-11, atol=1e-12)
    return counter(near, given[-1]), e.kernel.lanes


def test_a_tiny_kernel_by_hand():
    """Three atoms in a row: a block of the three, two rows of neighbours, of which four lanes are in use."""
    chain = Atoms("Si3", [[0, 0, 0], [2.5, 0, 0], [5, 0, 0]])
    found, lanes = counted(model(TINY), chain)
    blocks = -(-3 // lanes)
    rows = sum(2 if 1 in range(b * lanes, b * lanes + lanes) else 1 for b in range(blocks))
    forward = {
        # distance 3 + 2; t = 1 - .., 1 - y^2; S and S' of two functions; E; along
        "additions": 5 + 2 + 2 + 1 + 2,
        # squares, unit vector 3 + 5; t 2, e 2, e' 5; beyond the cutoff 2; P_1 e 2; S and S' 4; E; along
        "multiplications": 3 + 5 + 2 + 2 + 5 + 2 + 2 + 4 + 1 + 3,
        "divisions": 1,
        "roots": 1,
        "calls": 0,
    }
    # force of the edge, of the centre, virial: 3 + 3 + 6; slope x, r x and the virial: 3 + 3 + 6
    backward = {"additions": 12, "multiplications": 12, "divisions": 0, "roots": 0, "calls": 0}
    for stage, each in {"edges forward": forward, "edges backward": backward}.items():
        assert found.kinds[stage] == {kind: n * rows * lanes for kind, n in each.items()}
    # E = 0 + the sum of no products
    nothing = dict.fromkeys(forward, 0)
    assert found.kinds["products"] == {**nothing, "additions": blocks * lanes}
    assert found.kinds["around them"] == nothing
    assert found.rows == 4 / (rows * lanes)
    assert found.atoms == 3 / (blocks * lanes)
    assert found.total == rows * lanes * (12 + 29 + 2 + 24) + blocks * lanes
    assert found.useful == pytest.approx(4 * (12 + 29 + 2 + 24) + 3)


@pytest.mark.parametrize("name", sorted(TEXTS))
def test_every_kind_of_kernel_can_be_counted(name):
    m = model(TEXTS[name])
    symbols = [m.species[k % len(m.species)] for k in range(12)]
    rng = np.random.default_rng(1)
    grid = np.stack(np.meshgrid(range(3), range(2), range(2), indexing="ij"), -1).reshape(-1, 3)
    atoms = Atoms(symbols, 2.2 * grid + 0.2 * rng.normal(size=(12, 3)))
    found, _ = counted(m, atoms)
    assert 0 < found.useful <= found.total
    twice = atoms.copy()
    twice.positions += 100.0
    both, _ = counted(m, atoms + twice)
    assert both.useful == pytest.approx(2 * found.useful, rel=0.02)


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("lanes", [2, 4, 8])
def test_the_peak_is_a_number_of_a_loop_that_was_run(dtype, lanes):
    peak = Peak(dtype, lanes, C)
    peak()
    limit = TERM / (1 - FACTOR)  # of every chain; they are summed
    assert peak.operations % (2 * lanes) == 0
    chains = peak.operations // (2 * lanes) / STEPS
    np.testing.assert_array_equal(peak.out, np.full(lanes, limit * chains, dtype))
