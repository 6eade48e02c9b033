"""Design rows by a C kernel: sparse dB/dA times dA/dr, atoms to the lanes, functions to the columns."""

from __future__ import annotations

import ctypes
import types
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from etace.inference import chebyshev
from etace.inference.form import NINE
from etace.jacobian import SparseJacobian, sparse_jacobian
from etace.native.arrays import aligned, at, whole
from etace.native.build import library
from etace.native.layout import FAR, Layout
from etace.native.listing import listed
from etace.native.program import RowProgram, RowTerm
from etace.native.toolchain import Toolchain
from etace.potential import Constant, Linear, Potential
from etace.rows import HostRows
from etace.structure import Paired

PAD = 16  # functions, as PADDED of `rows.c`: the most lanes there are


class Term(ctypes.Structure):
    """`struct term`."""

    NUMBERS = "column step functions entries width parted products degree numbers".split()
    POINTERS = "factors sums product start entry C inverse".split()
    _fields_ = [
        *((name, ctypes.c_int64) for name in NUMBERS),
        *((name, ctypes.c_void_p) for name in POINTERS),
    ]


@dataclass(frozen=True, eq=False)
class Table:
    """dB/dA of one term, times its factor: the arrays of `struct term`, but for the columns."""

    numbers: dict[str, int]
    arrays: dict[str, np.ndarray]

    def term(self, column: int, step: int) -> Term:
        pointers = {name: a.ctypes.data for name, a in self.arrays.items()}
        return Term(column=column, step=step, **self.numbers, **pointers)


class RowKernel:
    """One model's rows, built when it is made. Raises BuildError."""

    def __init__(
        self,
        program: RowProgram,
        potential: Potential,
        module: types.ModuleType,
        toolchain: Toolchain,
        *flags: str,
    ):
        self.program, self.potential, self.toolchain = program, potential, toolchain
        self._module = module
        self.dtype = np.dtype(program.dtype)
        self.c = library(program.text, toolchain, *flags, what="the kernel of rows")
        self.c.etace_rows_scratch.restype = ctypes.c_int64
        self.lanes = int(self.c.etace_lanes())
        self.name = self.c.described(toolchain)
        linear = {t.block: t for t in potential.terms if isinstance(t, Linear) and t.learnable}
        self._tables = {
            t.block: _table(t, linear[t.block], len(program.species), self.dtype)
            for t in program.terms
        }

    def rows(self, params: Any, structures: Sequence[Paired]) -> HostRows:
        """As of `Potential.design_rows` of a batch, in numpy: energy [S, P]; forces [N, 3, P]; virial
        [S, 3, 3, P]. structures: with no skin"""
        p, S = self.potential, len(structures)
        counts = [len(s) for s in structures]
        structure = np.repeat(np.arange(S, dtype=np.int32), counts)
        energy = np.zeros((S, p.length_basis), self.dtype)
        forces = np.zeros((len(structure), 3, p.length_basis), self.dtype)
        virial = np.zeros((S, 6, p.length_basis), self.dtype)
        columns, first = {}, 0
        for t in p.terms:
            columns[t.block] = first
            if isinstance(t, Constant) and t.learnable:
                species = np.concatenate([s.species for s in structures])
                np.add.at(energy, (structure, first + species), t.factor)
            first += p.lengths[t.block]
        tables = [(t.block, self._tables[t.block]) for t in self.program.terms]
        terms = [own.term(columns[b], own.numbers["functions"]) for b, own in tables]
        self._run(params, structures, terms, structure, energy, forces, virial)
        full = virial[:, NINE].reshape(S, 3, 3, -1)
        return HostRows(energy, forces, full)

    def site_basis(self, params: Any, structures: Sequence[Paired]) -> np.ndarray:
        """[N, functions], as of `Potential.site_basis`."""
        terms, first = [], 0
        for t in self.program.terms:
            terms.append(self._tables[t.block].term(first, 0))
            first += terms[-1].functions
        B = np.zeros((sum(map(len, structures)), first), self.dtype)
        self._run(params, structures, terms, np.arange(len(B), dtype=np.int32), B)
        return B

    def listed(self, structures: Sequence[Paired]) -> Layout:
        """Of a batch. Raises StructureError."""
        return listed(structures, len(self.program.species), self.lanes, True, self.toolchain)

    def _run(
        self,
        params: Any,
        structures: Sequence[Paired],
        terms: Sequence[Term],
        site: np.ndarray,
        energies: np.ndarray,
        forces: np.ndarray | None = None,
        virials: np.ndarray | None = None,
    ) -> None:
        if not terms or not len(site):
            return
        graph = self.listed(structures)
        cells = np.array([s.cell for s in structures], self.dtype)
        positions = np.concatenate([s.positions for s in structures], dtype=self.dtype)
        own, count = len(graph.owner), len(terms)
        X = aligned((graph.rows_of_X, 4), self.dtype)
        X[own:] = FAR
        self.c.etace_positions(
            whole(0), whole(own), at(positions), at(graph.owner), at(graph.shift), at(graph.structure), at(cells), at(X)
        )  # fmt: skip
        array = (Term * count)(*terms)
        scratch = aligned((int(self.c.etace_rows_scratch(whole(count), array)),), self.dtype)
        v = self._weights(params)
        self.c.etace_rows(
            whole(graph.blocks), whole(graph.atoms), whole(own), at(graph.species), at(graph.atom), at(graph.rows),
            at(graph.neighbour), at(X), at(graph.owner), at(graph.structure), at(site), at(v), whole(count),
            array, whole(energies.shape[1]), at(scratch), at(energies), at(forces), at(virials),
        )  # fmt: skip

    def _weights(self, params: Any) -> np.ndarray:
        """W of all radials in the polynomials of the kernel: [ordered pairs][channels][count] each."""
        parts = [np.zeros(0)]
        for t in self.program.terms:
            if t.weights is not None:
                found = (
                    params[t.weights]["weights"]
                    if t.learnable
                    else getattr(self._module, t.weights)
                )
                radial = self.potential.inference.pieces[t.piece].radial
                change = chebyshev.coefficients(radial.polynomials, radial.count - 1)
                own = np.asarray(found, float)[list(t.channels)]
                parts.append(np.ravel(np.transpose(own, (2, 0, 1)) @ change))
        return np.ascontiguousarray(np.concatenate(parts), self.dtype)


def _table(t: RowTerm, linear: Linear, species: int, dtype: np.dtype[Any]) -> Table:
    J = (
        _identity(len(linear.labels))
        if linear.products is None
        else sparse_jacobian(linear.products)
    )
    parts = species if t.parted else 1
    functions, entries = len(J.order), t.width * parts
    place = np.append(t.entries, entries)  # of the pool's entries, and of the 1
    part, entry = np.divmod(place[J.entry], t.width)
    padded = -(-functions // PAD) * PAD
    keys = part * padded + J.function
    by = np.argsort(keys, kind="stable")
    counts = np.diff(J.sums)[by]
    ends = np.cumsum(counts)
    summand = np.repeat(J.sums[by] - ends + counts, counts) + np.arange(ends[-1])
    first = np.searchsorted(keys[by], np.arange(parts * padded)).reshape(parts, padded)
    last = np.searchsorted(keys[by], np.arange(1, parts + 1) * padded)
    short = {
        "factors": place[J.factors],
        "sums": np.concatenate([[0], ends]),
        "product": J.product[summand],
        "start": np.concatenate([first, last[:, None]], axis=1),
        "entry": entry[by],
    }
    inverse = np.ones(padded)
    inverse[:functions] /= J.order
    real = {"C": linear.factor * J.C[summand], "inverse": inverse}
    numbers = {
        "functions": functions, "entries": entries, "width": t.width, "parted": int(t.parted),
        "products": len(J.factors), "degree": J.factors.shape[1], "numbers": len(J.entry),
    }  # fmt: skip
    arrays = {k: np.ascontiguousarray(a, np.int32) for k, a in short.items()}
    return Table(numbers, arrays | {k: np.ascontiguousarray(a, dtype) for k, a in real.items()})


def _identity(n: int) -> SparseJacobian:
    """Of functions that are entries of A."""
    every = np.arange(n)
    ones = np.ones(n, int)
    return SparseJacobian(
        ones, every, every, np.arange(n + 1), 0 * every, np.ones(n), np.array([[n]])
    )
