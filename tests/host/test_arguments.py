"""Arrays of the wrong shape, kind or value, and lists of neighbours of something else: errors in words that
name what was found, before C reads anything."""

import etace
import numpy as np
import pytest
from etace.errors import EtaceError, ParameterError, RequestError, StructureError
from etace.graph import AtomGraph
from small import crystal, small_model

N = 8


@pytest.fixture(scope="module", params=["native", "jax"])
def model(request, tmp_path_factory):
    return small_model(tmp_path_factory.mktemp("spec"), request.param)


@pytest.fixture(scope="module")
def near(model):
    return model.prepare(crystal(), skin=0.5)


def positions(change):
    x = crystal().positions.copy()
    return change(x)


def with_value(value):
    def change(x):
        x[3, 1] = value
        return x

    return change


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda x: x[:4], r"\[4, 3\], this list of neighbours is of 8 atoms"),
        (lambda x: x.T, r"\[3, 8\], this list"),
        (lambda x: x[0], r"\[3\], this list"),
        (lambda x: x[:1], r"\[1, 3\], this list"),
        (lambda x: x[None], r"\[1, 8, 3\], this list"),
        (lambda x: 1.0, r"\[\], this list"),
        (lambda x: x.ravel(), r"\[24\], this list"),
        (lambda x: x + 0j, "real numbers, found complex numbers"),
        (lambda x: x.astype(object), "real numbers, found objects"),
        (lambda x: x.astype(str), "real numbers, found text"),
        (lambda x: x > 0, "real numbers, found booleans"),
        (lambda x: np.ma.masked_greater(x, 3), "must all be there, found masked ones"),
        (lambda x: [[1, 2, 3], [1, 2]], "an array of numbers, found list"),
        (lambda x: {"positions": x}, r"\[\], this list"),
        (with_value(np.nan), r"finite numbers, found nan at \[3, 1\]"),
        (with_value(-np.inf), "finite numbers, found -inf"),
        (with_value(1e200), "atom 3 is at .* within 1e"),
        (with_value(-3e8), "atom 3 is at .* within 1e"),
    ],
)
def test_positions_are_of_the_list(model, near, change, words):
    with pytest.raises(StructureError, match=words):
        model.evaluate_prepared(near, positions(change))


CELLS = [
    (np.ones(6), r"cell vectors have the shape \[6\], \[3, 3\] is needed"),
    (5.0, r"shape \[\]"),
    (np.ones((1, 3, 3)), r"shape \[1, 3, 3\]"),
    (1j * np.eye(3), "found complex numbers"),
    (np.diag([1, np.nan, 1]), r"found nan at \[1, 1\]"),
    (1e9 * np.eye(3), "within 1e"),
    (np.ma.masked_equal(np.eye(3), 0), "must all be there, found masked ones"),
]


@pytest.mark.parametrize(("cell", "words"), CELLS)
def test_a_cell_is_three_vectors(model, near, cell, words):
    with pytest.raises(StructureError, match=words):
        model.evaluate_prepared(near, None, cell)


def test_what_is_right_gives_what_a_new_list_gives(model, near):
    other = crystal(seed=1)
    other.set_cell(1.001 * other.cell.array, scale_atoms=False)
    wanted = model.evaluate(other)
    forms = (
        (other.positions, other.cell),
        (other.positions.tolist(), other.cell.array.tolist()),
        (np.asfortranarray(other.positions), other.cell.array.T.copy().T),
        (np.repeat(other.positions, 2, axis=0)[::2], other.cell.array),
    )
    for x, cell in forms:
        found = model.evaluate_prepared(near, x, cell)
        assert abs(found.energy - wanted.energy) < 1e-10
        assert np.allclose(found.forces, wanted.forces, rtol=0, atol=1e-10)
    whole = np.round(other.positions).astype(int)
    moved = model.evaluate_prepared(near, whole)
    assert np.isfinite(moved.energy)


@pytest.mark.parametrize("name", ["positions", "numbers", "cell"])
def test_how_the_arrays_of_atoms_lie_in_memory_does_not_matter(model, name):
    wanted = model.evaluate(crystal())
    if name == "cell":
        other = with_array(crystal(), name, np.asfortranarray(crystal().cell.array))
    else:
        own = crystal().arrays[name]
        order = np.repeat(own, 2, axis=0)[::2] if own.ndim == 1 else np.asfortranarray(own)
        other = with_array(crystal(), name, order)
    found = model.evaluate(other)
    assert abs(found.energy - wanted.energy) < 1e-10
    assert np.allclose(found.forces, wanted.forces, rtol=0, atol=1e-10)


@pytest.mark.parametrize("name", ["positions", "numbers", "cell"])
def test_masked_arrays_of_atoms_are_refused(model, name):
    own = crystal().cell.array if name == "cell" else crystal().arrays[name]
    masked = np.ma.masked_array(own, own == own.max())
    with pytest.raises(StructureError, match="must all be there, found masked ones"):
        model.energy(with_array(crystal(), name, masked))


def with_array(atoms, name, array):
    """As whoever sets arrays without ASE's copies."""
    if name == "cell":
        atoms.cell.array = array
    else:
        atoms.arrays[name] = array
    return atoms


def test_a_batch_has_a_cell_for_each_structure(model):
    evaluator = model.evaluator
    several = evaluator.prepare([model.paired(crystal(seed=k)) for k in range(2)], batch=True)
    for cell in (crystal().cell.array, np.ones((3, 3, 3)), np.ones((2, 6))):
        with pytest.raises(StructureError, match=r"\[2, 3, 3\] is needed, for a batch of 2"):
            several.moved(None, cell)
    cells = np.array([crystal().cell.array] * 2)
    found = evaluator(model.params, several.moved(None, cells)).energy
    assert np.allclose(found, [model.energy(crystal(seed=k)) for k in range(2)], atol=1e-10)
    with pytest.raises(RequestError, match="of a batch of 2"):
        model.evaluate_prepared(several)


def test_a_list_serves_the_evaluator_that_made_it(model, near, tmp_path):
    other = small_model(tmp_path, "jax" if model.backend == "native" else "native")
    again = small_model(tmp_path, model.backend)
    for foreign in (other, again):
        with pytest.raises(RequestError, match="made by another model"):
            foreign.evaluate_prepared(near, crystal().positions)
    again.cores = 1
    old = again.prepare(crystal())
    again.backend = other.backend
    with pytest.raises(RequestError, match="prepare the atoms again"):
        again.evaluate_prepared(old)
    with pytest.raises(RequestError, match="prepare the atoms again"):
        again.evaluator(again.params, old)
    for thing in (crystal(), None, crystal().positions):
        with pytest.raises(RequestError, match=f"not {type(thing).__name__}"):
            model.evaluate_prepared(thing)


@pytest.mark.parametrize("skin", [-0.1, np.nan, np.inf, "0.5", None, [0.5], 1 + 0j])
def test_a_skin_is_a_length(model, skin):
    calls = [
        lambda: model.prepare(crystal(), skin=skin),
        lambda: model.graph(crystal(), skin=skin),
        lambda: model.fast_graph(crystal(), skin=skin),
        lambda: model.calculator(skin=skin),
        lambda: setattr(model.calculator(), "skin", skin),
        lambda: model.calculator().set(skin=skin),
    ]
    for call in calls:
        with pytest.raises(ParameterError, match="the skin must be a length of 0 Å or more"):
            call()


def test_linear_parameters_committees_and_grades_are_numbers(model):
    P, (species, F) = model.length_basis, model.potential.site_columns.shape
    kinds = [
        (model.set_linear_parameters, (P,)),
        (model.set_committee, (3, P)),
        (model.set_extrapolation, (species, F, F)),
    ]
    for setter, shape in kinds:
        before = model.revision
        for wrong in (
            np.zeros(shape, complex),
            np.zeros(shape).astype(str),
            np.zeros(shape, object),
            np.zeros((*shape, 1)),
            np.zeros(shape)[..., :-1],
            np.full(shape, np.nan),
            np.full(shape, np.inf),
            "x",
            [[1], [1, 2]],
        ):
            with pytest.raises(ParameterError):
                setter(wrong)
        assert model.revision == before


def arrays(**changes):
    a = crystal()
    found = {
        "positions": a.positions,
        "elements": a.numbers,
        "cell": a.cell.array,
        "pbc": a.pbc,
        "species": ("Si", "O"),
        "cutoffs": np.full((2, 2), 4.0),
    }
    return {**found, **changes}


@pytest.mark.parametrize(
    "changes",
    [
        {"positions": crystal().positions + 1e-3j},
        {"positions": crystal().positions.astype(str)},
        {"positions": crystal().positions.T},
        {"positions": [[0, 0, 0], [1, 1]]},
        {"cell": crystal().cell.array + 0j},
        {"cell": np.ones(6)},
        {"cell": "cubic"},
        {"pbc": ["F", "F", "F"]},
        {"pbc": [0.5, 0.5, 0.5]},
        {"pbc": [True, True]},
        {"pbc": None},
        {"elements": crystal().numbers.reshape(2, 4)},
        {"elements": crystal().numbers.astype(float)},
        {"elements": crystal().numbers[:4]},
        {"elements": 14},
        {"cutoffs": np.full((2, 2), 4 + 1j)},
        {"cutoffs": np.full((2, 2), np.nan)},
        {"cutoffs": [4.0, 4.0]},
        {"cutoffs": [[4.0, 5.0], [4.0, 4.0]]},
        {"skin": -1},
    ],
)
def test_a_graph_is_made_of_real_numbers(changes):
    assert AtomGraph.from_arrays(**arrays()).n_real == N
    with pytest.raises((StructureError, ParameterError)):
        AtomGraph.from_arrays(**arrays(**changes))


def test_a_graph_in_jax_keeps_its_shapes(model):
    graph = model.fast_graph(crystal())
    for x, cell in (
        (graph.positions[:4], None),
        (graph.positions.T, None),
        (graph.positions, np.ones(6)),
        (graph.positions, np.ones((1, 3, 3))),
    ):
        with pytest.raises(StructureError, match="the graph needs an array of shape"):
            graph.with_positions(x, cell)


def test_structures_are_structures(model):
    for thing in ("Si", 3, None, crystal().positions, crystal()[0].symbol):
        with pytest.raises(
            StructureError, match=f"an ase.Atoms is needed, not {type(thing).__name__}"
        ):
            model.evaluate(thing)
    with pytest.raises(RequestError, match="a list of structures is needed"):
        model.evaluate_batch(crystal())
    with pytest.raises(RequestError, match="atoms_per_batch must be 1 or more"):
        model.evaluate_batch([crystal()], atoms_per_batch=0)
    with pytest.raises(RequestError, match="at least one structure"):
        model.fast_graph([])
    assert model.evaluate_batch([]) == []


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("backend", "cuda"),
        ("backend", None),
        ("cores", 0),
        ("cores", 1.5),
        ("splines", 1),
        ("cores", "2"),
    ],
)
def test_settings_are_checked_when_they_are_set(tmp_path, name, value):
    model = small_model(tmp_path)
    before = getattr(model, name)
    with pytest.raises(EtaceError):
        setattr(model, name, value)
    assert getattr(model, name) == before


@pytest.mark.parametrize("shift", [1e3, 1e5, 1e6 - 2, 1e6, 1e6 + 2, 9e7])
def test_where_a_molecule_is_does_not_matter(model, shift):
    atoms = crystal()
    atoms.pbc = False
    moved = atoms.copy()
    moved.positions += shift
    there = np.asarray(moved.positions - shift)  # as rounding has left them
    atoms.positions = there
    found, wanted = model.evaluate(moved), model.evaluate(atoms)
    assert found.energy == pytest.approx(wanted.energy, abs=1e-8)
    assert np.allclose(found.forces, wanted.forces, rtol=0, atol=1e-7)


OTHER = """etace 1
species Si, O
onebody E0 { Si = -1 eV, O = -2 eV }
use linear_ace as ace { max_order = 2, max_level = 5, max_l = 2, cutoff = CUTOFF Å }
model m = E0 + ace.two_body + ace.many_body
"""


def other_model(folder, backend, cutoff=4.5, species="Si, O"):
    text = OTHER.replace("CUTOFF", str(cutoff)).replace("species Si, O", f"species {species}")
    (folder / "other.etace").write_text(text, encoding="utf8")
    return etace.load(folder / "other.etace", backend=backend)


def test_graphs_in_jax_are_of_their_model(model, tmp_path, x64):
    farther = other_model(tmp_path, model.backend)
    turned = other_model(tmp_path, model.backend, 4, "O, Si")
    graphs = (model.graph(crystal()), model.fast_graph(crystal()))
    for graph in graphs:
        for potential, words in (
            (farther.potential, "cutoffs up to 4 Å, and this model sees farther"),
            (turned.potential, "made for Si, O, and this model is of O, Si"),
        ):
            params = potential.init()
            for call in (potential.energy, potential.energy_forces_virial):
                with pytest.raises(RequestError, match=words):
                    call(params, graph)
    nearer = other_model(tmp_path, model.backend, 3.5)
    if model.backend == "native":  # the kernel has the other model's constants
        with pytest.raises(RequestError, match="made by another model"):
            nearer.potential.energy(nearer.params, graphs[1])
    with pytest.raises(StructureError, match="the same species and cutoffs"):
        AtomGraph.batch([graphs[0], nearer.graph(crystal())])
