/* Tails and quantiles of the normal, gamma, beta, chi-square, Student's and Fisher's distributions.
 *
 * A tail is its density times the integral of the density beyond, relative to it. The density comes from Stirling's
 * error and deviances, which keep their digits in the far tails (Loader 2000, Fast and accurate computation of binomial
 * probabilities). The integral is taken over u = log x (gamma) or the logarithm of the odds (beta): there densities are
 * log-concave, fall at least exponentially beyond the mode, and the double exponential formula (Takahasi & Mori 1974,
 * Publ. RIMS 9:721) gives the last digit with 90 to 200 points. The tail beyond the mode is integrated, the other one
 * is what is left. Log tails are concave in u, too, so that Newton's method finds quantiles from any start.
 */
#ifndef COGFIT_DISTRIBUTIONS_H
#define COGFIT_DISTRIBUTIONS_H

#include <math.h>

#include "elementary.h"
#include "lanes.h"

#define LOG_ROOT_2PI 0.91893853320467274178
#define ROOT_HALF 0.70710678118654752440
#define FINE_STEP 0.05       /* of the trapezoidal rule; the integrands have poles at a distance of pi */
#define STEP 0.09375         /* for integrands that have fallen to 1/e before NARROW */
#define NARROW 0.25
#define FIRST_POINT (-3.625) /* before it lies less than 1e-17 of an integral */
#define LAST_POINT 12.0      /* in case that the integrand is not a number */
#define NEWTON_STEPS 200

/* Lower and upper tail, their logarithms, and that of the density of u. */
typedef struct {
    double lower, upper, log_lower, log_upper, log_density;
} Tails;

/* ---------------------------------------------------------------------------------------------------- the integral */

/* Integrand exp(-slope s - scale (share (e^t - 1 - t) - L(share (e^t - 1)))), with t = s or -s and
 * L(z) = z - log(1 + z) or, for the gamma distribution, 0. */
typedef struct {
    double slope, scale, share, sign;
    int is_gamma;
} Integrand;

/* e^t - 1 - t for |t| < 1, by its series. */
INLINE Lanes exponential_less_two_terms(Lanes t) {
    static const double inverse_factorial[] = {
        1.0 / 355687428096000.0, 1.0 / 20922789888000.0, 1.0 / 1307674368000.0, 1.0 / 87178291200.0, 1.0 / 6227020800.0,
        1.0 / 479001600.0,       1.0 / 39916800.0,       1.0 / 3628800.0,       1.0 / 362880.0,      1.0 / 40320.0,
        1.0 / 5040.0,            1.0 / 720.0,            1.0 / 120.0,           1.0 / 24.0,          1.0 / 6.0,
        0.5};
    Lanes p = all(1.0 / 6402373705728000.0);
    for (int k = 0; k < 16; k++) p = p * t + all(inverse_factorial[k]);
    return p * t * t;
}

/* z - log(1 + z) for |z| < 0.3, by the series of the inverse hyperbolic tangent of v = z / (2 + z). */
INLINE Lanes logarithm_less_one_term(Lanes z) {
    const Lanes v = z / (z + all(2.0)), square = v * v;
    Lanes p = all(1.0 / 25.0);
    for (int k = 23; k >= 3; k -= 2) p = p * square + all(1.0 / k);
    return z * v - all(2.0) * v * square * p;
}

INLINE Lanes integrand_at(const Integrand *f, Lanes s) {
    const Lanes t = s * all(f->sign), grown = exponential_less_one(t);
    const Whole is_small = magnitude(t) < all(1.0);
    if (f->is_gamma) {
        const Lanes bend = select(is_small, exponential_less_two_terms(t), grown - t);
        return exponential_of(all(-f->slope) * s - all(f->scale) * bend);
    }
    const Lanes z = all(f->share) * grown;
    const Lanes near = all(f->share) * exponential_less_two_terms(t) - logarithm_less_one_term(z);
    const Lanes far = logarithm_of_one_plus(z) - all(f->share) * t;
    const Lanes bend = select(is_small & (magnitude(z) < all(0.3)), near, far);
    return exponential_of(all(-f->slope) * s - all(f->scale) * bend);
}

/* Integral over s from 0 to infinity; `width` is about where the integrand has fallen to 1/e. */
static double tail_integral(const Integrand *f, double width) {
    const double step = width < NARROW ? STEP : FINE_STEP;
    const Lanes unit = all(smaller(width, 1.0));
    Lanes total = all(0.0), point;
    for (int k = 0; k < LANES; k++) point[k] = FIRST_POINT + step * k;
    for (double at = FIRST_POINT; at < LAST_POINT; at += step * LANES, point += all(step * LANES)) {
        const Lanes inner = exponential_of(-point), s = unit * exponential_of(point - inner);
        const Lanes added = integrand_at(f, s) * s * (all(1.0) + inner);
        total += added;
        if (at > 0.0 && sum(added) < 1e-18 * sum(total)) break;
    }
    return step * sum(total);
}

/* Distance at which slope s + curvature s^2 / 2 reaches 1. */
static double width_of(double slope, double curvature) {
    return 2.0 / (slope + sqrt(slope * slope + 2.0 * curvature));
}

/* ------------------------------------------------------------------------------------------------------- densities */

/* Stirling's error: log Gamma(a + 1) - (a + 1/2) log a + a - log sqrt(2 pi). */
static double stirling_error(double a) {
    if (a < 16.0) return log(tgamma(a + 1.0) * exp(a) / (2.50662827463100050242 * pow(a, a + 0.5)));
    const double r = 1.0 / (a * a);
    const double series = ((((r * (1.0 / 156.0) - 691.0 / 360360.0) * r + 1.0 / 1188.0) * r - 1.0 / 1680.0) * r +
                           1.0 / 1260.0) * r - 1.0 / 360.0;
    return (series * r + 1.0 / 12.0) / a;
}

/* Deviance a log(a / m) + m - a, with the difference a - m, which the caller knows to the last digit. */
static double deviance(double a, double m, double difference) {
    const double v = difference / (a + m), square = v * v;
    if (fabs(v) > 0.4) return a * log(a / m) - difference;
    double term = 2.0 * a * v, total = difference * v;
    for (int k = 3; k < 60; k += 2) {
        term *= square;
        const double next = total + term / k;
        if (next == total) break;
        total = next;
    }
    return total;
}

static Tails from_tail(double log_density, double area, int is_upper) {
    const double log_tail = log_density + log(area), tail = exp(log_density) * area, rest = 1.0 - tail;
    const double log_rest = log1p(-tail);
    if (is_upper) return (Tails){rest, tail, log_rest, log_tail, log_density};
    return (Tails){tail, rest, log_tail, log_rest, log_density};
}

/* Gamma distribution of shape a and scale 1, at 0 < x < inf. */
static Tails gamma_tails(double a, double x) {
    const int is_upper = x >= a;
    const double slope = fabs(x - a);
    const Integrand f = {slope, x, 1.0, is_upper ? 1.0 : -1.0, 1};
    const double log_density = 0.5 * log(a) - LOG_ROOT_2PI - stirling_error(a) - deviance(a, x, a - x);
    return from_tail(log_density, tail_integral(&f, width_of(slope, x)), is_upper);
}

/* Beta distribution with parameters a and b where the odds x / (1 - x) are `ratio` (> 0, finite) times a / b. */
static Tails beta_tails(double a, double b, double ratio) {
    const double n = a + b, odds = a / b * ratio, y = 1.0 / (1.0 + odds), x = odds * y;
    const double difference = a * y * (1.0 - ratio); /* a - n x */
    const int is_upper = difference <= 0.0;
    const double slope = fabs(difference), beyond = is_upper ? y : x, before = is_upper ? x : y;
    /* of the two ways to write the integrand the one without cancellation */
    const Integrand f = {slope, n, beyond <= 0.5 ? beyond : before, beyond <= 0.5 ? -1.0 : 1.0, 0};
    const double log_density = 0.5 * log(a / n * b) - LOG_ROOT_2PI + stirling_error(n) - stirling_error(a) -
                               stirling_error(b) - deviance(a, n * x, difference) - deviance(b, n * y, -difference);
    return from_tail(log_density, tail_integral(&f, width_of(slope, n * x * y)), is_upper);
}

/* ---------------------------------------------------------------------------------------------------------- Newton */

/* Step of u towards the quantile: of the lower tail where p <= 1/2, else of the upper one. */
static double newton_step(const Tails *tails, double p, double q) {
    if (p <= 0.5) return (log(p) - tails->log_lower) / exp(tails->log_density - tails->log_lower);
    return (tails->log_upper - log(q)) / exp(tails->log_density - tails->log_upper);
}

/* Whether Newton's steps have come down to rounding. */
static int has_settled(double step, double last) {
    return fabs(step) <= 2e-16 || (fabs(step) < 1e-9 && fabs(step) >= 0.5 * fabs(last));
}

/* Quantile of the gamma distribution with lower tail p and upper tail q = 1 - p. */
static double gamma_quantile(double a, double p, double q) {
    double x = a, last = INFINITE;
    if (p > 0.5) { /* a bound from above (Laurent & Massart 2000, Ann. Stat. 28:1302) */
        const double e = -log(q);
        x = a + sqrt(2.0 * a * e) + e;
    } else { /* the tail's power law, from where it is one */
        const double power = exp((log(p) + log(a) + stirling_error(a) + LOG_ROOT_2PI + (a - 0.5) * log(a) - a) / a);
        if (power < 1e-300) return power;
        if (power < 1e-17 * a) x = power;
    }
    for (int k = 0; k < NEWTON_STEPS; k++) {
        const Tails tails = gamma_tails(a, x);
        const double step = newton_step(&tails, p, q);
        if (!(fabs(step) < INFINITE)) return NOT_A_NUMBER;
        x *= exp(step < -600.0 ? -600.0 : step);
        if (has_settled(step, last)) break;
        last = step;
    }
    return x;
}

/* log of b B(a, b), by which the far tail y^b / (b B) of the beta distribution is divided. */
static double log_far_tail(double a, double b) {
    const double n = a + b;
    return log(b) + 0.5 * log(n / a / b) + LOG_ROOT_2PI + stirling_error(a) + stirling_error(b) - stirling_error(n) -
           a * log1p(b / a) - b * log1p(a / b);
}

/* Logarithm of the ratio of odds (see beta_tails) with lower tail p and upper tail q = 1 - p, searched from u. */
static double beta_quantile(double a, double b, double p, double q, double u) {
    double last = INFINITE;
    for (int k = 0; k < NEWTON_STEPS; k++) {
        const Tails tails = beta_tails(a, b, exp(u));
        const double step = newton_step(&tails, p, q);
        if (!(fabs(step) < INFINITE)) return NOT_A_NUMBER;
        u += step;
        if (has_settled(step, last)) break;
        if (fabs(u) > 600.0) { /* the power law of the tail: exact, if it leads far out, else a better start */
            u = log(b / a) + (u > 0.0 ? -(log_far_tail(a, b) + log(q)) / b : (log_far_tail(b, a) + log(p)) / a);
            if (fabs(u) > 100.0) break;
        }
        last = step;
    }
    return u;
}

/* ---------------------------------------------------------------------------------------------- the distributions */

double NAME(log_gamma)(double x) {
    if (!(x > 0.0)) return x == 0.0 ? INFINITE : NOT_A_NUMBER;
    if (x < 16.0) return lgamma(x);
    if (x == INFINITE) return x;
    return (x - 0.5) * log(x) - x + LOG_ROOT_2PI + stirling_error(x);
}

double NAME(normal_sf)(double x) { return 0.5 * erfc(x * ROOT_HALF); }

double NAME(normal_cdf)(double x) { return NAME(normal_sf)(-x); }

INLINE double polynomial(int degree, const double *c, double x) {
    double p = c[0];
    for (int k = 1; k <= degree; k++) p = p * x + c[k];
    return p;
}

/* Algorithm AS 241 (Wichura 1988, Appl. Stat. 37:477). */
double NAME(normal_quantile)(double p) {
    static const double a[] = {2509.0809287301226727, 33430.575583588128105, 67265.770927008700853,
                               45921.953931549871457, 13731.693765509461125, 1971.5909503065514427,
                               133.14166789178437745, 3.387132872796366608};
    static const double b[] = {5226.495278852545925, 28729.085735721942674, 39307.89580009271061,
                               21213.794301586595867, 5394.1960214247511077, 687.1870074920579083,
                               42.313330701600911252, 1.0};
    static const double c[] = {7.7454501427834140764e-4, .0227238449892691845833, .24178072517745061177,
                               1.27045825245236838258,   3.64784832476320460504,  5.7694972214606914055,
                               4.6303378461565452959,    1.42343711074968357734};
    static const double d[] = {1.05075007164441684324e-9, 5.475938084995344946e-4, .0151986665636164571966,
                               .14810397642748007459,     .68976733498510000455,   1.6763848301838038494,
                               2.05319162663775882187,    1.0};
    static const double e[] = {2.01033439929228813265e-7, 2.71155556874348757815e-5, .0012426609473880784386,
                               .026532189526576123093,    .29656057182850489123,     1.7848265399172913358,
                               5.4637849111641143699,     6.6579046435011037772};
    static const double f[] = {2.04426310338993978564e-15, 1.4215117583164458887e-7, 1.8463183175100546818e-5,
                               7.868691311456132591e-4,    .0148753612908506148525,  .13692988092273580531,
                               .59983220655588793769,       1.0};
    if (!(p >= 0.0 && p <= 1.0)) return NOT_A_NUMBER;
    if (p == 0.0 || p == 1.0) return p == 0.0 ? -INFINITE : INFINITE;
    const double centred = p - 0.5;
    if (fabs(centred) <= 0.425) {
        const double r = 0.180625 - centred * centred;
        return centred * polynomial(7, a, r) / polynomial(7, b, r);
    }
    double r = sqrt(-log(p < 0.5 ? p : 1.0 - p));
    if (r <= 5.0)
        r = polynomial(7, c, r - 1.6) / polynomial(7, d, r - 1.6);
    else
        r = polynomial(7, e, r - 5.0) / polynomial(7, f, r - 5.0);
    return p < 0.5 ? -r : r;
}

static int is_probability(double p) { return p >= 0.0 && p <= 1.0; }

double NAME(gamma_quantile)(double p, double shape) {
    if (!is_probability(p) || !(shape > 0.0 && shape < INFINITE)) return NOT_A_NUMBER;
    if (p == 0.0 || p == 1.0) return p == 0.0 ? 0.0 : INFINITE;
    return gamma_quantile(shape, p, 1.0 - p);
}

double NAME(chi2_quantile)(double p, double degrees_of_freedom) {
    return 2.0 * NAME(gamma_quantile)(p, 0.5 * degrees_of_freedom);
}

double NAME(chi2_sf)(double x, double degrees_of_freedom) {
    if (!(degrees_of_freedom > 0.0 && degrees_of_freedom < INFINITE) || x != x) return NOT_A_NUMBER;
    if (x <= 0.0) return 1.0;
    return x < INFINITE ? gamma_tails(0.5 * degrees_of_freedom, 0.5 * x).upper : 0.0;
}

#define AS_NORMAL 1e18 /* degrees of freedom from which Student's distribution is the normal one */

double NAME(student_sf)(double t, double degrees_of_freedom) {
    if (!(degrees_of_freedom > 0.0) || t != t) return NOT_A_NUMBER;
    if (degrees_of_freedom >= AS_NORMAL) return NAME(normal_sf)(t);
    if (t == 0.0) return 0.5;
    const double size = fabs(t), b = 0.5 * degrees_of_freedom;
    double upper = 0.0, lower = 1.0; /* of t^2 */
    if (size > 1e150)
        upper = size < INFINITE ? exp(-log_far_tail(0.5, b)) * pow(sqrt(degrees_of_freedom) / size, degrees_of_freedom)
                                : 0.0;
    else if (size < 1e-150)
        lower = exp(-log_far_tail(b, 0.5)) * size / sqrt(degrees_of_freedom), upper = 1.0;
    else {
        const Tails tails = beta_tails(0.5, b, size * size);
        upper = tails.upper;
        lower = tails.lower;
    }
    return t > 0.0 ? 0.5 * upper : 0.5 + 0.5 * lower;
}

double NAME(student_cdf)(double t, double degrees_of_freedom) { return NAME(student_sf)(-t, degrees_of_freedom); }

double NAME(student_quantile)(double p, double degrees_of_freedom) {
    if (!is_probability(p) || !(degrees_of_freedom > 0.0)) return NOT_A_NUMBER;
    if (degrees_of_freedom >= AS_NORMAL) return NAME(normal_quantile)(p);
    if (p == 0.0 || p == 1.0) return p == 0.0 ? -INFINITE : INFINITE;
    if (p == 0.5) return 0.0;
    const double tail = p < 0.5 ? p : 1.0 - p, central = p < 0.5 ? 1.0 - 2.0 * p : 2.0 * p - 1.0;
    /* near the normal quantile, widened as Fisher's expansion has it; from 0 on the central tail is a power law */
    const double z = NAME(normal_quantile)(tail), near = z + 0.25 * (z * z * z + z) / degrees_of_freedom;
    const double start = degrees_of_freedom > 2.0 && tail < 0.4 ? 2.0 * log(-near) : 0.0;
    const double t = exp(0.5 * beta_quantile(0.5, 0.5 * degrees_of_freedom, central, 2.0 * tail, start));
    return p < 0.5 ? -t : t;
}

double NAME(f_sf)(double f, double numerator, double denominator) {
    if (!(numerator > 0.0 && numerator < INFINITE && denominator > 0.0) || f != f) return NOT_A_NUMBER;
    if (denominator >= AS_NORMAL) return NAME(chi2_sf)(numerator * f, numerator);
    if (f <= 0.0) return 1.0;
    return f < INFINITE ? beta_tails(0.5 * numerator, 0.5 * denominator, f).upper : 0.0;
}

double NAME(f_quantile)(double p, double numerator, double denominator) {
    if (!is_probability(p) || !(numerator > 0.0 && numerator < INFINITE && denominator > 0.0)) return NOT_A_NUMBER;
    if (p == 0.0 || p == 1.0) return p == 0.0 ? 0.0 : INFINITE;
    if (denominator >= AS_NORMAL) return NAME(chi2_quantile)(p, numerator) / numerator;
    return exp(beta_quantile(0.5 * numerator, 0.5 * denominator, p, 1.0 - p, 0.0));
}

/* The same for arrays of n numbers. */
#define OF_ONE(name)                                                                                                   \
    void NAME(name##_all)(int64_t n, const double *a, double *out) {                                                   \
        for (int64_t i = 0; i < n; i++) out[i] = NAME(name)(a[i]);                                                     \
    }
#define OF_TWO(name)                                                                                                   \
    void NAME(name##_all)(int64_t n, const double *a, const double *b, double *out) {                                  \
        for (int64_t i = 0; i < n; i++) out[i] = NAME(name)(a[i], b[i]);                                               \
    }
#define OF_THREE(name)                                                                                                 \
    void NAME(name##_all)(int64_t n, const double *a, const double *b, const double *c, double *out) {                 \
        for (int64_t i = 0; i < n; i++) out[i] = NAME(name)(a[i], b[i], c[i]);                                         \
    }
OF_ONE(log_gamma)
OF_ONE(normal_sf)
OF_ONE(normal_cdf)
OF_ONE(normal_quantile)
OF_TWO(gamma_quantile)
OF_TWO(chi2_quantile)
OF_TWO(chi2_sf)
OF_TWO(student_sf)
OF_TWO(student_cdf)
OF_TWO(student_quantile)
OF_THREE(f_sf)
OF_THREE(f_quantile)

#undef OF_ONE
#undef OF_TWO
#undef OF_THREE
#undef STEP
#undef FINE_STEP
#undef NARROW
#undef FIRST_POINT
#undef LAST_POINT
#undef NEWTON_STEPS
#undef AS_NORMAL
#undef ROOT_HALF
#undef LOG_ROOT_2PI

#endif
