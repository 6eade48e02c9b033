// Vectors that count what is done with them: a kernel's text behind this one, compiled as C++, is the
// kernel with an operation counted wherever it does one in all lanes.

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>

#define ETACE_COUNTED
#define restrict __restrict__

enum { ADDITIONS, MULTIPLICATIONS, DIVISIONS, ROOTS, CALLS, KINDS };
enum { STAGES = 4 };

// Of every stage, and since the last stage ended.
extern "C" { int64_t etace_operations[STAGES][KINDS]; }
static int64_t since[KINDS];

#define STAGE(k) count_stage(k)
static void count_stage(int k) {
    for (int kind = 0; kind < KINDS; kind++) {
        if (k >= 0) etace_operations[k][kind] += since[kind];
        since[kind] = 0;
    }
}

template <int lanes> struct truth {
    bool x[lanes];
    bool operator[](int l) const { return x[l]; }
    friend truth operator&(truth a, truth b) {
        for (int l = 0; l < lanes; l++) a.x[l] &= b.x[l];
        return a;
    }
};

#define COUNTED(op, kind) \
    friend counted operator op(counted a, counted b) { \
        since[kind]++; \
        for (int l = 0; l < lanes; l++) a.x[l] = a.x[l] op b.x[l]; \
        return a; \
    } \
    counted &operator op##=(counted b) { return *this = *this op b; }

// What no vector unit counts as an operation.
#define COMPARED(op) \
    friend truth<lanes> operator op(counted a, counted b) { \
        truth<lanes> out; \
        for (int l = 0; l < lanes; l++) out.x[l] = a.x[l] op b.x[l]; \
        return out; \
    }

template <typename real, int lanes> struct counted {
    real x[lanes];
    counted() = default;
    counted(real value) {
        for (int l = 0; l < lanes; l++) x[l] = value;
    }
    real &operator[](int l) { return x[l]; }
    real operator[](int l) const { return x[l]; }
    COUNTED(+, ADDITIONS)
    COUNTED(-, ADDITIONS)
    COUNTED(*, MULTIPLICATIONS)
    COUNTED(/, DIVISIONS)
    COMPARED(<)
    COMPARED(>)
    COMPARED(<=)
    COMPARED(>=)
    friend counted operator-(counted a) {
        for (int l = 0; l < lanes; l++) a.x[l] = -a.x[l];
        return a;
    }
    friend counted choose(truth<lanes> m, counted a, counted b) {
        for (int l = 0; l < lanes; l++) a.x[l] = m.x[l] ? a.x[l] : b.x[l];
        return a;
    }
};

#define all(x) vec(x)
#define LANEWISE(name, function) \
    static inline vec name(vec x) { \
        since[std::strncmp(#function, "sqrt", 4) ? CALLS : ROOTS]++; \
        for (int l = 0; l < LANES; l++) x[l] = function(x[l]); \
        return x; \
    }
