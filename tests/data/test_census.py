"""A census counts what is there, finds what is wrong, and lets sound data alone."""

import json
from dataclasses import replace

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk, molecule
from ase.calculators.emt import EMT
from etace.data import Dataset, Labelled, census, read, warnings
from etace.data.distances import distances
from etace.data.duplicates import duplicates
from etace.data.suspicious import suspicions
from etacec.cli import app
from typer.testing import CliRunner

SETS = [
    ["siox/SiO2_EDI_train.xyz.gz", "siox/SiO2_EDI_test.xyz.gz"],
    ["mlearn/Si_train.xyz.gz", "mlearn/Si_test.xyz.gz"],
    ["mlearn/Mo_train.xyz.gz", "mlearn/Mo_test.xyz.gz"],
    ["3bpa/train_300K.xyz.gz", "3bpa/iso_atoms.xyz"],
]


def walk(frames=30, seed=0):
    """Cu and CuAu by EMT, each a little off the one before: labels that are right."""
    rng = np.random.default_rng(seed)
    out = []
    atoms = bulk("Cu", cubic=True) * (2, 1, 1)
    atoms.numbers[0] = 79
    for k in range(frames):
        atoms.positions += rng.normal(scale=0.03, size=atoms.positions.shape)
        atoms.calc = EMT()
        virial = -atoms.get_volume() * atoms.get_stress(voigt=False)
        out.append(
            Labelled(Atoms(atoms), atoms.get_potential_energy(), atoms.get_forces(), virial,
                     "hot" if k % 2 else "cold", source=f"walk.xyz:{k}")
        )  # fmt: skip
    return out


@pytest.fixture(scope="module")
def sound():
    return walk()


def kinds(structures):
    return {x.kind: x for x in suspicions(structures)}


def scaled(s, energy=1.0, forces=1.0, positions=1.0):
    atoms = s.atoms.copy()
    atoms.set_cell(atoms.cell * positions, scale_atoms=True)
    return replace(s, atoms=atoms, energy=s.energy * energy, forces=s.forces * forces)


@pytest.mark.parametrize("names", SETS, ids=lambda x: x[0].split("/")[0])
def test_no_false_alarms_on_real_sets(shared, names):
    if names[0].startswith("3bpa"):
        data = read([shared / "data" / (names[0] + "@:100")])
        atoms = read([shared / "data" / names[1]], want=("energy",))
        data = Dataset(data.structures + atoms.structures, data.found + atoms.found)
    else:
        data = read([shared / "data" / n for n in names])
    assert warnings(data) == []


def test_counts_and_ranges(sound):
    c = census(Dataset(tuple(sound), ()))
    assert (c.structures, c.atoms, c.compositions) == (30, 240, 1)
    assert c.species == {"Au": 30, "Cu": 210}
    assert {name: g.structures for name, g in c.groups.items()} == {"cold": 15, "hot": 15}
    assert c.labels == {"energy": 30, "forces": 30, "virial": 30}
    energies = [s.energy / 8 for s in sound]
    assert c.ranges["energy"].low == min(energies)
    assert c.ranges["energy"].lowest == sound[int(np.argmin(energies))].source
    assert c.ranges["force"].high == max(np.linalg.norm(s.forces, axis=1).max() for s in sound)
    assert c.suspicions == ()
    assert c.duplicates == ()


def test_shortest_distances_are_those_of_ase(sound):
    found = distances(sound, 6.0)
    for x in found.shortest:
        least = np.inf
        for s in sound:
            d = s.atoms.get_all_distances(mic=True)
            np.fill_diagonal(d, np.inf)
            names = np.array(s.atoms.get_chemical_symbols())
            both = (names[:, None] == x.pair[0]) & (names[None, :] == x.pair[1])
            least = min(least, d[both].min(initial=np.inf))
        if x.pair != ("Au", "Au"):  # of images of one atom, which ASE's table leaves out
            assert x.distance == pytest.approx(least, abs=1e-9)
    assert [x.pair for x in found.shortest] == [("Au", "Au"), ("Au", "Cu"), ("Cu", "Cu")]


def test_g_of_r_of_an_ideal_gas_is_one():
    rng = np.random.default_rng(1)
    gas = [
        Labelled(Atoms("Cu150Au100", rng.uniform(0, 14, (250, 3)), cell=[14] * 3, pbc=True), None, None, None)
        for _ in range(12)
    ]  # fmt: skip
    found = distances(gas, 6.0)
    for rdf in found.rdf:
        assert rdf.ideal
        assert np.average(rdf.g, weights=rdf.r**2) == pytest.approx(1, abs=0.02)
        assert np.abs(rdf.g[rdf.r > 3] - 1).max() < 0.3


def test_distances_of_molecules_are_a_density_and_do_not_depend_on_the_order():
    parts = [Labelled(molecule(m), None, None, None, source=m) for m in ("H2O", "CH4", "H2")]
    found = {x.pair: x for x in distances(parts, 6.0).rdf}
    assert not found[("H", "O")].ideal
    assert (found[("H", "O")].g * 0.05).sum() == pytest.approx(1)
    shortest = {x.pair: x for x in distances(parts, 6.0).shortest}
    assert shortest[("H", "H")].source == "H2"
    sparse = [
        Labelled(Atoms("Cu2", [[0, 0, 0], [3 + 6 * k, 0, 0]], cell=[20] * 3, pbc=True), None, None, None)
        for k in (0, 1)
    ]  # fmt: skip
    one, two = distances(sparse, 6.0).rdf[0].g, distances(sparse[::-1], 6.0).rdf[0].g
    assert np.array_equal(one, two)


def test_duplicates_are_the_same_to_a_millionth_of_an_angstrom(sound):
    def moved(s, by):
        atoms = s.atoms.copy()
        atoms.positions[3, 1] += by
        return replace(s, atoms=atoms)

    assert duplicates([*sound, sound[4], moved(sound[7], 5e-7), moved(sound[9], 5e-6)]) == (
        (4, 30), (7, 31),
    )  # fmt: skip
    free = replace(sound[0], atoms=Atoms(sound[0].atoms, pbc=False))
    assert duplicates([sound[0], free]) == ()
    other = replace(sound[4], energy=sound[4].energy + 1, source="again.xyz:0")
    (found,) = suspicions([*sound, other])
    assert (found.kind, found.sources) == ("twice", ("walk.xyz:4", "again.xyz:0"))
    assert found.value == pytest.approx(1 / 8)


def test_large_and_unbalanced_forces_are_found(sound):
    large = sound[3].forces.copy()
    large[0, 0] += 60
    large[1, 0] -= 60
    fixed = sound[5].forces.copy()
    fixed[:4] = 0
    found = kinds(
        [replace(sound[3], forces=large), *sound[:3], replace(sound[5], forces=fixed), *sound[6:]]
    )
    assert found["forces"].sources == ("walk.xyz:3",)
    assert found["forces"].value > 50
    assert found["net_force"].sources == ("walk.xyz:5",)


def test_an_energy_of_another_kind_is_an_outlier_and_moves_no_other(sound):
    pure = walk(15, seed=3)
    for s in pure:
        s.atoms.numbers[:] = 29
    pure = [replace(s, energy=s.energy - 30.0) for s in pure]  # another composition, far below
    assert "energy" not in kinds([*sound, *pure])
    wrong = replace(sound[8], energy=sound[8].energy + 80.0)
    found = kinds([*sound[:8], wrong, *sound[9:], *pure])["energy"]
    assert found.sources == ("walk.xyz:8",)
    assert found.value == pytest.approx(10, rel=0.1)


@pytest.mark.parametrize(
    ("change", "kind", "low", "high"),
    [
        ({"positions": 1.8897}, "unit", 1.5, 2.1),
        ({"positions": 0.1}, "unit", 0.05, 0.15),
        ({"energy": 1 / 27.2114}, "slope", 0.03, 0.045),
        ({"energy": 23.06}, "slope", 20, 26),
        ({"forces": 1 / 51.422}, "slope", 45, 57),
        ({"forces": -1.0}, "slope", -1.1, -0.9),
    ],
)
def test_other_units_and_signs_are_suspected(sound, change, kind, low, high):
    found = kinds([scaled(s, **change) for s in sound])
    assert low < found[kind].value < high


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({}, ""),
        ({"energy": 1000.0}, "(energies in meV would do that)"),
        ({"energy": 1 / 27.2114}, "(energies in Hartree would do that)"),
        ({"forces": 1 / 51.422}, "(forces in Hartree/bohr would do that)"),
        ({"forces": -1.0}, "gradients, of the wrong sign"),
    ],
)
def test_four_frames_tell_units_and_signs(sound, change, said):
    for frames in (sound[:4], sound[10:14]):
        found = warnings(Dataset(tuple(scaled(s, **change) for s in frames), ()))
        assert any(said in w for w in found) if said else found == []


def test_frames_far_apart_tell_energies_in_meV_by_their_spread():
    def crystal(a, energy):
        atoms = bulk("Cu", a=a, cubic=True)
        return Labelled(atoms, energy, np.zeros((4, 3)), None, source=f"{a}.xyz:0")

    sizes = ((3.4, -14.1), (3.6, -14.9), (4.4, -11.0))
    assert kinds([crystal(a, e) for a, e in sizes]) == {}
    found = kinds([crystal(a, 1000 * e) for a, e in sizes])
    assert list(found) == ["spread"]
    assert found["spread"].value == pytest.approx(3900 / 4)
    assert found["spread"].sources[0] == "4.4.xyz:0"


def test_atoms_in_one_place_and_flat_cells_are_named(sound):
    same = Labelled(Atoms("Cu2", [[0, 0, 0], [0, 0, 0]]), None, None, None, source="same.xyz:0")
    near = Labelled(Atoms("H2", [[0, 0, 0], [0.2, 0, 0]]), None, None, None, source="near.xyz:0")
    found = kinds([*sound, same, near])
    assert found["lists"].sources == ("same.xyz:0",)
    assert found["close"].sources == ("near.xyz:0",)
    assert found["close"].value == pytest.approx(0.2)
    flat = replace(sound[0], atoms=Atoms("Cu", pbc=True), source="flat.xyz:0")
    assert any("flat.xyz:0" in w for w in warnings(Dataset((*sound, flat), ())))
    c = census(Dataset((*sound, flat), ()))
    assert "volume" in c.ranges


def test_few_bare_structures_are_no_trouble():
    c = census(Dataset((Labelled(Atoms("Cu"), None, None, None),), ()))
    assert (c.shortest, c.rdf, c.ranges, c.suspicions) == ((), (), {}, ())


# --- the command -------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def file(sound, tmp_path_factory):
    from ase.calculators.singlepoint import SinglePointCalculator
    from ase.io import write

    frames = []
    for s in sound:
        atoms = s.atoms.copy()
        atoms.info["config_type"] = s.group
        atoms.calc = SinglePointCalculator(atoms, energy=s.energy, forces=s.forces)
        frames.append(atoms)
    path = tmp_path_factory.mktemp("data") / "walk.xyz"
    write(path, frames)
    return path


def invoke(*args):
    return CliRunner().invoke(app, ["data", *map(str, args)])


def test_the_command_prints_labels_first_then_the_census(file):
    done = invoke(file)
    assert done.exit_code == 0, done.output
    lines = done.output.splitlines()
    assert lines[0].startswith("walk.xyz: 30 structures, 240 atoms; energy from energy")
    assert "-dE/dstrain" in lines[1]
    assert "xx yy zz yz xz xy" in lines[1]
    assert "30 structures, 240 atoms, 1 composition; Au 30, Cu 210" in done.output
    assert lines[-1] == "nothing suspicious"


def test_the_command_as_json(file):
    facts = json.loads(invoke(file, "--json").output)
    assert facts["species"] == {"Au": 30, "Cu": 210}
    assert facts["labels"] == {"energy": 30, "forces": 30, "virial": 0}
    assert facts["found"][0]["file"] == "walk.xyz"
    assert facts["rdf"][0]["pair"] == ["Au", "Au"]
    assert len(facts["rdf"][0]["g"]) == 120
    assert len(facts["digest"]) == 64


@pytest.mark.parametrize("name", ["a.png", "a.svg", "a.pdf"])
def test_the_picture_is_written_whole_and_is_the_same_again(file, tmp_path, name):
    pytest.importorskip("matplotlib")
    assert invoke(file, "--plot", tmp_path / name).exit_code == 0
    first = (tmp_path / name).read_bytes()
    assert len(first) > 5000
    assert invoke(file, "--plot", tmp_path / name).exit_code == 0
    assert (tmp_path / name).read_bytes() == first
    assert [p.name for p in tmp_path.iterdir()] == [name]


def test_the_picture_has_no_panel_for_what_is_not_there(file, tmp_path):
    pytest.importorskip("matplotlib")
    from ase.io import read as frames_of
    from ase.io import write

    titles = {"energy": "Energy of each structure", "forces": "Forces on atoms", "": "of each pair"}
    far = tmp_path / "far.xyz"
    frames = frames_of(file, ":3")
    for atoms in frames:
        atoms.set_cell(4 * atoms.cell, scale_atoms=True)
    write(far, frames)
    for path, kinds in ((file, ("energy", "")), (file, ("forces", "")), (file, ("",)),
                        (far, ("energy", "forces"))):  # fmt: skip
        without = [f"--no-{kind}" for kind in ("energy", "forces") if kind not in kinds]
        done = invoke(path, *without, "--no-virial", "--plot", tmp_path / "a.svg")
        assert done.exit_code == 0, done.output
        shown = (tmp_path / "a.svg").read_text()
        assert {kind for kind, title in titles.items() if f"<!-- {title}" in shown or
                f"{title}, shortest marked" in shown} == set(kinds)  # fmt: skip


@pytest.mark.parametrize(
    ("args", "code", "word"),
    [
        (["nowhere.xyz"], 2, "no such file"),
        (["FILE", "FILE"], 2, "named twice"),
        (["FILE", "--plot", "a.txt"], 2, ".png"),
        (["FILE", "--plot", "no/such/folder/a.png"], 2, "cannot write"),
        (["FILE", "--energy-key", "scf"], 1, "energy"),
        (["FILE", "--stress-key", "s"], 1, "--stress-key"),
    ],
)
def test_mistakes_are_answered_in_one_line(file, args, code, word):
    done = invoke(*(file if a == "FILE" else a for a in args))
    assert done.exit_code == code, done.output
    assert word in done.output
    assert "Traceback" not in done.output


def test_without_matplotlib_the_command_says_what_to_install(file, monkeypatch):
    import sys

    monkeypatch.setitem(sys.modules, "matplotlib", None)
    done = invoke(file, "--plot", "a.png")
    assert done.exit_code == 2
    assert "pip install 'etace[plot]'" in done.output
