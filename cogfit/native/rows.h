/* Rows of points: what a curve and its axis are to the kernels, and sums over them. */
#ifndef COGFIT_ROWS_H
#define COGFIT_ROWS_H

#include "bases.h"

/* A form: its basis, whether it has a floor, and two sets of bits: which coefficients (floor first) are bounded by 0, and
 * which non-linear parameters the solver takes as logarithms. */
typedef struct {
    int basis, columns, parameters, floor, bounded, logs;
} Model;

/* Curves end to end. The distinct axes begin at x_at, those of curve b are axis[b]; its values begin at y_at[b] and its
 * root weights at w_at[b], so that curves may share an axis, and weights. A point is one value of x or, with several
 * nodes, an average: the sum over k of share[k stride] times the form at x[k stride]. */
typedef struct {
    const double *x, *log_x;
    const int64_t *x_at, *axis;
    const double *y;
    const int64_t *y_at;
    const double *root;
    const int64_t *w_at;
    const double *share;
    int64_t nodes, stride;
} Bundle;

/* Points of one axis with root weights, padded to whole vectors: there x = 1 and the weight is 0. Where points are
 * averages, x and log_x are those of the first node, and all nodes are read where they stand. */
typedef struct {
    int64_t n, size; /* points, and with padding */
    double *x, *log_x, *w;
    int64_t nodes, stride; /* 0 or 1 nodes: single points */
    const double *all_x, *all_log_x, *share;
} Points;

INLINE Model model_of(int64_t basis, int64_t floor, int64_t bounded, int64_t logs) {
    return (Model){(int)basis, (int)NAME(basis_columns)(basis), (int)NAME(basis_parameters)(basis),
                   (int)floor, (int)bounded, (int)logs};
}

/* Copy numbers into a padded row. */
INLINE void copy_padded(int64_t n, const double *from, double rest, double *to) {
    int64_t i = 0;
    for (; i + LANES <= n; i += LANES) store(to + i, load(from + i));
    if (i < n) store(to + i, load_some(from + i, n - i, rest));
}

/* Fill the points of a curve. They stay as they are where the axis and the weights are those of another curve. */
INLINE void fill_points(const Bundle *c, int64_t curve, Points *to) {
    const int64_t at = c->x_at[c->axis[curve]];
    to->n = c->x_at[c->axis[curve] + 1] - at;
    to->size = padded(to->n);
    copy_padded(to->n, c->x + at, 1.0, to->x);
    copy_padded(to->n, c->log_x + at, 0.0, to->log_x);
    copy_padded(to->n, c->root + c->w_at[curve], 0.0, to->w);
    to->nodes = c->nodes, to->stride = c->stride;
    to->all_x = c->x + at, to->all_log_x = c->log_x + at, to->share = c->share + at;
}

INLINE int same_points(const Bundle *c, int64_t one, int64_t other) {
    return c->axis[one] == c->axis[other] && c->w_at[one] == c->w_at[other];
}

/* Weighted values of a curve, padded with 0. */
INLINE void fill_target(const Bundle *c, int64_t curve, const Points *points, double *to) {
    const double *y = c->y + c->y_at[curve];
    int64_t i = 0;
    for (; i + LANES <= points->n; i += LANES) store(to + i, load(y + i) * load(points->w + i));
    if (i < points->n) store(to + i, load_some(y + i, points->n - i, 0.0) * load(points->w + i));
}

INLINE double dot(int64_t size, const double *a, const double *b) {
    Lanes total = all(0.0), other = total; /* two chains */
    int64_t i = 0;
    for (; i + LANES < size; i += 2 * LANES) {
        total += load(a + i) * load(b + i);
        other += load(a + i + LANES) * load(b + i + LANES);
    }
    if (i < size) total += load(a + i) * load(b + i);
    return sum(total + other);
}

/* to = a - share b */
INLINE void subtract(int64_t size, const double *a, double share, const double *b, double *to) {
    for (int64_t i = 0; i < size; i += LANES) store(to + i, load(a + i) - all(share) * load(b + i));
}

INLINE void scale(int64_t size, const double *a, double factor, double *to) {
    for (int64_t i = 0; i < size; i += LANES) store(to + i, load(a + i) * all(factor));
}

/* Unit vector q along v, the rest of t that is orthogonal to it; returns |v| and the part of t along q. */
static double first_column(int64_t size, const double *v, const double *t, double *q, double *rest, double *along) {
    const double norm = root_of(dot(size, v, v));
    scale(size, v, norm > 0.0 ? 1.0 / norm : 0.0, q);
    *along = dot(size, q, t);
    subtract(size, t, *along, q, rest);
    const double more = dot(size, q, rest); /* once loses digits where t is nearly parallel to v */
    subtract(size, rest, more, q, rest);
    *along += more;
    return norm;
}

INLINE void natural_of(const Model *model, const double *theta, double *natural) {
    for (int j = 0; j < model->parameters; j++)
        natural[j] = model->logs >> j & 1 ? exponential_of_one(theta[j]) : theta[j];
}

/* Columns and derivatives at the points i, i + 1, ...: of single points, or averages over nodes. */
INLINE void evaluate_points(const int basis, const int s, const int p, const int averaged, const double *c,
                            const Points *points, int64_t i, Lanes *column, Lanes *slope) {
    if (!averaged) {
        evaluate(basis, c, load(points->x + i), load(points->log_x + i), column, slope);
        return;
    }
    for (int k = 0; k < s; k++) column[k] = all(0.0);
    for (int k = 0; k < p * s; k++) slope[k] = all(0.0);
    for (int64_t node = 0; node < points->nodes; node++) {
        const int64_t at = node * points->stride + i, rest = points->n - i;
        const Lanes share = load_some(points->share + at, rest, 0.0);
        Lanes own[MOST_COLUMNS], tilt[MOST_COLUMNS * MOST_PARAMETERS];
        evaluate(basis, c, load_some(points->all_x + at, rest, 1.0), load_some(points->all_log_x + at, rest, 0.0), own,
                 tilt);
        for (int k = 0; k < s; k++) column[k] += share * own[k];
        for (int k = 0; k < p * s; k++) slope[k] += share * tilt[k];
    }
}

/* Weighted columns of a basis and their derivatives at all points; sums are those of the last column v: q'v, v'v, rest'v.
 */
INLINE void sweep_basis(const int basis, const int s, const int p, const int averaged, const Points *points,
                        const double *natural, const double *q, const double *rest, double *restrict columns,
                        double *restrict slopes, double *sums) {
    double c[CONSTANTS];
    prepare(basis, natural, c);
    const int64_t size = points->size;
    const double *w = points->w;
    Lanes lean = all(0.0), square = lean, along = lean;
    for (int64_t i = 0; i < size; i += LANES) {
        Lanes column[MOST_COLUMNS], slope[MOST_COLUMNS * MOST_PARAMETERS];
        const Lanes weight = load(w + i);
        evaluate_points(basis, s, p, averaged, c, points, i, column, slope);
        for (int k = 0; k < p * s; k++) store(slopes + k * size + i, slope[k] * weight);
        for (int k = 0; k < s; k++) {
            const Lanes v = column[k] * weight;
            store(columns + k * size + i, v);
            if (k == s - 1) {
                lean += v * load(q + i);
                square += v * v;
                along += v * load(rest + i);
            }
        }
    }
    sums[0] = sum(lean), sums[1] = sum(square), sums[2] = sum(along);
}

/* The weighted columns alone. */
INLINE void sweep_columns_of(const int basis, const int s, const int averaged, const Points *points,
                             const double *natural, double *restrict columns) {
    double c[CONSTANTS];
    prepare(basis, natural, c);
    for (int64_t i = 0; i < points->size; i += LANES) {
        Lanes column[MOST_COLUMNS], slope[MOST_COLUMNS * MOST_PARAMETERS];
        evaluate_points(basis, s, 0, averaged, c, points, i, column, slope);
        for (int k = 0; k < s; k++) store(columns + k * points->size + i, column[k] * load(points->w + i));
    }
}

/* Functions of each kind for every basis, so that the loops know theirs, and whether points are averages. */
#define SWEEPS(name, s, p) SWEEP(name, s, p, single, 0) SWEEP(name, s, p, averaged, 1)
#define SWEEP(name, s, p, kind, averaged)                                                                              \
    static __attribute__((noinline)) void sweep_##kind##_##name(const Points *points, const double *natural,           \
                                                                const double *q, const double *rest, double *columns, \
                                                                double *slopes, double *sums) {                        \
        sweep_basis(BASIS_##name, s, p, averaged, points, natural, q, rest, columns, slopes, sums);                    \
    }                                                                                                                  \
    static __attribute__((noinline)) void sweep_columns_##kind##_##name(const Points *points, const double *natural,   \
                                                                        double *columns) {                             \
        sweep_columns_of(BASIS_##name, s, averaged, points, natural, columns);                                         \
    }
BASES(SWEEPS)
#undef SWEEPS
#undef SWEEP

INLINE void sweep(int basis, const Points *points, const double *natural, const double *q, const double *rest,
                  double *columns, double *slopes, double *sums) {
    switch (basis) {
#define CASE(name, s, p)                                                                            \
    case BASIS_##name:                                                                              \
        if (points->nodes > 1) sweep_averaged_##name(points, natural, q, rest, columns, slopes, sums); \
        else sweep_single_##name(points, natural, q, rest, columns, slopes, sums);                  \
        return;
        BASES(CASE)
#undef CASE
    default:
        return;
    }
}

INLINE void sweep_columns(int basis, const Points *points, const double *natural, double *columns) {
    switch (basis) {
#define CASE(name, s, p)                                                         \
    case BASIS_##name:                                                           \
        if (points->nodes > 1) sweep_columns_averaged_##name(points, natural, columns); \
        else sweep_columns_single_##name(points, natural, columns);              \
        return;
        BASES(CASE)
#undef CASE
    default:
        return;
    }
}

#endif
