// A list of neighbours for kernels: any cell, also a skew or a tiny one, periodic or not in each direction.
//
// The lattice is written in short vectors, and completed by orthonormal ones where nothing repeats. Atoms
// far outside that cell are wrapped into it; images of atoms within the cutoff of the atoms' box are
// candidates behind them. All are sorted into bins half a cutoff wide, so that an atom's neighbours stand in
// few runs.
// Lengths are Å; u is the height of a point over the cell's faces, in which no distance is longer.
//
// Blocks of atoms are then dealt into parts, for threads: whatever a part's atoms see that is not of the
// part, an image or another part's atom, becomes a row of its own; candidates that nobody sees become none.

#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

enum { ETACE_OK, ETACE_NUMBER, ETACE_SPECIES, ETACE_CELL, ETACE_CLOSE, ETACE_MANY, ETACE_MEMORY };

#define ETACE_LARGEST 1e8  // of a coordinate
#define ETACE_LEAST 1e-6   // between atoms, and between opposite faces of a periodic cell
#define ETACE_OUTSIDE 1.0  // of the cell, where atoms may stay: a crystal's vibrate about its faces

// What the kernel reads (`etace_blocks`, `etace_positions`, `etace_results`), and a bit more.
//
// slot: [atoms], of each in the lanes of all blocks; species: [blocks]; atom: [blocks][lanes], rows;
// rows: [blocks * kinds + 1]; neighbour: [rows of neighbours][lanes], rows; in both, where there is no atom
// the row behind all others that is the part's (`apart` from that of the part before);
// owner: [extended], atom of every row; shift: [extended][3], whole cell vectors, also of the atoms' own
// rows; images: [atoms + 1], where those of each start behind the atoms; extended: atoms and images;
// longest: rows of neighbours of the block that has most; each: blocks of a part;
// closest, farthest: [structures][kinds][kinds], the least and the largest square of a distance between
// neighbours of two species, infinite and 0 where there are none
struct etace_list {
    int64_t atoms, extended, blocks, longest, each;
    int64_t *slot, *rows, *images;
    int32_t *species, *atom, *neighbour, *owner, *shift;
    double *closest, *farthest;
};

// One structure: its cell in short vectors, and what its search keeps. Its candidates are its atoms, from
// `from`, and their images, from `behind`, among those of all structures.
struct etace_search {
    int64_t n, from, behind, extended;  // extended: atoms and images
    int periodic[3];
    double frame[3][3], turn[3][3];        // frame = turn cell, where periodic
    double inverse[3][3], height[3];       // u = height * (x inverse)
    double reach, low[3], high[3];         // reach: the longest cutoff and rounding; of the atoms' u
    int64_t bins[3], span[3];              // span: bins to look at on either side
    double start[3], width[3];             // of the bins
    double *u, *wrap;                      // [n][3]; wrap: whole vectors of the frame
    double *sorted;                        // [extended][3], places in the order of the bins
    int32_t *row, *kind;                   // [extended], in the order of the bins
    int64_t *first;                        // [bins + 1]
    double *limit;                         // [kinds][kinds], squares
};

// All structures, and what was found for the block at work.
struct etace_work {
    int64_t structures, most;              // most: candidates, and pairs, that there may be
    struct etace_search *each;             // [structures]
    int32_t *structure;                    // [atoms]
    double *x;                             // [extended][3], of all candidates
    double *closest, *farthest;            // of the list
    int32_t *found;                        // [capacity][2], candidate and species
    int64_t count, capacity;
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

// Candidate k: the image of atom i by whole vectors of the frame.
static int etace_row(const struct etace_search *s, struct etace_list *list, double *x,
                     const double *positions, int64_t i, int64_t k, const double *image) {
    double shift[3] = {0};
    for (int d = 0; d < 3; d++)
        for (int c = 0; c < 3; c++) shift[c] += image[d] * s->turn[d][c];
    list->owner[k] = (int32_t)i;
    for (int c = 0; c < 3; c++) {
        if (!(fabs(shift[c]) < 2e9)) return ETACE_MANY;
        list->shift[3 * k + c] = (int32_t)shift[c];
        x[3 * k + c] = positions[3 * i + c];
        for (int d = 0; d < 3; d++) x[3 * k + c] += image[d] * s->frame[d][c];
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

// Atoms into the cell, or near it: u, wrap, and how many candidates there will be.
static int etace_wrap(struct etace_search *s, const double *positions, int64_t most) {
    double far = 0, count = 0;
    s->u = etace_room(3 * s->n, sizeof *s->u);
    s->wrap = etace_room(3 * s->n, sizeof *s->wrap);
    if (!s->u || !s->wrap) return ETACE_MEMORY;
    for (int64_t i = 0; i < s->n; i++)
        for (int d = 0; d < 3; d++) {
            const double *const x = positions + 3 * (s->from + i);
            const double f = x[0] * s->inverse[0][d] + x[1] * s->inverse[1][d] + x[2] * s->inverse[2][d];
            const double out = fmax(-f, f - 1) * s->height[d];
            const double wrap = s->periodic[d] && out > ETACE_OUTSIDE ? -floor(f) : 0;
            const double u = (f + wrap) * s->height[d];
            s->wrap[3 * i + d] = wrap;
            s->u[3 * i + d] = u;
            s->low[d] = i ? fmin(s->low[d], u) : u;
            s->high[d] = i ? fmax(s->high[d], u) : u;
            far = fmax(far, fabs(x[d]));
        }
    s->reach += s->reach > 0 ? 1e-9 * s->reach + 1e-13 * far : 0;
    for (int64_t i = 0; i < s->n; i++) {
        double own = 1;
        for (int d = 0; d < 3; d++) {
            double first, last;
            etace_range(s, d, s->u[3 * i + d], &first, &last);
            own *= last - first + 1;
        }
        count += own;
    }
    if (!(count <= (double)most)) return ETACE_MANY;
    s->extended = (int64_t)count;
    return ETACE_OK;
}

// Atoms and their images: x, owner, shift.
static int etace_extend(const struct etace_search *s, struct etace_list *list, double *x,
                        const double *positions) {
    int64_t k = s->behind;
    for (int64_t i = 0; i < s->n; i++) {
        const double *const w = s->wrap + 3 * i;
        double first[3], last[3];
        for (int d = 0; d < 3; d++) etace_range(s, d, s->u[3 * i + d], first + d, last + d);
        int error = etace_row(s, list, x, positions, s->from + i, s->from + i, w);
        for (double a = first[0]; a <= last[0]; a++)
            for (double b = first[1]; b <= last[1]; b++)
                for (double c = first[2]; c <= last[2]; c++) {
                    const double image[3] = {a + w[0], b + w[1], c + w[2]};
                    if (a == 0 && b == 0 && c == 0) continue;
                    error = error ? error : etace_row(s, list, x, positions, s->from + i, k++, image);
                }
        if (error) return error;
    }
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

// Candidates into bins: row, kind, sorted, first.
static int etace_sort(struct etace_search *s, const struct etace_list *list, const double *x,
                      const int32_t *species) {
    etace_grid(s);
    const int64_t bins = s->bins[0] * s->bins[1] * s->bins[2];
    int32_t *const bin = etace_room(s->extended, sizeof *bin);
    s->sorted = etace_room(3 * s->extended, sizeof *s->sorted);
    s->row = etace_room(s->extended, sizeof *s->row);
    s->kind = etace_room(s->extended, sizeof *s->kind);
    s->first = etace_room(bins + 1, sizeof *s->first);
    if (!s->sorted || !s->row || !s->kind || !bin || !s->first) {
        free(bin);
        return ETACE_MEMORY;
    }
    memset(s->first, 0, (size_t)(bins + 1) * sizeof *s->first);
    for (int64_t r = 0; r < s->extended; r++) {
        const int64_t k = r < s->n ? s->from + r : s->behind + r - s->n;
        int64_t b = 0;
        for (int d = 0; d < 3; d++) b = b * s->bins[d] + etace_bin(s, x + 3 * k, d);
        bin[r] = (int32_t)b;
        s->first[b + 1]++;
    }
    for (int64_t b = 0; b < bins; b++) s->first[b + 1] += s->first[b];
    for (int64_t r = s->extended; r-- > 0;) {  // `first` goes from the ends of the bins to their starts
        const int64_t k = r < s->n ? s->from + r : s->behind + r - s->n, at = --s->first[bin[r] + 1];
        s->row[at] = (int32_t)k;
        s->kind[at] = species[list->owner[k]];
        memcpy(s->sorted + 3 * at, x + 3 * k, 3 * sizeof *x);
    }
    memmove(s->first, s->first + 1, (size_t)bins * sizeof *s->first);
    s->first[bins] = s->extended;
    free(bin);
    return ETACE_OK;
}

// No pair is near yet.
static int etace_far(struct etace_work *w, struct etace_list *list, int32_t kinds) {
    const int64_t count = w->structures * kinds * kinds;
    w->closest = list->closest = etace_room(count, sizeof *list->closest);
    w->farthest = list->farthest = etace_room(count, sizeof *list->farthest);
    if (!list->closest || !list->farthest) return ETACE_MEMORY;
    for (int64_t k = 0; k < count; k++) list->closest[k] = HUGE_VAL, list->farthest[k] = 0;
    return ETACE_OK;
}

// Neighbours of atom i of species z behind what was found.
static int etace_find(struct etace_work *w, int64_t i, int32_t kinds, int32_t z) {
    const struct etace_search *const s = w->each + w->structure[i];
    const double *const x = w->x + 3 * i, *const limit = s->limit + (int64_t)kinds * z;
    const int64_t own = ((int64_t)w->structure[i] * kinds + z) * kinds;
    double *const closest = w->closest + own, *const farthest = w->farthest + own;
    int64_t low[3], high[3], count = w->count;
    for (int d = 0; d < 3; d++) {
        const int64_t b = etace_bin(s, x, d);
        low[d] = b > s->span[d] ? b - s->span[d] : 0;
        high[d] = b + s->span[d] < s->bins[d] ? b + s->span[d] : s->bins[d] - 1;
    }
    for (int64_t a = low[0]; a <= high[0]; a++)
        for (int64_t b = low[1]; b <= high[1]; b++) {
            const int64_t line = (a * s->bins[1] + b) * s->bins[2];
            const int64_t first = s->first[line + low[2]], last = s->first[line + high[2] + 1];
            if (count + last - first > w->capacity) {
                const int64_t more = 2 * (count + last - first) + 1024;
                int32_t *const found = etace_room(2 * more, sizeof *found);
                if (!found) return ETACE_MEMORY;
                if (count) memcpy(found, w->found, 2 * (size_t)count * sizeof *found);
                free(w->found);
                w->found = found;
                w->capacity = more;
            }
            for (int64_t k = first; k < last; k++) {
                const double *const y = s->sorted + 3 * k;
                const double d[3] = {y[0] - x[0], y[1] - x[1], y[2] - x[2]}, square = etace_dot(d, d);
                if (!(square < limit[s->kind[k]])) continue;
                if (s->row[k] == i) continue;
                if (square < ETACE_LEAST * ETACE_LEAST) return ETACE_CLOSE;
                if (square < closest[s->kind[k]]) closest[s->kind[k]] = square;
                if (square > farthest[s->kind[k]]) farthest[s->kind[k]] = square;
                w->found[2 * count] = s->row[k];
                w->found[2 * count + 1] = s->kind[k];
                ++count;
            }
        }
    w->count = count;
    return ETACE_OK;
}

// Atoms into blocks of one species: slot, species, atom (-1 where there is none), blocks.
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
        list->slot = etace_room(n, sizeof *list->slot);
        list->atom = etace_room(most, sizeof *list->atom);
        list->species = etace_room(list->blocks, sizeof *list->species);
        list->rows = etace_room(list->blocks * kinds + 1, sizeof *list->rows);
        if (!list->slot || !list->atom || !list->species || !list->rows) return ETACE_MEMORY;
        for (int64_t k = 0; k < most; k++) list->atom[k] = -1;
    }
    return ETACE_OK;
}

// Neighbours of all blocks, species after species: rows, neighbour (candidates, or -1), longest.
static int etace_pack(struct etace_work *w, struct etace_list *list, int32_t kinds, int32_t lanes) {
    int64_t room = 0, pairs = 0, *const ends = etace_room(lanes, sizeof *ends);
    int64_t *const place = etace_room((int64_t)lanes * kinds, sizeof *place);
    int error = ends && place ? ETACE_OK : ETACE_MEMORY;
    if (!error) list->rows[0] = 0;
    for (int64_t b = 0; b < list->blocks && !error; b++) {
        int64_t *const rows = list->rows + b * kinds;
        w->count = 0;
        memset(place, 0, (size_t)lanes * (size_t)kinds * sizeof *place);
        for (int l = 0; l < lanes && !error; l++) {
            const int32_t i = list->atom[b * lanes + l];
            if (i >= 0) error = etace_find(w, i, kinds, list->species[b]);
            if (!error && pairs + w->count > w->most) error = ETACE_MANY;
            ends[l] = w->count;
        }
        if (error) break;
        pairs += w->count;
        for (int64_t k = 0, l = 0; k < w->count; k++) {
            while (k == ends[l]) l++;
            place[l * kinds + w->found[2 * k + 1]]++;
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
        for (int64_t k = rows[0] * lanes; k < rows[kinds] * lanes; k++) list->neighbour[k] = -1;
        for (int64_t k = 0, l = 0; k < w->count; k++) {
            while (k == ends[l]) l++;
            const int32_t z = w->found[2 * k + 1];
            list->neighbour[(rows[z] + place[l * kinds + z]++) * lanes + l] = w->found[2 * k];
        }
    }
    free(ends);
    free(place);
    return error;
}

// Neighbours by what they are to their part: its own atoms, or n + the number of one of `seen`, which are
// candidates; their number, or -1: there are too many, or too little memory.
static int64_t etace_see(struct etace_list *list, int32_t kinds, int32_t lanes, int32_t **seen) {
    const int64_t n = list->atoms, entries = list->rows[list->blocks * kinds] * lanes;
    const int64_t parts = (list->blocks + list->each - 1) / list->each;
    const int64_t most = parts * list->extended < entries ? parts * list->extended : entries;
    if (n + most > 2147483000) return -1;
    *seen = etace_room(most, sizeof **seen);
    int32_t(*const known)[2] = etace_room(list->extended, sizeof *known);  // part + 1, and what it is there
    if (!*seen || !known) {
        free(known);
        return -1;
    }
    int64_t count = 0;
    memset(known, 0, (size_t)list->extended * sizeof *known);
    for (int64_t p = 0; p < parts; p++) {
        const int64_t first = p * list->each;
        const int64_t last = first + list->each < list->blocks ? first + list->each : list->blocks;
        for (int64_t k = first * lanes; k < last * lanes; k++) {
            const int32_t i = list->atom[k];
            if (i >= 0) known[i][0] = (int32_t)p + 1, known[i][1] = i;
        }
        for (int64_t k = list->rows[first * kinds] * lanes; k < list->rows[last * kinds] * lanes; k++) {
            const int32_t j = list->neighbour[k];
            if (j < 0) continue;
            if (known[j][0] != p + 1) {
                known[j][0] = (int32_t)p + 1, known[j][1] = (int32_t)(n + count);
                (*seen)[count++] = j;
            }
            list->neighbour[k] = known[j][1];
        }
    }
    free(known);
    return count;
}

// Rows of atoms and of what parts see, these by their atoms: owner, shift, images, extended. place: [count]
static int etace_order(struct etace_list *list, const int32_t *seen, int64_t count, int32_t *place) {
    const int64_t n = list->atoms;
    int32_t *const owner = etace_room(n + count, sizeof *owner);
    int32_t *const shift = etace_room(3 * (n + count), sizeof *shift);
    list->images = etace_room(n + 2, sizeof *list->images);
    if (!owner || !shift || !list->images) {
        free(owner), free(shift);
        return ETACE_MEMORY;
    }
    int64_t *const next = list->images + 1;  // of an atom, that ends as the first of the one behind it
    memset(list->images, 0, (size_t)(n + 2) * sizeof *list->images);
    for (int64_t c = 0; c < count; c++) next[list->owner[seen[c]] + 1]++;
    for (int64_t i = 0; i < n; i++) next[i + 1] += next[i];
    if (n) memcpy(owner, list->owner, (size_t)n * sizeof *owner);
    if (n) memcpy(shift, list->shift, 3 * (size_t)n * sizeof *shift);
    for (int64_t c = 0; c < count; c++) {
        const int32_t i = list->owner[seen[c]];
        const int64_t k = n + next[i]++;
        place[c] = (int32_t)k;
        owner[k] = i;
        memcpy(shift + 3 * k, list->shift + 3 * (int64_t)seen[c], 3 * sizeof *shift);
    }
    free(list->owner), free(list->shift);
    list->owner = owner;
    list->shift = shift;
    list->extended = n + count;
    return ETACE_OK;
}

// Blocks into parts: candidates become rows.
static int etace_deal(struct etace_list *list, int32_t kinds, int32_t lanes, int32_t parts, int32_t apart) {
    const int64_t n = list->atoms;
    int32_t *seen = NULL, *place = NULL;
    list->each = list->blocks > parts ? (list->blocks + parts - 1) / parts : 1;
    const int64_t count = etace_see(list, kinds, lanes, &seen);
    if (count >= 0) place = etace_room(count, sizeof *place);
    const int error = place ? etace_order(list, seen, count, place) : ETACE_MEMORY;
    for (int64_t b = 0; b < list->blocks && !error; b++) {
        const int64_t far = list->extended + apart * (b / list->each);
        for (int64_t k = b * lanes; k < (b + 1) * lanes; k++)
            if (list->atom[k] < 0) list->atom[k] = (int32_t)far;
        for (int64_t k = list->rows[b * kinds] * lanes; k < list->rows[(b + 1) * kinds] * lanes; k++) {
            const int32_t j = list->neighbour[k];
            list->neighbour[k] = j < 0 ? (int32_t)far : j < n ? j : place[j - n];
        }
    }
    free(seen), free(place);
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

// Candidates of all structures, in bins.
static int etace_candidates(struct etace_work *w, struct etace_list *list, const int32_t *species,
                            const double *positions, int32_t kinds, const double *cutoffs) {
    list->extended = list->atoms;
    for (int64_t g = 0; g < w->structures; g++) {
        struct etace_search *const s = w->each + g;
        for (int32_t k = 0; k < kinds * kinds; k++) s->reach = fmax(s->reach, cutoffs[k]);
        const int error = etace_wrap(s, positions, w->most - (list->extended - s->n));
        if (error) return error;
        s->behind = list->extended;
        list->extended += s->extended - s->n;
    }
    w->x = etace_room(3 * list->extended, sizeof *w->x);
    list->owner = etace_room(list->extended, sizeof *list->owner);
    list->shift = etace_room(3 * list->extended, sizeof *list->shift);
    if (!w->x || !list->owner || !list->shift) return ETACE_MEMORY;
    for (int64_t g = 0; g < w->structures; g++) {
        struct etace_search *const s = w->each + g;
        int error = etace_extend(s, list, w->x, positions);
        error = error ? error : etace_limits(s, kinds, cutoffs);
        error = error ? error : etace_sort(s, list, w->x, species);
        if (error) return error;
    }
    return ETACE_OK;
}

// Atoms and cells, and what is wrong with them: n, from, structure, frame.
static int etace_check(struct etace_work *w, struct etace_list *list, const int64_t *counts,
                       const int32_t *species, const double *positions, const double *cells,
                       const int32_t *pbc, int32_t kinds, const double *cutoffs) {
    w->each = etace_room(w->structures, sizeof *w->each);
    if (!w->each) return ETACE_MEMORY;
    memset(w->each, 0, (size_t)w->structures * sizeof *w->each);
    for (int64_t g = 0; g < w->structures; g++) {
        if (counts[g] < 0 || counts[g] > w->most - list->atoms) return ETACE_MANY;
        w->each[g].n = counts[g];
        w->each[g].from = list->atoms;
        list->atoms += counts[g];
    }
    for (int32_t k = 0; k < kinds * kinds; k++)
        if (!(cutoffs[k] <= ETACE_LARGEST)) return ETACE_NUMBER;
    w->structure = etace_room(list->atoms, sizeof *w->structure);
    if (!w->structure) return ETACE_MEMORY;
    for (int64_t i = 0; i < list->atoms; i++) {
        if (species[i] < 0 || species[i] >= kinds) return ETACE_SPECIES;
        for (int d = 0; d < 3; d++)
            if (!(fabs(positions[3 * i + d]) <= ETACE_LARGEST)) return ETACE_NUMBER;
    }
    for (int64_t g = 0; g < w->structures; g++) {
        struct etace_search *const s = w->each + g;
        for (int64_t i = s->from; i < s->from + s->n; i++) w->structure[i] = (int32_t)g;
        const int error = etace_frame(s, cells + 9 * g, pbc + 3 * g);
        if (error) return error;
    }
    return ETACE_OK;
}

static void etace_work_free(struct etace_work *w) {
    for (int64_t g = 0; g < w->structures && w->each; g++) {
        struct etace_search *const s = w->each + g;
        free(s->u), free(s->wrap), free(s->sorted), free(s->row), free(s->kind), free(s->first);
        free(s->limit);
    }
    free(w->each), free(w->structure), free(w->x), free(w->found);
}

void etace_list_free(struct etace_list *list) {
    free(list->slot), free(list->rows), free(list->images), free(list->species), free(list->atom);
    free(list->neighbour), free(list->owner), free(list->shift);
    free(list->closest), free(list->farthest);
    memset(list, 0, sizeof *list);
}

// The list of the atoms of one structure or more, one after the other: all pairs nearer than the cutoff of
// their species, and perhaps some at it.
//
// counts: [structures], atoms of each; species: [atoms], below kinds; positions: [atoms][3];
// cells: [structures][3][3], vectors are rows, any where not periodic; pbc: [structures][3];
// cutoffs: [kinds][kinds], symmetric, 0 for no pairs; lanes: of the kernel, `etace_lanes`; parts: at most;
// apart: see `struct etace_list`; most: atoms and images, and pairs, below 2^31.
// What is returned is ETACE_OK, or what is wrong, and then there is nothing to free.
int etace_list_make(struct etace_list *list, int64_t structures, const int64_t *counts,
                    const int32_t *species, const double *positions, const double *cells,
                    const int32_t *pbc, int32_t kinds, const double *cutoffs, int32_t lanes, int32_t parts,
                    int32_t apart, int64_t most) {
    struct etace_work w;
    memset(&w, 0, sizeof w);
    memset(list, 0, sizeof *list);
    w.structures = structures;
    w.most = most;
    int error = etace_check(&w, list, counts, species, positions, cells, pbc, kinds, cutoffs);
    error = error ? error : etace_candidates(&w, list, species, positions, kinds, cutoffs);
    error = error ? error : etace_far(&w, list, kinds);
    error = error ? error : etace_fill(list, species, kinds, lanes);
    error = error ? error : etace_pack(&w, list, kinds, lanes);
    error = error ? error : etace_deal(list, kinds, lanes, parts, apart);
    etace_work_free(&w);
    if (error) etace_list_free(list);
    return error;
}
