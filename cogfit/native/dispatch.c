/* The exported functions: each calls the kernel that was compiled for the level of this processor.
 *
 * The level is found once, from cpuid and xgetbv: __builtin_cpu_supports needs a runtime that some compilers leave out,
 * and then answers 0. It can be lowered, never raised beyond what the processor and the operating system allow. */
#include <stdatomic.h>
#include <stdint.h>

#if defined(_WIN32)
#define EXPORT __declspec(dllexport)
#else
#define EXPORT __attribute__((visibility("default")))
#endif

#ifndef COGFIT_FINGERPRINT
#define COGFIT_FINGERPRINT "unknown"
#endif
#ifndef COGFIT_BUILT_BY
#define COGFIT_BUILT_BY "unknown"
#endif

enum level { BASELINE, AVX2, AVX512, UNKNOWN = -1 };

#if defined(__x86_64__) || defined(_M_X64)
#define HAS_LEVELS 1
#include <cpuid.h>

/* Everything that the compiler may use at x86-64-v3 and -v4, as bits of the registers that cpuid fills. */
enum {
    /* leaf 1, ecx: SSE3, SSSE3, FMA, CMPXCHG16B, SSE4.1, SSE4.2, MOVBE, POPCNT, OSXSAVE, AVX, F16C */
    LEAF_1_ECX = 1 << 0 | 1 << 9 | 1 << 12 | 1 << 13 | 1 << 19 | 1 << 20 | 1 << 22 | 1 << 23 | 1 << 27 | 1 << 28 |
                 1 << 29,
    /* leaf 7, ebx: BMI1, AVX2, BMI2 */
    LEAF_7_AVX2 = 1 << 3 | 1 << 5 | 1 << 8,
    /* leaf 0x80000001, ecx: LAHF, LZCNT */
    LEAF_EXTENDED_ECX = 1 << 0 | 1 << 5,
    /* registers that the operating system saves: xmm and ymm; with them opmask and both halves of zmm */
    SAVES_YMM = 0x06,
    SAVES_ZMM = 0xe6
};
/* leaf 7, ebx: AVX-512 F, DQ, CD, BW, VL */
static const unsigned LEAF_7_AVX512 = 1u << 16 | 1u << 17 | 1u << 28 | 1u << 30 | 1u << 31;

static int has_all(unsigned bits, unsigned wanted)
{
    return (bits & wanted) == wanted;
}

static enum level best_level(void)
{
    unsigned eax, ebx, ecx, edx;
    if (!__get_cpuid(1, &eax, &ebx, &ecx, &edx) || !has_all(ecx, LEAF_1_ECX))
        return BASELINE;
    if (!__get_cpuid(0x80000001u, &eax, &ebx, &ecx, &edx) || !has_all(ecx, LEAF_EXTENDED_ECX))
        return BASELINE;
    if (__get_cpuid_max(0, 0) < 7)
        return BASELINE;
    __cpuid_count(7, 0, eax, ebx, ecx, edx);
    unsigned saved, high;
    __asm__ volatile("xgetbv" : "=a"(saved), "=d"(high) : "c"(0));
    if (!has_all(ebx, LEAF_7_AVX2) || !has_all(saved, SAVES_YMM))
        return BASELINE;
    return has_all(ebx, LEAF_7_AVX512) && has_all(saved, SAVES_ZMM) ? AVX512 : AVX2;
}
#else
#define HAS_LEVELS 0

static enum level best_level(void)
{
    return BASELINE;
}
#endif

/* Threads may all find the level at once: they find the same. */
static _Atomic int chosen = UNKNOWN;

static inline int current_level(void)
{
    int level = atomic_load_explicit(&chosen, memory_order_relaxed);
    if (level == UNKNOWN) {
        level = best_level();
        atomic_store_explicit(&chosen, level, memory_order_relaxed);
    }
    return level;
}

/* The level in use: 0 baseline, 1 AVX2, 2 AVX-512. */
EXPORT int cogfit_level(void)
{
    return current_level();
}

/* The levels that this machine can use: bit 0 baseline, bit 1 AVX2, bit 2 AVX-512. */
EXPORT int cogfit_levels(void)
{
    return (2 << best_level()) - 1;
}

/* Use a level from now on; returns 0, or -1 where this machine cannot (nothing changes then). */
EXPORT int cogfit_use_level(int level)
{
    if (level < BASELINE || level > (int)best_level())
        return -1;
    atomic_store_explicit(&chosen, level, memory_order_relaxed);
    return 0;
}

/* Checksum of the C sources that this was compiled from. */
EXPORT const char *cogfit_fingerprint(void)
{
    return COGFIT_FINGERPRINT;
}

/* Compiler and flags, in words. */
EXPORT const char *cogfit_built_by(void)
{
    return COGFIT_BUILT_BY;
}

#if HAS_LEVELS
#define KERNEL(type, name, parameters, names)                                                                          \
    type name##_avx512 parameters;                                                                                     \
    type name##_avx2 parameters;                                                                                       \
    type name##_baseline parameters;                                                                                   \
    EXPORT type cogfit_##name parameters;                                                                              \
    type cogfit_##name parameters                                                                                      \
    {                                                                                                                  \
        switch (current_level()) {                                                                                     \
        case AVX512:                                                                                                   \
            return name##_avx512 names;                                                                                \
        case AVX2:                                                                                                     \
            return name##_avx2 names;                                                                                  \
        default:                                                                                                       \
            return name##_baseline names;                                                                              \
        }                                                                                                              \
    }
#else
#define KERNEL(type, name, parameters, names)                                                                          \
    type name##_baseline parameters;                                                                                   \
    EXPORT type cogfit_##name parameters;                                                                              \
    type cogfit_##name parameters                                                                                      \
    {                                                                                                                  \
        return name##_baseline names;                                                                                  \
    }
#endif
#include "kernels.def"
