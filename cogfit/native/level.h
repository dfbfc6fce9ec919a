/* What one unit is compiled for: its name, its vector width, and its own spelling of every kernel.
 *
 * The building script gives COGFIT_LEVEL (avx512, avx2 or baseline) and COGFIT_LANES (doubles in a vector: 8, 4 or 2).
 * Wider vectors than the level has are split by the compiler and spill: slower than narrow ones. */
#ifndef COGFIT_LEVEL_H
#define COGFIT_LEVEL_H

#include <stdint.h>

#if !defined(COGFIT_LEVEL) || !defined(COGFIT_LANES)
#error "compile with -DCOGFIT_LEVEL=... and -DCOGFIT_LANES=..., as building/kernels.py does"
#endif

#define COGFIT_JOIN_(name, level) name##_##level
#define COGFIT_JOIN(name, level) COGFIT_JOIN_(name, level)
#define NAME(name) COGFIT_JOIN(name, COGFIT_LEVEL)

/* Declare the kernels of this level, so that a definition that differs from kernels.def does not compile. */
#define KERNEL(type, name, parameters, names) type NAME(name) parameters;
#include "kernels.def"
#undef KERNEL

#endif
