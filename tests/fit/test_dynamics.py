"""The test MD of a fit: a sound model holds, a bad one is found out, and what is said is true."""

import json
from dataclasses import replace
from html import escape
from pathlib import Path

import etace
import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk, molecule
from ase.units import kB
from etace.data import Labelled, read
from etace.domain import Domain, ranges
from etace.errors import DataError
from etace.fit.dynamics.frames import as_text, thinned
from etace.fit.dynamics.limits import Known, Watch
from etace.fit.dynamics.starts import starts
from etace.fit.dynamics.temperature import by_forces, named
from etace.fit.dynamics.topology import APART, OTHER, searched, topology
from etace.fit.dynamics.trial import temperatures, timestep, trial
from etace.fit.dynamics.walkers import Walkers
from etace.io.ours import is_ours, sealed
from etace.report import Report, page
from etace.report.dynamics import as_json, sentence
from etacec.cli import app
from typer.testing import CliRunner

ROOT = Path(__file__).parents[2]
TRAIN = ROOT / "examples/data/SiO2_EDI_train.xyz"
SPEC = """etace 1
species Si, O
onebody E0 { Si = -0.8 eV, O = -1.0 eV }
use linear_ace as ace { max_order = 2, max_level = 5, max_l = 2, cutoff = 4.5 Å }
model m = E0 + ace.two_body + ace.many_body
"""


@pytest.fixture
def model():
    return etace.load(ROOT / "examples/si_o.safetensors")


@pytest.fixture(scope="module")
def data():
    return read([TRAIN]).structures[:16]


def spoiled(model, data):
    """The same without what many atoms do together: the pairs alone collapse."""
    c = model.get_linear_parameters()
    c[model.lengths["V2"] :] = 0
    model.set_linear_parameters(c)
    model.domain = Domain.of(ranges(model, [s.atoms for s in data]), [s.atoms for s in data])
    return model


def labelled(atoms, **more):
    return Labelled(atoms, more.pop("energy", None), None, None, **more)


# ---------------------------------------------------------------- what comes out


def test_a_sound_model_holds_and_says_the_same_again(model, data):
    found, again = (trial(model, data, seed=3, picoseconds=0.06) for _ in range(2))
    own = found.own.temperature
    assert 300 < own < 800 and "forces" in found.own.how
    assert found.held.temperature == found.levels[-1].temperature > 2 * own
    assert not found.frames and not found.warnings and not found.short
    assert [len(level.runs) for level in found.levels] == [6] * len(found.levels)
    for a, b in zip(found.levels, again.levels, strict=True):
        for x, y in zip(a.runs, b.runs, strict=True):
            assert x.start == y.start and np.array_equal(x.trace, y.trace)
    other = trial(model, data, seed=4, picoseconds=0.06)
    assert not np.array_equal(other.levels[0].runs[0].trace, found.levels[0].runs[0].trace)


def test_a_model_that_collapses_is_found_out(model, data):
    found = trial(spoiled(model, data), data, picoseconds=0.06)
    assert found.held is None and found.broke and len(found.levels) > 1  # colder was tried too
    assert all(r.failure and r.ps <= 0.06 for level in found.levels for r in level.runs)
    assert "temperature of its data" in found.warnings[0] and "did not hold" in found.sentence
    assert found.frames and all(np.isfinite(f.positions).all() for f in found.frames)


def test_a_run_that_cannot_go_on_leaves_the_others_alone(model, data):
    frames = [s.atoms.copy() for s in data[:4]]
    walkers, without = Walkers(model, frames, 1.0), Walkers(model, frames, 1.0)
    without.drop({1: "not wanted"})
    for own in (walkers, without):
        own.thermalise(300.0)
        if own is walkers:
            own.v[15:30] *= 1e3
        own.advance(300.0, 30)
    assert walkers.ids == without.ids == [0, 2, 3]
    assert "in one step" in walkers.fallen[1]
    for x, y in zip(walkers.positions(), without.positions(), strict=True):
        np.testing.assert_allclose(x, y, atol=1e-7)
    walkers.drop(dict.fromkeys(walkers.ids, "enough"))
    walkers.advance(300.0, 5)
    assert not walkers.ids


def test_no_time_is_said_and_nothing_is_claimed(model, data, monkeypatch):
    found = trial(model, data, seconds=0.0, picoseconds=1.0)
    assert not found.levels and "too short for an MD" in found.sentence and found.held is None
    monkeypatch.setattr("etace.fit.dynamics.trial.ENOUGH", 0.02)
    monkeypatch.setattr("etace.fit.dynamics.trial.FEW", 0.01)
    found = trial(model, data, seconds=1.2, picoseconds=500.0)
    assert "cut short to stay within 1.2 s" in found.sentence
    assert all(level.ps < 500 for level in found.levels)


def test_without_the_native_kernel_there_is_none(model, data):
    model.backend = "jax"
    assert "needs the native kernel" in trial(model, data).sentence


def test_an_interrupt_ends_the_md_and_keeps_what_there_is(model, data):
    def interrupt(line):
        raise KeyboardInterrupt

    found = trial(model, data, picoseconds=0.04, tell=interrupt)
    assert len(found.levels) == 1 and "stopped by hand" in found.sentence and found.held


# ---------------------------------------------------------------- where it starts


def test_forces_tell_the_temperature(model, data):
    frames = [s.atoms for s in data[:6]]
    walkers = Walkers(model, frames, 1.0)
    walkers.thermalise(400.0)
    walkers.advance(400.0, 400)
    hot = []
    for _ in range(8):
        walkers.advance(400.0, 25)
        for atoms, x in zip(frames, walkers.positions(), strict=True):
            hot.append(atoms.copy())
            hot[-1].positions = x
    assert np.median(by_forces(model, hot, [None] * len(hot))) == pytest.approx(400, rel=0.15)
    kinetic = np.concatenate(walkers.moving()).mean() / (1.5 * kB)
    assert kinetic == pytest.approx(400, rel=0.4)


@pytest.mark.parametrize(
    ("name", "T"),
    [("300K", 300), ("md_1200K", 1200), ("liquid 2000.5 K", 2000), ("T600_K", 600), ("K300", None),
     ("300Kelvin", None), ("default", None), ("AIMD-NVT", None), ("K", None), ("0000K", None)],
)  # fmt: skip
def test_names_of_config_types_may_tell_it(name, T):
    assert named(name) == T


def test_starts_are_of_all_config_types_and_of_bounded_size(model, data):
    mixed = [replace(s, group="a" if k < 12 else "b") for k, s in enumerate(data)]
    found, _ = starts(model, mixed)
    assert {s.group for s in found} == {"a", "b"} and len(found) == 6
    big = [replace(s, atoms=s.atoms.repeat((4, 4, 4)), forces=None) for s in data[:3]]
    found, _ = starts(model, big)
    assert [len(s.atoms) for s in found] == [960, 960]
    found, _ = starts(model, [replace(data[0], atoms=data[0].atoms.repeat((5, 5, 3)), forces=None)])
    assert [len(s.atoms) for s in found] == [1125]
    found, _ = starts(model, [*big, data[4]])  # small ones are enough
    assert {len(s.atoms) for s in found} == {15}


def test_data_that_are_hardly_any(model):
    alone = [labelled(Atoms("Si")), labelled(Atoms("O2", [[0, 0, 0], [0, 0, 30.0]]))]
    found = trial(model, alone)
    assert not found.levels and "no MD" in found.sentence
    cell, own = starts(model, [labelled(bulk("Si"))])
    assert all(len(s.atoms) >= 12 for s in cell) and own.temperature == 300
    assert "assumed" in own.how
    dimers = [labelled(Atoms("SiO", [[0, 0, 0], [0, 0, r]])) for r in (1.4, 1.6, 1.8, 2.5)]
    assert trial(model, dimers, picoseconds=0.04).levels


def test_step_and_ladder():
    assert [timestep([Atoms(x)]) for x in ("H", "O", "Si")] == [0.5, 1.0, 2.0]
    assert timestep([Atoms("Si"), Atoms("CH")]) == 0.5
    assert temperatures(300.0, molecules=True) == [300, 450, 600, 900]
    assert temperatures(600.0, molecules=True) == [600, 900, 1200]
    assert temperatures(5000.0, molecules=False) == [5000]
    assert temperatures(10.0, molecules=False) == [10, 300, 400, 600]
    assert temperatures(2000.0, molecules=True) == [2000]


# ---------------------------------------------------------------- what broken is


def test_bonds_between_atoms_are_counted_through_the_boundary():
    ethane = molecule("C2H6")
    ethane.cell, ethane.pbc = np.eye(3) * 9, True
    ethane.positions += (0.1, 4, 8.9)  # across two faces
    ethane.wrap()
    found = topology(ethane, searched(ethane))
    assert len(found.pairs) == 7 and set(found.molecule) == {0}
    pairs = searched(ethane)
    of = found.classes(pairs)
    both = (ethane.numbers[pairs.i] == 1) & (ethane.numbers[pairs.j] == 1)
    # on one carbon; on two carbons
    assert sorted(of[both]) == [2] * 12 + [3] * 18
    assert sorted(of[ethane.numbers[pairs.i] != ethane.numbers[pairs.j]]) == [1] * 12 + [2] * 12


def test_only_molecules_have_bonds_to_watch():
    silica = read([TRAIN]).structures[0].atoms
    cluster = bulk("Cu", cubic=True).repeat(2)
    cluster.pbc = False
    for atoms in (
        silica,
        cluster,
        bulk("Si", cubic=True),
        bulk("C"),
        Atoms("Si2", [[0, 0, 0], [0, 0, 2.3]]),
    ):
        found = topology(atoms, searched(atoms))
        assert not found.pairs and (found.molecule == -1).all()
        assert (found.classes(searched(atoms)) == OTHER).all()
    two = molecule("H2O")
    other = two.copy()
    other.positions += (0, 0, 2.9)
    two += other
    found = topology(two, searched(two))
    assert len(found.pairs) == 4 and set(found.molecule) == {0, 1}
    pairs = searched(two)
    apart = found.molecule[pairs.i] != found.molecule[pairs.j]
    assert (found.classes(pairs)[apart] == APART).all()


class Organic:
    """What `Known` and `Watch` need of a model."""

    species = ("C", "H", "O")
    domain = None


@pytest.fixture
def butane():
    """Frames near equilibrium, and the watch over one."""
    atoms = molecule("trans-butane")
    rng = np.random.default_rng(0)
    frames = []
    for _ in range(10):
        own = atoms.copy()
        own.positions += 0.03 * rng.standard_normal((14, 3))
        frames.append(labelled(own, energy=-70.0))
    return atoms, Watch(Known.of(Organic, frames), atoms, 300.0)


def look(watch, x, kinetic=0.03, energy=-5.0, drift=0.0):
    return watch.failure(x, 300.0, np.full(len(x), kinetic), energy, drift)


def methanes(apart):
    """Two of them, a hydrogen of each towards the other, so far apart, Å."""
    one = molecule("CH4")
    axis = one.positions[1] / np.linalg.norm(one.positions[1])
    two = one.copy()
    two.positions = 2 * one.positions[1] + apart * axis - one.positions
    return one + two


def test_hydrogens_that_meet_are_a_collision_only_if_not_bonded():
    learned = Known.of(Organic, [labelled(methanes(r)) for r in (2.0, 2.4, 3.0)])
    atoms = methanes(2.4)
    watch = Watch(learned, atoms, 300.0)
    bonded = atoms.get_distance(1, 2)
    assert look(watch, methanes(1.7).positions) is None
    # 1.2 Å: farther than any bond of hydrogen, closer than hydrogens of two molecules ever are
    failure = look(watch, methanes(1.2).positions)
    assert failure.why == "H-H, not bonded, came to 1.20 Å" and set(failure.atoms) == {1, 6}
    bent = atoms.copy()
    bent.set_distance(1, 2, 1.35, fix=0)
    assert bonded == pytest.approx(1.78, abs=0.02) and look(watch, bent.positions) is None


def test_each_kind_of_failure_has_its_words(butane):
    atoms, watch = butane
    x = atoms.positions
    far = x.copy()
    far[13] += 3.0 * (x[13] - x.mean(axis=0)) / np.linalg.norm(x[13] - x.mean(axis=0))
    assert "a bond C-H broke" in look(watch, far).why
    nowhere = x.copy()
    nowhere[2, 1] = np.nan
    assert "no numbers" in look(watch, nowhere).why
    assert "no numbers" in look(watch, x, energy=np.inf).why
    assert "heated up" in look(watch, x, kinetic=0.5).why
    one = np.full(14, 0.03)
    one[3] = 2.0
    assert "kinetic energy" in watch.failure(x, 300.0, one, -5.0, 0.0).why
    assert "below any in the data" in look(watch, x, energy=-5.5).why
    assert "drifted" in look(watch, x, drift=0.3).why


def test_bonds_that_change_in_the_data_may_change_in_md(butane):
    atoms, _ = butane
    other = atoms.copy()
    other.positions[13] += 2.0 * (other.positions[13] - other.positions.mean(axis=0))
    watch = Watch(Known.of(Organic, [labelled(atoms), labelled(other)]), atoms, 300.0)
    assert watch.changing and not watch.topology.pairs
    assert not Watch(Known.of(Organic, [labelled(atoms)]), atoms, 300.0).changing
    assert Watch(
        Known.of(Organic, [labelled(atoms)]), atoms, 3000.0
    ).changing  # too hot to hold together


def test_frames_of_the_data_are_not_broken(model, data):
    every = read([TRAIN]).structures
    for known in (every, data[:5]):
        frames = [s.atoms for s in known]
        model.domain = Domain.of(ranges(model, frames), frames)
        learned = Known.of(model, known)
        for s in every[:60]:
            watch = Watch(learned, s.atoms, 300.0)
            assert look(watch, s.atoms.positions, energy=s.energy / len(s.atoms)) is None


# ---------------------------------------------------------------- what is written


def test_frames_are_ready_to_label_and_have_no_label(model, data, tmp_path):
    found = trial(spoiled(model, data), data, picoseconds=0.06)
    path = tmp_path / "m.md.xyz"
    path.write_bytes(sealed(as_text(found.frames), ".xyz"))
    assert is_ours(path)
    with pytest.raises(DataError, match="no structure has an energy"):
        etace.fit_model(ROOT / "specs/si_o.etace", path, model="si_o")
    frames = read([path], want=()).structures
    assert {named(s.group) for s in frames} == {level.temperature for level in found.levels}
    last = [f for f in found.frames if f.info["etace_why"] != "before it broke"]
    assert len(last) <= sum(len(level.broken) for level in found.levels)
    assert not [k for f in found.frames for k in (*f.info, *f.arrays) if k in ("energy", "forces")]


def test_looks_are_thinned_towards_the_past():
    assert thinned(list(range(40))) == [8, 24, 32, 36, 38, 39]
    assert thinned([7]) == [7] and thinned([]) == []


@pytest.fixture
def spec(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ETACE_CACHE_DIR", str(tmp_path / "cache"))
    path = tmp_path / "small.etace"
    path.write_text(SPEC)
    return path


def call(*words):
    return CliRunner().invoke(app, [*map(str, words)])


def test_a_page_has_a_table_and_a_figure_of_it(model, data):
    found = trial(spoiled(model, data), data, picoseconds=0.06)
    text = page(Report("a model", trial=found))
    section = text.split('<section id="md">')[1].split("</section>")[0]
    assert section.count("<tr>") == 1 + sum(len(level.runs) for level in found.levels)
    assert "highest that held in MD" in text
    assert "<svg" in section and "temperature of the data" in section
    assert escape(found.sentence) in section and found.levels[0].runs[0].start in section
    assert sentence(as_json(found)) == found.sentence and sentence({"text": 3}) is None
    json.dumps(as_json(found))


def test_a_fit_says_what_held_in_its_card(spec):
    files = ("--train", f"{TRAIN}@:12", "--no-virial", "--no-extrapolation", "--no-report")
    done = call("fit", spec, *files, "-o", "m.safetensors")
    assert done.exit_code == 0, done.stderr
    assert "test MD: " in done.stderr
    card = etace.load("m.safetensors").card["md"]
    assert card["wanted_ps"] == 0.04 and card["levels"][0]["runs"] == 6 and card["text"]
    assert card["text"].split(";")[0].split(" (")[0] in call("info", "m.safetensors").stdout
    assert Path("m.md.xyz").is_file() == any(level["broken"] for level in card["levels"])
    Path("m.md.xyz").write_text("somebody's\n")
    done = call("fit", spec, *files, "-o", "m.safetensors")
    assert done.exit_code != 0 and "m.md.xyz" in done.stderr
    done = call("fit", spec, *files, "--no-md", "-o", "m.safetensors")
    assert done.exit_code == 0 and "test MD" not in done.stderr
    assert "md" not in etace.load("m.safetensors").card
    assert Path("m.md.xyz").read_text() == "somebody's\n"
