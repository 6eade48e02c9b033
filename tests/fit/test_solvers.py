"""Solvers see the triangle R only, and say what they would say of the rows themselves."""

import itertools
from dataclasses import dataclass, replace
from pathlib import Path

import etace
import numpy as np
import pytest
from ase.io import read
from etace.errors import RequestError
from etace.fit.assemble import assemble, plan
from etace.fit.factors import KINDS, Factor, Key, System, eliminate, system
from etace.fit.fitting import of_split, solve, targets
from etace.fit.nullspace import null_space
from etace.fit.priors import Prior
from etace.fit.solve import evidence
from etace.fit.solvers import SOLVERS, options, solver
from etace.fit.tuning import tune_noise, tune_prior
from etace.fit.weights import Weights

ROOT = Path(__file__).parents[2]
P, ROWS = 24, 90


@dataclass(frozen=True)
class Problem:
    A: np.ndarray
    y: np.ndarray
    true: np.ndarray

    @property
    def system(self) -> System:
        return of_rows(self.A, self.y)


def of_rows(A, y) -> System:
    key = Key("train", "default", "forces")
    return system({key: Factor(len(A), np.column_stack([A, y]))}, lambda _: 1.0)


def problem(seed=0, rank=P, noise=0.1, sparse=False, rows=ROWS) -> Problem:
    rng = np.random.default_rng(seed)
    A = rng.normal(size=(rows, rank)) @ rng.normal(size=(rank, P)) if rank < P else None
    A = rng.normal(size=(rows, P)) if A is None else A
    true = rng.normal(size=P)
    if sparse:
        true[5:] = 0.0
    return Problem(A, A @ true + noise * rng.normal(size=rows), true)


# ------------------------------------------------------------ against the rows themselves


@pytest.mark.parametrize("rank", [P, 17])
def test_least_squares_of_the_triangle_are_those_of_the_rows(rank):
    """qr, rrqr and tsvd without a limit: the shortest solution, of A itself."""
    p = problem(rank=rank)
    dense = np.linalg.lstsq(p.A, p.y, rcond=1e-12)[0]
    for name in ("qr", "rrqr", "tsvd"):
        found = solver(name)(p.system, None)
        assert found.c == pytest.approx(dense, abs=1e-10), name
        assert found.notes["rank"] == rank


def test_tikhonov_is_least_squares_with_rows_below():
    p = problem()
    below = np.concatenate([p.A, 0.7 * np.eye(P)])
    dense = np.linalg.lstsq(below, np.append(p.y, np.zeros(P)), rcond=None)[0]
    assert solver("qr", **{"lambda": 0.7})(p.system, None).c == pytest.approx(dense, abs=1e-12)


def test_a_basic_solution_has_zeros_and_the_same_predictions():
    p = problem(rank=17)
    basic = solver("rrqr", solution="basic")(p.system, None).c
    shortest = solver("rrqr")(p.system, None).c
    assert np.count_nonzero(basic) == 17
    assert p.A @ basic == pytest.approx(p.A @ shortest, abs=1e-10)
    assert np.linalg.norm(shortest) < np.linalg.norm(basic)


def test_truncation_is_chosen_on_held_out_rows():
    """The best of all truncations, and the same as by trying them one by one on the rows."""
    p, q = problem(1, noise=3.0, rows=30), problem(2, rows=60)
    held = of_rows(q.A, q.A @ p.true)
    found = solver("tsvd")(p.system, held)
    U, s, Vt = np.linalg.svd(p.A, full_matrices=False)
    errors = []
    for k in range(P + 1):
        c = Vt[:k].T @ ((U.T @ p.y)[:k] / s[:k])
        errors.append(np.linalg.norm(q.A @ c - held_labels(q, p)))
    assert found.notes["rank"] == np.argmin(errors)
    assert found.notes["validation residual"] == pytest.approx(min(errors) / np.sqrt(60))


def held_labels(q: Problem, p: Problem) -> np.ndarray:
    return q.A @ p.true


@pytest.mark.parametrize("name", ["lsqr", "lsmr"])
def test_krylov_solvers_reach_the_damped_solution(name):
    p = problem()
    below = np.concatenate([p.A, 0.5 * np.eye(P)])
    dense = np.linalg.lstsq(below, np.append(p.y, np.zeros(P)), rcond=None)[0]
    found = solver(name, damp=0.5, atol=1e-13)(p.system, None)
    assert found.c == pytest.approx(dense, abs=1e-9)
    assert found.notes["converged"] == 1


def test_lsqr_stops_where_it_would_on_the_rows():
    from scipy.sparse.linalg import lsqr

    p = problem()
    dense = lsqr(p.A, p.y, damp=5e-3, atol=1e-6, btol=1e-6)
    found = solver("lsqr")(p.system, None)
    assert found.notes["iterations"] == dense[2]
    assert found.c == pytest.approx(dense[0], abs=1e-10)


def dense_ard(A, y, start, b, threshold, steps):
    """The updates of scikit-learn's ARDRegression, without hyperpriors, on all rows."""
    keep, a = np.ones(A.shape[1], bool), np.full(A.shape[1], start)

    def posterior():
        S, c = np.linalg.inv(np.diag(a[keep]) + b * A[:, keep].T @ A[:, keep]), np.zeros(len(a))
        c[keep] = b * S @ A[:, keep].T @ y
        return c, S

    for _ in range(steps):
        c, S = posterior()
        g = 1 - a[keep] * np.diag(S)
        a[keep] = g / c[keep] ** 2
        b = (len(y) - g.sum()) / np.sum((y - A @ c) ** 2)
        keep &= a <= threshold * start
    return *posterior(), b


def test_relevance_is_that_of_a_dense_implementation():
    p = problem(sparse=True)
    first = evidence(p.system).notes
    found = solver("ard")(p.system, None)
    steps = int(found.notes["iterations"])
    start, b = first["prior scale"] ** -2, first["noise"] ** -2
    c, S, b = dense_ard(p.A, p.y, start, b, 1e4, steps)
    assert found.c == pytest.approx(c, abs=1e-9)
    assert found.notes["noise"] == pytest.approx(b**-0.5, rel=1e-9)
    used = np.flatnonzero(found.c)
    assert (found.root @ found.root.T)[np.ix_(used, used)] == pytest.approx(S, abs=1e-9)
    assert set(used) >= set(range(5)) and len(used) < P
    assert found.notes["log evidence"] > first["log evidence"]


def test_one_relevance_for_all_is_blr():
    """The log evidence of ard, on the columns and precisions of blr, is that of blr."""
    from etace.fit.solvers.ard import _log_evidence, _posterior

    s = problem().system
    found = evidence(s)
    a, b = np.full(P, found.notes["prior scale"] ** -2), found.notes["noise"] ** -2
    m, root = _posterior(s.R, s.z, a, b)
    assert m == pytest.approx(found.c, abs=1e-10)
    value = _log_evidence(s.R, m, a, b, root, s.loss(m), s.rows)
    assert value == pytest.approx(found.notes["log evidence"], rel=1e-10)


def test_blr_takes_a_noise_a_prior_scale_or_both():
    p = problem()
    best = evidence(p.system)
    noise, scale = best.notes["noise"], best.notes["prior scale"]
    for given in ({"noise": noise}, {"prior_scale": scale}, {"noise": noise, "prior_scale": scale}):
        found = solver("blr", **given)(p.system, None)
        assert found.c == pytest.approx(best.c, abs=1e-6)
        assert found.notes["log evidence"] <= best.notes["log evidence"] + 1e-9
    found = solver("blr", noise=0.3, prior_scale=2.0)(p.system, None)
    H = p.A.T @ p.A / 0.09 + np.eye(P) / 4
    assert found.c == pytest.approx(np.linalg.solve(H, p.A.T @ p.y / 0.09), abs=1e-10)
    assert found.root @ found.root.T == pytest.approx(np.linalg.inv(H), abs=1e-10)
    cov = 4 * p.A @ p.A.T + 0.09 * np.eye(ROWS)
    log = -0.5 * (p.y @ np.linalg.solve(cov, p.y) + np.linalg.slogdet(2 * np.pi * cov)[1])
    assert found.notes["log evidence"] == pytest.approx(log, rel=1e-10)


# ------------------------------------------------------------ sparse paths


def test_matching_pursuit_is_least_squares_on_the_columns_so_far():
    p = problem(sparse=True)
    path = solver("omp")(p.system, None).path
    assert list(path.sizes) == list(range(P + 1))
    used: list[int] = []
    for c in path.c[1:]:
        before = np.zeros(P)
        if used:
            before[used] = np.linalg.lstsq(p.A[:, used], p.y, rcond=None)[0]
        used.append(int(np.argmax(np.abs(p.A.T @ (p.y - p.A @ before)))))
        dense = np.zeros(P)
        dense[used] = np.linalg.lstsq(p.A[:, used], p.y, rcond=None)[0]
        assert c == pytest.approx(dense, abs=1e-10)
    residuals = [np.sqrt(np.mean((p.A @ c - p.y) ** 2)) for c in path.c]
    assert path.train == pytest.approx(np.array(residuals))


@pytest.mark.parametrize("seed", range(6))
def test_the_lasso_path_satisfies_its_optimality_conditions(seed):
    """At a knot all columns in use have |A_i . residual| = mu with the sign of c_i, others less."""
    p = problem(seed, noise=1.0, rank=P if seed % 2 else 30)
    A = p.A.copy()
    A[:, 1::2] += 2 * A[:, ::2]  # neighbours correlate, so that columns leave again
    s = of_rows(A, p.y)
    path = solver("lars")(s, None).path
    mus = []
    for c in path.c:
        corr = A.T @ (p.y - A @ c)
        mu = np.abs(corr).max()
        used = c != 0
        assert corr[used] == pytest.approx(mu * np.sign(c[used]), abs=1e-8)
        mus.append(mu)
    assert all(a > b for a, b in itertools.pairwise(mus))
    assert path.c[-1] == pytest.approx(np.linalg.lstsq(A, p.y, rcond=None)[0], abs=1e-6)


def test_some_column_leaves_a_lasso_path():
    sizes = []
    for seed in range(6):
        p = problem(seed, noise=1.0)
        A = p.A.copy()
        A[:, 1::2] += 2 * A[:, ::2]
        sizes += list(np.diff(solver("lars")(of_rows(A, p.y), None).path.sizes))
    assert min(sizes) < 0


@pytest.mark.parametrize("name", ["omp", "lars"])
def test_a_sparse_model_is_found_by_size_or_on_held_out_rows(name):
    p, q = problem(3, sparse=True), problem(4)
    held = of_rows(q.A, q.A @ p.true)
    by_size = solver(name, size=5)(p.system, None)
    assert list(np.flatnonzero(by_size.c)) == [0, 1, 2, 3, 4]
    by_error = solver(name)(p.system, held)
    path = by_error.path
    assert path.chosen == np.argmin(path.validation)
    wide = solver(name, within=1.5)(p.system, held)
    assert wide.path.validation[wide.path.chosen] <= 1.5 * path.validation.min()
    assert wide.path.sizes[wide.path.chosen] <= path.sizes[path.chosen]
    assert solver(name, max_size=3)(p.system, None).path.sizes.max() == 3


def test_a_refitted_lasso_is_least_squares_on_its_columns():
    p = problem(3, sparse=True)
    c = solver("lars", size=5, refit=True)(p.system, None).c
    assert c[:5] == pytest.approx(np.linalg.lstsq(p.A[:, :5], p.y, rcond=None)[0], abs=1e-10)


@pytest.mark.parametrize("name", ["omp", "lars"])
def test_dependent_columns_stay_out_of_a_path(name):
    p = problem(rank=17, noise=0.0)
    found = solver(name)(p.system, None)
    assert np.count_nonzero(found.c) <= 17
    assert p.A @ found.c == pytest.approx(p.y, abs=1e-5 if name == "lars" else 1e-9)


# ------------------------------------------------------------ all of them


@pytest.mark.parametrize("name", SOLVERS)
def test_same_bits_twice_and_hard_cases_without_a_warning(name):
    for p in (problem(), problem(rank=7), problem(noise=0.0)):
        a, b = (solver(name)(p.system, None) for _ in range(2))
        assert a.c.tobytes() == b.c.tobytes()
        assert np.isfinite(a.c).all()
    zero = System(np.zeros((3, 3)), np.zeros(3), 1.0, 5)
    assert not solver(name)(zero, None).c.any()
    p = problem()
    A = p.A.copy()
    A[:, 4] = 0.0
    assert solver(name)(of_rows(A, p.y), None).c[4] == pytest.approx(0.0, abs=1e-12)


@pytest.mark.parametrize(
    ("name", "given", "message"),
    [
        ("svd", {}, "`solver` must be one of blr, qr, rrqr, tsvd, ard, lsqr"),
        (
            "qr",
            {"lam": 1},
            "`solver_options.lam` is unknown (did you mean `lambda`?); there is: lambda, rtol",
        ),
        (
            "qr",
            {"lambda": -1},
            "`solver_options.lambda` must be a number from 0 to 1e+30, found -1",
        ),
        ("rrqr", {"rtol": "small"}, 'must be a number above 0 and up to 1, found "small"'),
        ("rrqr", {"solution": "x"}, 'must be one of minimum_norm, basic, found "x"'),
        ("tsvd", {"rtol": 0}, "must be a number above 0 and up to 1, found 0"),
        (
            "blr",
            {"noise": 0},
            "`solver_options.noise` must be a number from 1e-30 to 1e+30, found 0",
        ),
        ("ard", {"threshold": 0.5}, "must be a number above 1 and up to 1e+30, found 0.5"),
        ("lsqr", {"maxiter": 0}, "maxiter` must be a whole number from 1 to 1000000, found 0"),
        ("omp", {"size": 2.5}, "size` must be a whole number from 1 to 1000000000, found 2.5"),
        ("lars", {"within": 0.9}, "within` must be a number from 1 to 1e+30, found 0.9"),
    ],
)
def test_wrong_options_are_named_before_any_work(name, given, message):
    with pytest.raises(RequestError) as error:
        solver(name, **given)
    assert message in str(error.value)


def test_options_are_listed():
    assert options("blr") == ("noise", "prior_scale")
    assert options("tsvd") == ("rtol",)


# ------------------------------------------------------------ free columns and held-out rows


def test_held_out_rows_are_seen_through_the_free_columns():
    """Eliminated or not, a set of coefficients has the same loss on other rows."""
    p, q = problem(5), problem(6)
    free = np.zeros(P, bool)
    free[[0, 1]] = True
    A = p.A.copy()
    A[:, 1] = 2 * A[:, 0]  # free columns that depend on each other
    reduced = eliminate(of_rows(A, p.y), free)
    held = of_rows(q.A, q.y)
    c = np.linspace(-1, 1, P - 2)
    whole = reduced.back(c)
    assert reduced.seen(held).loss(c) == pytest.approx(np.sum((q.A @ whole - q.y) ** 2), rel=1e-10)


# ------------------------------------------------------------ a real model on real structures

SPEC = """etace 1
species Si, O
onebody E0 { Si = -3 eV, O = -1 eV }
use linear_ace as ace { max_order = 2, max_level = 4, max_l = 2, cutoff = 4.0 Å }
model whole = E0 + ace.two_body + ace.many_body
model many  = E0 + ace.many_body
"""


@dataclass(frozen=True)
class Labelled:
    atoms: object
    energy: float | None
    forces: np.ndarray | None
    virial: np.ndarray | None
    group: str = "default"
    weight: float = 1.0
    source: str = "here"


@dataclass(frozen=True)
class Planted:
    """A model, the coefficients that made its labels, and the factors of those."""

    model: etace.Model
    true: np.ndarray
    factors: dict[Key, Factor]


@pytest.fixture(scope="module")
def planted(tmp_path_factory):
    path = tmp_path_factory.mktemp("spec") / "small.etace"
    path.write_text(SPEC, encoding="utf8")
    rng = np.random.default_rng(0)
    frames = []
    for a in read(ROOT / "examples/data/SiO2_EDI_train.xyz", index=":24"):
        b = a[rng.permutation(len(a))[:10]]  # another composition each time
        b.set_cell(b.cell @ (np.eye(3) + 0.03 * rng.normal(size=(3, 3))), scale_atoms=True)
        frames.append(b)
    whole, many = etace.load(path, "whole"), etace.load(path, "many")
    true = rng.normal(size=whole.length_basis)
    whole.set_linear_parameters(true)
    made = [
        Labelled(a, r.energy, r.forces, r.virial)
        for a, r in zip(frames, whole.evaluate_batch(frames), strict=True)
    ]
    goals = targets(made, KINDS, Weights())
    factors = assemble(whole, goals, plan(whole, goals), 1)
    first = whole.potential.lengths["ace.two_body"]
    rest = {k: without_pairs(f, first, true[first:]) for k, f in factors.items()}
    return {"whole": Planted(whole, true, factors), "many": Planted(many, true[first:], rest)}


def without_pairs(f: Factor, first: int, true: np.ndarray) -> Factor:
    A = f.R[:, first:-1]
    return Factor(f.rows, np.column_stack([A, A @ true]))


@pytest.mark.parametrize("kinds", [("energy",), ("forces",), ("virial",), KINDS])
@pytest.mark.parametrize("name", ["blr", "qr", "rrqr", "tsvd"])
def test_planted_coefficients_come_back(planted, kinds, name):
    """Those of a model without dependent columns; of the other, all that the data can tell."""
    exact = {"noise": 1e-9} if name == "blr" else {}
    for key, rank in (("many", 16), ("whole", 22)):
        p = planted[key]
        own = {k: f for k, f in p.factors.items() if k.kind in kinds}
        found = solve(p.model, own, Weights(), Prior(), solver(name, **exact))
        assert found.notes["rank"] == rank
        wrong = found.system.R @ (found.c - p.true)
        assert np.abs(wrong).max() < 1e-10 * np.abs(found.system.R @ p.true).max()
        if rank == len(p.true):
            assert found.c == pytest.approx(p.true, abs=1e-6)


def test_solvers_by_name_see_held_out_structures(planted):
    p = planted["many"]
    held = {Key("validation", k.group, k.kind): f for k, f in p.factors.items()}
    found = solve(p.model, {**p.factors, **held}, Weights(), Prior(), "omp")
    assert found.path.validation == pytest.approx(found.path.train)
    assert found.path.c[found.path.chosen] == pytest.approx(found.c, abs=0)
    assert found.c == pytest.approx(p.true, abs=1e-6)


# ------------------------------------------------------------ what the data cannot tell


GOLDEN = [
    "order 1 of ace.many_body[Si]: 4 columns, rank 3: (n=4, l=0) is a combination of the others",
    "order 1 of ace.many_body[O]: 4 columns, rank 3: no data for (n=2, l=0)",
    "order 2 of ace.many_body[Si] and order 2 of ace.many_body[O] together: 8 columns, rank 7",
]


def test_dependent_columns_are_named_in_words(planted):
    p, many = planted["whole"], planted["many"]
    found = null_space(of_split(p.factors, Weights(), "train"), p.model.potential)
    assert found == ["ace.two_body[Si] and ace.two_body[O] together: 8 columns, rank 6"]
    s = of_split(many.factors, Weights(), "train")
    assert null_space(s, many.model.potential) == []
    R = s.R.copy()
    R[:, 3] = R[:, 2] - R[:, 1]
    R[:, 9] = 0.0
    R[:, 15] = R[:, 7]
    assert null_space(replace(s, R=R), many.model.potential) == GOLDEN


# ------------------------------------------------------------ priors and noise by evidence


def noisy(planted: Planted, noise, seed=0) -> dict[Key, Factor]:
    """The factors of labels with this much noise in every weighted row, by kind."""
    rng = np.random.default_rng(seed)
    out = {}
    for key, f in planted.factors.items():
        R = np.pad(f.R, ((0, max(0, f.R.shape[1] - len(f.R))), (0, 0)))
        R[:, -1] += noise[key.kind] * rng.normal(size=len(R))
        rest = np.zeros(R.shape[1])  # of the rows that the triangle stands for
        rest[-1] = noise[key.kind] * np.sqrt(max(f.rows - len(R), 0))
        out[key] = Factor(f.rows, np.concatenate([R, rest[None]]))
    return out


def test_a_prior_is_chosen_by_evidence(planted):
    p = planted["many"]
    factors = noisy(p, {"energy": 0.1, "forces": 0.1, "virial": 0.1})
    found = tune_prior(p.model, factors, Weights(), Prior())
    again = tune_prior(p.model, factors, Weights(), Prior())
    assert found == again
    assert found.log_evidence == max(log for _, log in found.table)
    one = solve(p.model, factors, Weights(), found.prior)
    assert one.notes["log evidence"] == pytest.approx(found.log_evidence)
    assert found.prior.p < 1.5  # planted coefficients do not decay with n and l
    with pytest.raises(RequestError, match="nothing to tune"):
        tune_prior(p.model, factors, Weights(), Prior("none"))
    with pytest.raises(RequestError, match="a prior has no number `q`; there is: p, wl, wn"):
        tune_prior(p.model, factors, Weights(), Prior(), {"q": (1, 2)})


def test_the_noise_of_each_kind_is_found(planted):
    p = planted["many"]
    given = {"energy": 0.5, "forces": 0.05, "virial": 0.2}
    weights = Weights({"default": {"energy": 1.0}})
    found = tune_noise(p.model, noisy(p, given), weights, Prior())
    assert found.relative["forces"] == 1
    assert found.relative["energy"] == pytest.approx(10, rel=0.5)
    assert found.relative["virial"] == pytest.approx(4, rel=0.3)
    assert found.weights("any", "energy") == 1 / found.relative["energy"]
