/* Checks and means of runs of values. */
#ifndef COGFIT_SURVEY_H
#define COGFIT_SURVEY_H

#include "lanes.h"

/* How many of n numbers are not finite, and their range, which means nothing where one is not. */
static int64_t survey_run(int64_t n, const double *values, double *limits) {
    Lanes zero = all(0.0), least = all(INFINITE), most = all(-INFINITE);
    for (int64_t i = 0; i < n; i += LANES) {
        const Lanes v = i + LANES <= n ? load(values + i) : load_some(values + i, n - i, values[0]);
        zero += v * all(0.0);
        least = lesser(least, v);
        most = greater(most, v);
    }
    limits[0] = INFINITE, limits[1] = -INFINITE;
    for (int k = 0; k < LANES; k++) limits[0] = smaller(limits[0], least[k]), limits[1] = larger(limits[1], most[k]);
    int64_t count = 0;
    if (sum(zero) != 0.0)
        for (int64_t i = 0; i < n; i++) count += !(__builtin_fabs(values[i]) < INFINITE);
    return count;
}

/* Of runs of values that begin at `at` (runs) with given sizes, fill how many are not finite (odd), and their range
 * (limits (runs, 2)). */
void NAME(survey)(int64_t runs, const double *values, const int64_t *at, const int64_t *sizes, int64_t *odd,
                  double *limits) {
    for (int64_t b = 0; b < runs; b++) {
        if (b > 0 && at[b] == at[b - 1] && sizes[b] == sizes[b - 1]) {
            odd[b] = odd[b - 1], limits[2 * b] = limits[2 * b - 2], limits[2 * b + 1] = limits[2 * b - 1];
            continue;
        }
        odd[b] = survey_run(sizes[b], values + at[b], limits + 2 * b);
    }
}

/* Weighted means of curves and sums of their weights over the points with each label 0, 1, ...: mean and total (curves,
 * bins). label (n). */
void NAME(bin_means)(int64_t curves, int64_t n, int64_t bins, const int64_t *label, const double *y, const int64_t *y_at,
                     const double *w, const int64_t *w_at, double *mean, double *total) {
    for (int64_t k = 0; k < curves; k++, mean += bins, total += bins) {
        const double *values = y + y_at[k], *weights = w + w_at[k];
        for (int64_t i = 0; i < bins; i++) mean[i] = total[i] = 0.0;
        for (int64_t i = 0; i < n; i++) {
            mean[label[i]] += weights[i] * values[i];
            total[label[i]] += weights[i];
        }
        for (int64_t i = 0; i < bins; i++) mean[i] /= total[i] > 1e-300 ? total[i] : 1e-300;
    }
}

#endif
