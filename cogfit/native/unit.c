/* All kernels, compiled once for each level (avx512, avx2, baseline). */
#include "lanes.h"

/* Declare the kernels of this level, so that a definition that differs from kernels.def does not compile. */
#define KERNEL(type, name, parameters, names) type NAME(name) parameters;
#include "kernels.def"
#undef KERNEL

#include "arma.h"
#include "changes.h"
#include "distributions.h"
