"""What every kernel has in common: vectors of one real number to an atom, and work outside the blocks."""

HEAD = r"""
#include <math.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

typedef @REAL@ real;
typedef @INT@ whole;
#define N(x) ((real)(x))

// Lanes: the vector length of the CPU this is compiled for.
#ifndef LANES
#if defined(__SSE2__) && !defined(__clang__) && !defined(ETACE_COUNTED)
#define LOADED(x) __asm__("" : "+v"(x))
#endif
#if defined(__AVX512F__)
#define LANES @64@
#elif defined(__AVX__)
#define LANES @32@
#else
#define LANES @16@
#endif
#endif

// In a register, loaded once: GCC would read it from memory for every product.
#ifndef LOADED
#define LOADED(x) ((void)0)
#endif

#define NOINLINE __attribute__((noinline))
#ifdef ETACE_COUNTED  // in C++, with vectors that count what is done with them
typedef counted<real, LANES> vec;
typedef truth<LANES> mask;
#else
typedef real vec __attribute__((vector_size(LANES * sizeof(real))));
typedef whole mask __attribute__((vector_size(LANES * sizeof(real))));

// A number in all lanes; a vector as it is.
#define all(x) _Generic((x), vec: (x), default: (x) + (vec){0})

static inline vec choose(mask m, vec a, vec b) { return (vec)((m & (mask)a) | (~m & (mask)b)); }
#endif

static inline vec vec_min(vec a, vec b) { return choose(a < b, a, b); }
static inline vec vec_max(vec a, vec b) { return choose(a > b, a, b); }
static inline vec vec_clip(vec x, vec low, vec high) { return vec_min(vec_max(x, low), high); }
static inline vec vec_abs(vec x) { return choose(x < 0, -x, x); }
#ifndef LANEWISE
#define LANEWISE(name, function) \
    static inline vec name(vec x) { \
        vec out; \
        for (int l = 0; l < LANES; l++) out[l] = function(x[l]); \
        return out; \
    }
#endif
LANEWISE(vec_sqrt, @SQRT@)
"""

MEMBERS = r"""
// Of one of a committee's members, where they stand tile after tile: V[tiles][SIZE][TILE].
static inline const real *coefficient(const real *V, int64_t m, int64_t k) {
    return V + (m / TILE * SIZE + k) * TILE + m % TILE;
}
"""

POSITIONS = r"""
// Rows first .. last - 1 of X: atoms, then their images. owner: of every row; shift: [rows][3]; which cell
// [3][3] each row lies in: structure, or NULL for one cell.
void etace_positions(int64_t first, int64_t last, const real *positions, const int32_t *owner,
                     const int32_t *shift, const int32_t *structure, const real *cells, real *X) {
    for (int64_t k = first; k < last; k++) {
        const real *const x = positions + 3 * (ptrdiff_t)owner[k];
        const real *const cell = cells + (structure ? 9 * (ptrdiff_t)structure[owner[k]] : 0);
        for (int d = 0; d < 3; d++)
            X[4 * k + d] = x[d] + N(shift[3 * k]) * cell[d] + N(shift[3 * k + 1]) * cell[3 + d] +
                           N(shift[3 * k + 2]) * cell[6 + d];
    }
}
"""

TAIL = r"""
// With -DETACE_PROFILE: nanoseconds of forward, products, backward and what is around them, of one thread.
#ifdef ETACE_PROFILE
#include <time.h>
int64_t etace_spent[4];
static int64_t etace_last;
static void stage(int k) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    const int64_t t = (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
    if (k >= 0) etace_spent[k] += t - etace_last;
    etace_last = t;
}
#define STAGE(k) stage(k)
#elif !defined(STAGE)
#define STAGE(k) ((void)0)
#endif

// How many atoms stand in a block.
int etace_lanes(void) { return LANES; }

// Numbers in the scratch space of one thread, for blocks of at most `rows` rows of neighbours.
int64_t etace_scratch(int64_t rows) { return (rows * GEOMETRY + 2 * PRODUCTS + POOLED + 8) * LANES; }

// The same beside it for the forces of M members.
int64_t etace_members_scratch(int64_t rows, int64_t M) {
    return (M * (MEMBER + 3) + rows * PAIRS) * LANES;
}

// A committee's members, M of them in whole tiles: coefficients V[M / TILE][SIZE][TILE], energies [blocks][M].
// Forces of `count` of them are added to F, [rows of X][count][3]; w: dE/dA and more, [M][MEMBER]; force: on the
// centre, [count][3]; steep: slopes of pair terms, [rows][PAIRS].
struct members {
    int64_t M, count;
    const real *V;
    vec *energies, *w, *force, *steep;
    real *F;
};

// Blocks first .. last - 1: energies and virials to out, forces added to F.
//
// species: [blocks]; atom: [blocks][LANES], rows of X; rows: [blocks * SPECIES + 1], the rows of
// neighbours of each block and species; neighbour: [rows][LANES], rows of X, the last one where there is
// none; X: [atoms and images + 1][4]; v: coefficients; F: like X; out: [blocks][7][LANES], E, then
// the virial xx, yy, zz, yz, xz, xy.
//
// With members (M > 0): their energies, and their forces where there is F for them.
static void blocks(int64_t first, int64_t last, const int32_t *species, const int32_t *atom,
                   const int64_t *rows, const int32_t *neighbour, const real *X, const real *v,
                   real *scratch, real *F, real *out, struct members c) {
    vec *const Q = (vec *)scratch, *const G = Q + PRODUCTS, *const pooled = G + PRODUCTS;
    vec *const geometry = pooled + POOLED;
    const int64_t M = c.M;
    STAGE(-1);
    for (int64_t b = first; b < last; b++) {
        const int centre = species[b];
        const int64_t *const own = rows + b * SPECIES;
        vec at[3], E = all(v[ONEBODY + centre]), force[3] = {{0}}, virial[6] = {{0}};
        for (int l = 0; l < LANES; l++) {
            const real *const x = X + 4 * (ptrdiff_t)atom[b * LANES + l];
            for (int d = 0; d < 3; d++) at[d][l] = x[d];
        }
        memset(Q, 0, sizeof(vec) * ENTRIES);
        vec alone[1 + PAIRS], *const each = c.energies + b * M;
        if (M) memset(alone, 0, sizeof alone);
        for (int64_t m = 0; m < M; m++) each[m] = all(*coefficient(c.V, m, ONEBODY + centre));
        STAGE(3);
        for (int s = 0; s < SPECIES; s++) {
            const int64_t n = own[s + 1] - own[s];
            vec *const here = geometry + (own[s] - own[0]) * GEOMETRY;
            const int pair = centre * SPECIES + s;
            distances(n, pair, neighbour + own[s] * LANES, X, at, v, here, &E, M ? alone : NULL,
                      c.F ? c.steep + (own[s] - own[0]) * PAIRS : NULL);
            forward(n, pair, v, here, pooled, Q);
            if (M) {
                for (int64_t m = 0; m < M; m += TILE)
                    members_pairs(pair, coefficient(c.V, m, 0), alone, each + m);
                memset(alone + 1, 0, sizeof alone - sizeof *alone);
            }
        }
        STAGE(0);
        E += products(v + COEFFICIENTS + (ptrdiff_t)centre * MONOMIALS, Q, G);
        for (int64_t m = 0; m < M; m += TILE) {
            const real *const V = coefficient(c.V, m, COEFFICIENTS + (ptrdiff_t)centre * MONOMIALS);
            if (c.F) members_gradients(V, Q, each + m, c.w + m * MEMBER);
            else members_products(V, Q, each + m);
        }
        for (int64_t m = 0; m < M; m++) each[m] += alone[0];
        STAGE(1);
        for (int s = 0; s < SPECIES; s++) {
            const int64_t n = own[s + 1] - own[s];
            backward(n, centre * SPECIES + s, neighbour + own[s] * LANES, v,
                     geometry + (own[s] - own[0]) * GEOMETRY, pooled, G, F, force, virial);
        }
        if (c.F) {
            memset(c.force, 0, sizeof(vec) * 3 * c.count);
            for (int s = 0; s < SPECIES; s++) {
                const int64_t before = own[s] - own[0];
                members_backward(own[s + 1] - own[s], centre * SPECIES + s, neighbour + own[s] * LANES, v,
                                 geometry + before * GEOMETRY, c.steep + before * PAIRS, c.V, c.count,
                                 c.w, c.force, c.F);
            }
            for (int l = 0; l < LANES; l++) {
                real *const f = c.F + 3 * c.count * (ptrdiff_t)atom[b * LANES + l];
                for (int64_t d = 0; d < 3 * c.count; d++) f[d] += c.force[d][l];
            }
        }
        STAGE(2);
        real *const o = out + b * 7 * LANES;
        for (int l = 0; l < LANES; l++) {
            real *const f = F + 4 * (ptrdiff_t)atom[b * LANES + l];
            for (int d = 0; d < 3; d++) f[d] += force[d][l];
            o[l] = E[l];
            for (int d = 0; d < 6; d++) o[(1 + d) * LANES + l] = virial[d][l];
        }
        STAGE(3);
    }
}

void etace_blocks(int64_t first, int64_t last, const int32_t *species, const int32_t *atom,
                  const int64_t *rows, const int32_t *neighbour, const real *X, const real *v,
                  real *scratch, real *F, real *out) {
    const struct members none = {0};
    blocks(first, last, species, atom, rows, neighbour, X, v, scratch, F, out, none);
}

// The same with M members; forces: NULL, or [rows of X][count][3]; space: of `etace_members_scratch`.
void etace_committee(int64_t first, int64_t last, const int32_t *species, const int32_t *atom,
                     const int64_t *rows, const int32_t *neighbour, const real *X, const real *v,
                     real *scratch, real *F, real *out, int64_t M, const real *V, real *energies,
                     int64_t count, real *space, real *forces) {
    struct members c = {.M = M, .count = count, .V = V, .energies = (vec *)energies, .F = forces};
    if (forces) {
        c.w = (vec *)space;
        c.force = c.w + M * MEMBER;
        c.steep = c.force + 3 * M;
    }
    blocks(first, last, species, atom, rows, neighbour, X, v, scratch, F, out, c);
}

// Results of atoms first .. last - 1: forces from those of all their rows, energies and virials from the
// lanes. images: [atoms + 1], which rows behind the atoms are of each; slot: [atoms], of each in the lanes
// of all blocks; F, out: of `etace_blocks`; virials: [atoms][6].
void etace_results(int64_t first, int64_t last, int64_t atoms, const int64_t *images, const int64_t *slot,
                   const real *F, const real *out, real *energies, real *forces, real *virials) {
    for (int64_t i = first; i < last; i++) {
        const real *const own = out + slot[i] / LANES * 7 * LANES + slot[i] % LANES;
        real sum[3] = {F[4 * i], F[4 * i + 1], F[4 * i + 2]};
        for (int64_t k = atoms + images[i]; k < atoms + images[i + 1]; k++)
            for (int d = 0; d < 3; d++) sum[d] += F[4 * k + d];
        for (int d = 0; d < 3; d++) forces[3 * i + d] = sum[d];
        energies[i] = own[0];
        for (int d = 0; d < 6; d++) virials[6 * i + d] = own[(1 + d) * LANES];
    }
}

// Forces of atoms first .. last - 1 of all members from those of all their rows. F: of `etace_committee`;
// forces: [members][atoms][3].
void etace_member_forces(int64_t first, int64_t last, int64_t atoms, const int64_t *images, int64_t members,
                         const real *F, real *forces) {
    const int64_t wide = 3 * members;
    for (int64_t i = first; i < last; i++)
        for (int64_t m = 0; m < members; m++)
            for (int d = 0; d < 3; d++) {
                const real *const own = F + 3 * m + d;
                real sum = own[i * wide];
                for (int64_t k = atoms + images[i]; k < atoms + images[i + 1]; k++) sum += own[k * wide];
                forces[3 * (m * atoms + i) + d] = sum;
            }
}
"""
