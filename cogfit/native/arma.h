/* Whitening of ARMA errors and their restricted likelihood: the exact Kalman filter in Harvey's state-space form.
 *
 * The state of an ARMA(p, q) process has m = max(p, q + 1) numbers; phi (padded with zeros) and loading = (1, theta)
 * have length m, and the innovations have unit variance. The filter settles: once the innovations are known from the
 * past, the gain is phi + theta and the variance of a prediction 1. For AR(p) that is so from point p on, and whitening
 * is then a moving sum of the points, without recursion. Other models run over several rows at once, one row a lane.
 */
#ifndef COGFIT_ARMA_H
#define COGFIT_ARMA_H

#include <math.h>
#include <stddef.h>

#include "lanes.h"

#define MOST_UNROLLED 3 /* dimensions of the state up to which the loops are unrolled: those of the orders tried */
#define TILE 64         /* points that are turned over at a time */
#define MOST_NEWTON 3   /* coordinates up to which Newton's method searches */
#define NEWTON_POINTS 2000 /* points from which it does, where there is an MA part */
#define NEWTON_DONE 1e-5   /* gain in log-likelihood below which it has arrived */
#define GRAM_TILE 512   /* points of all rows that stay in the cache while their products are summed */
#define SETTLED 1e-13   /* distance of a variance from 1 at which the filter counts as settled */

typedef struct {
    int64_t m;                   /* dimension of the state */
    int64_t settled;             /* points before the filter settles, at most n */
    int has_theta, is_white;     /* whether loading has more than its 1; whether nothing is to be done */
    const double *phi, *loading; /* m each */
    const double *gain;          /* (settled, m) */
    const double *inverse_root;  /* settled: 1 / sqrt(variance) */
    double log_determinant;      /* log |R| of the covariance of all points */
} ArmaFilter;

/* ------------------------------------------------------------------------------------------------ the filter itself */

/* Product of two m x m matrices, the second transposed on request. */
static void multiply_square(int64_t m, const double *a, const double *b, int transposed, double *out) {
    for (int64_t i = 0; i < m; i++)
        for (int64_t j = 0; j < m; j++) {
            double total = 0.0;
            for (int64_t k = 0; k < m; k++) total += a[i * m + k] * (transposed ? b[j * m + k] : b[k * m + j]);
            out[i * m + j] = total;
        }
}

/* Stationary covariance p = T p T' + loading loading' of the state, by doubling. Workspace: 3 m^2. */
static void stationary(int64_t m, const double *phi, const double *loading, double *p, double *work) {
    double *power = work, *product = work + m * m, *added = work + 2 * m * m;
    for (int64_t i = 0; i < m; i++)
        for (int64_t j = 0; j < m; j++) {
            power[i * m + j] = (j == 0 ? phi[i] : 0.0) + (j == i + 1 ? 1.0 : 0.0);
            p[i * m + j] = loading[i] * loading[j];
        }
    for (int round = 0; round < 40; round++) {
        multiply_square(m, power, p, 0, product);
        multiply_square(m, product, power, 1, added);
        double largest = 0.0;
        for (int64_t i = 0; i < m * m; i++) {
            p[i] += added[i];
            largest = larger(largest, fabs(added[i]));
        }
        if (largest <= 1e-15 * p[0]) return;
        multiply_square(m, power, power, 0, product);
        memcpy(power, product, (size_t)(m * m) * sizeof(double));
    }
}

/* Gains (n, m) and 1 / sqrt(variance) (n) until the filter settles; returns how many. The covariance p is used up. */
INLINE int64_t follow_gains(const int64_t m, const double *phi, const double *loading, int has_theta, int64_t n,
                            double *p, double *moved, double *gain, double *inverse_root, double *log_determinant) {
    double product = 1.0, total = 0.0; /* of the variances, which are 1 or more: one logarithm for many of them */
    int64_t t = 0;
    for (; t < n; t++) {
        if (!has_theta && t >= m) break; /* all that AR(p) remembers has been seen */
        const double variance = p[0], inverse = 1.0 / variance;
        double *own = gain + t * m;
        inverse_root[t] = 1.0 / sqrt(variance);
        product *= variance;
        if (!(product < 1e100)) {
            total += log(product);
            product = 1.0;
        }
        for (int64_t i = 0; i < m; i++) /* T p */
            for (int64_t j = 0; j < m; j++) moved[i * m + j] = phi[i] * p[j] + (i + 1 < m ? p[(i + 1) * m + j] : 0.0);
        for (int64_t i = 0; i < m; i++) own[i] = moved[i * m] * inverse;
        for (int64_t i = 0; i < m; i++)
            for (int64_t j = 0; j < m; j++) {
                const double next = moved[i * m] * phi[j] + (j + 1 < m ? moved[i * m + j + 1] : 0.0);
                p[i * m + j] = next + loading[i] * loading[j] - own[i] * moved[j * m];
            }
        if (t > m && fabs(variance - 1.0) < SETTLED) {
            t++;
            break;
        }
    }
    *log_determinant = total + log(product);
    return t;
}

/* ArmaFilter of n points. Workspace: 5 m^2; gain (n, m) and inverse_root (n) are filled until it settles. */
static ArmaFilter make_filter(int64_t m, const double *phi, const double *loading, int64_t n, double *gain,
                          double *inverse_root, double *work) {
    ArmaFilter filter = {
        .m = m, .is_white = 1, .phi = phi, .loading = loading, .gain = gain, .inverse_root = inverse_root};
    for (int64_t i = 0; i < m; i++) {
        if (i > 0 && loading[i] != 0.0) filter.has_theta = 1;
        if (phi[i] != 0.0) filter.is_white = 0;
    }
    if (filter.has_theta) filter.is_white = 0;
    if (filter.is_white) return filter;
    double *p = work, *moved = work + m * m;
    double small_p[MOST_UNROLLED * MOST_UNROLLED], small_moved[MOST_UNROLLED * MOST_UNROLLED];
    stationary(m, phi, loading, p, work + 2 * m * m);
    if (m <= MOST_UNROLLED) memcpy(small_p, p, (size_t)(m * m) * sizeof(double));
#define FOLLOW(size, p, moved)                                                                                         \
    follow_gains(size, phi, loading, filter.has_theta, n, p, moved, gain, inverse_root, &filter.log_determinant)
    switch (m) {
    case 1: filter.settled = FOLLOW(1, small_p, small_moved); break;
    case 2: filter.settled = FOLLOW(2, small_p, small_moved); break;
    case 3: filter.settled = FOLLOW(3, small_p, small_moved); break;
    default: filter.settled = FOLLOW(m, p, moved);
    }
#undef FOLLOW
    return filter;
}

/* Gains (n, m) and 1 / sqrt(variance) (n) of all points. Workspace: 5 m^2. */
void NAME(arma_gains)(int64_t n, int64_t m, const double *phi, const double *loading, double *gain,
                      double *inverse_root, double *work) {
    const ArmaFilter filter = make_filter(m, phi, loading, n, gain, inverse_root, work);
    for (int64_t t = filter.settled; t < n; t++) {
        for (int64_t i = 0; i < m; i++) gain[t * m + i] = phi[i] + (i + 1 < m ? loading[i + 1] : 0.0);
        inverse_root[t] = 1.0;
    }
}

/* Autocovariances at lags 0 to `lags`: the first column of the state's covariance, carried on. Workspace: 4 m^2. */
void NAME(arma_autocovariances)(int64_t lags, int64_t m, const double *phi, const double *loading, double *out,
                                double *work) {
    double *p = work, *state = work + m * m;
    stationary(m, phi, loading, p, work + m * m);
    for (int64_t i = 0; i < m; i++) state[i] = p[i * m];
    for (int64_t k = 0; k <= lags; k++) {
        const double first = out[k] = state[0];
        for (int64_t i = 0; i < m; i++) state[i] = phi[i] * first + (i + 1 < m ? state[i + 1] : 0.0);
    }
}

/* ------------------------------------------------------------------------------------------------- rows, one a lane */

/* Points t0 to t0 + count of up to LANES rows, turned so that a vector holds one point of every row; and back. */
INLINE void take_tile(int64_t rows, const double *const *from, int64_t t0, int64_t count, double *tile) {
    for (int64_t k = 0; k < rows; k++)
        for (int64_t t = 0; t < count; t++) tile[t * LANES + k] = from[k][t0 + t];
}

INLINE void return_tile(int64_t rows, double *const *to, int64_t t0, int64_t count, const double *tile) {
    for (int64_t k = 0; k < rows; k++)
        for (int64_t t = 0; t < count; t++) to[k][t0 + t] = tile[t * LANES + k];
}

/* One point of the filter: standardised innovations; the state moves on to the prediction of the next point.
 * phi_i y + h_i v with h = gain - phi and v = y - prediction, written so that one product waits for the last state. */
INLINE Lanes filter_point(const int64_t m, const double *phi, const double *gain, double inverse_root, Lanes y,
                          Lanes *state) {
    const Lanes first = state[0];
    for (int64_t i = 0; i < m; i++) {
        const Lanes input = i + 1 < m ? state[i + 1] + all(gain[i]) * y : all(gain[i]) * y;
        state[i] = input - all(gain[i] - phi[i]) * first;
    }
    return (y - first) * all(inverse_root);
}

INLINE void filter_tile(const int64_t m, const ArmaFilter *filter, const double *limit, int64_t t0, int64_t count,
                        double *tile, Lanes *state) {
    const double *phi = filter->phi;
    int64_t t = 0;
    for (; t < count && t0 + t < filter->settled; t++) {
        const double *gain = filter->gain + (t0 + t) * m;
        store(tile + t * LANES,
              filter_point(m, phi, gain, filter->inverse_root[t0 + t], load(tile + t * LANES), state));
    }
    for (; t < count; t++)
        store(tile + t * LANES, filter_point(m, phi, limit, 1.0, load(tile + t * LANES), state));
}

/* Innovations of up to LANES rows by the recursion of the filter. Workspace: m (LANES + 1) + 8. */
static void filter_rows(const ArmaFilter *filter, int64_t n, int64_t rows, const double *const *from, double *const *to,
                        double *work) {
    const int64_t m = filter->m;
    double tile[TILE * LANES] = {0.0};
    Lanes small[MOST_UNROLLED], *state = small;
    double small_limit[MOST_UNROLLED], *limit = small_limit;
    if (m > MOST_UNROLLED) {
        state = (Lanes *)aligned(work);
        limit = (double *)(state + m);
    }
    for (int64_t i = 0; i < m; i++) {
        state[i] = all(0.0);
        limit[i] = filter->phi[i] + (i + 1 < m ? filter->loading[i + 1] : 0.0);
    }
    for (int64_t t0 = 0; t0 < n; t0 += TILE) {
        const int64_t count = n - t0 < TILE ? n - t0 : TILE;
        take_tile(rows, from, t0, count, tile);
        switch (m) {
        case 1: filter_tile(1, filter, small_limit, t0, count, tile, small); break;
        case 2: filter_tile(2, filter, small_limit, t0, count, tile, small); break;
        case 3: filter_tile(3, filter, small_limit, t0, count, tile, small); break;
        default: filter_tile(m, filter, limit, t0, count, tile, state);
        }
        return_tile(rows, to, t0, count, tile);
    }
}

/* Innovations of one row of AR(p) errors, from the settled points back to the first, so that a row may be its own
 * result. */
INLINE void whiten_autoregressive(const int64_t m, const ArmaFilter *filter, int64_t n, const double *from, double *to,
                                  double *state) {
    const double *phi = filter->phi;
    int64_t t = n;
    for (; t - LANES >= m; t -= LANES) {
        Lanes value = load(from + t - LANES);
        for (int64_t i = 0; i < m; i++) value -= all(phi[i]) * load(from + t - LANES - 1 - i);
        store(to + t - LANES, value);
    }
    for (; t > filter->settled; t--) {
        double value = from[t - 1];
        for (int64_t i = 0; i < m; i++) value -= phi[i] * from[t - 2 - i];
        to[t - 1] = value;
    }
    for (int64_t i = 0; i < m; i++) state[i] = 0.0;
    for (int64_t first = 0; first < filter->settled; first++) {
        const double *gain = filter->gain + first * m, y = from[first], innovation = y - state[0];
        for (int64_t i = 0; i < m; i++)
            state[i] = (i + 1 < m ? state[i + 1] : 0.0) + phi[i] * y + (gain[i] - phi[i]) * innovation;
        to[first] = innovation * filter->inverse_root[first];
    }
}

/* Standardised innovations of rows (rows, n), into others or in place. Workspace: m (LANES + 1) + 8. */
static void whiten_into(const ArmaFilter *filter, int64_t n, int64_t rows, const double *from, double *to,
                        double *work) {
    double small[MOST_UNROLLED];
    if (!filter->has_theta) {
        for (int64_t k = 0; k < rows; k++, from += n, to += n) switch (filter->m) {
            case 1: whiten_autoregressive(1, filter, n, from, to, small); break;
            case 2: whiten_autoregressive(2, filter, n, from, to, small); break;
            case 3: whiten_autoregressive(3, filter, n, from, to, small); break;
            default: whiten_autoregressive(filter->m, filter, n, from, to, work);
            }
        return;
    }
    for (int64_t first = 0; first < rows; first += LANES) {
        const int64_t count = rows - first < LANES ? rows - first : LANES;
        const double *own[LANES];
        double *result[LANES];
        for (int64_t k = 0; k < count; k++) {
            own[k] = from + (first + k) * n;
            result[k] = to + (first + k) * n;
        }
        filter_rows(filter, n, count, own, result, work);
    }
}

/* Doubles of workspace that whitening and the restricted likelihood of `rows` rows need. */
int64_t NAME(arma_workspace)(int64_t n, int64_t m, int64_t rows) {
    return n * (m + 1 + rows) + 5 * m * m + m * (LANES + 1) + 16 + rows * rows;
}

/* Doubles of workspace that a search among AR(p) needs besides, for `rows` rows. */
static int64_t lagged_workspace(int64_t p, int64_t rows) {
    const int64_t all_rows = (p + 1) * rows;
    return all_rows * (all_rows + GRAM_TILE) + 2 * rows * rows + rows * (p + 1);
}

/* Whiten rows (rows, n) in place. Workspace: that of no rows. */
void NAME(arma_whiten)(int64_t n, int64_t rows, double *row, int64_t m, const double *phi, const double *loading,
                       double *work) {
    double *gain = work, *inverse_root = gain + n * m, *rest = inverse_root + n;
    const ArmaFilter filter = make_filter(m, phi, loading, n, gain, inverse_root, rest);
    if (!filter.is_white) whiten_into(&filter, n, rows, row, row, rest);
}

/* ------------------------------------------------------------------------------------------------------- simulation */

INLINE void drive_tile(const int64_t m, const double *phi, const double *loading, int64_t count, double *tile,
                       Lanes *state) {
    for (int64_t t = 0; t < count; t++) {
        const Lanes shock = load(tile + t * LANES), value = state[0];
        for (int64_t i = 0; i < m; i++) {
            const Lanes input = i + 1 < m ? state[i + 1] + all(loading[i]) * shock : all(loading[i]) * shock;
            state[i] = all(phi[i]) * value + input;
        }
        store(tile + t * LANES, value);
    }
}

/* Cholesky factor of a covariance, in place; what is singular gets a column of zeros. */
static void factor_state(int64_t m, double *p) {
    for (int64_t i = 0; i < m; i++)
        for (int64_t j = 0; j <= i; j++) {
            double total = p[i * m + j];
            for (int64_t k = 0; k < j; k++) total -= p[i * m + k] * p[j * m + k];
            if (i == j)
                p[i * m + i] = sqrt(larger(total, 0.0));
            else
                p[i * m + j] = p[j * m + j] > 1e-150 ? total / p[j * m + j] : 0.0;
        }
}

/* Stationary series from standard normal numbers start (rows, m) and shocks (rows, n), in place of the shocks.
 * Workspace: 4 m^2 + m LANES + 8. */
void NAME(arma_series)(int64_t n, int64_t rows, const double *start, double *shock, int64_t m, const double *phi,
                       const double *loading, double *work) {
    double *root = work, tile[TILE * LANES] = {0.0};
    stationary(m, phi, loading, root, work + m * m);
    factor_state(m, root);
    Lanes small[MOST_UNROLLED], *state = m > MOST_UNROLLED ? (Lanes *)aligned(work + 4 * m * m) : small;
    for (int64_t first = 0; first < rows; first += LANES) {
        const int64_t count = rows - first < LANES ? rows - first : LANES;
        const double *own[LANES];
        double *result[LANES];
        for (int64_t i = 0; i < m; i++) state[i] = all(0.0);
        for (int64_t k = 0; k < count; k++) {
            own[k] = result[k] = shock + (first + k) * n;
            for (int64_t i = 0; i < m; i++)
                for (int64_t j = 0; j <= i; j++) state[i][k] += root[i * m + j] * start[(first + k) * m + j];
        }
        for (int64_t t0 = 0; t0 < n; t0 += TILE) {
            const int64_t points = n - t0 < TILE ? n - t0 : TILE;
            take_tile(count, own, t0, points, tile);
            switch (m) {
            case 1: drive_tile(1, phi, loading, points, tile, small); break;
            case 2: drive_tile(2, phi, loading, points, tile, small); break;
            case 3: drive_tile(3, phi, loading, points, tile, small); break;
            default: drive_tile(m, phi, loading, points, tile, state);
            }
            return_tile(count, result, t0, points, tile);
        }
    }
}

/* -------------------------------------------------------------------------------------------- restricted likelihood */

/* Products of row i with rows j to j + 4 over some points: four chains of sums hide the time that one takes. */
INLINE void four_products(int64_t count, const double *row, const double *const *others, double *out) {
    Lanes a = all(0.0), b = a, c = a, d = a;
    int64_t t = 0;
    for (; t + LANES <= count; t += LANES) {
        const Lanes own = load(row + t);
        a += own * load(others[0] + t);
        b += own * load(others[1] + t);
        c += own * load(others[2] + t);
        d += own * load(others[3] + t);
    }
    if (t < count) {
        const Lanes own = load_some(row + t, count - t, 0.0);
        a += own * load_some(others[0] + t, count - t, 0.0);
        b += own * load_some(others[1] + t, count - t, 0.0);
        c += own * load_some(others[2] + t, count - t, 0.0);
        d += own * load_some(others[3] + t, count - t, 0.0);
    }
    out[0] = sum(a);
    out[1] = sum(b);
    out[2] = sum(c);
    out[3] = sum(d);
}

/* What one point t adds to the covariance with points after it: with p the covariance of the state with its first
 * number, the state moves on as T (state + p y), and its first number is sum_{s < t} rho_{t - s} y_s. */
INLINE void correlate_tile(const int64_t m, const double *phi, const double *covariance, int64_t count, double *tile,
                           Lanes *state) {
    for (int64_t t = 0; t < count; t++) {
        const Lanes y = load(tile + t * LANES), past = state[0], first = past + all(covariance[0]) * y;
        for (int64_t i = 0; i < m; i++)
            state[i] = all(phi[i]) * first + (i + 1 < m ? state[i + 1] + all(covariance[i + 1]) * y : all(0.0));
        store(tile + t * LANES, past);
    }
}

/* Rows times the covariance of the errors times rows, (rows, rows). Workspace: rows n + 4 m^2 + m (LANES + 1) + 8. */
void NAME(arma_covariance_products)(int64_t n, int64_t rows, const double *row, int64_t m, const double *phi,
                                    const double *loading, double *out, double *work) {
    double *past = work, *covariance = past + rows * n, tile[TILE * LANES] = {0.0};
    stationary(m, phi, loading, covariance, covariance + m * m); /* its first row is what is needed */
    Lanes small[MOST_UNROLLED], *state = m > MOST_UNROLLED ? (Lanes *)aligned(covariance + 4 * m * m) : small;
    for (int64_t first = 0; first < rows; first += LANES) {
        const int64_t count = rows - first < LANES ? rows - first : LANES;
        const double *own[LANES];
        double *result[LANES];
        for (int64_t i = 0; i < m; i++) state[i] = all(0.0);
        for (int64_t k = 0; k < count; k++) {
            own[k] = row + (first + k) * n;
            result[k] = past + (first + k) * n;
        }
        for (int64_t t0 = 0; t0 < n; t0 += TILE) {
            const int64_t points = n - t0 < TILE ? n - t0 : TILE;
            take_tile(count, own, t0, points, tile);
            switch (m) {
            case 1: correlate_tile(1, phi, covariance, points, tile, small); break;
            case 2: correlate_tile(2, phi, covariance, points, tile, small); break;
            case 3: correlate_tile(3, phi, covariance, points, tile, small); break;
            default: correlate_tile(m, phi, covariance, points, tile, state);
            }
            return_tile(count, result, t0, points, tile);
        }
    }
    /* rho_0 y_i y_j + y_i past_j + past_i y_j */
    for (int64_t i = 0; i < rows * rows; i++) out[i] = 0.0;
    for (int64_t t0 = 0; t0 < n; t0 += GRAM_TILE) {
        const int64_t points = n - t0 < GRAM_TILE ? n - t0 : GRAM_TILE;
        for (int64_t i = 0; i < rows; i++)
            for (int64_t j = 0; j < rows; j += 4) {
                const double *others[4];
                double same[4], before[4];
                for (int64_t k = 0; k < 4; k++) others[k] = row + (j + k < rows ? j + k : i) * n + t0;
                four_products(points, row + i * n + t0, others, same);
                for (int64_t k = 0; k < 4; k++) others[k] = past + (j + k < rows ? j + k : i) * n + t0;
                four_products(points, row + i * n + t0, others, before);
                for (int64_t k = 0; k < 4 && j + k < rows; k++) {
                    out[i * rows + j + k] += 0.5 * covariance[0] * same[k] + before[k];
                    out[(j + k) * rows + i] += 0.5 * covariance[0] * same[k] + before[k];
                }
            }
    }
}

/* Covariance of the sums of weight times errors over bins of points that follow each other, (bins, bins).
 *
 * Bin b has the points begin[b] to begin[b + 1] - 1. Each is followed once: forwards for what it hands on to later
 * points, and backwards for what it takes of a state at its begin. Workspace: bins (2 m + m^2) + 8 m^2 + m. */
void NAME(arma_sum_covariance)(int64_t bins, const int64_t *begin, const double *weight, int64_t m, const double *phi,
                               const double *loading, double *out, double *work) {
    double *given = work, *taken = given + bins * m, *across = taken + bins * m, *covariance = across + bins * m * m;
    double *power = covariance + 4 * m * m, *product = power + m * m, *moved = product + m * m;
    stationary(m, phi, loading, covariance, covariance + m * m);
    for (int64_t b = 0; b < bins; b++) {
        double *state = given + b * m, *row = taken + b * m, *through = across + b * m * m, variance = 0.0;
        for (int64_t i = 0; i < m; i++) state[i] = row[i] = 0.0;
        for (int64_t t = begin[b]; t < begin[b + 1]; t++) {
            variance += weight[t] * (covariance[0] * weight[t] + 2.0 * state[0]);
            const double first = state[0] + covariance[0] * weight[t];
            for (int64_t i = 0; i < m; i++)
                state[i] = phi[i] * first + (i + 1 < m ? state[i + 1] + covariance[i + 1] * weight[t] : 0.0);
        }
        out[b * bins + b] = variance;
        for (int64_t t = begin[b + 1] - 1; t >= begin[b]; t--) {
            double first = 0.0;
            for (int64_t i = 0; i < m; i++) first += row[i] * phi[i];
            for (int64_t i = m - 1; i > 0; i--) row[i] = row[i - 1];
            row[0] = first + weight[t];
        }
        for (int64_t i = 0; i < m; i++)
            for (int64_t j = 0; j < m; j++) {
                through[i * m + j] = i == j ? 1.0 : 0.0;
                power[i * m + j] = (j == 0 ? phi[i] : 0.0) + (j == i + 1 ? 1.0 : 0.0);
            }
        for (int64_t count = begin[b + 1] - begin[b]; count > 0; count /= 2) {
            if (count % 2) {
                multiply_square(m, power, through, 0, product);
                memcpy(through, product, (size_t)(m * m) * sizeof(double));
            }
            multiply_square(m, power, power, 0, product);
            memcpy(power, product, (size_t)(m * m) * sizeof(double));
        }
    }
    for (int64_t a = 0; a < bins; a++) {
        double *state = given + a * m;
        for (int64_t b = a + 1; b < bins; b++) {
            double total = 0.0;
            for (int64_t i = 0; i < m; i++) total += taken[b * m + i] * state[i];
            out[a * bins + b] = out[b * bins + a] = total;
            for (int64_t i = 0; i < m; i++) {
                moved[i] = 0.0;
                for (int64_t j = 0; j < m; j++) moved[i] += across[b * m * m + i * m + j] * state[j];
            }
            memcpy(state, moved, (size_t)m * sizeof(double));
        }
    }
}

/* Products of all pairs of rows (rows, n), lower triangle of (rows, rows). */
static void row_products(int64_t rows, int64_t n, const double *z, double *out) {
    for (int64_t i = 0; i < rows * rows; i++) out[i] = 0.0;
    for (int64_t t0 = 0; t0 < n; t0 += GRAM_TILE) {
        const int64_t count = n - t0 < GRAM_TILE ? n - t0 : GRAM_TILE;
        for (int64_t i = 0; i < rows; i++)
            for (int64_t j = 0; j <= i; j += 4) {
                const double *others[4];
                double products[4];
                for (int64_t k = 0; k < 4; k++) others[k] = z + (j + k <= i ? j + k : i) * n + t0;
                four_products(count, z + i * n + t0, others, products);
                for (int64_t k = 0; k < 4 && j + k <= i; k++) out[i * rows + j + k] += products[k];
            }
    }
}

/* Cholesky factor of products, in place; a pivot that is rounding only is set to 0. */
static void factor_products(int64_t rows, double *low) {
    for (int64_t i = 0; i < rows; i++)
        for (int64_t j = 0; j <= i; j++) {
            const double own = low[i * rows + j];
            double total = own;
            for (int64_t k = 0; k < j; k++) total -= low[i * rows + k] * low[j * rows + k];
            if (i == j)
                low[i * rows + i] = total > 1e-13 * own ? sqrt(total) : 0.0;
            else
                low[i * rows + j] = low[j * rows + j] > 0.0 ? total / low[j * rows + j] : 0.0;
        }
}

/* Factor of the products of whitened rows; white rows are not copied. */
static void factor_whitened(const ArmaFilter *filter, int64_t n, int64_t rows, const double *row, double *z,
                            double *low, double *work) {
    if (!filter->is_white) whiten_into(filter, n, rows, row, z, work);
    row_products(rows, n, filter->is_white ? row : z, low);
    factor_products(rows, low);
}

/* Products of the differences of orders 0 to p of all rows, for points p, p + 1, ...: from these come the products of
 * rows whitened by any AR(p), at a cost that does not depend on n. Differences and not lags, for near a unit root
 * smooth rows all but vanish when they are whitened, and sums of lagged products would cancel.
 *
 * `out` holds the lower triangle of ((p + 1) rows)^2; row k rows + i is difference k of row i. */
static void difference_products(int64_t p, int64_t n, int64_t rows, const double *row, double *out, double *work) {
    const int64_t size = (p + 1) * rows;
    for (int64_t i = 0; i < size * size; i++) out[i] = 0.0;
    for (int64_t t0 = p; t0 < n; t0 += GRAM_TILE) {
        const int64_t count = n - t0 < GRAM_TILE ? n - t0 : GRAM_TILE;
        for (int64_t i = 0; i < rows; i++) {
            const double *own = row + i * n + t0;
            double *result = work + i * GRAM_TILE;
            memcpy(result, own, (size_t)count * sizeof(double));
            if (p > 0)
                for (int64_t t = 0; t < count; t++) result[rows * GRAM_TILE + t] = own[t] - own[t - 1];
            if (p > 1)
                for (int64_t t = 0; t < count; t++)
                    result[2 * rows * GRAM_TILE + t] = (own[t] - own[t - 1]) - (own[t - 1] - own[t - 2]);
            if (p > 2)
                for (int64_t t = 0; t < count; t++)
                    result[3 * rows * GRAM_TILE + t] = ((own[t] - own[t - 1]) - (own[t - 1] - own[t - 2])) -
                                                       ((own[t - 1] - own[t - 2]) - (own[t - 2] - own[t - 3]));
        }
        for (int64_t i = 0; i < size; i++)
            for (int64_t j = 0; j <= i; j += 4) {
                const double *others[4];
                double products[4];
                for (int64_t k = 0; k < 4; k++) others[k] = work + (j + k <= i ? j + k : i) * GRAM_TILE;
                four_products(count, work + i * GRAM_TILE, others, products);
                for (int64_t k = 0; k < 4 && j + k <= i; k++) out[i * size + j + k] += products[k];
            }
    }
}

/* Products of rows whitened by AR(p), from those of their differences; 0 where digits cancel and rows have to be
 * whitened. Workspace: rows (p + 1). */
static int whitened_products(const ArmaFilter *filter, int64_t n, int64_t rows, const double *row,
                             const double *difference, double *out, double *work) {
    const int64_t p = filter->m, size = (p + 1) * rows;
    /* 1 - sum phi_i B^i in powers of 1 - B */
    double weight[MOST_UNROLLED + 1];
    for (int64_t k = 0; k <= p; k++) {
        double total = k == 0 ? 1.0 : 0.0, choose = 1.0;
        for (int64_t i = k; i <= p; i++) { /* choose = binomial(i, k) */
            if (i > 0) total -= filter->phi[i - 1] * choose;
            choose *= (double)(i + 1) / (double)(i + 1 - k);
        }
        weight[k] = k % 2 ? -total : total;
    }
    /* the first points are whitened one by one */
    double *first = work, state[MOST_UNROLLED];
    for (int64_t i = 0; i < rows; i++) {
        for (int64_t k = 0; k < p; k++) state[k] = 0.0;
        for (int64_t t = 0; t < p; t++) {
            const double *gain = filter->gain + t * p, innovation = row[i * n + t] - state[0], ahead = state[0];
            for (int64_t k = 0; k < p; k++)
                state[k] = (k + 1 < p ? state[k + 1] : 0.0) + filter->phi[k] * ahead + gain[k] * innovation;
            first[i * p + t] = innovation * filter->inverse_root[t];
        }
    }
    for (int64_t i = 0; i < rows; i++)
        for (int64_t j = 0; j <= i; j++) {
            double total = 0.0, reach = 0.0;
            for (int64_t t = 0; t < p; t++) total += first[i * p + t] * first[j * p + t];
            for (int64_t k = 0; k <= p; k++)
                for (int64_t l = 0; l <= p; l++) {
                    const int64_t a = k * rows + i, b = l * rows + j;
                    const double term = weight[k] * weight[l] * difference[a > b ? a * size + b : b * size + a];
                    total += term;
                    reach += fabs(term);
                }
            if (i == j && !(total > 1e-6 * reach)) return 0;
            out[i * rows + j] = total;
        }
    return 1;
}

static double log_square(int64_t columns, int64_t rows, const double *low) {
    double total = 0.0;
    for (int64_t i = 0; i < columns; i++) {
        if (low[i * rows + i] == 0.0) return INFINITE;
        total += 2.0 * log(low[i * rows + i]);
    }
    return total;
}

/* Generalised least squares of the last row on those before it: RSS, log|R|, and log|X'R^-1 X| of the reference rows.
 *
 * Without reference rows X is that of the fit. The last is infinite where X is singular. Workspace: arma_workspace of
 * the larger number of rows. */
void NAME(arma_restricted_terms)(int64_t n, int64_t m, const double *phi, const double *loading, int64_t rows,
                                 const double *row, int64_t references, const double *reference, double *terms,
                                 double *work) {
    const int64_t most = rows > references ? rows : references;
    double *gain = work, *inverse_root = gain + n * m, *z = inverse_root + n, *low = z + most * n;
    double *rest = low + most * most;
    const ArmaFilter filter = make_filter(m, phi, loading, n, gain, inverse_root, rest);
    factor_whitened(&filter, n, rows, row, z, low, rest);
    terms[0] = low[rows * rows - 1] * low[rows * rows - 1];
    terms[1] = filter.log_determinant;
    if (references > 0) {
        factor_whitened(&filter, n, references, reference, z, low, rest);
        terms[2] = log_square(references, references, low);
    } else
        terms[2] = log_square(rows - 1, rows, low);
}

/* Coefficients from unbounded coordinates: tanh, then Levinson's recursion (Monahan 1984). */
static void coefficients(int64_t size, const double *z, double limit, double sign, double *out) {
    for (int64_t k = 0; k < size; k++) {
        const double partial = limit * tanh(z[k]);
        for (int64_t i = 0; i < k / 2; i++) { /* coefficients at both ends change together */
            const double low = out[i], high = out[k - 1 - i];
            out[i] = low - partial * high;
            out[k - 1 - i] = high - partial * low;
        }
        if (k % 2) out[k / 2] *= 1.0 - partial;
        out[k] = partial;
    }
    for (int64_t i = 0; i < size; i++) out[i] *= sign;
}

/* phi and loading = (1, theta), each of length max(p, q + 1), from p + q coordinates. */
void NAME(arma_coefficients)(int64_t p, int64_t q, const double *z, double limit, double *phi, double *loading) {
    const int64_t m = p > q + 1 ? p : q + 1;
    for (int64_t i = 0; i < m; i++) phi[i] = loading[i] = 0.0;
    coefficients(p, z, limit, 1.0, phi);
    loading[0] = 1.0;
    coefficients(q, z + p, limit, -1.0, loading + 1);
}

/* ------------------------------------------------------------------------------------------------------- the search */

typedef struct {
    int64_t p, q, m, n, rows, references;
    double limit, top, target;
    const double *row, *reference;
    double *difference, *reference_difference; /* products of differences; none where there is an MA part */
    double *phi, *loading, *work;
} ArmaSearch;

/* The terms of the restricted likelihood of AR(p) from products of differences; 0 where digits cancel. */
static int autoregressive_terms(const ArmaSearch *search, double *terms) {
    const int64_t p = search->p, rows = search->rows, references = search->references;
    double gain[MOST_UNROLLED * MOST_UNROLLED], inverse_root[MOST_UNROLLED], small[5 * MOST_UNROLLED * MOST_UNROLLED];
    const ArmaFilter filter = make_filter(p, search->phi, search->loading, p, gain, inverse_root, small);
    if (filter.is_white) return 0;
    double *low = search->work, *rest = low + rows * rows;
    if (!whitened_products(&filter, search->n, rows, search->row, search->difference, low, rest)) return 0;
    factor_products(rows, low);
    terms[0] = low[rows * rows - 1] * low[rows * rows - 1];
    terms[1] = filter.log_determinant;
    if (references > 0) {
        rest = low + references * references;
        if (!whitened_products(&filter, search->n, references, search->reference, search->reference_difference, low,
                               rest))
            return 0;
        factor_products(references, low);
        terms[2] = log_square(references, references, low);
    } else
        terms[2] = log_square(rows - 1, rows, low);
    return 1;
}

/* Minus the restricted log-likelihood, up to a constant. */
static double arma_criterion(const ArmaSearch *search, const double *z) {
    for (int64_t i = 0; i < search->p + search->q; i++)
        if (fabs(z[i]) > search->top) return INFINITE;
    double terms[3];
    NAME(arma_coefficients)(search->p, search->q, z, search->limit, search->phi, search->loading);
    if (!search->difference || !autoregressive_terms(search, terms))
        NAME(arma_restricted_terms)(search->n, search->m, search->phi, search->loading, search->rows, search->row,
                                    search->references, search->reference, terms, search->work);
    const int64_t columns = search->references > 0 ? search->references : search->rows - 1;
    return 0.5 * ((double)(search->n - columns) * log(larger(terms[0], 1e-300)) + terms[1] + terms[2]);
}

/* Sort the corners of a simplex by their values; equal ones keep their order. */
static void sort_corners(int64_t size, double *points, double *values) {
    for (int64_t i = 1; i <= size; i++)
        for (int64_t k = i; k > 0 && values[k] < values[k - 1]; k--) {
            double held = values[k];
            values[k] = values[k - 1];
            values[k - 1] = held;
            for (int64_t j = 0; j < size; j++) {
                held = points[k * size + j];
                points[k * size + j] = points[(k - 1) * size + j];
                points[(k - 1) * size + j] = held;
            }
        }
}

static double spread_of(int64_t size, const double *points) {
    double spread = 0.0;
    for (int64_t i = 1; i <= size; i++)
        for (int64_t j = 0; j < size; j++) spread = larger(spread, fabs(points[i * size + j] - points[j]));
    return spread;
}

static double try_point(const ArmaSearch *search, int64_t size, const double *centre, const double *worst,
                        double factor, double *point) {
    for (int64_t j = 0; j < size; j++) point[j] = centre[j] + factor * (centre[j] - worst[j]);
    return arma_criterion(search, point);
}

/* Replace the worst corner of a sorted simplex; the corners, their values and three points of workspace. */
static void move_worst(const ArmaSearch *search, int64_t size, double *points, double *values, double *work) {
    double *centre = work, *point = work + size, *other = work + 2 * size, *worst = points + size * size;
    for (int64_t j = 0; j < size; j++) {
        centre[j] = 0.0;
        for (int64_t i = 0; i < size; i++) centre[j] += points[i * size + j] / (double)size;
    }
    double value = try_point(search, size, centre, worst, 1.0, point);
    if (value < values[0]) {
        const double further = try_point(search, size, centre, worst, 2.0, other);
        if (further < value) {
            point = other;
            value = further;
        }
    } else if (value >= values[size - 1]) {
        if (value < values[size]) {
            memcpy(worst, point, (size_t)size * sizeof(double));
            values[size] = value;
        }
        value = try_point(search, size, centre, worst, -0.5, point);
        if (value >= values[size]) { /* nothing better in this direction: the simplex shrinks towards its best corner */
            for (int64_t i = 1; i <= size; i++) {
                for (int64_t j = 0; j < size; j++)
                    points[i * size + j] = 0.5 * (points[j] + points[i * size + j]);
                values[i] = arma_criterion(search, points + i * size);
            }
            return;
        }
    }
    memcpy(worst, point, (size_t)size * sizeof(double));
    values[size] = value;
}

/* Solve (hessian + damping) step = -gradient by Cholesky; 0 where that matrix is not positive. */
static int arma_newton_step(int64_t size, const double *hessian, const double *gradient, double damping, double *step) {
    double low[MOST_NEWTON * MOST_NEWTON];
    for (int64_t i = 0; i < size; i++)
        for (int64_t j = 0; j <= i; j++) {
            double total = hessian[i * size + j] + (i == j ? damping : 0.0);
            for (int64_t k = 0; k < j; k++) total -= low[i * size + k] * low[j * size + k];
            if (i == j && !(total > 0.0)) return 0;
            low[i * size + j] = i == j ? sqrt(total) : total / low[j * size + j];
        }
    for (int64_t i = 0; i < size; i++) {
        step[i] = -gradient[i];
        for (int64_t k = 0; k < i; k++) step[i] -= low[i * size + k] * step[k];
        step[i] /= low[i * size + i];
    }
    for (int64_t i = size - 1; i >= 0; i--) {
        for (int64_t k = i + 1; k < size; k++) step[i] -= low[k * size + i] * step[k];
        step[i] /= low[i * size + i];
    }
    return 1;
}

/* Gradient and second derivatives of the criterion by differences; 0 where a value is not finite. */
static int criterion_derivatives(const ArmaSearch *search, int64_t size, const double *z, double value, double h,
                                 double *gradient, double *hessian) {
    double point[MOST_NEWTON], up[MOST_NEWTON];
    memcpy(point, z, (size_t)size * sizeof(double));
    for (int64_t i = 0; i < size * size; i++) hessian[i] = 0.0;
    for (int64_t i = 0; i < size; i++) {
        up[i] = NOT_A_NUMBER;
        if (fabs(z[i]) > search->top - 1.5 * h) { /* at the edge of what is searched, and drawn outwards: held there */
            point[i] = z[i] - copysign(h, z[i]);
            if (arma_criterion(search, point) < value) return 0;
            point[i] = z[i];
            gradient[i] = 0.0;
            hessian[i * size + i] = 1.0;
            continue;
        }
        point[i] = z[i] + h;
        up[i] = arma_criterion(search, point);
        point[i] = z[i] - h;
        const double down = arma_criterion(search, point);
        point[i] = z[i];
        if (!is_finite(up[i]) || !is_finite(down)) return 0;
        gradient[i] = (up[i] - down) / (2.0 * h);
        hessian[i * size + i] = (up[i] - 2.0 * value + down) / (h * h);
    }
    for (int64_t i = 0; i < size; i++)
        for (int64_t j = 0; j < i; j++) {
            if (!is_finite(up[i]) || !is_finite(up[j])) continue;
            point[i] = z[i] + h;
            point[j] = z[j] + h;
            const double both = arma_criterion(search, point);
            point[i] = z[i];
            point[j] = z[j];
            if (!is_finite(both)) return 0;
            const double mixed = (both - up[i] - up[j] + value) / (h * h);
            hessian[i * size + j] = hessian[j * size + i] = mixed;
        }
    return 1;
}

/* Newton's method from `best`, which becomes the minimum; 0 where it does not get there and the simplex has to. */
static int newton(const ArmaSearch *search, int64_t size, double *best, double *value) {
    const double h = 0.5 / sqrt((double)search->n), edge = search->top - h; /* h: a fraction of a standard error */
    double gradient[MOST_NEWTON], hessian[MOST_NEWTON * MOST_NEWTON], step[MOST_NEWTON], point[MOST_NEWTON];
    double gain = INFINITE;
    for (int round = 0; round < 12; round++) {
        if (!criterion_derivatives(search, size, best, *value, h, gradient, hessian)) return 0;
        double damping = 0.0, scale = 0.0;
        for (int64_t i = 0; i < size; i++) scale = larger(scale, fabs(hessian[i * size + i]));
        while (!arma_newton_step(size, hessian, gradient, damping, step))
            if ((damping = larger(4.0 * damping, 1e-3 * scale + 1e-6)) > 1e6 * scale) return 0;
        double reach = 0.0, expected = 0.0;
        for (int64_t i = 0; i < size; i++) {
            reach = larger(reach, fabs(step[i]));
            expected -= 0.5 * gradient[i] * step[i];
        }
        if (damping == 0.0 && expected < NEWTON_DONE) return 1;
        /* far from what would be worth having, and no step is expected to lead there */
        if (damping < 2e-3 * scale && *value - 4.0 * expected > search->target + 1.0) return 1;
        double share = reach > 1.0 ? 1.0 / reach : 1.0, next = INFINITE;
        for (int half = 0; half < 8; half++, share *= 0.5) {
            for (int64_t i = 0; i < size; i++) point[i] = smaller(larger(best[i] + share * step[i], -edge), edge);
            next = arma_criterion(search, point);
            if (next < *value) break;
        }
        if (!(next < *value)) return expected < 1e-3;
        memcpy(best, point, (size_t)size * sizeof(double));
        const int is_done = damping == 0.0 && *value - next < NEWTON_DONE;
        gain = *value - next;
        *value = next;
        if (is_done) return 1;
    }
    return gain < 1e-2; /* along the ridge of models whose factors cancel there is no more to gain */
}

/* Doubles of workspace of a search. */
int64_t NAME(arma_search_workspace)(int64_t p, int64_t q, int64_t n, int64_t rows, int64_t references) {
    const int64_t m = p > q + 1 ? p : q + 1, size = p + q, most = rows > references ? rows : references;
    return NAME(arma_workspace)(n, m, most) + 2 * m + (size + 1) * (size + 1) + 3 * size + lagged_workspace(p, rows) +
           lagged_workspace(p, references);
}

/* Best coordinates (p + q) and criterion by the simplex of Nelder & Mead (1965), from `best` with edges `step`; of long
 * series with an MA part by Newton's method from where it has led. That may stop early if a criterion as low as `target`
 * is out of reach. */
double NAME(arma_minimise)(int64_t p, int64_t q, double step, double limit, double top, double target, int64_t n, int64_t rows,
                           const double *row, int64_t references, const double *reference, double *best,
                           double *work) {
    const int64_t size = p + q, m = p > q + 1 ? p : q + 1;
    double *points = work, *values = points + (size + 1) * size, *corner = values + size + 1;
    double *phi = corner + 3 * size, *loading = phi + m;
    double *difference = loading + m, *rest = difference;
    double *reference_difference = NULL;
    if (q == 0 && p <= MOST_UNROLLED && n > p) {
        const int64_t size_of_rows = (p + 1) * rows, size_of_references = (p + 1) * references;
        reference_difference = difference + size_of_rows * size_of_rows;
        rest = reference_difference + size_of_references * size_of_references;
        difference_products(p, n, rows, row, difference, rest);
        difference_products(p, n, references, reference, reference_difference, rest);
    } else
        difference = NULL;
    const ArmaSearch search = {p,   q,         m,          n,                    rows, references, limit, top, target,
                               row, reference, difference, reference_difference, phi,  loading,    rest};
    /* where an evaluation costs much, the simplex only comes near the minimum; to start near it is as good */
    int is_long = q > 0 && n >= NEWTON_POINTS && size <= MOST_NEWTON;
    if (is_long && step < 0.2) {
        double value = arma_criterion(&search, best);
        if (is_finite(value) && newton(&search, size, best, &value)) return value;
        is_long = 0;
    }
    for (int64_t i = 0; i <= size; i++) {
        memcpy(points + i * size, best, (size_t)size * sizeof(double));
        if (i > 0) points[i * size + i - 1] += step;
        values[i] = arma_criterion(&search, points + i * size);
    }
    for (int round = 0; round < 200; round++) {
        sort_corners(size, points, values);
        const double spread = spread_of(size, points);
        if (is_long && spread < 0.25) {
            memcpy(best, points, (size_t)size * sizeof(double));
            double value = values[0];
            if (newton(&search, size, best, &value)) return value;
            is_long = 0;
        }
        if (spread < 2e-3 || (values[size] - values[0] < 1e-5 && spread < 0.05)) break;
        move_worst(&search, size, points, values, corner);
    }
    int64_t least = 0;
    for (int64_t i = 1; i <= size; i++)
        if (values[i] < values[least]) least = i;
    memcpy(best, points + least * size, (size_t)size * sizeof(double));
    return values[least];
}

#undef TILE
#undef GRAM_TILE
#undef MOST_NEWTON
#undef NEWTON_POINTS
#undef NEWTON_DONE
#undef SETTLED
#undef MOST_UNROLLED

#endif
