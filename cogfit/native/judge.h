/* What the curvature at a fit determines. */
#ifndef COGFIT_JUDGE_H
#define COGFIT_JUDGE_H

#include "small.h"

#define WELL_CONDITIONED 1e6 /* condition number up to which a factor is inverted as it is */
#define NULL_SPACE 1e-11 /* singular values that many times smaller than the largest are rounding */
#define NULL_SHARE 0.1   /* part in a null direction from which a parameter is lost */
#define FACTOR 3.0       /* standard error of a logarithm from which a scale is not identified: a factor 20 */

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
    return whole > 0.0 && spread > FACTOR * length_of(p, column, 1);
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

/* Judge fits.
 *
 * triangles (curves, p, p) are factors of the Jacobian, scale (curves, p) the parameters where they are scales and 1
 * elsewhere, logs (p) which are scales, deviance and points (curves) the sum of squares and n, at_bound (curves, p).
 * Filled: covariance (curves, p, p; per unit of dispersion, not a number for parameters at a bound), lost (curves, p; in
 * the numerical null space), runaway (curves, p; scales at a bound that the data do not determine). The latter are taken
 * off at_bound. work: 2 p^2 + 3 p numbers.
 */
void NAME(judge)(int64_t curves, int64_t p, const double *triangles, const double *scale, const uint8_t *logs,
                 const double *deviance, const int64_t *points, uint8_t *at_bound, double *covariance, uint8_t *lost,
                 uint8_t *runaway, double *work) {
    const Room room = room_in(p, work);
    for (int64_t b = 0; b < curves; b++) {
        const double *r = triangles + b * p * p;
        uint8_t *bound = at_bound + b * p, *away = runaway + b * p;
        for (int64_t name = 0; name < p; name++)
            away[name] = bound[name] && logs[name] &&
                         runs_away(p, r, name, scale[b * p + name], bound, deviance[b], points[b], &room);
        for (int64_t name = 0; name < p; name++) bound[name] = bound[name] && !away[name];
        covariance_of(p, r, bound, covariance + b * p * p, lost + b * p, &room);
    }
}

#endif
