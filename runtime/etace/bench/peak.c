// What one core can do at most: fused multiply-adds of vectors, as many chains at once as registers hold,
// so that none waits for the one before.
#include <stdint.h>

typedef REAL vec __attribute__((vector_size(LANES * sizeof(REAL))));

#if defined(__AVX512F__) || defined(__aarch64__)
#define CHAINS 24  // of 32 registers
#else
#define CHAINS 12  // of 16
#endif

// Operations in one step.
int64_t etace_peak_step(void) { return 2 * CHAINS * LANES; }

// out: [LANES], of which nothing is known: no step can be left out.
void etace_peak(int64_t steps, const REAL *factor, const REAL *term, REAL *out) {
    const vec a = *factor + (vec){0}, b = *term + (vec){0};
    vec x[CHAINS];
    for (int k = 0; k < CHAINS; k++) x[k] = (REAL)k + (vec){0};
    for (int64_t i = 0; i < steps; i++)
        for (int k = 0; k < CHAINS; k++) x[k] = x[k] * a + b;
    vec sum = x[0];
    for (int k = 1; k < CHAINS; k++) sum += x[k];
    for (int l = 0; l < LANES; l++) out[l] = sum[l];
}
