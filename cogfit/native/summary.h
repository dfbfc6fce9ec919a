/* What is said of a fit from its points, at given parameters. */
#ifndef COGFIT_SUMMARY_H
#define COGFIT_SUMMARY_H

#include "rows.h"
#include "small.h"

#define SUMMARY_ROWS (4 + MOST_COLUMNS + MOST_COLUMNS * MOST_PARAMETERS + MOST_COEFFICIENTS)

#define ORTHOGONAL 1e-3 /* share of a squared length that must be left after a projection of dot products */

_Static_assert(SUMMARY_ROWS == 18, "the room in kernels.py");

/* Triangular factor (p, p) of a matrix given as p columns, which are overwritten. */
static void triangular(int64_t size, int p, double *columns, double *out) {
    for (int j = 0; j < p; j++) {
        double *v = columns + j * size, square = dot(size, v, v);
        for (int k = 0; k < p; k++) out[k * p + j] = 0.0;
        for (int again = 0; again < 2; again++) {
            const double before = square;
            for (int k = 0; k < j; k++) {
                const double *q = columns + k * size, along = dot(size, q, v);
                out[k * p + j] += along;
                subtract(size, v, along, q, v);
            }
            square = dot(size, v, v);
            if (square > 0.25 * before) break; /* else the column is nearly in the span of those before it */
        }
        const double norm = root_of(square);
        out[j * p + j] = norm;
        scale(size, v, norm > 0.0 ? 1.0 / norm : 0.0, v);
    }
}

/* The same from the dot products of the columns, in one pass. Returns 0 where that would lose more than three digits. */
INLINE int triangular_of_products(const int p, int64_t size, const double *columns, double *out) {
    Lanes products[MOST_COEFFICIENTS * (MOST_COEFFICIENTS + 1) / 2];
    for (int k = 0; k < p * (p + 1) / 2; k++) products[k] = all(0.0);
    for (int64_t i = 0; i < size; i += LANES)
        for (int j = 0, at = 0; j < p; j++)
            for (int k = 0; k <= j; k++, at++) products[at] += load(columns + j * size + i) * load(columns + k * size + i);
    for (int j = 0, at = 0; j < p; j++)
        for (int k = 0; k <= j; k++, at++) {
            double rest = sum(products[at]);
            const double whole = rest;
            for (int i = 0; i < k; i++) rest -= out[i * p + k] * out[i * p + j];
            out[j * p + k] = 0.0;
            if (k < j) out[k * p + j] = rest / out[k * p + k];
            else if (rest > ORTHOGONAL * whole) out[j * p + j] = root_of(rest);
            else return 0;
        }
    return 1;
}

/* Triangular factor of up to three columns from their products where they are far from parallel; of others by rows. */
static void factor_of_columns(int64_t size, int p, double *columns, double *out) {
    if (p == 2 && triangular_of_products(2, size, columns, out)) return;
    if (p == 3 && triangular_of_products(3, size, columns, out)) return;
    triangular(size, p, columns, out);
}

/* Fill out (p, p) with the triangular factor of the rows (p, n). work: p rows, padded, and 8 numbers. */
void NAME(triangle)(int64_t p, int64_t n, const double *rows, double *out, double *work) {
    const int64_t size = padded(n);
    work = aligned(work);
    for (int64_t j = 0; j < p; j++) copy_padded(n, rows + j * n, 0.0, work + j * size);
    triangular(size, (int)p, work, out);
}

/* Sum of the logarithms of positive numbers. */
static double sum_of_logarithms(int64_t n, const double *values) {
    Lanes total = all(0.0);
    int64_t i = 0;
    for (; i + LANES <= n; i += LANES) total += logarithm(load(values + i));
    if (i < n) total += logarithm(load_some(values + i, n - i, 1.0));
    return sum(total);
}

/* Largest |v| of a padded row, whose padding is 0. */
INLINE double largest_of(Lanes v) {
    double most = 0.0;
    for (int k = 0; k < LANES; k++) most = larger(most, v[k]);
    return most;
}

/* What is said of fits: for the curves begin ... end - 1 at given params (curves, parameters).
 *
 * place (parameters) numbers the columns of the Jacobian: amplitudes 0, 1, ..., then non-linear parameters, then the
 * floor. Filled, for each curve: rss, log_weights (sum of log w), largest and largest_weighted (|y| and |root w y|),
 * triangles (curves, parameters, parameters; triangular factors of the weighted Jacobian, 0 in place of what is not
 * finite). work: SUMMARY_ROWS rows of the longest curve, padded, and 8 numbers.
 */
void NAME(summaries)(int64_t basis, int64_t floor, int64_t bounded, int64_t logs, const double *x, const double *log_x,
                     const int64_t *x_at, const int64_t *axis, const double *y, const int64_t *y_at,
                     const double *root, const int64_t *w_at, const double *share,
                     int64_t nodes, int64_t stride, int64_t begin, int64_t end, const double *params,
                     const int64_t *place, int64_t longest, double *rss, double *log_weights, double *largest,
                     double *largest_weighted, double *triangles, double *work) {
    const unsigned before = flush_subnormals();
    const Model model = model_of(basis, floor, bounded, logs);
    const Bundle c = {x, log_x, x_at, axis, y, y_at, root, w_at, share, nodes, stride};
    const int s = model.columns, p = model.parameters, count = s + p + (model.floor ? 1 : 0);
    const int64_t room = padded(longest);
    work = aligned(work);
    Points points = {0, 0, work, work + room, work + 2 * room, 1, 0, 0, 0, 0};
    double *t = work + 3 * room, *columns = work + 4 * room, *slopes = columns + MOST_COLUMNS * room;
    double *jacobian = slopes + MOST_COLUMNS * MOST_PARAMETERS * room, logarithms = 0.0;
    for (int64_t b = begin, last = -1; b < end; b++) {
        const int64_t mine = b - begin;
        const double *given = params + mine * count;
        if (last < 0 || !same_points(&c, last, b)) {
            fill_points(&c, b, &points);
            if (last < 0 || w_at[b] != w_at[last] || axis[b] != axis[last])
                logarithms = sum_of_logarithms(points.n, root + w_at[b]);
        }
        last = b;
        const int64_t size = points.size;
        double natural[MOST_PARAMETERS], amplitude[MOST_COLUMNS], level = 0.0, sums[3];
        for (int k = 0; k < count; k++) {
            if (place[k] < s) amplitude[place[k]] = given[k];
            else if (place[k] < s + p) natural[place[k] - s] = given[k];
            else level = given[k];
        }
        fill_target(&c, b, &points, t);
        if (s > 0) sweep(model.basis, &points, natural, t, t, columns, slopes, sums);
        Lanes square = all(0.0), greatest = square, weighted = square;
        for (int64_t i = 0; i < size; i += LANES) {
            const Lanes w = load(points.w + i), value = load(t + i);
            Lanes fitted = all(level) * w;
            for (int k = 0; k < s; k++) fitted += all(amplitude[k]) * load(columns + k * size + i);
            const Lanes miss = value - fitted;
            square += miss * miss;
            const double *values = y + y_at[b] + i;
            const Lanes plain = i + LANES <= points.n ? load(values) : load_some(values, points.n - i, 0.0);
            greatest = greater(greatest, magnitude(plain));
            weighted = greater(weighted, magnitude(value));
        }
        for (int k = 0; k < count; k++) { /* a column is the first row times a factor, and with two amplitudes the second */
            const int64_t at = place[k];
            const int is_slope = at >= s && at < s + p;
            const double *row = at < s ? columns + at * size : is_slope ? slopes + (at - s) * s * size : points.w;
            const Lanes own = all(is_slope ? amplitude[0] : 1.0);
            for (int64_t i = 0; i < size; i += LANES) {
                Lanes column = own * load(row + i);
                if (is_slope && s == 2) column += all(amplitude[1]) * load(row + size + i);
                store(jacobian + k * size + i, keep(magnitude(column) < all(INFINITE), column));
            }
        }
        rss[mine] = sum(square), log_weights[mine] = 2.0 * logarithms;
        largest[mine] = largest_of(greatest), largest_weighted[mine] = largest_of(weighted);
        factor_of_columns(size, count, jacobian, triangles + mine * count * count);
    }
    set_rounding(before);
}

#endif
