"""XYZ files are read as they stand: all frames, all keys, or an error that names the line."""

import gzip

import numpy as np
import pytest
from ase import Atoms
from ase.constraints import FixAtoms, FixCartesian
from ase.io import write
from etace.data import comment, read
from etace.data.frames import frames
from etace.errors import DataError

CELL = 'Lattice="5 0 0 0 6 0 0 0 7"'
ONE = f"1\n{CELL} Properties=species:S:1:pos:R:3:forces:R:3 energy=-1.5\nCu 0 0 0 1 2 3\n"


def text(path, content):
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def one(path, content):
    (frame,) = frames(str(text(path, content)), "")
    return frame


def refused(path, content):
    with pytest.raises(DataError) as caught:
        list(frames(str(text(path, content)), ""))
    assert "\n" not in str(caught.value)
    return str(caught.value)


# --- frames ------------------------------------------------------------------------------------


@pytest.mark.parametrize("gap", ["", "\n", "\n \n\t\n", "\r\n"])
def test_all_frames_are_read_whatever_blank_lines_stand_between(tmp_path, gap):
    path = text(tmp_path / "a.xyz", gap.join([ONE] * 6) + gap)
    assert [f.source for f in frames(str(path), "")] == [f"a.xyz:{k}" for k in range(6)]
    assert [f.source for f in frames(str(path), "-2:")] == ["a.xyz:4", "a.xyz:5"]


def test_a_blank_first_line_and_a_byte_order_mark_are_no_obstacle(tmp_path):
    frame = one(tmp_path / "a.xyz", "\n" + ONE)
    assert (len(frame.atoms), "first line" in frame.remarks[0]) == (1, True)
    assert one(tmp_path / "a.xyz", b"\xef\xbb\xbf" + ONE.encode()).remarks == ()


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (ONE + "some words\n", ["line 4", "number of atoms", "some words"]),
        (ONE + "3\ncomment\nCu 0 0 0\n", ["line 6", "cut short", "1 of the 3 atoms", "line 4"]),
        (ONE + "3", ["line 4", "cut short"]),
        (ONE + "-1\n\n", ["line 4", "number of atoms"]),
        (ONE + "1e1\n\n", ["line 4", "number of atoms"]),
        (ONE.replace("1 2 3", "1 2"), ["line 3", "atom 0", "6 columns, not 7"]),
        (ONE.replace("1 2 3", "1 2 3 4"), ["line 3", "8 columns, not 7"]),
        (ONE.replace("1 2 3", "1 2 three"), ["line 3", "forces of atom 0", "three"]),
        (ONE.replace("0 0 0 1", "0,5 0 0 1"), ["line 3", "pos of atom 0", "decimals take a point"]),
        (ONE.replace("0 0 0 1", "0_5 0 0 1") + ONE, ["line 3", "0_5"]),
        (ONE.replace("5 0 0 0 6", "5,1 0 0 0 6"), ["line 2", "Lattice", "decimals take a point"]),
        (ONE.replace("5 0 0 0 6", "5 0 0 6"), ["line 2", "nine numbers"]),
        (ONE.replace("forces:R:3", "forces:R"), ["line 2", "Properties"]),
        (ONE.replace("forces:R:3", "forces:Q:3"), ["line 2", "`Q`"]),
        (ONE.replace("pos:R:3", "pos:R:2"), ["line 2", "no positions"]),
        (ONE.replace("energy=-1.5", 'pbc="T maybe T"'), ["line 2", "pbc"]),
        (ONE.replace("energy=-1.5", 'name="no end'), ["line 2", "name", "does not end"]),
        (ONE.replace("energy=-1.5", "kind= energy=-1.5"), ["line 2", "`kind=` has no value"]),
        (ONE.replace("energy=-1.5", "energy=1 energy=2"), ["line 2", "energy", "twice"]),
    ],
)
def test_what_does_not_fit_is_an_error_that_names_the_line(tmp_path, content, words):
    message = refused(tmp_path / "a.xyz", content)
    assert all(w in message for w in ["a.xyz", *words]), message


@pytest.mark.parametrize(
    ("symbol", "words"),
    [
        ("D", ["write H"]),
        ("T", ["write H"]),
        ("Cu1", ["is it Cu?"]),
        ("O-", ["is it O?"]),
        ("29", ["29 is Cu", "Z:I:1"]),
        ("Qq", ["no element"]),
        ("X", ["dummy or ghost"]),
    ],
)
def test_what_is_no_element_is_named_with_what_to_write(tmp_path, symbol, words):
    message = refused(tmp_path / "a.xyz", ONE.replace("\nCu ", f"\n{symbol} "))
    assert all(w in message for w in ["atom 0", *words]), message


def test_symbols_in_any_case_and_atomic_numbers_under_their_name(tmp_path):
    for symbol in ("cu", "CU", "Cu"):
        frame = one(tmp_path / "a.xyz", ONE.replace("\nCu ", f"\n{symbol} "))
        assert frame.atoms.get_chemical_symbols() == ["Cu"]
    numbered = ONE.replace("species:S:1", "Z:I:1").replace("\nCu ", "\n29 ")
    assert one(tmp_path / "a.xyz", numbered).atoms.get_chemical_symbols() == ["Cu"]


def test_plain_xyz_with_more_columns_and_cell_vectors(tmp_path):
    frame = one(tmp_path / "a.xyz", "2\nwater, or what is left of it\nO 0 0 0 -.8\nH 0 0 1 .4\n")
    assert frame.atoms.info == {"comment": "water, or what is left of it"}
    assert not frame.atoms.pbc.any()
    assert "beyond the fourth" in frame.remarks[0]
    content = "1\n\nCu 0 0 0\nVEC1 4 0 0\nVEC2 0 5 0\n1\n\nCu 0 0 0\n"
    first, second = frames(str(text(tmp_path / "b.xyz", content)), "")
    assert first.atoms.pbc.tolist() == [True, True, False]
    assert first.atoms.cell[1].tolist() == [0, 5, 0]
    assert second.atoms.cell.rank == 0


def test_exponents_of_fortran(tmp_path):
    content = ONE.replace("1 2 3", "1.0D-01 2 3").replace("-1.5", "-1.5D+01")
    frame = one(tmp_path / "a.xyz", content)
    assert frame.atoms.arrays["forces"][0, 0] == 0.1
    assert frame.atoms.info["energy"] == -15


# --- keys and values ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "found"),
    [
        ("3", 3), ("-3.5", -3.5), ("1e-3", 1e-3), ("T", True), ("F", False), ("bulk", "bulk"),
        ('"two words"', "two words"), ("{1 2 3}", [1, 2, 3]), ("[1, 2, 3]", [1, 2, 3]), ("1,2,3", [1, 2, 3]),
        ("[[1, 2], [3, 4]]", [[1, 2], [3, 4]]), ('"T T F"', [True, True, False]),
        ('"_JSON {\\"a\\": [1, 2]}"', {"a": [1, 2]}), ('"_JSON [1, 2]"', [1, 2]), ('""', ""),
        ("2024_10", "2024_10"), ("a=b", "a=b"), ("Si8O16(x)", "Si8O16(x)"), ('"say \\"so\\""', 'say "so"'),
        ("[1]", [1]), ("nan", np.nan),
    ],
)  # fmt: skip
def test_values_are_what_they_look_like(value, found):
    pairs = comment.pairs(f"before=1 key={value} after")
    assert list(pairs) == ["before", "key", "after"]
    np.testing.assert_equal(pairs["key"], np.array(found) if isinstance(found, list) else found)
    assert pairs["after"] is True


def test_words_for_people_may_stand_among_the_pairs():
    found = comment.pairs("frame 1 of 1, water's energy = -3.5 energy=-3.5 of q[1]=2, T=300")
    assert found["energy"] == -3.5
    assert (found["q[1]"], found["T"], found["of"]) == (2, 300, True)


def test_names_in_another_case_still_describe_the_frame(tmp_path):
    content = ONE.replace("Lattice", "lattice").replace("Properties", "properties")
    frame = one(tmp_path / "a.xyz", content)
    assert frame.atoms.cell.lengths().tolist() == [5, 6, 7]
    assert frame.atoms.pbc.all()
    assert list(frame.atoms.info) == ["energy"]
    assert not one(tmp_path / "a.xyz", ONE.replace("energy", 'pbc="F F F" energy')).atoms.pbc.any()


@pytest.mark.parametrize("key", ["stress", "virial", "dft_stress", "REF_virial"])
@pytest.mark.parametrize("form", ["six", "nine", "nested"])
def test_stress_and_virial_in_every_form_under_every_name(tmp_path, key, form):
    matrix = np.array([[1.0, 0.6, 0.5], [0.6, 2.0, 0.4], [0.5, 0.4, 3.0]])
    values = {
        "six": '"1 2 3 0.4 0.5 0.6"',
        "nine": '"1 0.6 0.5 0.6 2 0.4 0.5 0.4 3"',
        "nested": "[[1, 0.6, 0.5], [0.6, 2, 0.4], [0.5, 0.4, 3]]",
    }
    path = text(tmp_path / "a.xyz", ONE.replace("energy=", f"{key}={values[form]} energy="))
    scale = -210 if "stress" in key else 1
    assert np.allclose(read([path]).structures[0].virial, scale * matrix)


def test_placeholders_are_missing_labels(tmp_path):
    nan = 'stress="nan nan nan nan nan nan" energy=nan'
    content = ONE.replace("energy=-1.5", nan).replace("1 2 3", "nan nan nan") + ONE
    data = read([text(tmp_path / "a.xyz", content)])
    assert data.found[0].missing == {"energy": 1, "forces": 1, "virial": 2}
    assert data.remarks == ()


def test_what_ase_writes_is_read_back(tmp_path):
    rng = np.random.default_rng(0)
    atoms = Atoms("Cu4", rng.uniform(0, 4, (4, 3)), cell=rng.normal(size=(3, 3)), pbc=(1, 0, 1))
    atoms.info.update(config_type="a b", table=np.arange(4), odd='q"uote', flag=False)
    atoms.arrays["charges"] = rng.normal(size=4)
    atoms.arrays["part"] = np.array([1, 2, 3, 4])
    atoms.arrays["word"] = np.array(["a", "b", "c", "d"])
    atoms.set_constraint(FixAtoms([1, 3]))
    for name in ("a.xyz", "a.xyz.gz"):
        write(tmp_path / name, [atoms, atoms], format="extxyz")
        back = [f.atoms for f in frames(str(tmp_path / name), "")]
        assert len(back) == 2
        assert np.allclose(back[1].positions, atoms.positions, atol=1e-7)
        assert np.allclose(back[1].cell, atoms.cell)
        assert back[1].pbc.tolist() == [True, False, True]
        np.testing.assert_equal(back[1].info, atoms.info)
        for key in ("charges", "part", "word"):
            assert np.allclose(back[1].arrays[key], atoms.arrays[key]) if key != "word" else True
        assert back[1].arrays["word"].tolist() == ["a", "b", "c", "d"]
        assert back[1].constraints[0].index.tolist() == [1, 3]
    atoms.set_constraint([FixCartesian(2, mask=(True, False, False))])
    write(tmp_path / "b.xyz", atoms, format="extxyz")
    (frame,) = frames(str(tmp_path / "b.xyz"), "")
    assert [c.index.tolist() for c in frame.atoms.constraints if c.mask.any()] == [[2]]


def test_skipped_frames_are_not_looked_at_but_counted(tmp_path):
    wrong = ONE.replace("1 2 3", "a b c")
    path = text(tmp_path / "a.xyz", ONE + wrong + ONE)
    assert [f.source for f in frames(f"{path}", "0::2")] == ["a.xyz:0", "a.xyz:2"]
    assert [f.source for f in frames(f"{path}", "-1")] == ["a.xyz:2"]
    with pytest.raises(DataError, match="line 6"):
        list(frames(f"{path}", ""))


@pytest.mark.parametrize("name", ["a.dat", "a.txt", "a", "a.xyz.gz", "a.dat.gz"])
def test_xyz_is_known_by_its_content_too(tmp_path, name):
    content = gzip.compress(ONE.encode()) if name.endswith("gz") else ONE
    assert read([text(tmp_path / name, content)]).structures[0].energy == -1.5


def test_a_label_with_an_underscore_is_no_number(tmp_path):
    """Python takes 1_000 for 1000."""
    path = tmp_path / "a.xyz"
    path.write_text("1\nenergy=-118_828\nSi 0 0 0\n")
    with pytest.raises(DataError, match="is not made of numbers"):
        read([path], want=("energy",))
