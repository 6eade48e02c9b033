// @TITLE@
// A potential with no dependencies but the C library: @NAME@.c and this header.
//
//   cc -std=c11 -O3 -march=native -ffp-contract=fast -fno-math-errno -c @NAME@.c
//
// GCC or clang, whose vectors it is written with. Units are Å and eV.
#ifndef @NAME@_H
#define @NAME@_H

#ifdef __cplusplus
extern "C" {
#endif

enum { @NAME@_SPECIES = @SPECIES@ };  // how many

// What `@NAME@_evaluate` returns.
enum {
    @NAME@_OK,
    @NAME@_NUMBER,   // a position or a periodic cell vector is not finite, or beyond 1e8 Å
    @NAME@_UNKNOWN,  // a species that is not 0 .. @NAME@_SPECIES - 1
    @NAME@_CELL,     // a periodic cell vector is zero, or lies in the span of the others
    @NAME@_CLOSE,    // two atoms are closer than 1e-6 Å
    @NAME@_MANY,     // more atoms and images, or a shift of more cells, than 32 bits count
    @NAME@_MEMORY    // there is not enough
};

// Chemical symbols, in the order of their numbers; cutoffs of all pairs, Å, and the longest of them.
extern const char *const @NAME@_symbols[@NAME@_SPECIES];
extern const double @NAME@_cutoffs[@NAME@_SPECIES][@NAME@_SPECIES];
extern const double @NAME@_cutoff;

// The number of a chemical symbol, or -1.
int @NAME@_species(const char *symbol);

// An error in words.
const char *@NAME@_message(int error);

// Energy, forces and virial of n atoms (0 and more).
//
// species: [n], numbers; positions: [n][3], anywhere; cell: vectors are rows, whatever they are where it is
// not periodic; pbc: whether it is along each of them.
// energy, energies [n]: eV; forces [n][3]: eV/Å; virial: -dE/dstrain, eV, positive under compression, in
// the order xx yy zz yz xz xy: stress = -virial / volume. Each may be NULL.
//
// Returns @NAME@_OK, or what is wrong; nothing is written then. It keeps nothing between calls, so that
// several threads may be in it.
int @NAME@_evaluate(int n, const int *species, const double (*positions)[3], const double cell[9],
    const int pbc[3], double *energy, double *energies, double (*forces)[3], double virial[6]);

#ifdef __cplusplus
}
#endif
#endif
