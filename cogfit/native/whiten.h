/* Whitening by the Kalman filter of an ARMA process. */
#ifndef COGFIT_WHITEN_H
#define COGFIT_WHITEN_H

#include "lanes.h"

#define MOST_ORDER 64 /* of a process: the larger of the order of its AR part and one more than that of its MA part */

/* Turn a row of n numbers into its standardised innovations, in place.
 *
 * phi (m) are the AR coefficients, gain (n, m) the Kalman gains, inverse_root (n) one over the root of the variances of
 * the innovations; m is at least 1 and at most MOST_ORDER.
 */
static void NAME(whiten)(int64_t n, double *row, int64_t m, const double *phi, const double *gain,
                         const double *inverse_root) {
    if (m == 1) {
        double ahead = 0.0;
        for (int64_t t = 0; t < n; t++) {
            const double v = row[t] - ahead;
            row[t] = v * inverse_root[t];
            ahead = phi[0] * ahead + gain[t] * v;
        }
        return;
    }
    double state[MOST_ORDER] = {0.0};
    for (int64_t t = 0; t < n; t++, gain += m) {
        const double first = state[0], v = row[t] - first;
        row[t] = v * inverse_root[t];
        for (int64_t i = 0; i < m - 1; i++) state[i] = phi[i] * first + state[i + 1] + gain[i] * v;
        state[m - 1] = phi[m - 1] * first + gain[m - 1] * v;
    }
}

#endif
