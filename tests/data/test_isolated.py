"""An isolated atom has no neighbour, whatever the box: one-atom cells of crystals are none."""

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from etace.data import Labelled, isolated, read
from etace.data.suspicious import energy_outliers
from etace.errors import RequestError
from etacec.defaults import one_body, reach


@pytest.mark.parametrize(
    ("atoms", "alone"),
    [
        (Atoms("Cu"), True),
        (Atoms("Cu", cell=[12] * 3, pbc=True), True),
        (Atoms("Cu", cell=[5.9, 12, 12], pbc=True), False),
        (Atoms("Cu", cell=[5.9, 12, 12], pbc=(False, True, True)), True),
        (bulk("Cu"), False),
        (bulk("Cu", cubic=True), False),
        (Atoms("Cu2", [[0, 0, 0], [0, 0, 2.2]]), False),
        (Atoms("Cu2", [[0, 0, 0], [0, 0, 6.1]]), True),
        (Atoms("Cu2", [[0, 0, 0], [0, 0, 6.1]], cell=[20, 20, 8], pbc=True), False),
        (Atoms("Cu2", [[0, 0, 0], [4, 4, 4]]), True),
        (Atoms("Cu", pbc=True), False),
    ],
)
def test_isolated_is_without_neighbours(atoms, alone):
    assert isolated(atoms) is alone


def test_the_cutoff_decides():
    atoms = Atoms("Cu", cell=[5] * 3, pbc=True)
    assert [isolated(atoms, r) for r in (4.9, 5.1)] == [True, False]


def labelled(atoms, energy):
    return Labelled(atoms, energy, np.zeros((len(atoms), 3)), None, source="a.xyz:0")


CRYSTALS = [labelled(bulk("Cu", a=a), e) for a, e in ((3.5, -3.4), (3.6, -3.5), (3.7, -3.45))]


@pytest.mark.parametrize(
    "lone",
    [Atoms("Cu"), Atoms("Cu", cell=[12] * 3, pbc=True), Atoms("Cu", cell=[9, 9, 9], pbc=True)],
)
def test_energies_of_isolated_atoms_are_not_those_of_one_atom_cells(lone):
    energies, how = one_body(["Cu"], [*CRYSTALS, labelled(lone, -0.1)], "auto")
    assert (energies, how) == ({"Cu": -0.1}, "isolated atoms in the data")


def test_crystals_alone_are_no_isolated_atoms():
    energies, how = one_body(["Cu"], CRYSTALS, "auto")
    assert how == "least squares"
    assert energies["Cu"] == pytest.approx(-3.45)
    with pytest.raises(RequestError, match="no isolated atom of Cu"):
        one_body(["Cu"], CRYSTALS, "isolated")
    assert 5.5 < reach(["Cu"]) < 6.5


def test_one_atom_cells_are_judged_with_the_crystals():
    crystals = [labelled(bulk("Cu", a=3.5 + 0.01 * k), -3.5) for k in range(12)]
    wrong = labelled(bulk("Cu", a=3.6), 60.0)
    nearest = np.full(13, 2.5)
    assert np.flatnonzero(np.isfinite(energy_outliers([*crystals, wrong], nearest))).tolist() == [
        12
    ]
    nearest[12] = np.inf  # as of an isolated atom, whose energy is another matter
    assert not np.isfinite(energy_outliers([*crystals, wrong], nearest)).any()


def test_forces_may_lack_where_each_cell_has_one_atom(tmp_path):
    (tmp_path / "a.xyz").write_text(
        '1\nLattice="0 1.8 1.8 1.8 0 1.8 1.8 1.8 0" energy=-3.5\nCu 0 0 0\n'
    )
    assert read([tmp_path / "a.xyz"]).structures[0].forces is None
