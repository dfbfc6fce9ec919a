/* What the curvature at a fit determines. */
#ifndef COGFIT_JUDGE_H
#define COGFIT_JUDGE_H

#include "small.h"

#define WELL_CONDITIONED 1e6 /* condition number up to which a factor is inverted as it is */
#define NULL_SPACE 1e-11 /* singular values that many times smaller than the largest are rounding */
#define NULL_SHARE 0.1   /* part in a null direction from which a parameter is lost */
#define VAGUE_LOG 3.0    /* standard error of a logarithm that identifies nothing: a factor 20 */
#define VAGUE 10.0       /* the same of an exponent */
#define COLLINEAR_FROM 0.99 /* correlation of parameters that run away together */
#define NEGLIGIBLE 1e-8  /* share of the size of the data up to which a coefficient counts as 0 */
#define BESIDE 1e-9      /* share of the width of its range up to which another parameter lies at a bound */

INLINE double length_of(int64_t p, const double *v, int64_t stride) {
    double square = 0.0;
    for (int64_t k = 0; k < p; k++) square += v[k * stride] * v[k * stride];
    return root_of(square);
}

/* Rooms of the workspace: columns and rotations (p, p), lengths and values (p), and numbers of columns (p). */
typedef struct {
    double *a, *vector, *lengths, *values;
    int64_t *index;
} Room;

INLINE Room room_in(int64_t p, double *work) {
    return (Room){work, work + p * p, work + 2 * p * p, work + 2 * p * p + p, (int64_t *)(work + 2 * p * p + 2 * p)};
}

/* Columns of the triangular factor that are not at a bound, made unit vectors; their lengths and numbers. */
static int64_t free_columns(int64_t p, const double *r, const uint8_t *at_bound, const Room *room) {
    int64_t count = 0;
    for (int64_t j = 0; j < p; j++) {
        if (at_bound[j]) continue;
        const double length = length_of(p, r + j, p);
        for (int64_t k = 0; k < p; k++) room->a[count * p + k] = length > 0.0 ? r[k * p + j] / length : 0.0;
        room->lengths[count] = length, room->index[count++] = j;
    }
    return count;
}

/* Whether the data do not determine a scale that lies at a bound: the others make good for a factor 20 in it. */
static int runs_away(int64_t p, const double *r, int64_t name, double scale, const uint8_t *at_bound, double deviance,
                     int64_t points, const Room *room) {
    double *column = room->values, whole = 0.0;
    const int64_t count = free_columns(p, r, at_bound, room);
    if (points <= count + 1) return 0;
    singular(p, count, room->a, room->vector);
    for (int64_t k = 0; k < p; k++) {
        column[k] = r[k * p + name] * scale;
        whole += __builtin_fabs(column[k]);
    }
    for (int64_t i = 0; i < count; i++) {
        const double *a = room->a + i * p;
        double square = 0.0, along = 0.0;
        for (int64_t k = 0; k < p; k++) square += a[k] * a[k], along += a[k] * column[k];
        if (square > 1e-28)
            for (int64_t k = 0; k < p; k++) column[k] -= along / square * a[k];
    }
    const double spread = root_of(deviance / (double)(points - count - 1));
    return whole > 0.0 && spread > VAGUE_LOG * length_of(p, column, 1);
}

/* Covariance from the inverse of the factor, its columns made unit vectors, where that is far from singular.
 *
 * Then no parameter is lost. Returns 0 where singular values must tell.
 */
static int covariance_of_inverse(int64_t p, double *covariance, const Room *room) {
    double *v = room->vector, square = 0.0;
    for (int64_t j = 0; j < p; j++) { /* column j of the inverse, from its end */
        const double *a = room->a + j * p;
        if (!(a[j] > 1.0 / WELL_CONDITIONED)) return 0;
        v[j * p + j] = 1.0 / a[j];
        for (int64_t i = j - 1; i >= 0; i--) {
            double total = 0.0;
            for (int64_t k = i + 1; k <= j; k++) total += room->a[k * p + i] * v[k * p + j];
            v[i * p + j] = -total / room->a[i * p + i];
        }
        for (int64_t i = 0; i <= j; i++) square += v[i * p + j] * v[i * p + j];
    }
    if (!(square * (double)p < WELL_CONDITIONED * WELL_CONDITIONED)) return 0; /* the squared condition number at most */
    for (int64_t i = 0; i < p; i++)
        for (int64_t j = 0; j <= i; j++) {
            double total = 0.0;
            for (int64_t k = i; k < p; k++) total += v[i * p + k] * v[j * p + k];
            covariance[i * p + j] = covariance[j * p + i] = total / (room->lengths[i] * room->lengths[j]);
        }
    return 1;
}

/* Covariance per unit of dispersion, and which parameters lie in the numerical null space. */
static void covariance_of(int64_t p, const double *r, const uint8_t *at_bound, double *covariance, uint8_t *lost,
                          const Room *room) {
    const int64_t count = free_columns(p, r, at_bound, room), *index = room->index;
    double *value = room->values, largest = 0.0;
    for (int64_t k = 0; k < p; k++) lost[k] = 0;
    if (count == p && covariance_of_inverse(p, covariance, room)) return;
    for (int64_t k = 0; k < p * p; k++) covariance[k] = NOT_A_NUMBER;
    singular(p, count, room->a, room->vector);
    for (int64_t i = 0; i < count; i++) largest = larger(largest, value[i] = length_of(p, room->a + i * p, 1));
    for (int64_t i = 0; i < count; i++) {
        for (int64_t j = 0; j <= i; j++) {
            const double lengths = room->lengths[i] * room->lengths[j];
            double total = 0.0;
            for (int64_t k = 0; k < count; k++) {
                const double *v = room->vector + k * p;
                if (value[k] > NULL_SPACE * largest) total += v[i] * v[j] / (value[k] * value[k]);
                else if (i == j && __builtin_fabs(v[i]) > NULL_SHARE) lost[index[i]] = 1;
            }
            total = room->lengths[i] > 0.0 && room->lengths[j] > 0.0 ? total / lengths : 0.0;
            covariance[index[i] * p + index[j]] = covariance[index[j] * p + index[i]] = total;
        }
        if (room->lengths[i] == 0.0) lost[index[i]] = 1;
    }
}

/* What a parameter is, as bits: an amplitude, a floor or a non-linear parameter (none: one of a user's form), and whether
 * it is a scale. */
enum { AMPLITUDE = 1, FLOOR = 2, LINEAR = AMPLITUDE | FLOOR, SHAPE = 4, SCALE = 8 };

/* Whether a value lies at a bound: a coefficient does when it is nothing beside data of this size. */
static int is_at_bound(double value, double low, double high, int kind, double size) {
    const int is_scale = kind & SCALE;
    const double at = is_scale ? logarithm_of(value) : value;
    const double a = is_scale ? logarithm_of(low) : low, b = is_scale ? logarithm_of(high) : high;
    const double end = is_finite(a) ? __builtin_fabs(a) : __builtin_fabs(b);
    const double width = is_finite(b - a) ? b - a : larger(1.0, end);
    const double tolerance = kind & LINEAR ? NEGLIGIBLE * size : BESIDE * width;
    return (is_finite(a) && at - a <= tolerance) || (is_finite(b) && b - at <= tolerance);
}

/* One fit: what is given of it, and where the findings go. */
typedef struct {
    const double *r, *params, *low, *high;
    double size, deviance;
    int64_t points;
    double *covariance, *errors;
    uint8_t *bound, *loose, *pairs;
} Fit;

/* Parameters at a bound, and, among `loose`, scales there that run away: those are taken off. */
static void find_bounds(int64_t p, const uint8_t *kinds, const Fit *fit, const Room *room) {
    for (int64_t j = 0; j < p; j++)
        fit->bound[j] = fit->bound[j] || is_at_bound(fit->params[j], fit->low[j], fit->high[j], kinds[j], fit->size);
    for (int64_t j = 0; j < p; j++) /* what no point depends on is not at a bound but unknown */
        if (fit->bound[j] && !(kinds[j] & LINEAR) && length_of(p, fit->r + j, p) == 0.0) fit->bound[j] = 0;
    for (int64_t j = 0; j < p; j++)
        fit->loose[j] = fit->bound[j] && kinds[j] & SCALE &&
                        runs_away(p, fit->r, j, fit->params[j], fit->bound, fit->deviance, fit->points, room);
    for (int64_t j = 0; j < p; j++) fit->bound[j] = fit->bound[j] && !fit->loose[j];
}

/* Non-linear parameters whose standard errors identify nothing. */
static void find_vague(int64_t p, const uint8_t *kinds, const Fit *fit) {
    for (int64_t j = 0; j < p; j++) {
        if (!(kinds[j] & SHAPE) || fit->bound[j]) continue;
        const double magnitude = __builtin_fabs(fit->params[j]), error = fit->errors[j];
        const double relative = kinds[j] & SCALE && magnitude != 0.0 ? error / magnitude : error;
        if (relative > (kinds[j] & SCALE ? VAGUE_LOG : VAGUE)) fit->loose[j] = 1;
    }
}

/* Whether a parameter's standard error is finite, and larger than itself. */
INLINE int is_large(const Fit *fit, int64_t j) {
    const double magnitude = __builtin_fabs(fit->params[j]);
    return fit->errors[j] > magnitude && magnitude > 0.0 && is_finite(fit->errors[j]);
}

/* Pairs of parameters that run away together. */
static void find_pairs(int64_t p, const Fit *fit) {
    memset(fit->pairs, 0, (size_t)(p * p));
    for (int64_t i = 0; i < p; i++) {
        if (!is_large(fit, i)) continue;
        for (int64_t j = i + 1; j < p; j++) {
            const double most = fit->errors[i] * fit->errors[j];
            if (!is_large(fit, j) || !(__builtin_fabs(fit->covariance[i * p + j]) > COLLINEAR_FROM * most)) continue;
            fit->pairs[i * p + j] = fit->loose[i] = fit->loose[j] = 1;
        }
    }
}

/* Whether all amplitudes are at a bound and 0: nothing else about the form is determined then. */
static int is_flat(int64_t p, const uint8_t *kinds, const Fit *fit) {
    int has_amplitude = 0;
    for (int64_t j = 0; j < p; j++) {
        if (!(kinds[j] & AMPLITUDE)) continue;
        if (!fit->bound[j] || !(__builtin_fabs(fit->params[j]) <= NEGLIGIBLE * fit->size)) return 0;
        has_amplitude = 1;
    }
    return has_amplitude;
}

/* Standard errors, and what they say; 0: all is determined, 1: something lies at a bound, 2: something is not known. */
static int8_t judge_fit(int64_t p, const uint8_t *kinds, int is_dispersed, const Fit *fit, uint8_t *flat, uint8_t *lost,
                        const Room *room) {
    find_bounds(p, kinds, fit, room);
    covariance_of(p, fit->r, fit->bound, fit->covariance, lost, room);
    const int64_t freedom = fit->points - p;
    const double dispersion = !is_dispersed ? 1.0 : freedom > 0 ? fit->deviance / (double)freedom : NOT_A_NUMBER;
    for (int64_t k = 0; k < p * p; k++) fit->covariance[k] *= dispersion;
    for (int64_t j = 0; j < p; j++) {
        fit->errors[j] = root_of(fit->covariance[j * p + j]);
        fit->loose[j] = fit->loose[j] || lost[j];
    }
    find_vague(p, kinds, fit);
    find_pairs(p, fit);
    /* nothing is determined where no point is left to tell errors by, nor the shape of a curve whose amplitudes are 0 */
    const int is_saturated = is_dispersed && freedom <= 0;
    *flat = (uint8_t)is_flat(p, kinds, fit);
    int8_t status = is_saturated || *flat ? 2 : 0;
    for (int64_t j = 0; j < p; j++) {
        if (!fit->bound[j] && (is_saturated || (*flat && !(kinds[j] & LINEAR)))) fit->loose[j] = 1;
        if (fit->loose[j]) fit->errors[j] = INFINITE, status = 2;
        if (fit->bound[j] && status < 1) status = 1;
    }
    return status;
}

/* Judge fits.
 *
 * p parameters of the given kinds; is_dispersed: whether the noise has a scale, which is estimated. Of every fit: triangles
 * (curves, p, p), factors of the Jacobian; params (curves, p); low and high (axes, p), with axis (curves), bounds; size
 * (curves), the largest |y|; deviance and points (curves), the sum of squares and n. Filled: at_bound (curves, p), where
 * what is set already stays; covariance (curves, p, p; not a number for parameters at a bound); errors (curves, p;
 * infinite for what is not identified); loose (curves, p; not identified), of these pairs (curves, p, p; the first before
 * the second) that are known in combination only; flat (curves), whether the amplitudes are 0; status (curves).
 * work: 2 p^2 + 4 p numbers.
 */
void NAME(judge)(int64_t curves, int64_t p, const uint8_t *kinds, int64_t is_dispersed, const double *triangles,
                 const double *params, const double *low, const double *high, const int64_t *axis, const double *size,
                 const double *deviance, const int64_t *points, uint8_t *at_bound, double *covariance, double *errors,
                 uint8_t *loose, uint8_t *pairs, uint8_t *flat, int8_t *status, double *work) {
    const Room room = room_in(p, work);
    uint8_t *lost = (uint8_t *)(work + 2 * p * p + 3 * p);
    for (int64_t b = 0; b < curves; b++) {
        const int64_t row = b * p, square = row * p;
        const Fit fit = {triangles + square, params + row, low + axis[b] * p, high + axis[b] * p, size[b], deviance[b],
                         points[b], covariance + square, errors + row, at_bound + row, loose + row, pairs + square};
        status[b] = judge_fit(p, kinds, (int)is_dispersed, &fit, flat + b, lost, &room);
    }
}

#endif
