"""What other formats do not say is not taken from ASE; what they say in passing is passed on."""

import gzip
import pickle

import numpy as np
import pytest
from ase import Atoms
from ase.io import write
from etace.data import Keys, read, warnings
from etace.errors import DataError
from etacec.cli import app
from typer.testing import CliRunner


def refused(*args, **kwargs):
    with pytest.raises(DataError) as caught:
        read(*args, **kwargs)
    assert "\n" not in str(caught.value)
    return str(caught.value)


# --- LAMMPS ------------------------------------------------------------------------------------


def dump(path, columns="id element x y z fx fy fz", names=("Si", "O"), before="", frames=3):
    out = ""
    for k in range(frames):
        out += f"{before}ITEM: TIMESTEP\n{k}\nITEM: NUMBER OF ATOMS\n2\n"
        out += "ITEM: BOX BOUNDS pp pp pp\n0 5\n0 5\n0 5\n"
        out += f"ITEM: ATOMS {columns}\n"
        for n, (name, x) in enumerate(zip(names, (0.0, 1.7 + 0.1 * k), strict=True)):
            forces = f" {0.1 - 0.2 * n} 0 0" if "fx" in columns else ""
            out += f"{n + 1} {name} {x} 0 0{forces}\n"
    path.write_text(out)
    return path


def test_the_energy_that_a_dump_does_not_have_is_no_label(tmp_path):
    path = dump(tmp_path / "a.lammpstrj")
    data = read([path], want=("energy", "forces"), survey=True)
    assert [s.energy for s in data.structures] == [None] * 3
    assert data.structures[1].forces.tolist() == [[0.1, 0, 0], [-0.1, 0, 0]]
    assert "does not state its units" in str(data.remarks[0])
    assert "3 structures" in str(data.remarks[0])
    assert "energy" in refused([path])
    assert len(read([path], want=("forces",)).structures) == 3


@pytest.mark.parametrize("lines", [1, 2, 4, 6, 9])
def test_a_dump_that_is_cut_short_is_refused(tmp_path, lines):
    """At the end of a line, where ASE reads on with fewer atoms or frames."""
    path = dump(tmp_path / "a.lammpstrj")
    path.write_text("".join(path.read_text().splitlines(keepends=True)[:-lines]))
    assert "frame 2 has" in refused([path], want=("forces",))


def test_units_that_a_dump_states_count(tmp_path):
    metal = dump(tmp_path / "metal.lammpstrj", before="ITEM: UNITS\nmetal\n")
    assert read([metal], want=("forces",)).remarks == ()
    real = dump(tmp_path / "real.lammpstrj", before="ITEM: UNITS\nreal\n")
    data = read([real], survey=True)
    assert data.structures[0].forces is None
    assert "`real`, not metal" in str(data.remarks[0])


def test_types_are_no_elements(tmp_path):
    path = dump(tmp_path / "a.lammpstrj", "id type x y z fx fy fz", (1, 2))
    message = refused([path], want=("forces",))
    assert "no elements" in message
    assert "dump_modify" in message
    data = read([path], survey=True)
    assert [len(s.atoms) for s in data.structures] == [2, 2, 2]
    assert not data.structures[0].elements
    assert any("no elements" in w for w in warnings(data))
    assert not any("covalent" in w for w in warnings(data))
    masses = dump(tmp_path / "b.lammpstrj", "id mass x y z", (28.085, 15.999))
    assert read([masses], want=()).species == ("O", "Si")


@pytest.mark.parametrize(
    "columns", ["id element x y z fx fy fz", "id type x y z", "id element x y z"]
)
def test_the_command_counts_unlabelled_frames_without_flags(tmp_path, columns):
    names = (1, 2) if "type" in columns else ("Si", "O")
    path = dump(tmp_path / "a.lammpstrj", columns, names)
    done = CliRunner().invoke(app, ["data", str(path)])
    assert done.exit_code == 0, done.output
    assert "3 structures, 6 atoms; no energy" in done.output
    (tmp_path / "b.xyz").write_text("1\n\nCu 0 0 0\n1\ntotal=3\nCu 0 0 0\n")
    done = CliRunner().invoke(app, ["data", str(tmp_path / "b.xyz")])
    assert done.exit_code == 0, done.output
    assert "no energy (the keys there are: total); no forces" in done.output


def test_types_in_a_dump_of_xyz_are_no_elements_either(tmp_path):
    path = tmp_path / "a.xyz"
    path.write_text("2\nAtoms. Timestep: 0\n1 0 0 0\n2 0 0 1.6\n" * 3)
    data = read([path], survey=True)
    assert [len(s.atoms) for s in data.structures] == [2, 2, 2]
    assert "no elements" in str(data.remarks[0])
    assert "dump_modify" in refused([path], want=())
    path.write_text("2\nAtoms. Timestep: 0\nSi 0 0 0\nO 0 0 1.6\n")
    assert read([path], want=()).species == ("O", "Si")


# --- VASP --------------------------------------------------------------------------------------

HEADER = """ POTCAR:    PAW_PBE Cu 22Jun2005
 POTCAR:    PAW_PBE Cu 22Jun2005
   ISPIN  =      1    spin polarized calculation?
   ions per type =               2
"""


def ionic_step(energy, reached=True):
    return f"""---------------- Iteration      1(   9)  ----------------
{" aborting loop because EDIFF is reached" if reached else ""}
  in kB      10.0 11.0 12.0 0.1 0.2 0.3
      direct lattice vectors                 reciprocal lattice vectors
     4.0 0.0 0.0     0.25 0.0 0.0
     0.0 4.0 0.0     0.0 0.25 0.0
     0.0 0.0 4.0     0.0 0.0 0.25

 POSITION                                       TOTAL-FORCE (eV/Angst)
 -------------------------------------------------------------------------
      0.0      0.0      0.0         0.1      0.0      0.0
      2.0      2.0      0.0        -0.1      0.0      0.0
  FREE ENERGIE OF THE ION-ELECTRON SYSTEM (eV)
  ---------------------------------------------------
  free  energy   TOTEN  =  {energy - 0.02:18.8f} eV

  energy  without entropy= {energy + 0.02:18.8f}  energy(sigma->0) = {energy:18.8f}
"""


def calculation(steps, energy):
    energies = (
        f'<energy><i name="e_fr_energy">{energy - 0.02}</i><i name="e_wo_entrp">{energy}</i>'
        f'<i name="e_0_energy">{energy}</i></energy>'
    )
    vectors = "".join(
        f"<v>{' '.join('4' if a == b else '0' for b in range(3))}</v>" for a in range(3)
    )
    return f"""<calculation>
{f"<scstep>{energies}</scstep>" * steps}
<structure><crystal><varray name="basis">{vectors}</varray></crystal>
<varray name="positions"><v>0 0 0</v><v>0.5 0.5 0</v></varray></structure>
<varray name="forces"><v>0.1 0 0</v><v>-0.1 0 0</v></varray>
<varray name="stress"><v>10 0 0</v><v>0 11 0</v><v>0 0 12</v></varray>
{energies}
</calculation>
"""


def vasprun():
    whole = calculation(1, 0)
    start = whole[whole.index("<structure>") : whole.index("</structure>") + 12]
    return f"""<?xml version="1.0" encoding="ISO-8859-1"?>
<modeling>
<kpoints><varray name="kpointlist"><v>0 0 0</v></varray><varray name="weights"><v>1</v></varray></kpoints>
<parameters><separator name="electronic"><i type="int" name="NELM">    5</i></separator></parameters>
<atominfo><array name="atoms"><set><rc><c>Cu</c></rc><rc><c>Cu</c></rc></set></array></atominfo>
{start.replace("<structure>", '<structure name="initialpos">')}
{calculation(3, -7.0)}{calculation(5, -7.1)}{calculation(4, -7.2)}
</modeling>
"""


@pytest.mark.parametrize("name", ["OUTCAR", "vasprun.xml"])
def test_steps_of_vasp_that_did_not_converge_are_said_and_free_energies_count(tmp_path, name):
    outcar = HEADER + ionic_step(-7.0) + ionic_step(-7.1, reached=False) + ionic_step(-7.2)
    (tmp_path / name).write_text(outcar if name == "OUTCAR" else vasprun())
    data = read([tmp_path / name])
    said = [str(r) for r in data.remarks]
    assert said[0].startswith(f"{name}:1: the electronic steps did not converge")
    assert "10 meV/atom: `free_energy` is used" in said[1]
    assert [s.energy for s in data.structures] == pytest.approx([-7.02, -7.12, -7.22])
    given = read([tmp_path / name], Keys(energy="energy"))
    assert [s.energy for s in given.structures] == pytest.approx([-7.0, -7.1, -7.2])
    assert len(given.remarks) == 1


# --- structures that cannot be meant -----------------------------------------------------------

CIF = """data_a
_cell_length_a 3.7
_cell_length_b 3.7
_cell_length_c 3.7
_cell_angle_alpha 90
_cell_angle_beta 90
_cell_angle_gamma 90
_symmetry_space_group_name_H-M 'P 1'
loop_
_atom_site_label
_atom_site_type_symbol
_atom_site_fract_x
_atom_site_fract_y
_atom_site_fract_z
_atom_site_occupancy
"""


def test_sites_that_are_occupied_in_part_are_refused(tmp_path):
    path = tmp_path / "a.cif"
    path.write_text(CIF + "Cu1 Cu 0 0 0 0.7\nAu1 Au 0 0 0 0.3\n")
    message = refused([path], want=())
    assert "Cu 0.7, Au 0.3" in message
    path.write_text(CIF + "Cu1 Cu 0 0 0 0.7\n")
    assert "occupied in part (Cu 0.7)" in refused([path], want=())
    path.write_text(CIF + "Cu1 Cu 0 0 0 1.0\nAu1 Au 0.5 0.5 0 1.0\n")
    assert read([path], want=()).species == ("Au", "Cu")


def test_ghost_atoms_are_refused(tmp_path):
    write(tmp_path / "a.traj", Atoms("CuX", [[0, 0, 0], [0, 0, 2]]))
    assert "a.traj:0: atom 1 is a dummy or ghost" in refused([tmp_path / "a.traj"], want=())


# --- formats -----------------------------------------------------------------------------------


class Armed:
    def __reduce__(self):
        return (open, (self.path, "w"))


@pytest.mark.parametrize("name", ["set.pckl.gzip", "set.pkl", "set.pckl.gz", "set.dat", "set.gzip"])
def test_pickles_are_never_opened(tmp_path, name):
    armed = Armed()
    armed.path = str(tmp_path / "ran")
    data = pickle.dumps(armed)
    zipped = name.endswith(("gzip", "gz"))
    (tmp_path / name).write_bytes(gzip.compress(data) if zipped else data)
    message = refused([tmp_path / name])
    assert "read_pickle" in message
    assert not (tmp_path / "ran").exists()


def test_the_conversion_of_a_pickle_that_is_told_makes_a_set(tmp_path, monkeypatch):
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame(
        {"ase_atoms": [Atoms("Cu2", [[0, 0, 0], [0, 0, 2]])], "energy": [-3.0],
         "forces": [np.ones((2, 3))]}
    )  # fmt: skip
    monkeypatch.chdir(tmp_path)
    frame.to_pickle("set.pckl.gzip", compression="gzip", protocol=4)
    message = refused(["set.pckl.gzip"])
    exec(message[message.index("import pandas") :])
    (s,) = read(["set.xyz"]).structures
    assert (s.energy, s.forces.sum()) == (-3.0, 6.0)


def test_an_unknown_format_names_those_there_are(tmp_path):
    (tmp_path / "a.dat").write_text("nothing\nof\nthe kind\n")
    assert "gamess" in refused([tmp_path / "a.dat"])  # ASE's guess by the ending
    (tmp_path / "a.what").write_text("nothing\nof\nthe kind\n")
    for name in ("a.dat", "a.what"):
        message = refused([tmp_path / name])
        assert "named after it" in message or "name the file after it" in message
        assert ".xyz" in message
