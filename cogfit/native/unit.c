/* All kernels, compiled once for each level (avx512, avx2, baseline). */
#include "level.h"

#include "probe.h"
