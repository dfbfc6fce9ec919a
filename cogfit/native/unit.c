/* All kernels, compiled once for each level (avx512, avx2, baseline). */
#include "level.h"

#include "arma.h"
#include "bases.h"
#include "changes.h"
#include "descent.h"
#include "distributions.h"
#include "grid.h"
#include "judge.h"
#include "likelihood.h"
#include "probe.h"
#include "summary.h"
#include "survey.h"
