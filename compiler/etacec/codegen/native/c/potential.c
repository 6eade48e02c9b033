// The potential: what `@NAME@.h` says.

#include "@NAME@.h"

const char *const @NAME@_symbols[@NAME@_SPECIES] = {@SYMBOLS@};
const double @NAME@_cutoffs[@NAME@_SPECIES][@NAME@_SPECIES] = {
@CUTOFFS@
};
const double @NAME@_cutoff = @CUTOFF@;

int @NAME@_species(const char *symbol) {
    for (int z = 0; z < @NAME@_SPECIES; z++)
        if (strcmp(symbol, @NAME@_symbols[z]) == 0) return z;
    return -1;
}

const char *@NAME@_message(int error) {
    static const char *const words[] = {
        "no error",
        "a position or a periodic cell vector is not finite, or beyond 1e8 Å",
        "a species the potential does not know",
        "a periodic cell vector is zero, or lies in the span of the others",
        "two atoms are closer than 1e-6 Å",
        "too many atoms and images, or an atom too many cells away",
        "not enough memory",
    };
    return error >= 0 && error < (int)(sizeof words / sizeof *words) ? words[error] : "unknown error";
}

// Memory for vectors.
static real *etace_reals(int64_t count) {
    const size_t size = ((size_t)count * sizeof(real) + 63) / 64 * 64;
    return (uint64_t)count > SIZE_MAX / 4 / sizeof(real) ? NULL : aligned_alloc(64, size + !size * 64);
}

int @NAME@_evaluate(int n, const int *species, const double (*positions)[3], const double cell[9],
    const int pbc[3], double *energy, double *energies, double (*forces)[3], double virial[6]) {
    struct etace_list list;
    const double none = 0, *const at = n > 0 ? positions[0] : &none;
    const int64_t count = n;
    const int error = etace_list_make(&list, 1, &count, species, at, cell, pbc, SPECIES, @NAME@_cutoffs[0],
                                      etace_lanes(), 1, 1, 2147483000);
    if (error) return error;
    const int64_t rows = list.extended + 1;
    real *const x = etace_reals(3 * list.atoms), *const X = etace_reals(4 * rows);
    real *const F = etace_reals(4 * rows), *const out = etace_reals(list.blocks * 7 * LANES);
    real *const scratch = etace_reals(etace_scratch(list.longest));
    real *const found = etace_reals(10 * list.atoms);  // energies, forces, virials
    const int enough = x && X && F && out && scratch && found;
    if (enough) {
        real lattice[9];
        for (int k = 0; k < 9; k++) lattice[k] = N(pbc[k / 3] ? cell[k] : 0);
        for (int64_t k = 0; k < 3 * list.atoms; k++) x[k] = N(at[k]);
        for (int64_t k = 0; k < 4 * rows; k++) F[k] = N(0);
        etace_positions(0, list.extended, x, list.owner, list.shift, NULL, lattice, X);
        for (int k = 0; k < 4; k++) X[4 * list.extended + k] = N(1e9);  // far from everything
        etace_blocks(0, list.blocks, list.species, list.atom, list.rows, list.neighbour, X, coefficients,
                     scratch, F, out);
        real *const f = found + list.atoms, *const v = f + 3 * list.atoms;
        etace_results(0, list.atoms, list.atoms, list.images, list.slot, F, out, found, f, v);
        double total = 0, sum[6] = {0};
        for (int64_t i = 0; i < list.atoms; i++) {
            total += found[i];
            for (int k = 0; k < 6; k++) sum[k] += v[6 * i + k];
            if (energies) energies[i] = found[i];
            for (int d = 0; d < 3 && forces; d++) forces[i][d] = f[3 * i + d];
        }
        if (energy) *energy = total;
        for (int k = 0; k < 6 && virial; k++) virial[k] = sum[k];
    }
    free(x), free(X), free(F), free(out), free(scratch), free(found);
    etace_list_free(&list);
    return enough ? @NAME@_OK : @NAME@_MEMORY;
}
