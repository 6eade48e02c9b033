// Rows of a design matrix: derivatives of energies, forces and virials in the linear parameters.
//
// For the functions B of a centre, its entries A = sum over neighbours of phi, and one neighbour,
//
//     G = J D,   J = dB/dA,   D = -dphi/dr.
//
// G goes to the forces on the neighbour, -G to those on the centre; whatever is summed over neighbours is
// summed in D before the product. J is sparse: a function knows only few entries of A. NEAR neighbours are
// taken at once.

typedef real loose __attribute__((vector_size(LANES * sizeof(real)), aligned(sizeof(real)), may_alias));

// One term. column: of the first function of the first species; step: from one species of centres to the next
// factors: [products][degree], entries of A, behind which a 1 stands
// A number of J is a sum of C * products: sums: [numbers + 1], where those of each start
// Numbers of J stand by species of the neighbour (if `parted`: else they serve all), then by function: start:
// [1 or SPECIES][PADDED(functions) + 1]; entry: [numbers], among the `width` entries that a neighbour adds to
// inverse: [PADDED(functions)], 1 / order
struct term {
    int64_t column, step, functions, entries, width, parted, products, degree, numbers;
    const int32_t *factors, *sums, *product, *start, *entry;
    const real *C, *inverse;
};

int etace_lanes(void) { return LANES; }

#define PADDED(n) (((n) + 15) / 16 * 16)

static int64_t scratch_of(const struct term *m) {
    return 1 + 10 * m->entries + (1 + 3 * NEAR) * m->width + m->products + m->numbers;
}

int64_t etace_rows_scratch(int64_t terms, const struct term *t) {
    int64_t most = 0;
    for (int64_t k = 0; k < terms; k++)
        if (scratch_of(t + k) > most) most = scratch_of(t + k);
    return most * LANES;
}

// ---------------------------------------------------------------- lanes of functions for lanes of atoms

#if defined(__has_builtin)
#if __has_builtin(__builtin_shufflevector)
#define PICK(a, b, ...) __builtin_shufflevector(a, b, __VA_ARGS__)
#endif
#endif
#ifndef PICK
#define PICK(a, b, ...) __builtin_shuffle(a, b, (mask){__VA_ARGS__})
#endif

// g[i][l] becomes g[l][i].
#define EXCHANGE(i, j, low, high) \
    do { \
        const vec a = g[i], b = g[j]; \
        g[i] = PICK(a, b, low); \
        g[j] = PICK(a, b, high); \
    } while (0)
#define LIST(...) __VA_ARGS__

static inline void transpose(vec *g) {
#if LANES == 2
    EXCHANGE(0, 1, LIST(0, 2), LIST(1, 3));
#elif LANES == 4
    for (int i = 0; i < 4; i += 2) EXCHANGE(i, i + 1, LIST(0, 4, 2, 6), LIST(1, 5, 3, 7));
    for (int i = 0; i < 2; i++) EXCHANGE(i, i + 2, LIST(0, 1, 4, 5), LIST(2, 3, 6, 7));
#elif LANES == 8
    for (int i = 0; i < 8; i += 2)
        EXCHANGE(i, i + 1, LIST(0, 8, 2, 10, 4, 12, 6, 14), LIST(1, 9, 3, 11, 5, 13, 7, 15));
    for (int i = 0; i < 8; i++)
        if (!(i & 2)) EXCHANGE(i, i + 2, LIST(0, 1, 8, 9, 4, 5, 12, 13), LIST(2, 3, 10, 11, 6, 7, 14, 15));
    for (int i = 0; i < 4; i++)
        EXCHANGE(i, i + 4, LIST(0, 1, 2, 3, 8, 9, 10, 11), LIST(4, 5, 6, 7, 12, 13, 14, 15));
#else
    vec t[LANES];
    for (int l = 0; l < LANES; l++) t[l] = g[l];
    for (int i = 0; i < LANES; i++)
        for (int l = 0; l < LANES; l++) g[i][l] = t[l][i];
#endif
}

// ---------------------------------------------------------------- J times D

// to[c][l][f] += sum of J D[.][c], c < components, for all functions f; `to` is NULL for lanes without.
static inline __attribute__((always_inline)) void multiply(
    const struct term *m, int64_t list, const vec *J, const vec *D, int stride, int components,
    const real *scale, real *(*to)[LANES]) {
    const int32_t *const start = m->start + list * (PADDED(m->functions) + 1);
    for (int64_t first = 0; first < m->functions; first += LANES) {
        vec g[3 * NEAR][LANES];
        if (start[first] == start[first + LANES]) continue;
        for (int i = 0; i < LANES; i++) {
            vec sum[3 * NEAR];
            for (int c = 0; c < components; c++) sum[c] = all(N(0.0));
            for (int32_t n = start[first + i]; n < start[first + i + 1]; n++) {
                const vec j = J[n], *const d = D + (ptrdiff_t)m->entry[n] * stride;
                for (int c = 0; c < components; c++) sum[c] += j * d[c];
            }
            for (int c = 0; c < components; c++) g[c][i] = scale ? scale[first + i] * sum[c] : sum[c];
        }
        const int64_t rest = m->functions - first;
        for (int c = 0; c < components; c++) {
            transpose(g[c]);
            for (int l = 0; l < LANES; l++) {
                real *const out = to[c][l];
                if (!out) continue;
                if (rest >= LANES) *(loose *)(out + first) += g[c][l];
                else
                    for (int i = 0; i < (int)rest; i++) out[first + i] += g[c][l][i];
            }
        }
    }
}

// J from A, behind whose entries a 1 stands.
static void jacobian(const struct term *m, const vec *A, vec *rest, vec *J) {
    for (int64_t p = 0; p < m->products; p++) {
        const int32_t *const f = m->factors + p * m->degree;
        vec x = A[f[0]];
        for (int64_t k = 1; k < m->degree; k++) x *= A[f[k]];
        rest[p] = x;
    }
    for (int64_t n = 0; n < m->numbers; n++) {
        vec sum = all(N(0.0));
        for (int32_t k = m->sums[n]; k < m->sums[n + 1]; k++) sum += m->C[k] * rest[m->product[k]];
        J[n] = sum;
    }
}

// What goes to the centre's forces, and to the virial, of some neighbours: T[width][9] += .
// D: [width][3 * NEAR]; r: their vectors
static void totals(int64_t width, int neighbours, const vec *D, const vec *r, vec *T) {
    for (int64_t e = 0; e < width; e++) {
        vec *const to = T + 9 * e;
        vec sum[9];
        for (int c = 0; c < 9; c++) sum[c] = to[c];
        for (int q = 0; q < neighbours; q++) {
            const vec *const d = D + 3 * (NEAR * e + q), x = d[0], y = d[1], z = d[2];
            const vec *const a = r + 3 * q;
            sum[0] -= x; sum[1] -= y; sum[2] -= z;
            sum[3] += a[0] * x; sum[4] += a[1] * y; sum[5] += a[2] * z;
            sum[6] += a[1] * z; sum[7] += a[0] * z; sum[8] += a[0] * y;
        }
        for (int c = 0; c < 9; c++) to[c] = sum[c];
    }
}

// ---------------------------------------------------------------- blocks of atoms

// Added to energies [..][P], a row `site[i]` of them for atom i, and, where there are any, to forces
// [atoms][3][P] and virials [structures][6][P]: xx, yy, zz, yz, xz, xy.
//
// species, atom, rows, neighbour, X: as of the model's kernel; own: rows of X that are an atom's or an image's,
// behind which are those of nobody; owner: [own]; structure: [atoms]; v: weights of the radials
void etace_rows(int64_t blocks, int64_t atoms, int64_t own, const int32_t *species, const int32_t *atom,
                const int64_t *rows, const int32_t *neighbour, const real *X, const int32_t *owner,
                const int32_t *structure, const int32_t *site, const real *v, int64_t terms,
                const struct term *term, int64_t P, real *scratch, real *energies, real *forces,
                real *virials) {
    for (int64_t b = 0; b < blocks; b++) {
        const int centre = species[b];
        const int64_t *const here = rows + b * SPECIES;
        const int32_t *const i = atom + b * LANES;
        vec at[3];
        for (int l = 0; l < LANES; l++)
            for (int d = 0; d < 3; d++) at[d][l] = X[4 * (ptrdiff_t)i[l] + d];
        for (int t = 0; t < (int)terms; t++) {
            const struct term *const m = term + t;
            const int64_t column = m->column + centre * m->step;
            vec *const A = (vec *)scratch, *const T = A + m->entries + 1, *const phi = T + 9 * m->entries;
            vec *const D = phi + m->width, *const rest = D + 3 * NEAR * m->width, *const J = rest + m->products;
            memset(A, 0, sizeof(vec) * (10 * m->entries + 1));
            A[m->entries] = all(N(1.0));
            vec r[3 * NEAR];
            mask in[NEAR];
            for (int s = 0; s < SPECIES; s++)
                for (int64_t k = here[s]; k < here[s + 1]; k += NEAR) {
                    const int64_t first = m->parted ? s * m->width : 0;
                    const int count = here[s + 1] - k < NEAR ? (int)(here[s + 1] - k) : NEAR;
                    for (int q = 0; q < count; q++) {
                        edge(t, centre * SPECIES + s, neighbour + (k + q) * LANES, X, at, v, phi,
                             D + 3 * q, r + 3 * q, in + q);
                        for (int64_t e = 0; e < m->width; e++) A[first + e] += phi[e];
                    }
                    if (forces) totals(m->width, count, D, r, T + 9 * first);
                }
            jacobian(m, A, rest, J);
            real *energy[1][LANES], *force[3][LANES], *virial[6][LANES];
            for (int l = 0; l < LANES; l++) {
                const int there = i[l] < atoms;
                energy[0][l] = there ? energies + site[i[l]] * P + column : NULL;
                for (int d = 0; d < 3; d++)
                    force[d][l] = there && forces ? forces + (3 * (ptrdiff_t)i[l] + d) * P + column : NULL;
                for (int d = 0; d < 6; d++)
                    virial[d][l] = there && forces ? virials + (6 * (ptrdiff_t)structure[i[l]] + d) * P + column : NULL;
            }
            for (int s = 0; s < (m->parted ? SPECIES : 1); s++) {
                const int64_t first = s * m->width;
                multiply(m, s, J, A + first, 1, 1, m->inverse, energy);
                if (!forces) continue;
                multiply(m, s, J, T + 9 * first, 9, 3, NULL, force);
                multiply(m, s, J, T + 9 * first + 3, 9, 6, NULL, virial);
            }
            if (!forces) continue;
            real *others[3 * NEAR][LANES];
            for (int s = 0; s < SPECIES; s++)
                for (int64_t k = here[s]; k < here[s + 1]; k += NEAR) {
                    const int count = here[s + 1] - k < NEAR ? (int)(here[s + 1] - k) : NEAR;
                    for (int q = 0; q < count; q++) {
                        const int32_t *const j = neighbour + (k + q) * LANES;
                        edge(t, centre * SPECIES + s, j, X, at, v, phi, D + 3 * q, r + 3 * q, in + q);
                        for (int l = 0; l < LANES; l++)
                            for (int d = 0; d < 3; d++)
                                others[3 * q + d][l] =
                                    in[q][l] && j[l] < own ? forces + (3 * (ptrdiff_t)owner[j[l]] + d) * P + column : NULL;
                    }
                    const int64_t list = m->parted ? s : 0;
                    switch (count) {
                        case 1: multiply(m, list, J, D, 3 * NEAR, 3, NULL, others); break;
                        case 2: multiply(m, list, J, D, 3 * NEAR, 6, NULL, others); break;
                        case 3: multiply(m, list, J, D, 3 * NEAR, 9, NULL, others); break;
                        default: multiply(m, list, J, D, 3 * NEAR, 12, NULL, others);
                    }
                }
        }
    }
}
