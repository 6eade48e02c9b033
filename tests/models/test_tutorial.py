"""What the ETACE tutorial prints, printed by us."""

import jax
import numpy as np
import pytest
from ase.build import bulk
from cases import SPECS
from etace.graph import AtomGraph
from etace.loading import run_module
from etacec import compile_file

pytestmark = pytest.mark.usefixtures("x64")


@pytest.fixture(scope="module")
def si_o():
    return run_module(compile_file(SPECS["si_o"]).module, "si_o")


@pytest.fixture(scope="module")
def scratch():
    return run_module(compile_file(SPECS["scratch"]).module, "scratch")


@pytest.fixture
def atoms():
    """Rattled diamond, 2 x 2 x 1, three Si and five O."""
    atoms = bulk("Si", "diamond", a=5.43).repeat((2, 2, 1))
    atoms.rattle(0.1, seed=1)
    atoms.symbols[[1, 2, 4, 5, 7]] = "O"
    return atoms


def graph(potential, atoms):
    return AtomGraph.from_atoms(atoms, potential.species, potential.cutoffs, pad=False)


def test_part_1_the_full_model_has_240_linear_parameters(si_o):
    assert {n: p.length_basis for n, p in si_o.MODELS.items()} == {
        "si_o": 240,
        "many_body": 220,
        "pair_only": 20,
    }
    assert si_o.si_o.lengths == {"E0": 0, "V2": 20, "V": 220}


def test_part_2_zero_readouts_leave_the_one_body_energy(si_o, atoms):
    p = si_o.si_o
    r = jax.jit(p.energy_forces_virial)(p.init(0), graph(p, atoms))
    assert abs(float(r.energy) + 7.653) < 1e-12
    assert not np.asarray(r.forces).any()
    assert not np.asarray(r.virial).any()


@pytest.mark.parametrize(("name", "P"), [("many_body", 220), ("pair_only", 20), ("si_o", 240)])
def test_part_3_shapes_of_the_design_block(si_o, atoms, name, P):
    p = si_o.MODELS[name]
    rows = jax.jit(p.design_rows)(p.init(0), graph(p, atoms))
    assert [r.shape for r in rows] == [(P,), (8, 3, P), (3, 3, P)]


def test_part_4_every_layer_by_hand(scratch, atoms):
    p = scratch.scratch
    params, g = p.init(0), graph(p, atoms)
    R, Y = scratch.R(params, g), scratch.Y(g)
    assert R.shape[-1] == 30
    assert Y.shape[-1] == 25
    assert params["R"]["weights"].size == 720
    assert params["V"]["weights"].size == 12
    B = scratch.B(params, g)
    assert B.shape == (8, 6)
    # The one line this model comes to: order 1, l = 0, Y_00 = 1 / sqrt(4 pi).
    channels = [scratch.R_CHANNELS.index((n, 0)) for n in range(1, 7)]
    by_hand = np.asarray(R)[:, :, channels].sum(axis=1) / np.sqrt(4 * np.pi)
    assert np.allclose(B, by_hand, rtol=0, atol=1e-13)
    assert jax.jit(p.design_rows)(params, g).forces.shape == (8, 3, 12)


def test_part_5_a_stack_is_its_parts(scratch, atoms):
    params = scratch.combined.init(3)
    g = graph(scratch.combined, atoms)
    alone = float(scratch.scratch.energy(params, g))
    both = float(scratch.combined.energy(params, g))
    assert abs(both - alone + 7.653) < 1e-12
    assert scratch.combined.length_basis == 12


def test_a_preset_is_the_same_as_written_out(si_o, atoms):
    preset = run_module(compile_file(SPECS["preset"]).module, "preset").si_o
    full, rng = si_o.si_o, np.random.default_rng(2)
    mine = full.set_linear_parameters(full.init(0), rng.normal(size=240))
    names = {"R": "ace.R", "R2": "ace.R2", "V": "ace.many_body", "V2": "ace.two_body"}
    theirs = {names[b]: a for b, a in mine.items()}
    preset.check(theirs)
    a = jax.jit(full.energy_forces_virial)(mine, graph(full, atoms))
    b = jax.jit(preset.energy_forces_virial)(theirs, graph(preset, atoms))
    for x, y in zip(a, b, strict=True):
        assert np.array_equal(x, y)
