// A list of neighbours for kernels: any cell, also a skew or a tiny one, periodic or not in each direction.
//
// The lattice is written in short vectors, and completed by orthonormal ones where nothing repeats. Atoms
// are wrapped into that cell; images of theirs within the cutoff of the atoms' box are rows behind the
// atoms. All rows are sorted into bins half a cutoff wide, so that an atom's neighbours stand in few runs.
// Lengths are Å; u is the height of a point over the cell's faces, in which no distance is longer.

#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

enum { ETACE_OK, ETACE_NUMBER, ETACE_SPECIES, ETACE_CELL, ETACE_CLOSE, ETACE_MANY, ETACE_MEMORY };

#define ETACE_LARGEST 1e8  // of a coordinate
#define ETACE_LEAST 1e-6   // between atoms, and between opposite faces of a periodic cell

// What the kernel reads (`etace_blocks`, `etace_positions`, `etace_results`), and a bit more.
//
// slot: [atoms], of each in the lanes of all blocks; species: [blocks]; atom: [blocks][lanes], rows;
// rows: [blocks * kinds + 1]; neighbour: [rows of neighbours][lanes], rows, or `extended` where there is
// none; owner: [extended], atom of every row; shift: [extended][3], whole cell vectors; images: [atoms + 1];
// extended: atoms and images; longest: rows of neighbours of the block that has most
struct etace_list {
    int64_t atoms, extended, blocks, longest;
    int64_t *slot, *rows, *images;
    int32_t *species, *atom, *neighbour, *owner, *shift;
};

// The cell in short vectors, and what the search keeps while it is at work.
struct etace_search {
    int64_t n, extended;
    int periodic[3];
    double frame[3][3], turn[3][3];        // frame = turn cell, where periodic
    double inverse[3][3], height[3];       // u = height * (x inverse)
    double reach, low[3], high[3];         // reach: the longest cutoff and rounding; of the atoms' u
    int64_t bins[3], span[3];              // span: bins to look at on either side
    double start[3], width[3];             // of the bins
    double *x, *u, *sorted;                // [extended][3] each; sorted: x in the order of the bins
    int32_t *row, *kind;                   // [extended], in the order of the bins
    int32_t *bin;                          // [extended]
    int64_t *first;                        // [bins + 1]
    double *limit;                         // [kinds][kinds], squares
    int32_t *found;                        // [capacity][2], row and species
    int64_t capacity;
};

static double etace_dot(const double *a, const double *b) {
    return a[0] * b[0] + a[1] * b[1] + a[2] * b[2];
}

static void etace_cross(const double *a, const double *b, double *c) {
    for (int d = 0; d < 3; d++) {
        const int e = (d + 1) % 3, f = (d + 2) % 3;
        c[d] = a[e] * b[f] - a[f] * b[e];
    }
}

static void *etace_room(int64_t count, size_t size) {
    const size_t most = SIZE_MAX / 4 / size;
    return (uint64_t)count >= most ? NULL : malloc(((size_t)count + 1) * size);
}

// Cell vector d less whole multiples of the others, if that is shorter: whether it was.
static int etace_shorter(struct etace_search *s, const double *cell, int d, const double *multiple) {
    double turn[3], row[3];
    for (int c = 0; c < 3; c++) {
        turn[c] = s->turn[d][c];
        for (int e = 0; e < 3; e++)
            if (e != d) turn[c] -= multiple[e] * s->turn[e][c];
    }
    for (int c = 0; c < 3; c++) {
        row[c] = 0;
        for (int e = 0; e < 3; e++)
            if (turn[e] != 0) row[c] += turn[e] * cell[3 * e + c];
    }
    if (!(etace_dot(row, row) < 0.99 * etace_dot(s->frame[d], s->frame[d]))) return 0;
    memcpy(s->turn[d], turn, sizeof turn);
    memcpy(s->frame[d], row, sizeof row);
    return 1;
}

// Short vectors of the lattice: a needle of a cell would have millions of images.
static int etace_shorten(struct etace_search *s, const double *cell) {
    for (int again = 1; again;) {
        again = 0;
        for (int d = 0; d < 3; d++) {
            if (!s->periodic[d]) continue;
            for (int e = 0; e < 3; e++) {
                const double square = etace_dot(s->frame[e], s->frame[e]);
                if (!s->periodic[e]) continue;
                if (square < ETACE_LEAST * ETACE_LEAST) return ETACE_CELL;
                double multiple[3] = {0};
                multiple[e] = nearbyint(etace_dot(s->frame[d], s->frame[e]) / square);
                if (e != d && multiple[e] != 0) again |= etace_shorter(s, cell, d, multiple);
            }
            const int e = (d + 1) % 3, f = (d + 2) % 3;
            for (int k = 0; k < 4 && s->periodic[e] && s->periodic[f]; k++) {
                double multiple[3] = {0};
                multiple[e] = k & 1 ? 1 : -1;
                multiple[f] = k & 2 ? 1 : -1;
                again |= etace_shorter(s, cell, d, multiple);
            }
        }
    }
    return ETACE_OK;
}

// Unit vectors orthogonal to the periodic ones in place of the others.
static void etace_complete(struct etace_search *s) {
    for (int d = 0; d < 3; d++) {
        if (s->periodic[d]) continue;
        const int e = (d + 1) % 3, f = (d + 2) % 3;
        double *const row = s->frame[d], *const a = s->frame[e], *const b = s->frame[f];
        if (s->periodic[e] != s->periodic[f]) {  // one direction: any vector that is not along it
            const double *const along = s->periodic[e] ? a : b;
            int least = 0;
            for (int c = 1; c < 3; c++)
                if (fabs(along[c]) < fabs(along[least])) least = c;
            double axis[3] = {0};
            axis[least] = 1;
            etace_cross(along, axis, row);
        } else if (s->periodic[e]) {
            etace_cross(a, b, row);
        } else {  // none
            for (int c = 0; c < 3; c++) row[c] = c == d;
        }
        const double length = sqrt(etace_dot(row, row));
        for (int c = 0; c < 3 && length > 0; c++) row[c] /= length;
        s->periodic[d] = 1;  // for the next one; `etace_frame` restores it
    }
}

static int etace_frame(struct etace_search *s, const double *cell, const int32_t *pbc) {
    for (int d = 0; d < 3; d++) {
        s->periodic[d] = pbc[d] != 0;
        for (int c = 0; c < 3; c++) {
            const double x = s->periodic[d] ? cell[3 * d + c] : 0;
            if (!(fabs(x) <= ETACE_LARGEST)) return ETACE_NUMBER;
            s->frame[d][c] = x;
            s->turn[d][c] = d == c;
        }
    }
    const int error = etace_shorten(s, cell);
    if (error) return error;
    etace_complete(s);
    double normal[3], longest = 0;
    etace_cross(s->frame[1], s->frame[2], normal);
    const double volume = etace_dot(s->frame[0], normal);
    if (!(fabs(volume) > 0)) return ETACE_CELL;
    for (int d = 0; d < 3; d++) {
        s->periodic[d] = pbc[d] != 0;
        for (int c = 0; c < 3; c++) longest = fmax(longest, fabs(s->frame[d][c]));
    }
    for (int d = 0; d < 3; d++) {
        etace_cross(s->frame[(d + 1) % 3], s->frame[(d + 2) % 3], normal);
        for (int c = 0; c < 3; c++) s->inverse[c][d] = normal[c] / volume;
        s->height[d] = fabs(volume) / sqrt(etace_dot(normal, normal));
        if (!(s->height[d] > ETACE_LEAST + 1e-12 * longest)) return ETACE_CELL;
    }
    return ETACE_OK;
}

// Row k: the image of atom i by whole vectors of the frame.
static int etace_row(struct etace_search *s, struct etace_list *list, const double *positions,
                     int64_t i, int64_t k, const double *image) {
    double shift[3] = {0};
    for (int d = 0; d < 3; d++)
        for (int c = 0; c < 3; c++) shift[c] += image[d] * s->turn[d][c];
    list->owner[k] = (int32_t)i;
    for (int c = 0; c < 3; c++) {
        if (!(fabs(shift[c]) < 2e9)) return ETACE_MANY;
        list->shift[3 * k + c] = (int32_t)shift[c];
        s->x[3 * k + c] = positions[3 * i + c];
        for (int d = 0; d < 3; d++) s->x[3 * k + c] += image[d] * s->frame[d][c];
    }
    return ETACE_OK;
}

// Which images along direction d may be near: first and last.
static void etace_range(const struct etace_search *s, int d, double u, double *first, double *last) {
    *first = *last = 0;
    if (!s->periodic[d] || !(s->reach > 0)) return;
    *first = ceil((s->low[d] - s->reach - u) / s->height[d]);
    *last = floor((s->high[d] + s->reach - u) / s->height[d]);
}

// Atoms, wrapped into the cell, and their images: x, owner, shift, images.
static int etace_extend(struct etace_search *s, struct etace_list *list, const double *positions) {
    double far = 0, count = 0, *const u = s->u, *const wrap = s->sorted;  // both for the atoms alone
    for (int64_t i = 0; i < s->n; i++)
        for (int d = 0; d < 3; d++) {
            const double *const x = positions + 3 * i;
            const double f = x[0] * s->inverse[0][d] + x[1] * s->inverse[1][d] + x[2] * s->inverse[2][d];
            wrap[3 * i + d] = s->periodic[d] ? -floor(f) : 0;
            u[3 * i + d] = (f + wrap[3 * i + d]) * s->height[d];
            s->low[d] = i ? fmin(s->low[d], u[3 * i + d]) : u[3 * i + d];
            s->high[d] = i ? fmax(s->high[d], u[3 * i + d]) : u[3 * i + d];
            far = fmax(far, fabs(x[d]));
        }
    s->reach += s->reach > 0 ? 1e-9 * s->reach + 1e-13 * far : 0;
    double first[3], last[3];
    for (int64_t i = 0; i < s->n; i++) {
        double own = 1;
        for (int d = 0; d < 3; d++) {
            etace_range(s, d, u[3 * i + d], first + d, last + d);
            own *= last[d] - first[d] + 1;
        }
        count += own;
    }
    if (!(count < 2147483000.0)) return ETACE_MANY;
    s->extended = list->extended = (int64_t)count;
    s->x = etace_room(3 * s->extended, sizeof *s->x);
    list->owner = etace_room(s->extended, sizeof *list->owner);
    list->shift = etace_room(3 * s->extended, sizeof *list->shift);
    if (!s->x || !list->owner || !list->shift) return ETACE_MEMORY;
    int64_t k = s->n;
    for (int64_t i = 0; i < s->n; i++) {
        int error = etace_row(s, list, positions, i, i, wrap + 3 * i);
        for (int d = 0; d < 3; d++) etace_range(s, d, u[3 * i + d], first + d, last + d);
        list->images[i] = k - s->n;
        for (double a = first[0]; a <= last[0]; a++)
            for (double b = first[1]; b <= last[1]; b++)
                for (double c = first[2]; c <= last[2]; c++) {
                    const double *const w = wrap + 3 * i, image[3] = {a + w[0], b + w[1], c + w[2]};
                    if (a == 0 && b == 0 && c == 0) continue;
                    error = error ? error : etace_row(s, list, positions, i, k++, image);
                }
        if (error) return error;
    }
    list->images[s->n] = k - s->n;
    return ETACE_OK;
}

// How many bins there are, and how wide; about two for every row at most.
static void etace_grid(struct etace_search *s) {
    double cells[3], extent[3];
    for (int d = 0; d < 3; d++) {
        const double beyond = s->periodic[d] ? s->reach : 0;
        s->start[d] = s->low[d] - beyond;
        extent[d] = s->high[d] - s->low[d] + 2 * beyond;
        cells[d] = s->reach > 0 ? fmax(1, floor(2 * extent[d] / s->reach)) : 1;
    }
    while (cells[0] * cells[1] * cells[2] > fmin(2e9, 2.0 * (double)s->extended + 8)) {
        const int d = cells[0] >= cells[1] && cells[0] >= cells[2] ? 0 : cells[1] >= cells[2] ? 1 : 2;
        cells[d] = floor(0.5 * cells[d]);
    }
    for (int d = 0; d < 3; d++) {
        s->bins[d] = (int64_t)cells[d];
        s->width[d] = extent[d] > 0 ? extent[d] / cells[d] : 1;
        const double span = s->reach > 0 ? ceil(s->reach / s->width[d]) : 0;
        s->span[d] = (int64_t)fmin(span, cells[d]);
    }
}

static int64_t etace_bin(const struct etace_search *s, const double *x, int d) {
    const double f = x[0] * s->inverse[0][d] + x[1] * s->inverse[1][d] + x[2] * s->inverse[2][d];
    const double at = floor((f * s->height[d] - s->start[d]) / s->width[d]);
    return (int64_t)fmax(0, fmin(at, (double)s->bins[d] - 1));
}

// Rows into bins: row, kind, sorted, first.
static int etace_sort(struct etace_search *s, const struct etace_list *list, const int32_t *species) {
    etace_grid(s);
    const int64_t bins = s->bins[0] * s->bins[1] * s->bins[2];
    free(s->sorted);
    s->sorted = etace_room(3 * s->extended, sizeof *s->sorted);
    s->row = etace_room(s->extended, sizeof *s->row);
    s->kind = etace_room(s->extended, sizeof *s->kind);
    s->bin = etace_room(s->extended, sizeof *s->bin);
    s->first = etace_room(bins + 1, sizeof *s->first);
    if (!s->sorted || !s->row || !s->kind || !s->bin || !s->first) return ETACE_MEMORY;
    memset(s->first, 0, (size_t)(bins + 1) * sizeof *s->first);
    for (int64_t k = 0; k < s->extended; k++) {
        int64_t b = 0;
        for (int d = 0; d < 3; d++) b = b * s->bins[d] + etace_bin(s, s->x + 3 * k, d);
        s->bin[k] = (int32_t)b;
        s->first[b + 1]++;
    }
    for (int64_t b = 0; b < bins; b++) s->first[b + 1] += s->first[b];
    for (int64_t k = s->extended; k-- > 0;) {  // `first` goes from the ends of the bins to their starts
        const int64_t at = --s->first[s->bin[k] + 1];
        s->row[at] = (int32_t)k;
        s->kind[at] = species[list->owner[k]];
        memcpy(s->sorted + 3 * at, s->x + 3 * k, 3 * sizeof *s->x);
    }
    memmove(s->first, s->first + 1, (size_t)bins * sizeof *s->first);
    s->first[bins] = s->extended;
    return ETACE_OK;
}

// Neighbours of atom i behind the first `count` that were found; adds to count.
static int etace_find(struct etace_search *s, int64_t i, const double *limit, int64_t *count) {
    const double *const x = s->x + 3 * i;
    int64_t low[3], high[3];
    for (int d = 0; d < 3; d++) {
        const int64_t b = etace_bin(s, x, d);
        low[d] = b > s->span[d] ? b - s->span[d] : 0;
        high[d] = b + s->span[d] < s->bins[d] ? b + s->span[d] : s->bins[d] - 1;
    }
    for (int64_t a = low[0]; a <= high[0]; a++)
        for (int64_t b = low[1]; b <= high[1]; b++) {
            const int64_t line = (a * s->bins[1] + b) * s->bins[2];
            const int64_t first = s->first[line + low[2]], last = s->first[line + high[2] + 1];
            if (*count + last - first > s->capacity) {
                const int64_t more = 2 * (*count + last - first) + 1024;
                int32_t *const found = etace_room(2 * more, sizeof *found);
                if (!found) return ETACE_MEMORY;
                if (*count) memcpy(found, s->found, 2 * (size_t)*count * sizeof *found);
                free(s->found);
                s->found = found;
                s->capacity = more;
            }
            for (int64_t k = first; k < last; k++) {
                const double *const y = s->sorted + 3 * k;
                const double d[3] = {y[0] - x[0], y[1] - x[1], y[2] - x[2]}, square = etace_dot(d, d);
                if (!(square < limit[s->kind[k]])) continue;
                if (s->row[k] == i) continue;
                if (square < ETACE_LEAST * ETACE_LEAST) return ETACE_CLOSE;
                s->found[2 * *count] = s->row[k];
                s->found[2 * *count + 1] = s->kind[k];
                ++*count;
            }
        }
    return ETACE_OK;
}

// Atoms into blocks of one species: slot, species, atom, blocks.
static int etace_fill(struct etace_list *list, const int32_t *species, int32_t kinds, int32_t lanes) {
    const int64_t n = list->atoms;
    int64_t most = 0;
    for (int pass = 0; pass < 2; pass++) {
        int64_t at = 0;
        for (int32_t z = 0; z < kinds; z++) {
            for (int64_t i = 0; i < n; i++) {
                if (species[i] != z) continue;
                if (pass) {
                    list->slot[i] = at;
                    list->atom[at] = (int32_t)i;
                    list->species[at / lanes] = z;
                }
                at++;
            }
            at = (at + lanes - 1) / lanes * lanes;
        }
        if (pass) break;
        most = at;
        list->blocks = most / lanes;
        list->atom = etace_room(most, sizeof *list->atom);
        list->species = etace_room(list->blocks, sizeof *list->species);
        list->rows = etace_room(list->blocks * kinds + 1, sizeof *list->rows);
        if (!list->atom || !list->species || !list->rows) return ETACE_MEMORY;
        for (int64_t k = 0; k < most; k++) list->atom[k] = (int32_t)list->extended;
    }
    return ETACE_OK;
}

// Neighbours of all blocks, species after species: rows, neighbour, longest.
static int etace_pack(struct etace_search *s, struct etace_list *list, int32_t kinds, int32_t lanes) {
    int64_t room = 0, *const ends = etace_room(lanes, sizeof *ends);
    int64_t *const place = etace_room((int64_t)lanes * kinds, sizeof *place);
    int error = ends && place ? ETACE_OK : ETACE_MEMORY;
    if (!error) list->rows[0] = 0;
    for (int64_t b = 0; b < list->blocks && !error; b++) {
        const double *const limit = s->limit + (int64_t)kinds * list->species[b];
        int64_t count = 0, *const rows = list->rows + b * kinds;
        memset(place, 0, (size_t)lanes * (size_t)kinds * sizeof *place);
        for (int l = 0; l < lanes && !error; l++) {
            const int32_t i = list->atom[b * lanes + l];
            if (i < list->extended) error = etace_find(s, i, limit, &count);
            ends[l] = count;
        }
        if (error) break;
        for (int64_t k = 0, l = 0; k < count; k++) {
            while (k == ends[l]) l++;
            place[l * kinds + s->found[2 * k + 1]]++;
        }
        for (int32_t z = 0; z < kinds; z++) {
            int64_t widest = 0;
            for (int l = 0; l < lanes; l++) {
                if (place[l * kinds + z] > widest) widest = place[l * kinds + z];
                place[l * kinds + z] = 0;
            }
            rows[z + 1] = rows[z] + widest;
        }
        if (rows[kinds] - rows[0] > list->longest) list->longest = rows[kinds] - rows[0];
        if (rows[kinds] >= room) {
            const int64_t more = 2 * rows[kinds] + 1024;
            int32_t *const wider = etace_room(more * lanes, sizeof *wider);
            if (!wider) {
                error = ETACE_MEMORY;
                break;
            }
            if (rows[0]) memcpy(wider, list->neighbour, (size_t)(rows[0] * lanes) * sizeof *wider);
            free(list->neighbour);
            list->neighbour = wider;
            room = more;
        }
        for (int64_t k = rows[0] * lanes; k < rows[kinds] * lanes; k++)
            list->neighbour[k] = (int32_t)list->extended;
        for (int64_t k = 0, l = 0; k < count; k++) {
            while (k == ends[l]) l++;
            const int32_t z = s->found[2 * k + 1];
            list->neighbour[(rows[z] + place[l * kinds + z]++) * lanes + l] = s->found[2 * k];
        }
    }
    free(ends);
    free(place);
    return error;
}

static int etace_limits(struct etace_search *s, int32_t kinds, const double *cutoffs) {
    s->limit = etace_room((int64_t)kinds * kinds, sizeof *s->limit);
    if (!s->limit) return ETACE_MEMORY;
    const double least = ETACE_LEAST * ETACE_LEAST, room = s->reach;
    double longest = 0;
    for (int32_t k = 0; k < kinds * kinds; k++) longest = fmax(longest, cutoffs[k]);
    for (int32_t k = 0; k < kinds * kinds; k++) {
        const double c = cutoffs[k] > 0 ? cutoffs[k] + (room - longest) : 0;
        s->limit[k] = longest > 0 ? fmax(c * c, least) : 0;
    }
    return ETACE_OK;
}

static int etace_made(struct etace_search *s, struct etace_list *list, const int32_t *species,
                      const double *positions, int32_t kinds, const double *cutoffs, int32_t lanes) {
    const int64_t n = s->n;
    list->slot = etace_room(n, sizeof *list->slot);
    list->images = etace_room(n + 1, sizeof *list->images);
    s->u = etace_room(3 * n, sizeof *s->u);
    s->sorted = etace_room(3 * n, sizeof *s->sorted);
    if (!list->slot || !list->images || !s->u || !s->sorted) return ETACE_MEMORY;
    for (int32_t k = 0; k < kinds * kinds; k++) s->reach = fmax(s->reach, cutoffs[k]);
    int error = etace_extend(s, list, positions);
    error = error ? error : etace_limits(s, kinds, cutoffs);
    error = error ? error : etace_sort(s, list, species);
    error = error ? error : etace_fill(list, species, kinds, lanes);
    return error ? error : etace_pack(s, list, kinds, lanes);
}

void etace_list_free(struct etace_list *list) {
    free(list->slot), free(list->rows), free(list->images), free(list->species), free(list->atom);
    free(list->neighbour), free(list->owner), free(list->shift);
    memset(list, 0, sizeof *list);
}

// The list of n atoms: all pairs nearer than the cutoff of their species, and perhaps some at it.
//
// species: [n], below kinds; positions: [n][3]; cell: [3][3], vectors are rows, any where not periodic;
// pbc: [3]; cutoffs: [kinds][kinds], symmetric, 0 for no pairs; lanes: of the kernel, `etace_lanes`.
// What is returned is ETACE_OK, or what is wrong, and then there is nothing to free.
int etace_list_make(struct etace_list *list, int64_t n, const int32_t *species, const double *positions,
                    const double *cell, const int32_t *pbc, int32_t kinds, const double *cutoffs,
                    int32_t lanes) {
    struct etace_search s;
    memset(&s, 0, sizeof s);
    memset(list, 0, sizeof *list);
    s.n = list->atoms = n;
    int error = n < 0 || n > 2147483000 ? ETACE_MANY : ETACE_OK;
    for (int64_t i = 0; i < n && !error; i++) {
        if (species[i] < 0 || species[i] >= kinds) error = ETACE_SPECIES;
        for (int d = 0; d < 3; d++)
            if (!(fabs(positions[3 * i + d]) <= ETACE_LARGEST)) error = ETACE_NUMBER;
    }
    error = error ? error : etace_frame(&s, cell, pbc);
    error = error ? error : etace_made(&s, list, species, positions, kinds, cutoffs, lanes);
    free(s.x), free(s.u), free(s.sorted), free(s.row), free(s.kind), free(s.bin), free(s.first);
    free(s.limit), free(s.found);
    if (error) etace_list_free(list);
    return error;
}
