/* Maximum likelihood of one curve under log-normal or binomial noise: a descent in a box.
 *
 * The likelihood is highest where the sum of squared deviance residuals is lowest, so least squares does the search, by
 * Levenberg-Marquardt. Its coordinates are
 *   plain      the amplitudes, the non-linear parameters (scales as logarithms), the floor;
 *   anchored   u, the largest fitted value; rho, the share of it that is floor (for forms with both); the non-linear
 *              parameters. Then f = u (rho + (1 - rho) (phi - base) / height) is a probability anywhere in the box. base
 *              is the smallest phi where the floor is not bounded, else 0; height is that of the largest phi above it.
 */
#ifndef COGFIT_LIKELIHOOD_H
#define COGFIT_LIKELIHOOD_H

#include "rows.h"
#include "small.h"
#include "summary.h"
#include "whiten.h"

#define LIKELIHOOD_ROWS (5 + MOST_COLUMNS + MOST_COLUMNS * MOST_PARAMETERS + MOST_COEFFICIENTS)

_Static_assert(LIKELIHOOD_ROWS == 19, "the room in likelihood.py");
_Static_assert(MOST_COEFFICIENTS == 6, "the bits of held coordinates in likelihood.py");

#define SMALLEST_FIT 1e-300 /* stands for fitted values that are not positive */
#define EDGE 1e-12          /* how near to 0 or 1 a fitted probability may come */
#define HUGE_RESIDUAL 1e100 /* stands for one that is not finite */
#define LEAST_LENGTH 1e-6   /* of a column that is damped, in units of the coordinates and of the longest */
#define MOST_DAMPING 1e20   /* from where a step no longer changes anything */

enum noise { LOGNORMAL, BINOMIAL };

typedef struct {
    Model model; /* bits of `logs`: which non-linear parameters are coordinates as logarithms */
    int noise, anchored, open_floor, held;
    double unit; /* of amplitudes and floor: the largest value of the curve, or 1 for anchored coordinates */
    int64_t n, size;
    const double *x, *log_x, *y, *w; /* padded; y as logarithms under log-normal noise; w: root weights, or trials */
    int64_t order;
    const double *ar, *gain, *inverse_root;
    double *phi, *dphi, *r, *jacobian;
} Likelihood;

/* Deviance residuals under log-normal noise, of logarithms y and root weights, and their derivative by the fit. */
INLINE Lanes lognormal_residual(Lanes y, Lanes f, Lanes root, Lanes *slope) {
    const Lanes safe = greater(all(SMALLEST_FIT), f);
    *slope = keep(f > all(SMALLEST_FIT), -root / safe);
    const Lanes r = (y - logarithm(safe)) * root;
    return select(f == f, r, f); /* what is not a number stays so */
}

/* v log v - (v - 1) with u = v - 1: without loss of digits near v = 1, and 1 at v = 0. */
INLINE Lanes excess(Lanes v, Lanes u) {
    const Lanes s = u / (u + all(2.0)), z = s * s; /* log v = 2 artanh s */
    const Lanes p = artanh_series(all(0.05263157894736842), z); /* from 1/19 on */
    const Lanes near = all(2.0) * z * (all(1.0) + (all(1.0) + s) * s * p) / (all(1.0) - s);
    const Lanes far = v * logarithm(greater(all(SMALLEST_FIT), v)) - u;
    return select(magnitude(u) < all(0.25), near, far);
}

/* Deviance residuals of fractions y of trials, and their derivative by the fit. */
INLINE Lanes binomial_residual(Lanes y, Lanes f, Lanes trials, Lanes *slope) {
    const Lanes p = lesser(greater(f, all(EDGE)), all(1.0 - EDGE)), miss = all(1.0) - p, off = y - p;
    const Lanes deviance = p * excess(y / p, off / p) + miss * excess((all(1.0) - y) / miss, -off / miss);
    const Lanes size = all(2.0) * trials * greater(all(0.0), deviance), information = trials / (p * miss);
    Lanes root, limit;
    for (int k = 0; k < LANES; k++) root[k] = root_of(size[k]), limit[k] = root_of(information[k]);
    const Whole near = magnitude(off) <= all(1e-10) * (p * miss); /* there the ratio has its limit */
    const Lanes tilt = select(near, limit, magnitude(off) * information / select(near, all(1.0), root));
    /* a fit that a bound holds lies on an edge, give or take rounding, and is still to be moved off it */
    *slope = keep((f > all(0.9 * EDGE)) & (f < all(1.0 - 0.9 * EDGE)), -tilt);
    const Lanes r = select(off < all(0.0), -root, root);
    return select(f == f, r, f);
}

/* Parameters at a point, and their derivatives by its coordinates: chain[i][k] of parameter i, in the order amplitudes,
 * non-linear parameters, floor. */
static void params_at(const Likelihood *m, const double *z, double *natural, double *amplitude, double *level,
                      double chain[MOST_COEFFICIENTS][MOST_COEFFICIENTS]) {
    const int s = m->model.columns, p = m->model.parameters, floor = m->model.floor;
    const int lead = !m->anchored ? s : s > 0 && floor ? 2 : 1; /* coordinates before the non-linear ones */
    for (int i = 0; i < MOST_COEFFICIENTS; i++)
        for (int k = 0; k < MOST_COEFFICIENTS; k++) chain[i][k] = 0.0;
    natural_of(&m->model, z + lead, natural);
    for (int j = 0; j < p; j++) chain[s + j][lead + j] = m->model.logs >> j & 1 ? natural[j] : 1.0;
    NAME(basis_columns_at)(m->model.basis, m->size, 1, m->x, m->log_x, natural, m->phi, m->dphi);
    *level = 0.0;
    if (!m->anchored) {
        for (int k = 0; k < s; k++) amplitude[k] = z[k], chain[k][k] = 1.0;
        if (floor) *level = z[s + p], chain[s + p][s + p] = 1.0;
        return;
    }
    const double u = z[0], rho = lead == 2 ? z[1] : 0.0;
    if (s == 0) {
        *level = u, chain[p][0] = 1.0;
        return;
    }
    int64_t top = 0, bottom = 0;
    for (int64_t i = 1; i < m->n; i++) {
        if (m->phi[i] > m->phi[top]) top = i;
        if (m->phi[i] < m->phi[bottom]) bottom = i;
    }
    const double base = m->open_floor ? m->phi[bottom] : 0.0;
    const double height = larger(m->phi[top] - base, SMALLEST_FIT);
    amplitude[0] = u * (1.0 - rho) / height;
    chain[0][0] = (1.0 - rho) / height;
    if (lead == 2) {
        *level = u * rho - amplitude[0] * base;
        chain[0][1] = -u / height;
        chain[1 + p][0] = rho - chain[0][0] * base;
        chain[1 + p][1] = u - chain[0][1] * base;
    }
    for (int j = 0; j < p; j++) {
        const double by_base = m->open_floor ? m->dphi[j * m->size + bottom] * chain[1 + j][lead + j] : 0.0;
        const double by_height = m->dphi[j * m->size + top] * chain[1 + j][lead + j] - by_base;
        chain[0][lead + j] = -amplitude[0] * by_height / height;
        if (lead == 2) chain[1 + p][lead + j] = -chain[0][lead + j] * base - amplitude[0] * by_base;
    }
}

/* Deviance residuals at a point and their derivatives by the coordinates, whitened: rows r and jacobian. */
static void residuals_at(const Likelihood *m, const double *z) {
    const int s = m->model.columns, p = m->model.parameters, count = s + p + (m->model.floor ? 1 : 0);
    const int64_t size = m->size;
    double natural[MOST_PARAMETERS], amplitude[MOST_COLUMNS] = {0.0}, level;
    double chain[MOST_COEFFICIENTS][MOST_COEFFICIENTS];
    params_at(m, z, natural, amplitude, &level, chain);
    for (int64_t i = 0; i < size; i += LANES) {
        Lanes own[MOST_COEFFICIENTS], f = all(level), slope, r; /* derivatives by the parameters */
        for (int k = 0; k < s; k++) {
            own[k] = load(m->phi + k * size + i);
            f += all(amplitude[k]) * own[k];
        }
        for (int j = 0; j < p; j++) {
            own[s + j] = all(amplitude[0]) * load(m->dphi + j * s * size + i);
            if (s == 2) own[s + j] += all(amplitude[1]) * load(m->dphi + (j * s + 1) * size + i);
        }
        if (m->model.floor) own[s + p] = all(1.0);
        if (m->noise == BINOMIAL) r = binomial_residual(load(m->y + i), f, load(m->w + i), &slope);
        else r = lognormal_residual(load(m->y + i), f, load(m->w + i), &slope);
        r = select(magnitude(r) < all(HUGE_RESIDUAL), r, all(HUGE_RESIDUAL));
        if (i + LANES > m->n) store(m->r + i, all(0.0)), store_some(m->r + i, m->n - i, r); /* none in the padding */
        else store(m->r + i, r);
        for (int k = 0; k < count; k++) {
            double *row = m->jacobian + k * size + i;
            Lanes column = all(0.0);
            for (int j = 0; j < count; j++)
                if (chain[j][k] != 0.0) column += all(chain[j][k]) * own[j];
            column *= slope;
            column = keep(magnitude(column) < all(INFINITE), column);
            if (i + LANES > m->n) store(row, all(0.0)), store_some(row, m->n - i, column);
            else store(row, column);
        }
    }
    if (m->order > 0) {
        NAME(whiten)(m->n, m->r, m->order, m->ar, m->gain, m->inverse_root);
        for (int k = 0; k < count; k++)
            if (!(m->held >> k & 1))
                NAME(whiten)(m->n, m->jacobian + k * size, m->order, m->ar, m->gain, m->inverse_root);
    }
}

/* Cost at a point; the triangular factor R of the Jacobian (0 for coordinates that are held) and Q'r. */
static double cost_at(const Likelihood *m, const double *z, int count, double *factor, double *target) {
    residuals_at(m, z);
    for (int k = 0; k < count; k++)
        if (m->held >> k & 1) scale(m->size, m->jacobian + k * m->size, 0.0, m->jacobian + k * m->size);
    triangular(m->size, count, m->jacobian, factor);
    for (int k = 0; k < count; k++) target[k] = dot(m->size, m->jacobian + k * m->size, m->r);
    return dot(m->size, m->r, m->r);
}

/* Step d that minimises |R d + t|^2 + damping sum (|R_j| d_j)^2 over the coordinates that are not pinned.
 *
 * By Householder reflections; the pinned ones stay as they are in `step`. Columns without length do not move.
 */
static void solve_damped(int count, const double *factor, const double *target, const double *length, double damping,
                         int pinned, double *step) {
    double a[2 * MOST_COEFFICIENTS][MOST_COEFFICIENTS + 1];
    int place[MOST_COEFFICIENTS], free = 0;
    for (int j = 0; j < count; j++)
        if (!(pinned >> j & 1)) place[free++] = j;
    const int rows = count + free;
    for (int i = 0; i < count; i++) {
        a[i][free] = -target[i];
        for (int j = 0; j < count; j++)
            if (pinned >> j & 1) a[i][free] -= factor[i * count + j] * step[j];
        for (int j = 0; j < free; j++) a[i][j] = factor[i * count + place[j]];
    }
    for (int i = 0; i < free; i++) {
        for (int j = 0; j <= free; j++) a[count + i][j] = 0.0;
        const double own = root_of(damping) * length[place[i]];
        a[count + i][i] = own > 0.0 ? own : 1.0;
    }
    reflect(rows, free, MOST_COEFFICIENTS + 1, a[0]);
    for (int j = free - 1; j >= 0; j--) {
        double value = a[j][free];
        for (int k = j + 1; k < free; k++) value -= a[j][k] * step[place[k]];
        value /= a[j][j];
        step[place[j]] = is_finite(value) ? value : 0.0;
    }
}

/* Next point: a damped step in the box. Coordinates that a bound holds stay, those that would leave go to their bound,
 * and the others make the best of it. `length` are the largest lengths that the columns have had: where one has become
 * short the coordinate has lost its meaning, and its step would be anything. Returns the largest move in units of the
 * coordinates, and the promised decrease. */
static double next_point(const Likelihood *m, int count, const double *z, const double *factor, const double *target,
                         double damping, const double *low, const double *high, double *length, double *to,
                         double *promised) {
    double step[MOST_COEFFICIENTS] = {0.0}, unit[MOST_COEFFICIENTS], moved = 0.0, longest = 0.0;
    int pinned = m->held;
    for (int j = 0; j < count; j++) {
        double square = 0.0, gradient = 0.0;
        for (int i = 0; i <= j; i++) {
            square += factor[i * count + j] * factor[i * count + j];
            gradient += factor[i * count + j] * target[i];
        }
        const int is_linear = j < m->model.columns || j >= m->model.columns + m->model.parameters;
        unit[j] = larger(__builtin_fabs(z[j]), is_linear ? m->unit : 1.0);
        length[j] = larger(length[j], root_of(square));
        longest = larger(longest, length[j] * unit[j]);
        if ((z[j] <= low[j] && gradient >= 0.0) || (z[j] >= high[j] && gradient <= 0.0)) pinned |= 1 << j;
    }
    for (int j = 0; j < count; j++) length[j] = larger(length[j], LEAST_LENGTH * longest / unit[j]);
    for (int cut = 1; cut;) {
        solve_damped(count, factor, target, length, damping, pinned, step);
        cut = 0;
        for (int j = 0; j < count; j++) {
            if (pinned >> j & 1) continue;
            const double inside = smaller(larger(z[j] + step[j], low[j]), high[j]);
            if (inside == z[j] + step[j]) continue;
            step[j] = inside - z[j];
            pinned |= 1 << j;
            cut = 1;
        }
    }
    *promised = 0.0;
    for (int i = 0; i < count; i++) {
        double change = 0.0;
        for (int j = i; j < count; j++) change += factor[i * count + j] * step[j];
        *promised -= change * (2.0 * target[i] + change);
    }
    for (int j = 0; j < count; j++) {
        to[j] = m->held >> j & 1 ? z[j] : smaller(larger(z[j] + step[j], low[j]), high[j]);
        moved = larger(moved, __builtin_fabs(to[j] - z[j]) / unit[j]);
    }
    return moved;
}

/* Descend from z, which becomes the solution; returns its cost. */
static double descend_likelihood(const Likelihood *m, double *z, const double *low, const double *high, double damping,
                           double tolerance, int64_t evaluations) {
    const int count = m->model.columns + m->model.parameters + (m->model.floor ? 1 : 0);
    double factors[2][MOST_COEFFICIENTS * MOST_COEFFICIENTS], targets[2][MOST_COEFFICIENTS], to[MOST_COEFFICIENTS];
    double length[MOST_COEFFICIENTS] = {0.0}, growth = 2.0, cost = cost_at(m, z, count, factors[0], targets[0]);
    int here = 0, settled = 0;
    for (int64_t used = 1; used < evaluations && damping < MOST_DAMPING && settled < 2; used++) {
        double promised;
        const double moved = next_point(m, count, z, factors[here], targets[here], damping, low, high, length, to,
                                        &promised);
        if (moved == 0.0) break;
        const double trial = cost_at(m, to, count, factors[1 - here], targets[1 - here]), gain = cost - trial;
        const int is_small = promised <= tolerance * cost || moved <= 1e-16;
        if (!(gain > 0.0)) {
            if (is_small) break;
            damping *= growth, growth *= 2.0;
            continue;
        }
        const double fit = 2.0 * gain / larger(promised, 1e-300) - 1.0;
        damping *= smaller(larger(1.0 / 3.0, 1.0 - fit * fit * fit), 4.0);
        growth = 2.0;
        damping = larger(damping, 1e-18);
        settled = is_small && gain <= tolerance * cost ? settled + 1 : 0;
        cost = trial, here = 1 - here;
        for (int k = 0; k < count; k++) z[k] = to[k];
    }
    return cost;
}

static Likelihood likelihood_of(int64_t basis, int64_t floor, int64_t logs, int64_t noise, int64_t anchored,
                                int64_t open_floor, int64_t held, int64_t n, const double *x, const double *log_x,
                                const double *y, const double *w, int64_t order, const double *ar, const double *gain,
                                const double *inverse_root, double *work) {
    const int64_t size = padded(n);
    work = aligned(work);
    double *values = work + 2 * size, *phi = work + 4 * size, *dphi = phi + MOST_COLUMNS * size;
    double *r = dphi + MOST_COLUMNS * MOST_PARAMETERS * size;
    copy_padded(n, x, 1.0, work), copy_padded(n, log_x, 0.0, work + size);
    copy_padded(n, y, 0.5, values), copy_padded(n, w, 0.0, work + 3 * size);
    if (noise == LOGNORMAL)
        for (int64_t i = 0; i < size; i += LANES) store(values + i, logarithm(load(values + i)));
    double unit = anchored ? 1.0 : 0.0;
    for (int64_t i = 0; i < (anchored ? 0 : n); i++) unit = larger(unit, __builtin_fabs(y[i]));
    return (Likelihood){model_of(basis, floor, 0, logs), (int)noise, (int)anchored, (int)open_floor, (int)held,
                        larger(unit, SMALLEST_FIT), n, size, work, work + size, values, work + 3 * size, order, ar, gain, inverse_root, phi, dphi, r, r + size};
}

/* Deviance residuals r (n) and derivatives (coordinates, n) at z. work: LIKELIHOOD_ROWS rows, padded, and 8 numbers. */
void NAME(likelihood_residuals)(int64_t basis, int64_t floor, int64_t logs, int64_t noise, int64_t anchored,
                                int64_t open_floor, int64_t held, int64_t n, const double *x, const double *log_x,
                                const double *y, const double *w, int64_t order, const double *ar, const double *gain,
                                const double *inverse_root, const double *z, double *r, double *jacobian,
                                double *work) {
    const unsigned before = flush_subnormals();
    const Likelihood m = likelihood_of(basis, floor, logs, noise, anchored, open_floor, held, n, x, log_x, y, w, order,
                                       ar, gain, inverse_root, work);
    const int count = m.model.columns + m.model.parameters + (m.model.floor ? 1 : 0);
    residuals_at(&m, z);
    memcpy(r, m.r, (size_t)n * sizeof(double));
    for (int k = 0; k < count; k++) memcpy(jacobian + k * n, m.jacobian + k * m.size, (size_t)n * sizeof(double));
    set_rounding(before);
}

/* Descend from several points z (starts, coordinates), which become the solutions, with these costs (starts).
 *
 * w are root weights or, for binomial noise, trials. Bits of held: coordinates that stay. low, high (coordinates): the
 * box. ARMA errors of an order above 0 are whitened. work: LIKELIHOOD_ROWS rows, padded, and 8 numbers.
 */
void NAME(likelihood_descend)(int64_t basis, int64_t floor, int64_t logs, int64_t noise, int64_t anchored,
                              int64_t open_floor, int64_t held, int64_t n, const double *x, const double *log_x,
                              const double *y, const double *w, int64_t order, const double *ar, const double *gain,
                              const double *inverse_root, const double *low, const double *high, double damping,
                              double tolerance, int64_t evaluations, int64_t starts, double *z, double *cost,
                              double *work) {
    const unsigned before = flush_subnormals();
    const Likelihood m = likelihood_of(basis, floor, logs, noise, anchored, open_floor, held, n, x, log_x, y, w, order,
                                       ar, gain, inverse_root, work);
    const int count = m.model.columns + m.model.parameters + (m.model.floor ? 1 : 0);
    for (int64_t k = 0; k < starts; k++)
        cost[k] = descend_likelihood(&m, z + k * count, low, high, damping, tolerance, evaluations);
    set_rounding(before);
}

#endif
