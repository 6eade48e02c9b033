// An example: energies, forces and virials of the frames of an extended .xyz file.
//
//   cc -std=c11 -O3 -march=native -ffp-contract=fast -fno-math-errno main.c @NAME@.c -lm -o @NAME@
//   ./@NAME@ structures.xyz

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "@NAME@.h"

#define LINE 65536

static int wrong(const char *file, long line, const char *what) {
    fprintf(stderr, "%s:%ld: %s\n", file, line, what);
    return 1;
}

// What follows KEY= in the comment, quotes removed, in `value` [LINE]: whether it is there.
static int find(const char *comment, const char *key, char *value) {
    const size_t length = strlen(key);
    int quoted = 0;
    for (const char *p = comment; *p; p++) {
        if (*p == '"') quoted = !quoted;
        if (quoted || (p > comment && !isspace((unsigned char)p[-1]))) continue;
        if (strncmp(p, key, length) != 0 || p[length] != '=') continue;
        const char *const start = p + length + 1, quote = *start;
        const size_t n = quote == '"' ? strcspn(start + 1, "\"") : strcspn(start, " \t\r\n");
        memcpy(value, start + (quote == '"'), n);
        value[n] = 0;
        return 1;
    }
    return 0;
}

// Columns of the symbol and of x, from Properties=species:S:1:pos:R:3: whether both are there.
static int columns(char *properties, int *symbol, int *position) {
    int at = 0;
    *symbol = *position = -1;
    for (char *name = strtok(properties, ":"); name; name = strtok(NULL, ":")) {
        char *const kind = strtok(NULL, ":"), *const count = kind ? strtok(NULL, ":") : NULL;
        if (!count) return 0;
        if (strcmp(name, "species") == 0) *symbol = at;
        if (strcmp(name, "pos") == 0) *position = at;
        at += atoi(count);
    }
    return *symbol >= 0 && *position >= 0;
}

// One atom's line: the species' number and the position, or what is wrong with it.
static const char *atom(char *line, int symbol, int position, int *species, double x[3]) {
    int column = 0, found = 0;
    for (char *word = strtok(line, " \t\r\n"); word; word = strtok(NULL, " \t\r\n"), column++) {
        if (column == symbol) {
            *species = @NAME@_species(word);
            if (*species < 0) return "the potential does not know this species";
            found++;
        }
        if (column >= position && column < position + 3) {
            char *end;
            x[column - position] = strtod(word, &end);
            if (*end) return "this is not a number";
            found++;
        }
    }
    return found == 4 ? NULL : "a species and three coordinates are expected";
}

// The cell and where it is periodic: as the comment says, else isolated.
static const char *cell_of(const char *comment, double cell[9], int pbc[3]) {
    static char value[LINE];
    memset(cell, 0, 9 * sizeof *cell);
    pbc[0] = pbc[1] = pbc[2] = find(comment, "Lattice", value);
    if (pbc[0]) {
        char *p = value, *end;
        for (int k = 0; k < 9; k++, p = end) {
            cell[k] = strtod(p, &end);
            if (end == p) return "Lattice is not nine numbers";
        }
    }
    if (find(comment, "pbc", value)) {
        int k = 0;
        for (const char *p = value; *p && k < 3; p++)
            if (strchr("TFtf10", *p)) pbc[k++] = strchr("Tt1", *p) != NULL;
        if (k < 3) return "pbc is not three of T and F";
    }
    return NULL;
}

static int frame(const char *file, FILE *in, long *at, int n, char *line) {
    double cell[9], energy, virial[6];
    int pbc[3], symbol = 0, position = 1, failed = 0;
    static char value[LINE];
    ++*at;
    if (!fgets(line, LINE, in)) return wrong(file, *at, "the file ends before the comment");
    const char *what = cell_of(line, cell, pbc);
    if (what) return wrong(file, *at, what);
    if (find(line, "Properties", value) && !columns(value, &symbol, &position))
        return wrong(file, *at, "Properties have no species and pos");
    int *const species = malloc(((size_t)n + 1) * sizeof *species);
    double(*const x)[3] = malloc(((size_t)n + 1) * sizeof *x);
    double(*const forces)[3] = malloc(((size_t)n + 1) * sizeof *forces);
    if (!species || !x || !forces) failed = wrong(file, *at, "not enough memory");
    for (int i = 0; i < n && !failed; i++) {
        ++*at;
        what = fgets(line, LINE, in) ? atom(line, symbol, position, species + i, x[i])
                                     : "the file ends before the last atom";
        if (what) failed = wrong(file, *at, what);
    }
    if (!failed) {
        const double(*const given)[3] = (const double(*)[3])x;
        const int error = @NAME@_evaluate(n, species, given, cell, pbc, &energy, NULL, forces, virial);
        if (error) failed = wrong(file, *at, @NAME@_message(error));
    }
    if (!failed) {
        printf("energy %.17g eV\nvirial", energy);
        for (int k = 0; k < 6; k++) printf(" %.17g", virial[k]);
        printf(" eV\n");
        for (int i = 0; i < n; i++)
            printf("%s %.17g %.17g %.17g eV/Å\n", @NAME@_symbols[species[i]], forces[i][0], forces[i][1],
                   forces[i][2]);
    }
    free(species), free(x), free(forces);
    return failed;
}

int main(int count, char **arguments) {
    static char line[LINE];
    if (count != 2) {
        fprintf(stderr, "usage: %s structures.xyz\n", arguments[0]);
        return 2;
    }
    const char *const file = arguments[1];
    FILE *const in = fopen(file, "r");
    if (!in) {
        fprintf(stderr, "%s: %s\n", file, strerror(errno));
        return 2;
    }
    int failed = 0;
    for (long at = 1; !failed && fgets(line, sizeof line, in); at++) {
        char *end;
        const long n = strtol(line, &end, 10);
        if (line[strspn(line, " \t\r\n")] == 0) continue;
        if (end == line || end[strspn(end, " \t\r\n")] || n < 0 || n > 100000000)
            failed = wrong(file, at, "the number of atoms is expected here");
        else
            failed = frame(file, in, &at, (int)n, line);
    }
    fclose(in);
    return failed;
}
