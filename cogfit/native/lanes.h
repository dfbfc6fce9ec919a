/* Vectors of LANES doubles.
 *
 * Sums over points run in LANES partial sums that are written out, so that their order is that of the source and not of
 * the compiler. Arrays of points are padded to whole vectors (`padded`), with weight 0 in the padding.
 */
#ifndef COGFIT_LANES_H
#define COGFIT_LANES_H

#include <string.h>

#include "level.h"

#if defined(__x86_64__)
#include <immintrin.h>
#endif

#define LANES COGFIT_LANES
#define INLINE static inline __attribute__((always_inline))

typedef double Lanes __attribute__((vector_size(8 * LANES)));
typedef int64_t Whole __attribute__((vector_size(8 * LANES))); /* also masks: all bits of a lane, or none */
typedef uint64_t Bits __attribute__((vector_size(8 * LANES)));

#define INFINITE __builtin_inf()
#define NOT_A_NUMBER __builtin_nan("")

INLINE Lanes load(const double *from) {
    Lanes v;
    memcpy(&v, from, sizeof v);
    return v;
}

INLINE void store(double *to, Lanes v) { memcpy(to, &v, sizeof v); }

INLINE Lanes all(double a) {
#if LANES == 8
    return (Lanes){a, a, a, a, a, a, a, a};
#elif LANES == 4
    return (Lanes){a, a, a, a};
#elif LANES == 2
    return (Lanes){a, a};
#else
#error "8, 4 or 2 lanes"
#endif
}

INLINE double sum(Lanes v) {
#if LANES == 8
    return ((v[0] + v[4]) + (v[2] + v[6])) + ((v[1] + v[5]) + (v[3] + v[7]));
#elif LANES == 4
    return (v[0] + v[2]) + (v[1] + v[3]);
#else
    return v[0] + v[1];
#endif
}

INLINE Lanes select(Whole where, Lanes yes, Lanes no) {
    return (Lanes)(((Whole)yes & where) | ((Whole)no & ~where));
}

INLINE Lanes keep(Whole where, Lanes v) { return (Lanes)((Whole)v & where); }

/* The lesser and the greater of two; the first where either is not a number. */
#if defined(__x86_64__) /* one instruction, which compilers do not find by themselves */
#if LANES == 8
INLINE Lanes lesser(Lanes a, Lanes b) { return (Lanes)_mm512_min_pd((__m512d)b, (__m512d)a); }
INLINE Lanes greater(Lanes a, Lanes b) { return (Lanes)_mm512_max_pd((__m512d)b, (__m512d)a); }
#elif LANES == 4
INLINE Lanes lesser(Lanes a, Lanes b) { return (Lanes)_mm256_min_pd((__m256d)b, (__m256d)a); }
INLINE Lanes greater(Lanes a, Lanes b) { return (Lanes)_mm256_max_pd((__m256d)b, (__m256d)a); }
#else
INLINE Lanes lesser(Lanes a, Lanes b) { return (Lanes)_mm_min_pd((__m128d)b, (__m128d)a); }
INLINE Lanes greater(Lanes a, Lanes b) { return (Lanes)_mm_max_pd((__m128d)b, (__m128d)a); }
#endif
#else
INLINE Lanes lesser(Lanes a, Lanes b) { return select(b < a, b, a); }
INLINE Lanes greater(Lanes a, Lanes b) { return select(b > a, b, a); }
#endif

INLINE Lanes magnitude(Lanes v) { return (Lanes)((Bits)v & 0x7fffffffffffffffULL); }

INLINE int any(Whole where) {
    int64_t bits = 0;
    for (int k = 0; k < LANES; k++) bits |= where[k];
    return bits != 0;
}

/* The first `count` numbers, with another value in the rest of the lanes. */
INLINE Lanes load_some(const double *from, int64_t count, double rest) {
    Lanes v = all(rest);
    if (count > 0) memcpy(&v, from, (count < LANES ? (size_t)count : LANES) * sizeof(double));
    return v;
}

INLINE void store_some(double *to, int64_t count, Lanes v) {
    if (count > 0) memcpy(to, &v, (count < LANES ? (size_t)count : LANES) * sizeof(double));
}

INLINE int64_t padded(int64_t n) { return (n + LANES - 1) / LANES * LANES; }

/* First address in the workspace at which whole vectors begin. */
INLINE double *aligned(double *work) { return (double *)(((uintptr_t)work + 63) & ~(uintptr_t)63); }

/* Numbers below the normal ones count as 0 until `set_rounding` gives back what `flush_subnormals` returns: on x86 they
 * are a hundred times slower than others, and tails of exponentials, and their squares, are full of them. */
#if defined(__x86_64__)
INLINE unsigned flush_subnormals(void) {
    const unsigned before = __builtin_ia32_stmxcsr();
    __builtin_ia32_ldmxcsr(before | 0x8040u);
    return before;
}
INLINE void set_rounding(unsigned before) { __builtin_ia32_ldmxcsr(before); }
#else
INLINE unsigned flush_subnormals(void) { return 0; }
INLINE void set_rounding(unsigned before) { (void)before; }
#endif

INLINE double smaller(double a, double b) { return b < a ? b : a; }
INLINE double larger(double a, double b) { return b > a ? b : a; }
INLINE int is_finite(double v) { return __builtin_fabs(v) < INFINITE; }

#endif
