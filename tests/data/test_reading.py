"""Labels are found where they stand, in one sign, or refused in one line that names file and frame."""

import gzip

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk, molecule
from ase.calculators.emt import EMT
from ase.calculators.singlepoint import SinglePointCalculator
from ase.db import connect
from ase.io import write
from etace.data import Keys, labels, read, warnings
from etace.data.memory import from_atoms
from etace.errors import DataError


def cu(seed=0):
    """A strained, rattled Cu cell with EMT's energy, forces and stress."""
    atoms = bulk("Cu", cubic=True)
    strain = np.array([[1.02, 0.03, 0.01], [0.03, 0.98, -0.02], [0.01, -0.02, 1.01]])
    atoms.set_cell(atoms.cell @ strain, scale_atoms=True)
    atoms.rattle(0.05, seed=seed)
    atoms.calc = EMT()
    atoms.get_stress()
    return atoms


def frozen(atoms, **results):
    copy = atoms.copy()
    copy.calc = SinglePointCalculator(copy, **results)
    return copy


def by_hand(atoms, step=1e-4):
    """-dE/dstrain, eV, by differences."""
    out = np.zeros((3, 3))
    for a in range(3):
        for b in range(3):
            sides = []
            for sign in (1, -1):
                strain = np.eye(3)
                strain[a, b] += sign * step / 2
                strain[b, a] += sign * step / 2
                moved = atoms.copy()
                moved.set_cell(atoms.cell @ strain, scale_atoms=True)
                moved.calc = EMT()
                sides.append(moved.get_potential_energy())
            out[a, b] = -(sides[0] - sides[1]) / (2 * step)
    return out


def labelled(**info):
    """Three atoms with the labels asked for and no others."""
    atoms = Atoms("SiO2", [[0, 0, 0], [1.6, 0, 0], [0, 1.6, 0]], cell=[5, 6, 7], pbc=True)
    atoms.info.update(info)
    return atoms


def xyz(path, comment, rows=("Si 0 0 0", "O 1.6 0 0"), properties="species:S:1:pos:R:3"):
    path.write_text(
        f'{len(rows)}\nLattice="5 0 0 0 6 0 0 0 7" Properties={properties} {comment}\n'
        + "".join(f"{row}\n" for row in rows)
    )
    return path


def refused(*args, **kwargs):
    """The message, which is one line."""
    with pytest.raises(DataError) as caught:
        read(*args, **kwargs)
    message = str(caught.value)
    assert "\n" not in message
    assert len(message) < 600
    return message


E = ("energy",)


# --- signs -------------------------------------------------------------------------------------


def test_the_virial_is_minus_the_derivative_by_strain_whatever_the_file_holds(tmp_path):
    atoms, volume = cu(), cu().get_volume()
    true = by_hand(atoms)
    stress = atoms.get_stress(voigt=False)
    six = atoms.get_stress()
    write(tmp_path / "stress.xyz", atoms)
    write(tmp_path / "stress.traj", atoms)
    connect(tmp_path / "stress.db").write(atoms)
    for name in ("stress.xyz", "stress.traj", "stress.db"):
        data = read([tmp_path / name])
        assert np.abs(data.structures[0].virial - true).max() < 1e-5 * np.abs(true).max()
        assert "times -volume" in data.found[0].keys["virial"]
    forms = {
        "virial": [-volume * stress, (-volume * stress).ravel(), -volume * six],
        "stress": [stress, stress.ravel(), six],
    }
    for kind, values in forms.items():
        for k, value in enumerate(values):
            bare = atoms.copy()
            bare.info[f"REF_{kind}"] = value
            write(tmp_path / f"{kind}{k}.xyz", bare)
            s = read([tmp_path / f"{kind}{k}.xyz"], want=("virial",)).structures[0]
            assert np.abs(s.virial - true).max() < 1e-5 * np.abs(true).max(), (kind, k)


def test_virial_and_stress_must_agree_or_one_is_chosen(tmp_path):
    atoms = cu()
    virial = -atoms.get_volume() * atoms.get_stress(voigt=False)
    good = atoms.copy()
    good.info.update(virial=virial, stress=atoms.get_stress())
    write(tmp_path / "good.xyz", good)
    found = read([tmp_path / "good.xyz"], want=("virial",))
    assert np.allclose(found.structures[0].virial, virial, rtol=1e-6)
    assert "virial" in found.found[0].keys["virial"]
    good.info["virial"] = -virial  # the other sign, as some codes write it
    write(tmp_path / "bad.xyz", good)
    message = refused([tmp_path / "bad.xyz"], want=("virial",))
    assert "bad.xyz:0" in message
    assert "disagree" in message
    for keys, sign in ((Keys(virial="virial"), -1), (Keys(stress="stress"), 1)):
        s = read([tmp_path / "bad.xyz"], keys, want=("virial",)).structures[0]
        assert np.allclose(s.virial, sign * virial, rtol=1e-6)


# --- names -------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", labels.NAMES["energy"])
@pytest.mark.parametrize("change", [str.lower, str.upper, str.title])
def test_energies_are_found_under_every_name_in_any_case(tmp_path, name, change):
    xyz(tmp_path / "a.xyz", f"{change(name)}=-3.5")
    data = read([tmp_path / "a.xyz"], want=E)
    assert data.structures[0].energy == -3.5
    assert data.found[0].keys["energy"].lower().startswith(name)


@pytest.mark.parametrize("name", labels.NAMES["forces"])
def test_forces_are_found_under_every_name(tmp_path, name):
    rows = ("Si 0 0 0 1 2 3", "O 1.6 0 0 -1 -2 -3")
    xyz(tmp_path / "a.xyz", "", rows, f"species:S:1:pos:R:3:{name.upper()}:R:3")
    s = read([tmp_path / "a.xyz"], want=("forces",)).structures[0]
    assert s.forces.tolist() == [[1, 2, 3], [-1, -2, -3]]
    assert s.energy is None


@pytest.mark.parametrize("name", labels.NAMES["group"])
def test_groups_are_found_under_every_name(tmp_path, name):
    data = read([xyz(tmp_path / "a.xyz", f"energy=1 {name}=liquid")], want=E)
    assert data.groups == ("liquid",)


def test_a_key_that_is_given_is_the_only_one(tmp_path):
    path = xyz(tmp_path / "a.xyz", "energy=1 pbe0=2 w=0.5 kind=x")
    keys = Keys(energy="PBE0", weight="w", group="kind")
    s = read([path], keys, want=E).structures[0]
    assert (s.energy, s.weight, s.group) == (2.0, 0.5, "x")
    assert "energy, kind, pbe0, w" in refused([path], Keys(energy="scf"), want=E)
    assert "--energy-key" in refused([path], Keys(energy="scf"), want=E)
    assert read([path], Keys(energy=""), want=E).structures[0].energy is None
    assert "negative" in refused(
        [xyz(tmp_path / "b.xyz", "energy=1 w=-1")], keys=Keys(weight="w"), want=E
    )


def test_files_may_have_keys_of_their_own(tmp_path):
    a = xyz(tmp_path / "a.xyz", "energy=1 pbe0=2")
    b = xyz(tmp_path / "b.xyz", "energy=3 pbe0=4")
    counts = []
    data = read(
        [a, b], {"a.xyz": Keys(energy="pbe0")}, E, progress=lambda *told: counts.append(told)
    )
    assert [s.energy for s in data.structures] == [2.0, 3.0]
    assert counts == [("reading", 1, None), ("reading", 2, None)]
    by_pattern = read([f"{tmp_path}/*.xyz"], {f"{tmp_path}/*.xyz": Keys(energy="pbe0")}, E)
    assert [s.energy for s in by_pattern.structures] == [2.0, 4.0]
    assert "c.xyz" in refused([a], {"c.xyz": Keys()}, want=E)


def test_labels_in_a_calculator_are_found(tmp_path):
    atoms = frozen(labelled(), energy=-2.0, forces=np.ones((3, 3)))
    write(tmp_path / "a.traj", [atoms, atoms])
    connect(tmp_path / "a.db").write(atoms, config_type="bulk")
    for name, count in (("a.traj", 2), ("a.db", 1)):
        data = read([tmp_path / name])
        assert len(data.structures) == count
        assert data.structures[0].energy == -2.0
        assert data.structures[0].forces.sum() == 9
        assert data.structures[0].atoms.calc is None
        assert data.found[0].keys["energy"] == "energy (calculator)"
        assert data.found[0].missing["virial"] == count
    assert read([tmp_path / "a.db"]).groups == ("bulk",)


def test_labels_of_a_database_may_be_pairs_and_data(tmp_path):
    with connect(tmp_path / "a.db") as db:
        db.write(labelled(), dft_energy=-1.0, data={"dft_forces": np.zeros((3, 3))})
        db.write(labelled(), dft_energy=-2.0, data={"dft_forces": np.zeros((3, 3))})
    keep = connect(tmp_path / "a.db")
    del keep[1]
    data = read([tmp_path / "a.db"])
    assert [s.source for s in data.structures] == ["a.db:id=2"]
    assert data.structures[0].energy == -2.0
    assert len(read([f"{tmp_path}/a.db@dft_energy<-1.5"]).structures) == 1


# --- files -------------------------------------------------------------------------------------


@pytest.fixture
def ten(tmp_path):
    frames = [labelled(energy=float(-k)) for k in range(10)]
    for atoms in frames:
        atoms.info["config_type"] = "x"
    write(tmp_path / "ten.xyz", frames)
    return tmp_path / "ten.xyz"


@pytest.mark.parametrize(
    ("index", "numbers"),
    [
        ("3", [3]), ("-1", [9]), ("-2", [8]), ("0:10", range(10)), ("2:4", [2, 3]), ("::4", [0, 4, 8]),
        ("1:8:3", [1, 4, 7]), ("-2:", [8, 9]), (":-8", [0, 1]), (":", range(10)), ("8:99", [8, 9]),
    ],
)  # fmt: skip
def test_frames_after_an_at_sign_keep_their_numbers(ten, index, numbers):
    data = read([f"{ten}@{index}"], want=E)
    assert [s.source for s in data.structures] == [f"ten.xyz:{k}" for k in numbers]
    assert [s.energy for s in data.structures] == [-k for k in numbers]


@pytest.mark.parametrize("index", ["99", "20:", "x", "1:2:3:4", "::-1", "-20"])
def test_wrong_indices_are_named(ten, index):
    assert f"@{index}" in refused([f"{ten}@{index}"], want=E)


def test_patterns_compressed_files_and_names_with_an_at_sign(ten):
    folder = ten.parent
    with gzip.open(folder / "ten.xyz.gz", "wb") as file:
        file.write(ten.read_bytes())
    (folder / "a@2.xyz").write_bytes(ten.read_bytes())
    (folder / "b[1].xyz").write_bytes(ten.read_bytes())
    assert len(read([folder / "a@2.xyz"], want=E).structures) == 10
    assert len(read([folder / "b[1].xyz"], want=E).structures) == 10
    assert len(read([f"{folder}/ten*"], want=E).structures) == 20
    both = read([f"{folder}/ten*@:2"], want=E)
    assert [s.source for s in both.structures] == [
        "ten.xyz:0", "ten.xyz:1", "ten.xyz.gz:0", "ten.xyz.gz:1"
    ]  # fmt: skip
    assert len(read(str(ten), want=E).structures) == 10
    assert "no file" in refused([f"{folder}/nothing*"], want=E)
    assert "no files" in refused([], want=E)


@pytest.mark.parametrize("ending", ["gz", "bz2", "xz"])
def test_compressed_files_hold_the_same(ten, ending):
    import bz2
    import lzma

    pack = {"gz": gzip.compress, "bz2": bz2.compress, "xz": lzma.compress}[ending]
    packed = ten.with_name(f"ten.xyz.{ending}")
    packed.write_bytes(pack(ten.read_bytes()))
    assert read([packed], want=E).digest == read([ten], want=E).digest
    assert read([f"{packed}@-2"], want=E).structures[0].energy == -8


def test_the_digest_knows_contents_not_names(ten):
    first = read([ten], want=E)
    other = ten.with_name("other.xyz")
    other.write_bytes(ten.read_bytes())
    assert read([other], want=E).digest == first.digest
    for old, new in (
        ("energy=-3.0", "energy=-3.1"),
        ("config_type=x", "config_type=y"),
        ("1.6", "1.7"),
    ):
        text = ten.read_text()
        assert old in text
        other.write_text(text.replace(old, new, 1))
        assert read([other], want=E).digest != first.digest


# --- what is missing or wrong ------------------------------------------------------------------


def test_a_structure_without_a_label_is_counted(tmp_path):
    write(tmp_path / "a.xyz", [labelled(energy=1.0), labelled(), labelled(energy=2.0)])
    data = read([tmp_path / "a.xyz"], want=("energy", "virial"))
    assert data.found[0].missing == {"energy": 1, "virial": 3}
    assert [s.energy for s in data.structures] == [1.0, None, 2.0]
    assert "energy from energy (info) (missing in 1)" in str(data.found[0])


def test_no_labels_at_all_lists_the_keys_there_are(tmp_path):
    message = refused([xyz(tmp_path / "a.xyz", "scf_energy=1 temperature=300")])
    assert "a.xyz" in message
    assert "scf_energy, temperature" in message
    assert "none" in refused([xyz(tmp_path / "a.xyz", "")])
    forces = refused([xyz(tmp_path / "a.xyz", "energy=1")])
    assert "forces" in forces
    assert "--no-forces" in forces


ROWS = ("Si 0 0 0 1 2 3", "O 1.6 0 0 1 2 {}")
FORCES = "species:S:1:pos:R:3:forces:R:3"


@pytest.mark.parametrize(
    ("comment", "want", "words"),
    [
        ("energy=nan", "energy", ["a.xyz", "energy", "NaN in its place"]),
        ("energy=inf", "energy", ["a.xyz:0", "infinite"]),
        ('energy="1 2 3"', "energy", ["a.xyz:0", "shape [3]"]),
        ("energy=low", "energy", ["a.xyz:0", "energy", "low"]),
        ("energy=1 dft_energy=2", "energy", ["a.xyz:0", "differ", "--energy-key", "dft_energy"]),
        ('REF_virial="1 2 3 4"', "virial", ["a.xyz:0", "4 numbers"]),
        ('virial="1 9 0 0 1 0 0 0 1"', "virial", ["a.xyz:0", "not symmetric"]),
        ('virial="1 0 0 0 1 0 0 0 nan"', "virial", ["a.xyz:0", "NaN"]),
        ("REF_virial=7", "virial", ["a.xyz:0", "1 numbers"]),
        ('virial="1 2 3 4"', "virial", ["a.xyz:0", "virial", "4 numbers"]),
        ("energy=-3,5", "energy", ["a.xyz:0", "decimals take a point"]),
        ("energy", "energy", ["a.xyz:0", "not made of numbers"]),
        ("energy=1e300", "energy", ["a.xyz:0", "beyond what atoms can have"]),
    ],
)
def test_wrong_labels_name_file_frame_and_key(tmp_path, comment, want, words):
    message = refused([xyz(tmp_path / "a.xyz", comment)], want=(want,))
    assert all(w in message for w in words), message


@pytest.mark.parametrize("value", ["nan", "inf"])
def test_forces_that_are_not_finite(tmp_path, value):
    rows = tuple(r.format(value) for r in ROWS)
    assert "a.xyz:0" in refused([xyz(tmp_path / "a.xyz", "", rows, FORCES)], want=("forces",))
    assert "shape" in refused(
        [xyz(tmp_path / "a.xyz", "", ("Si 0 0 0 1 2",), "species:S:1:pos:R:3:forces:R:2")],
        want=("forces",),
    )


def test_equal_duplicates_are_one_label(tmp_path):
    path = xyz(tmp_path / "a.xyz", "energy=1.5 DFT_energy=1.5 Energy=1.5")
    assert read([path], want=E).structures[0].energy == 1.5


def test_one_atom_with_and_without_a_cell(tmp_path):
    write(
        tmp_path / "cell.xyz", frozen(bulk("Cu"), energy=-3.0, forces=[[0, 0, 0]], stress=[1.0] * 6)
    )
    s = read([tmp_path / "cell.xyz"]).structures[0]
    assert np.allclose(s.virial, -bulk("Cu").get_volume())
    write(tmp_path / "free.xyz", frozen(Atoms("Cu"), energy=0.5, forces=[[0, 0, 0]]))
    s = read([tmp_path / "free.xyz"]).structures[0]
    assert (s.energy, s.virial, s.forces.shape) == (0.5, None, (1, 3))
    (tmp_path / "free.xyz").write_text('1\nenergy=1 stress="1 0 0 0 1 0 0 0 1"\nCu 0 0 0\n')
    assert read([tmp_path / "free.xyz"], want=("virial",)).structures[0].virial is None


def test_a_stress_needs_three_periodic_directions(tmp_path):
    slab = bulk("Cu", cubic=True)
    slab.pbc = (True, True, False)
    write(tmp_path / "s.xyz", frozen(slab, energy=-1.0, stress=[1.0] * 6))
    data = read([tmp_path / "s.xyz"], want=("energy", "virial"))
    assert data.structures[0].virial is None
    assert "three directions" in str(data.remarks[0])
    assert read([tmp_path / "s.xyz"], Keys(stress=""), want=("virial",)).remarks == ()
    refused([tmp_path / "s.xyz"], Keys(stress="stress"), want=("virial",))


def test_the_first_name_of_a_config_type_counts(tmp_path):
    path = xyz(tmp_path / "a.xyz", "energy=1 group=7 config_type=liquid")
    assert read([path], want=E).groups == ("liquid",)
    assert read([path], Keys(group="group"), want=E).groups == ("7",)
    assert read([path], Keys(group=""), want=E).groups == ("default",)


@pytest.mark.parametrize("lost", [1, 5])
def test_a_last_number_that_lost_digits_is_no_number(ten, lost):
    text = ten.read_text().rstrip("\n")
    ten.write_text(text)
    assert len(read([ten], want=E).structures) == 10
    ten.write_text(text[:-lost])
    assert "cut short" in refused([ten], want=E)


def test_rows_by_hand_may_end_without_a_line_break(tmp_path):
    path = tmp_path / "a.xyz"
    path.write_text("3\nenergy=1\nH 0.0 0.0 0.00\nH 0.0 0.0 1.00\nH 0.0 1.0 1.5")
    assert len(read([path], want=E).structures) == 1


def test_molecules_without_cells_have_no_virial(tmp_path):
    water = molecule("H2O")
    write(tmp_path / "w.xyz", frozen(water, energy=-14.0, forces=np.zeros((3, 3))))
    assert read([tmp_path / "w.xyz"]).structures[0].virial is None


@pytest.fixture
def broken(tmp_path, ten):
    text = ten.read_text().splitlines(keepends=True)
    packed = gzip.compress(ten.read_bytes())
    files = {
        "empty.xyz": b"",
        "blank.xyz": b"\n\n",
        "atoms.xyz": "".join(text[:13]).encode(),
        "comment.xyz": "".join(text[:12]).encode(),
        "count.xyz": "".join(text[:11]).encode(),
        "cut.xyz.gz": packed[: len(packed) // 2],
        "plain.xyz.gz": ten.read_bytes(),
        "text.xyz": b"this is no structure\n",
        "text.txt": b"this is no structure\n",
        "bytes.xyz": b"\x00\xff\xfe" * 50,
        "text.db": b"no database at all",
        "text.traj": b"no trajectory",
        "none.xyz": b"0\n\n",
        "nan.xyz": b"1\nenergy=1\nCu 0 nan 0\n",
    }
    for name, content in files.items():
        (tmp_path / name).write_bytes(content)
    return tmp_path


@pytest.mark.parametrize(
    ("name", "word"),
    [
        ("empty.xyz", "empty"),
        ("blank.xyz", "no structures"),
        ("atoms.xyz", "line 13: the file is cut short"),
        ("comment.xyz", "line 12: the file is cut short"),
        ("count.xyz", "line 11: the file is cut short"),
        ("cut.xyz.gz", "cut short"),
        ("plain.xyz.gz", "gzip"),
        ("text.xyz", "line 1: here should stand a number of atoms"),
        ("text.txt", "its format is not known"),
        ("bytes.xyz", "not UTF-8 text"),
        ("text.db", "not a database"),
        ("text.traj", "ASE cannot read it"),
        ("none.xyz", "no atoms"),
        ("nan.xyz", "nan.xyz:0"),
        ("missing.xyz", "no such file"),
        (".", "folder"),
    ],
)
def test_broken_files_are_named_with_what_is_wrong(broken, name, word):
    message = refused([broken / name], want=E)
    assert word in message
    assert name in message or name == "."
    assert "Error" not in message


def test_real_sets_are_read_as_ase_reads_them(shared):
    from ase.io import read as ase_read

    for name in ("siox/SiO2_EDI_test.xyz.gz", "mlearn/Mo_test.xyz.gz", "3bpa/train_300K.xyz.gz"):
        found = read([f"{shared / 'data' / name}@:40"]).structures
        frames = ase_read(shared / "data" / name, index=":40")
        assert len(found) == len(frames)
        for s, atoms in zip(found, frames, strict=True):
            assert s.atoms == Atoms(atoms)
            assert s.energy == atoms.get_potential_energy()
            assert np.array_equal(s.forces, atoms.get_forces())
            assert "virial" not in atoms.info or np.allclose(
                s.virial, atoms.info["virial"], atol=1e-12
            )


def test_a_database_server_needs_a_package_and_its_password_stays_secret():
    pytest.importorskip("ase.db")
    try:
        import ase_db_backends  # noqa: F401

        pytest.skip("ase-db-backends is installed")
    except ImportError:
        message = refused(["postgresql://me:secret@nowhere.example/frames"])
    assert "ase-db-backends" in message
    assert "secret" not in message


def test_isolated_atoms_need_no_forces(tmp_path):
    atoms = Atoms("Si")
    atoms.info["energy"] = -1.0
    write(tmp_path / "a.xyz", atoms)
    (s,) = read([tmp_path / "a.xyz"]).structures
    assert (s.energy, s.forces, s.virial) == (-1.0, None, None)


# --- labels that are odd in some structures ----------------------------------------------------

GOOD = 'Lattice="5 0 0 0 6 0 0 0 7" Properties=species:S:1:pos:R:3:forces:R:3'
LABELS = 'energy=-1 stress="1 2 3 0 0 0"'


def three(path, odd, rows="Si 0 0 0 1 2 3"):
    """Three frames, the second an odd one."""
    comments = [f"{GOOD} {LABELS}", odd, f"{GOOD} {LABELS}"]
    path.write_text(
        "".join(f"1\n{c}\n{r}\n" for c, r in zip(comments, (ROW, rows, ROW), strict=True))
    )
    return path


ROW = "Si 0 0 0 1 2 3"


@pytest.mark.parametrize(
    ("odd", "rows", "kind", "why"),
    [
        (f'{GOOD} {LABELS} pbc="F F F"', ROW, "virial", "needs a volume"),
        (f'{GOOD} {LABELS} pbc="T T F"', ROW, "virial", "needs a volume"),
        (f"{GOOD} {LABELS.replace('stress', 'other')} stress=1", ROW, "virial", "has 1 numbers"),
        (f'{GOOD} energy=-1 stress="1 9 0 0 1 0 0 0 1"', ROW, "virial", "not symmetric"),
        (f'{GOOD} energy=-1 stress="1 2 3 0 0 inf"', ROW, "virial", "an infinite number"),
        (f'{GOOD} {LABELS} virial="9 9 9 0 0 0"', ROW, "virial", "disagree"),
        (f"{GOOD} {LABELS.replace('-1', '-inf')}", ROW, "energy", "an infinite number"),
        (f"{GOOD} {LABELS.replace('-1', '1e300')}", ROW, "energy", "beyond what atoms can have"),
        (f"{GOOD} {LABELS.replace('-1', 'lost')}", ROW, "energy", "not made of numbers"),
        (f"{GOOD} {LABELS}", ROW.replace("2", "nan"), "forces", "holds NaN"),
        (f"{GOOD.replace('forces:R:3', 'forces:R:2')} {LABELS}", ROW[:-2], "forces", "has shape [1, 2]"),
    ],
)  # fmt: skip
def test_an_odd_label_is_set_aside_and_the_structure_stays(tmp_path, odd, rows, kind, why):
    data = read([three(tmp_path / "a.xyz", odd, rows)])
    assert len(data.structures) == 3
    kept = {k: getattr(data.structures[1], k) is not None for k in ("energy", "forces", "virial")}
    assert kept == {"energy": True, "forces": True, "virial": True, kind: False}
    assert data.found[0].missing[kind] == 1
    (remark,) = data.remarks
    assert (remark.structures, remark.first) == (1, "a.xyz:1")
    assert why in str(remark)
    assert "set aside" in str(remark)
    assert warnings(data)[0] == str(remark)


def test_what_is_set_aside_is_counted(tmp_path):
    frame = three(tmp_path / "a.xyz", f'{GOOD} {LABELS} pbc="F F F"').read_text()
    (tmp_path / "b.xyz").write_text(frame * 4)
    (remark,) = read([tmp_path / "b.xyz"]).remarks
    assert "4 structures, the first b.xyz:1" in str(remark)


def test_a_sound_virial_stands_beside_a_stress_that_says_nothing(tmp_path):
    odd = f'{GOOD} {LABELS} virial="4 5 6 0 0 0" pbc="F F F"'
    data = read([three(tmp_path / "a.xyz", odd)])
    assert np.diag(data.structures[1].virial).tolist() == [4, 5, 6]
    assert data.remarks[0].first == "a.xyz:1"


def test_structures_in_memory_are_read_like_those_of_a_file():
    atoms = [frozen(bulk("Cu"), energy=-3.0, forces=[[0, 0, 0]]) for _ in range(3)]
    atoms[1].info["stress"] = [1.0, 2.0, np.inf, 0, 0, 0]
    atoms[2].info["stress"] = [1.0, 2.0, 3.0, 0, 0, 0]
    data = from_atoms(atoms, name="given")
    assert [s.energy for s in data.structures] == [-3.0] * 3
    assert [s.virial is None for s in data.structures] == [True, True, False]
    assert str(data.remarks[0]).startswith("given:1: stress (info) holds an infinite number")
    assert from_atoms(data.structures).structures == data.structures
    for wrong, words in (
        ([], "no structures"),
        ([3], "not an ase.Atoms"),
        ([bulk("Cu")], "energy"),
    ):
        with pytest.raises(DataError, match=words):
            from_atoms(wrong)
