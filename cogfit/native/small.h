/* Small dense problems: a damped step, absolute eigenvalues, singular values. Scalar; the sizes are 1 to 10 or so. */
#ifndef COGFIT_SMALL_H
#define COGFIT_SMALL_H

#include "bases.h"

#define MOST_COEFFICIENTS (MOST_PARAMETERS + MOST_COLUMNS + 1) /* all parameters of a separable form */

/* Householder reflections that make the first `count` columns of a (rows, width) triangular; the next one goes along. */
INLINE void reflect(int rows, int count, const int width, double *a) {
    for (int j = 0; j < count; j++) {
        double *top = a + j * width, square = 0.0;
        for (int i = j; i < rows; i++) square += a[i * width + j] * a[i * width + j];
        const double head = -__builtin_copysign(root_of(square), top[j]), first = top[j] - head;
        const double reach = square - head * top[j]; /* half the squared length of the reflected direction */
        for (int k = j + 1; k <= count; k++) {
            double along = first * top[k];
            for (int i = j + 1; i < rows; i++) along += a[i * width + j] * a[i * width + k];
            along /= reach;
            top[k] -= along * first;
            for (int i = j + 1; i < rows; i++) a[i * width + k] -= along * a[i * width + j];
        }
        top[j] = head;
    }
}

/* Levenberg-Marquardt step in a box, in which coordinates that a bound holds stay.
 *
 * It minimises |R d - Q'r|^2 + damping sum (|R_j| d_j)^2 by Householder reflections: normal equations would lose twice
 * as many digits. Returns the largest move, and the decrease of the RSS that is promised (infinite where the box cuts
 * the step).
 */
static double damped_step(int p, const double *theta, const double *factor, const double *target, const double *grad,
                          double damping, const double *lower, const double *upper, double *out, double *promised) {
    double a[2 * MOST_PARAMETERS][MOST_PARAMETERS + 1]; /* the last column used is the right-hand side */
    const int rows = 2 * p;
    if (p == 1) {
        const int held = (theta[0] <= lower[0] && grad[0] <= 0.0) || (theta[0] >= upper[0] && grad[0] >= 0.0);
        const double value = held || !(factor[0] > 0.0) ? 0.0 : target[0] / (factor[0] * (1.0 + damping));
        const double to = theta[0] + value;
        out[0] = is_finite(to) ? smaller(larger(to, lower[0]), upper[0]) : theta[0];
        *promised = out[0] == to ? value * grad[0] : INFINITE;
        return __builtin_fabs(out[0] - theta[0]);
    }
    for (int i = 0; i < rows; i++) {
        a[i][p] = i < p ? target[i] : 0.0;
        for (int j = 0; j < p; j++) a[i][j] = i < p ? factor[i * p + j] : 0.0;
    }
    for (int j = 0; j < p; j++) {
        const int held = (theta[j] <= lower[j] && grad[j] <= 0.0) || (theta[j] >= upper[j] && grad[j] >= 0.0);
        double square = 0.0;
        for (int i = 0; i < p; i++) {
            square += a[i][j] * a[i][j];
            if (held) a[i][j] = 0.0;
        }
        a[p + j][j] = !held && square > 0.0 ? root_of(damping * square) : 1.0;
    }
    reflect(rows, p, MOST_PARAMETERS + 1, a[0]);
    double moved = 0.0;
    *promised = 0.0;
    for (int j = p - 1; j >= 0; j--) {
        double value = a[j][p];
        for (int k = j + 1; k < p; k++) value -= a[j][k] * a[k][p];
        value /= a[j][j];
        a[j][p] = value;
        const double to = theta[j] + value;
        out[j] = is_finite(to) ? smaller(larger(to, lower[j]), upper[j]) : theta[j];
        moved = larger(moved, __builtin_fabs(out[j] - theta[j]));
        *promised += out[j] == to ? value * grad[j] : INFINITE;
    }
    return moved;
}

/* Turn a pair of numbers by an angle with this cosine and sine. */
INLINE void rotate(double c, double s, double *one, double *other) {
    const double a = *one, b = *other;
    *one = c * a - s * b, *other = s * a + c * b;
}

/* Cosine and sine of the rotation that makes two entries with these squares and this product orthogonal. */
INLINE void rotation(double first, double second, double both, double *c, double *s) {
    const double ratio = 0.5 * (second - first) / both;
    const double tangent =
        __builtin_copysign(1.0, ratio) / (__builtin_fabs(ratio) + root_of(1.0 + ratio * ratio));
    *c = 1.0 / root_of(1.0 + tangent * tangent);
    *s = tangent * *c;
}

/* Fill factor R and target z with R'R = |a| and R'z = grad, |a| having the absolute eigenvalues of a symmetric a.
 *
 * Jacobi's rotations turn a into its eigenvalues, in place; they are kept 10^12 times smaller than the largest at the
 * least. Where a is not finite, it is the identity.
 */
static void root_of_matrix(int p, double *a, const double *grad, double *factor, double *target) {
    double vector[MOST_PARAMETERS * MOST_PARAMETERS], largest = 0.0;
    int finite = 1;
    for (int i = 0; i < p; i++)
        for (int j = 0; j < p; j++) {
            finite = finite && is_finite(a[i * p + j]);
            vector[i * p + j] = i == j ? 1.0 : 0.0;
        }
    for (int i = 0; i < p; i++)
        for (int j = 0; j < i; j++) a[i * p + j] = a[j * p + i] = 0.5 * (a[i * p + j] + a[j * p + i]);
    for (int turn = 0; turn < (finite ? 12 : 0); turn++)
        for (int i = 0; i < p; i++)
            for (int j = 0; j < i; j++) {
                const double off = a[i * p + j], top = a[i * p + i], bottom = a[j * p + j];
                if (__builtin_fabs(off) <= 1e-17 * root_of(__builtin_fabs(top * bottom))) continue;
                double c, s;
                rotation(top, bottom, off, &c, &s);
                for (int k = 0; k < p; k++) rotate(c, s, a + k * p + i, a + k * p + j);
                for (int k = 0; k < p; k++) {
                    rotate(c, s, a + i * p + k, a + j * p + k);
                    rotate(c, s, vector + k * p + i, vector + k * p + j);
                }
            }
    for (int k = 0; k < p; k++) largest = finite ? larger(largest, __builtin_fabs(a[k * p + k])) : 1.0;
    for (int k = 0; k < p; k++) {
        const double root = finite ? root_of(larger(__builtin_fabs(a[k * p + k]), 1e-12 * largest)) : 1.0;
        double total = 0.0;
        for (int i = 0; i < p; i++) {
            factor[k * p + i] = root * vector[i * p + k];
            total += vector[i * p + k] * grad[i];
        }
        target[k] = root > 0.0 ? total / root : 0.0;
    }
}

#define TURNED 1e-13 /* cosine from which columns count as orthogonal: its square is what is lost */

/* Singular values by one-sided Jacobi: `count` columns of `rows` numbers become orthogonal; vector is V'.
 *
 * The singular values are the lengths of the columns. Column i begins at a + i rows, row i of V' at vector + i rows.
 */
static void singular(int64_t rows, int64_t count, double *a, double *vector) {
    for (int64_t i = 0; i < count; i++)
        for (int64_t j = 0; j < count; j++) vector[i * rows + j] = i == j ? 1.0 : 0.0;
    for (int turn = 0; turn < 30; turn++) {
        int turned = 0;
        for (int64_t i = 0; i < count; i++)
            for (int64_t j = 0; j < i; j++) {
                double one = 0.0, other = 0.0, both = 0.0, c, s, *v = a + i * rows, *w = a + j * rows;
                for (int64_t k = 0; k < rows; k++) {
                    one += v[k] * v[k];
                    other += w[k] * w[k];
                    both += v[k] * w[k];
                }
                if (!(__builtin_fabs(both) > TURNED * root_of(one * other))) continue;
                turned = 1;
                rotation(one, other, both, &c, &s);
                for (int64_t k = 0; k < rows; k++) rotate(c, s, v + k, w + k);
                for (int64_t k = 0; k < count; k++) rotate(c, s, vector + i * rows + k, vector + j * rows + k);
            }
        if (!turned) break;
    }
}

#endif
