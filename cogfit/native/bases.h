/* Basis functions of the separable forms: columns phi(x; theta) and their derivatives, a vector of points at a time.
 *
 * Every form stands here once. A basis has two functions: NAME_prepare turns its parameters theta, in natural units,
 * into constants that no longer depend on x; NAME_at fills, from these, the columns phi[c] and the derivatives
 * dphi[j * columns + c] by parameter j at LANES points. Derivatives that a caller leaves unused cost nothing: the
 * compiler leaves them out.
 */
#ifndef COGFIT_BASES_H
#define COGFIT_BASES_H

#include "elementary.h"

/* Name, number of columns and number of non-linear parameters of every basis. A basis's number is its place. */
#define BASES(DO)           \
    DO(constant, 0, 0)      \
    DO(power, 1, 1)         \
    DO(shifted_power, 1, 2) \
    DO(exponential, 1, 1)   \
    DO(apex, 1, 2)          \
    DO(stretched, 1, 2)     \
    DO(logarithmic, 1, 0)   \
    DO(hyperbolic, 1, 1)    \
    DO(step, 1, 2)          \
    DO(broken_power, 1, 3)  \
    DO(beta_geometric, 1, 2) \
    DO(two_process, 2, 2)   \
    DO(truncated_zipf, 1, 2)

/* Bases whose one column has two pieces: up to its last parameter, of three, the first counts, beyond it the second. */
#define PIECES(DO) DO(broken_power)

#define MOST_COLUMNS 2
#define MOST_PARAMETERS 3
#define CONSTANTS 1600 /* room for those of the truncated Zipf law, the only basis with more than eight */

/* No column: the floor is all there is. */
INLINE void constant_prepare(const double *theta, double *c) { (void)theta, (void)c; }
INLINE void constant_at(const double *c, Lanes x, Lanes log_x, Lanes *phi, Lanes *dphi) {
    (void)c, (void)x, (void)log_x, (void)phi, (void)dphi;
}

/* x^-gamma */
INLINE void power_prepare(const double *theta, double *c) { c[0] = -theta[0]; }
INLINE void power_at(const double *c, Lanes x, Lanes log_x, Lanes *phi, Lanes *dphi) {
    (void)x;
    phi[0] = exponential_of(all(c[0]) * log_x);
    dphi[0] = -log_x * phi[0];
}

/* (1 + x/b)^-gamma */
INLINE void shifted_power_prepare(const double *theta, double *c) {
    c[0] = -theta[0], c[1] = 1.0 / theta[1], c[2] = theta[0] / theta[1];
}
INLINE void shifted_power_at(const double *c, Lanes x, Lanes log_x, Lanes *phi, Lanes *dphi) {
    (void)log_x;
    const Lanes u = x * all(c[1]), t = all(1.0) + u, inverse = all(1.0) / t;
    const Lanes lost = (u - (t - all(1.0))) * inverse; /* what rounding took from 1 + u: see logarithm_of_one_plus */
    const Lanes log_t = logarithm(t) + keep(t < all(1e300), lost);
    phi[0] = exponential_of(all(c[0]) * log_t);
    dphi[0] = -log_t * phi[0];
    dphi[1] = all(c[2]) * phi[0] * (u * inverse);
}

/* e^-rx */
INLINE void exponential_prepare(const double *theta, double *c) { c[0] = -theta[0]; }
INLINE void exponential_at(const double *c, Lanes x, Lanes log_x, Lanes *phi, Lanes *dphi) {
    (void)log_x;
    phi[0] = exponential_of(all(c[0]) * x);
    dphi[0] = -x * phi[0];
}

/* x^-gamma e^-rx */
INLINE void apex_prepare(const double *theta, double *c) { c[0] = theta[0], c[1] = theta[1]; }
INLINE void apex_at(const double *c, Lanes x, Lanes log_x, Lanes *phi, Lanes *dphi) {
    phi[0] = exponential_of(-all(c[0]) * log_x - all(c[1]) * x);
    dphi[0] = -log_x * phi[0];
    dphi[1] = -x * phi[0];
}

/* e^-(x/tau)^beta */
INLINE void stretched_prepare(const double *theta, double *c) {
    c[0] = logarithm_of(theta[0]), c[1] = theta[1], c[2] = theta[1] / theta[0];
}
INLINE void stretched_at(const double *c, Lanes x, Lanes log_x, Lanes *phi, Lanes *dphi) {
    (void)x;
    const Lanes z = log_x - all(c[0]), u = exponential_of(all(c[1]) * z);
    phi[0] = exponential_of(-u);
    const Lanes slope = keep(u <= all(700.0), u * phi[0]);
    dphi[0] = slope * all(c[2]);
    dphi[1] = -slope * keep(z > all(-1e300), z); /* at x = 0 u is 0, and so is the derivative */
}

/* -ln x */
INLINE void logarithmic_prepare(const double *theta, double *c) { (void)theta, (void)c; }
INLINE void logarithmic_at(const double *c, Lanes x, Lanes log_x, Lanes *phi, Lanes *dphi) {
    (void)c, (void)x, (void)dphi;
    phi[0] = -log_x;
}

/* 1 / (1 + x/b) */
INLINE void hyperbolic_prepare(const double *theta, double *c) { c[0] = theta[0], c[1] = theta[0] * theta[0]; }
INLINE void hyperbolic_at(const double *c, Lanes x, Lanes log_x, Lanes *phi, Lanes *dphi) {
    (void)log_x;
    phi[0] = all(1.0) / (all(1.0) + x / all(c[0]));
    dphi[0] = phi[0] * phi[0] * x / all(c[1]);
}

/* 1 / (1 + (x/x50)^s) */
INLINE void step_prepare(const double *theta, double *c) {
    c[0] = logarithm_of(theta[0]), c[1] = theta[1], c[2] = theta[1] / theta[0];
}
INLINE void step_at(const double *c, Lanes x, Lanes log_x, Lanes *phi, Lanes *dphi) {
    (void)x;
    const Lanes z = log_x - all(c[0]);
    phi[0] = all(1.0) / (all(1.0) + exponential_of(all(c[1]) * z));
    const Lanes slope = phi[0] * (all(1.0) - phi[0]);
    dphi[0] = slope * all(c[2]);
    dphi[1] = -slope * keep(z > all(-1e300), z);
}

/* (x/xb)^-gamma with one gamma up to xb and another beyond */
INLINE void broken_power_prepare(const double *theta, double *c) {
    c[0] = theta[0], c[1] = theta[1], c[2] = logarithm_of(theta[2]), c[3] = 1.0 / theta[2];
}
INLINE void broken_power_at(const double *c, Lanes x, Lanes log_x, Lanes *phi, Lanes *dphi) {
    (void)x;
    const Lanes z = log_x - all(c[2]);
    const Whole before = z <= all(0.0);
    const Lanes gamma = select(before, all(c[0]), all(c[1]));
    phi[0] = exponential_of(-gamma * z);
    const Lanes slope = -z * phi[0];
    dphi[0] = keep(before, slope);
    dphi[1] = keep(~before, slope);
    dphi[2] = gamma * phi[0] * all(c[3]);
}

/* B(gamma, b + x) / B(gamma, b) */
INLINE void beta_geometric_prepare(const double *theta, double *c) {
    const Lanes a = all(theta[0]), b = all(theta[1]);
    c[0] = theta[0], c[1] = theta[1], c[2] = log_gamma_ratio(b, a)[0];
    c[3] = digamma(b)[0], c[4] = digamma(a + b)[0];
}
INLINE void beta_geometric_at(const double *c, Lanes x, Lanes log_x, Lanes *phi, Lanes *dphi) {
    (void)log_x;
    const Lanes a = all(c[0]), z = all(c[1]) + x;
    phi[0] = exponential_of(all(c[2]) - log_gamma_ratio(z, a));
    const Lanes common = all(c[4]) - digamma(a + z);
    dphi[0] = phi[0] * common;
    dphi[1] = phi[0] * (common + digamma(z) - all(c[3]));
}

/* e^-rx, and (1 - e^-rx) x^-gamma */
INLINE void two_process_prepare(const double *theta, double *c) { c[0] = -theta[0], c[1] = -theta[1]; }
INLINE void two_process_at(const double *c, Lanes x, Lanes log_x, Lanes *phi, Lanes *dphi) {
    Lanes lost;
    const Lanes power = exponential_of(all(c[1]) * log_x);
    phi[0] = exponential_and_less_one(all(c[0]) * x, &lost);
    phi[1] = -lost * power;
    dphi[0] = -x * phi[0];
    dphi[1] = x * phi[0] * power;
    dphi[2] = all(0.0);
    dphi[3] = -log_x * phi[1];
}

/* Sum of p_k (1 - p_k)^x over ranks k <= K, with p_k proportional to k^-s and K continuous.
 *
 * Ranks up to 256 are summed (the last one fractionally); the rest is the midpoint rule read backwards, an integral by
 * Gauss-Legendre in log k (relative error below 2e-5), so that the cost does not grow with K.
 */
#define EXACT_RANKS 256 /* beyond, p_k is smooth enough for quadrature */
#define HALF_RULE 24    /* nodes on either side of the middle, which the rule has in pairs */
#define MOST_TERMS (EXACT_RANKS + 2 * HALF_RULE)
static const double LEGENDRE[HALF_RULE][2] = {
    {0.03238017096286937, 0.06473769681268365}, {0.0970046992094627, 0.06446616443594982},
    {0.1612223560688917, 0.06392423858464787}, {0.22476379039468905, 0.06311419228625373},
    {0.28736248735545555, 0.06203942315989242}, {0.3487558862921607, 0.0607044391658936},
    {0.4086864819907167, 0.059114839698395344}, {0.4669029047509584, 0.057277292100402916},
    {0.523160974722233, 0.05519950369998403}, {0.5772247260839727, 0.05289018948519344},
    {0.6288673967765136, 0.0503590355538542}, {0.6778723796326639, 0.04761665849249024},
    {0.7240341309238146, 0.04467456085669423}, {0.7671590325157404, 0.04154508294346455},
    {0.8070662040294426, 0.0382413510658305}, {0.8435882616243935, 0.034777222564770394},
    {0.8765720202742479, 0.031167227832798097}, {0.9058791367155696, 0.027426509708357034},
    {0.9313866907065543, 0.023570760839324047}, {0.9529877031604308, 0.019616160457356056},
    {0.9705915925462473, 0.015579315722943226}, {0.9841245837228269, 0.011477234579234614},
    {0.9935301722663508, 0.007327553901276135}, {0.9987710072524261, 0.0031533460523098414},
};

/* Constants: number of terms, log survival and probability at the end; of every term, at distances of MOST_TERMS, the
 * log survival, and what the exponential of x times it is multiplied by: in phi, in dphi/ds and x dphi/ds, and in
 * dphi/dK and x dphi/dK.
 */
static void truncated_zipf_prepare(const double *theta, double *c) {
    const double s = theta[0], size = theta[1], limit = 1.0 - 1e-16;
    const int whole = size < EXACT_RANKS ? (int)size : EXACT_RANKS;
    double log_rank[MOST_TERMS + LANES], weight[MOST_TERMS + LANES], end;
    int count = whole;
    for (int k = 0; k < whole; k += LANES) {
        Lanes rank;
        for (int l = 0; l < LANES; l++) rank[l] = k + l + 1.0;
        store(log_rank + k, logarithm(rank)), store(weight + k, all(1.0));
    }
    if (size < EXACT_RANKS) {
        end = whole + 1.0;
        log_rank[count] = logarithm_of(end), weight[count++] = size - whole;
    } else {
        end = size + 0.5;
        const double low = logarithm_of(EXACT_RANKS + 0.5), half = 0.5 * (logarithm_of(end) - low);
        for (int k = 0; k < 2 * HALF_RULE; k++, count++) {
            const double *node = LEGENDRE[k < HALF_RULE ? HALF_RULE - 1 - k : k - HALF_RULE];
            log_rank[count] = low + half * ((k < HALF_RULE ? -node[0] : node[0]) + 1.0);
            weight[count] = half * node[1] * exponential_of_one(log_rank[count]);
        }
    }
    double p[MOST_TERMS + LANES], total = 0.0, mean_log = 0.0;
    for (int k = 0; k < count; k += LANES) store(p + k, exponential_of(all(-s) * load_some(log_rank + k, count - k, 0.0)));
    for (int k = 0; k < count; k++) {
        total += weight[k] * p[k];
        mean_log += weight[k] * p[k] * log_rank[k];
    }
    mean_log /= total;
    const double p_end = exponential_of_one(-s * logarithm_of(end)) / total; /* the sum grows by the term at its end */
    c[0] = count, c[1] = p_end, c[2] = logarithm_of_one_plus_one(-smaller(p_end, limit));
    for (int k = 0; k < count; k++) {
        const double probability = p[k] / total, share = weight[k] * probability;
        const double ratio = probability / larger(1.0 - probability, 1e-16), factor = mean_log - log_rank[k];
        double *term = c + 8 + 5 * k;
        term[0] = logarithm_of_one_plus_one(-smaller(probability, limit));
        /* d/dlog p of p (1 - p)^x is p (1 - p)^x (1 - x ratio): it carries p's dependence on s and on the total */
        term[1] = share, term[2] = share * factor, term[3] = share * factor * ratio, term[4] = share * ratio;
    }
}
INLINE void truncated_zipf_at(const double *c, Lanes x, Lanes log_x, Lanes *phi, Lanes *dphi) {
    (void)log_x;
    Lanes plain = all(0.0), by_s = plain, by_s_x = plain, by_size_x = plain;
    const int count = (int)c[0];
    for (int k = 0; k < count; k++) {
        const double *term = c + 8 + 5 * k;
        const Lanes survival = exponential_of(x * all(term[0]));
        plain += survival * all(term[1]);
        by_s += survival * all(term[2]);
        by_s_x += survival * all(term[3]);
        by_size_x += survival * all(term[4]);
    }
    phi[0] = plain;
    dphi[0] = by_s - x * by_s_x;
    dphi[1] = all(c[1]) * (exponential_of(x * all(c[2])) - (plain - x * by_size_x));
}

#undef EXACT_RANKS
#undef HALF_RULE
#undef MOST_TERMS

enum basis {
#define NUMBER(name, columns, parameters) BASIS_##name,
    BASES(NUMBER)
#undef NUMBER
    NUMBER_OF_BASES
};

/* Whether the column of a basis has two pieces. */
INLINE int has_pieces(int basis) {
#define CASE(name) \
    if (basis == BASIS_##name) return 1;
    PIECES(CASE)
#undef CASE
    return 0;
}

/* The basis with a number. Where the number is known to the compiler, so is the basis, and the switch is gone. */
INLINE void prepare(int basis, const double *theta, double *c) {
    switch (basis) {
#define CASE(name, columns, parameters) \
    case BASIS_##name:                  \
        name##_prepare(theta, c);       \
        return;
        BASES(CASE)
#undef CASE
    default:
        return;
    }
}

INLINE void evaluate(int basis, const double *c, Lanes x, Lanes log_x, Lanes *phi, Lanes *dphi) {
    switch (basis) {
#define CASE(name, columns, parameters)       \
    case BASIS_##name:                        \
        name##_at(c, x, log_x, phi, dphi);    \
        return;
        BASES(CASE)
#undef CASE
    default:
        return;
    }
}

/* Name of a basis, and how many columns and non-linear parameters it has; no name beyond the last. */
const char *NAME(basis_name)(int64_t basis) {
    static const char *const names[] = {
#define TEXT(name, columns, parameters) #name,
        BASES(TEXT)
#undef TEXT
    };
    return basis >= 0 && basis < NUMBER_OF_BASES ? names[basis] : 0;
}

int64_t NAME(basis_columns)(int64_t basis) {
    static const int64_t numbers[] = {
#define COUNT(name, columns, parameters) columns,
        BASES(COUNT)
#undef COUNT
    };
    return basis >= 0 && basis < NUMBER_OF_BASES ? numbers[basis] : -1;
}

int64_t NAME(basis_parameters)(int64_t basis) {
    static const int64_t numbers[] = {
#define COUNT(name, columns, parameters) parameters,
        BASES(COUNT)
#undef COUNT
    };
    return basis >= 0 && basis < NUMBER_OF_BASES ? numbers[basis] : -1;
}

/* Columns and derivatives at n points for `batch` sets of parameters, as they are: no weights, no padding. */
INLINE void fill_columns(const int basis, const int s, const int p, int64_t n, int64_t batch, const double *x,
                         const double *log_x, const double *theta, double *phi, double *dphi) {
    double c[CONSTANTS];
    for (int64_t b = 0; b < batch; b++, theta += p, phi += s * n, dphi += p * s * n) {
        prepare(basis, theta, c);
        Lanes column[MOST_COLUMNS], slope[MOST_COLUMNS * MOST_PARAMETERS];
        int64_t i = 0;
        for (; i + LANES <= n; i += LANES) {
            evaluate(basis, c, load(x + i), load(log_x + i), column, slope);
            for (int k = 0; k < s; k++) store(phi + k * n + i, column[k]);
            for (int k = 0; k < p * s; k++) store(dphi + k * n + i, slope[k]);
        }
        if (i == n) continue;
        evaluate(basis, c, load_some(x + i, n - i, 1.0), load_some(log_x + i, n - i, 0.0), column, slope);
        for (int k = 0; k < s; k++) store_some(phi + k * n + i, n - i, column[k]);
        for (int k = 0; k < p * s; k++) store_some(dphi + k * n + i, n - i, slope[k]);
    }
}

void NAME(basis_columns_at)(int64_t basis, int64_t n, int64_t batch, const double *x, const double *log_x,
                            const double *theta, double *phi, double *dphi) {
    switch (basis) {
#define CASE(name, s, p)                                                                     \
    case BASIS_##name:                                                                       \
        fill_columns(BASIS_##name, s, p, n, batch, x, log_x, theta, phi, dphi);              \
        return;
        BASES(CASE)
#undef CASE
    default:
        return;
    }
}

#endif
