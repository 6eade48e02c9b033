// What one core can do at most: fused multiply-adds of vectors, as many chains at once as registers hold,
// so that none waits for the one before. Each chain is a variable of its own: compilers keep an array of
// so many in memory, and then the loop measures loads.
#include <stdint.h>

typedef REAL vec __attribute__((vector_size(LANES * sizeof(REAL))));

#define TWELVE(do, at) do(at##0) do(at##1) do(at##2) do(at##3) do(at##4) do(at##5) \
                       do(at##6) do(at##7) do(at##8) do(at##9) do(at##A) do(at##B)
#if defined(__AVX512F__) || defined(__aarch64__)
#define EACH(do) TWELVE(do, x) TWELVE(do, y)  // of 32 registers
#define CHAINS 24
#else
#define EACH(do) TWELVE(do, x)  // of 16
#define CHAINS 12
#endif

// Operations in one step.
int64_t etace_peak_step(void) { return 2 * CHAINS * LANES; }

// out: [LANES], of which nothing is known: no step can be left out.
void etace_peak(int64_t steps, const REAL *factor, const REAL *term, REAL *out) {
    const vec a = *factor + (vec){0}, b = *term + (vec){0};
    REAL start = 0;
#define BEGIN(x) vec x = start++ + (vec){0};
    EACH(BEGIN)
    for (int64_t i = 0; i < steps; i++) {
#define STEP(x) x = x * a + b;
        EACH(STEP)
    }
    vec sum = {0};
#define ADD(x) sum += x;
    EACH(ADD)
    for (int l = 0; l < LANES; l++) out[l] = sum[l];
}
