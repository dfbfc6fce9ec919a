/* What columns such as sharp steps add to the mean of a curve under AR(1) errors: the largest fall of the RSS. */
#ifndef COGFIT_CHANGES_H
#define COGFIT_CHANGES_H

#include "lanes.h"

#define CURVES_AT_ONCE 4   /* curves that share what is loaded of a column */
#define COLUMNS_AT_ONCE 128 /* columns of these curves that stay in the innermost cache over all values of rho */

typedef struct {
    int64_t curves, columns, values, size; /* size of the mean, whose products with the columns are v */
    const double *n0, *n1, *n2;            /* (curves, columns): products N = n0 - rho n1 + rho^2 n2 */
    const double *v, *u, *inverse;         /* (values, size, columns), (values, size, curves), (values, columns) */
    const double *rho;                     /* values */
} Columns;

/* (N - v'u)^2 inverse of a vector of columns for each of some curves; `count` columns are left. */
INLINE void gains_of(const Columns *all_columns, int64_t curves, int64_t first, int64_t k, int64_t j, int64_t count,
                     Lanes *largest) {
    const Columns c = *all_columns;
    const Lanes rho = all(c.rho[k]), square = rho * rho;
    Lanes product[CURVES_AT_ONCE];
    for (int64_t i = 0; i < curves; i++) {
        const int64_t at = (first + i) * c.columns + j;
        product[i] = load_some(c.n0 + at, count, 0.0) - rho * load_some(c.n1 + at, count, 0.0) +
                     square * load_some(c.n2 + at, count, 0.0);
    }
    for (int64_t q = 0; q < c.size; q++) {
        const Lanes v = load_some(c.v + (k * c.size + q) * c.columns + j, count, 0.0);
        const double *u = c.u + (k * c.size + q) * c.curves + first;
        for (int64_t i = 0; i < curves; i++) product[i] -= all(u[i]) * v;
    }
    const Lanes inverse = load_some(c.inverse + k * c.columns + j, count, 0.0);
    for (int64_t i = 0; i < curves; i++) largest[i] = greater(largest[i], product[i] * product[i] * inverse);
}

INLINE double largest_gain(Lanes v) {
    double out = v[0];
    for (int k = 1; k < LANES; k++) out = larger(out, v[k]);
    return out;
}

/* Largest gains over columns j0 to j1 of some curves, one value of rho after the other, into out (curves, values). */
INLINE void gains_of_block(const Columns *columns, int64_t curves, int64_t first, int64_t j0, int64_t j1, double *out) {
    for (int64_t k = 0; k < columns->values; k++) {
        Lanes largest[CURVES_AT_ONCE];
        for (int64_t i = 0; i < curves; i++) largest[i] = all(0.0);
        int64_t j = j0;
        for (; j + LANES <= j1; j += LANES) gains_of(columns, curves, first, k, j, LANES, largest);
        if (j < j1) gains_of(columns, curves, first, k, j, j1 - j, largest);
        for (int64_t i = 0; i < curves; i++) {
            double *best = out + (first + i) * columns->values + k;
            *best = larger(*best, largest_gain(largest[i]));
        }
    }
}

/* Largest (N - v'u)^2 inverse over the columns, out (curves, values); 0 if there are none. */
void NAME(change_gains)(int64_t curves, int64_t columns, int64_t values, int64_t size, const double *n0,
                        const double *n1, const double *n2, const double *v, const double *u, const double *inverse,
                        const double *rho, double *out) {
    const Columns all_columns = {curves, columns, values, size, n0, n1, n2, v, u, inverse, rho};
    for (int64_t i = 0; i < curves * values; i++) out[i] = 0.0;
    for (int64_t first = 0; first < curves; first += CURVES_AT_ONCE)
        for (int64_t j0 = 0; j0 < columns; j0 += COLUMNS_AT_ONCE) {
            const int64_t j1 = j0 + COLUMNS_AT_ONCE < columns ? j0 + COLUMNS_AT_ONCE : columns;
            if (first + CURVES_AT_ONCE <= curves)
                gains_of_block(&all_columns, CURVES_AT_ONCE, first, j0, j1, out);
            else
                for (int64_t i = first; i < curves; i++) gains_of_block(&all_columns, 1, i, j0, j1, out);
        }
}

#undef CURVES_AT_ONCE
#undef COLUMNS_AT_ONCE

#endif
