/* Descents of the separable solver: variable projection and Levenberg-Marquardt, one curve at a time.
 *
 * The non-linear parameters give columns (bases.h), weighted and, for ARMA errors, whitened; the linear coefficients
 * follow by bounded least squares on at most two columns, the derivatives of the residual by projection (Kaufman's form
 * of variable projection: Golub & Pereyra 2003, Inverse Problems 19:R1). All of a problem stays in the first-level cache
 * until it is solved. Results of a curve do not depend on the other curves.
 */
#ifndef COGFIT_DESCENT_H
#define COGFIT_DESCENT_H

#include "rows.h"
#include "small.h"
#include "whiten.h"

#define PATIENCE 15       /* iterations after which a problem is given its full Hessian */
#define NEARLY 0.02       /* share of a squared length below which the rest after a projection is computed point by point */
#define COLLINEAR 1e-5    /* the same of derivatives, of which fewer digits are needed */
#define SAFELY 1e-3       /* share of the Gauss-Newton curvature that must be left with the second-order part */
#define NEAR_MINIMUM 1e-4 /* relative decrease of the RSS from which the second-order part is trusted */
#define FAINT 1e-26       /* squared derivative, in units of the data, that is rounding: sums over 300 ranks reach 1e-29 */
#define FIRST_DAMPING 1e-3
#define NEAR_DAMPING 1e-2 /* damping from which a small decrease is no sign of convergence */
#define SAME_PLACE 3e-3   /* distance at which a step comes to where another start has ended */
#define CHANCES 8         /* times as many starts as are wanted, the lowest ones, are followed */
#define TRIALS 4          /* iterations that every start is given */
#define REFUSALS 7        /* the same where no step has been taken: the damping has grown a millionfold then */
#define PROMISE 1e-2      /* share of the tolerance below which a promised decrease is not tried */
#define DIFFERENCE 1e-5   /* step in the solver's coordinates, which are of order 1, for second derivatives */
#define DESCENT_ROWS (8 + MOST_COLUMNS + MOST_PARAMETERS * (1 + MOST_COLUMNS))

/* Filter that whitens the errors; order 0: none. */
typedef struct {
    int64_t order;
    const double *ar, *gain, *inverse_root;
} Filter;

/* One curve, ready for trial parameters. With a floor, q is the unit constant column and rest the curve without its part
 * along it; norm and along are the lengths of the column and of that part. */
typedef struct {
    Model model;
    int free; /* parameters that may move: all up to the last ones that are held */
    Points points;
    Filter filter;
    double *t, *q, *rest, *columns, *u, *r, *slopes, *d;
    double norm, along, whole, remaining; /* whole and remaining: squared lengths of t and, with a floor, of rest */
    double nothing, faint;                /* an RSS, and the square of a derivative, that are rounding only */
} Problem;

/* What is known at trial parameters: linear coefficients and, of the Jacobian J = QR of the residual r, factor R (p, p),
 * target Q'r and gradient J'r. */
typedef struct {
    double theta[MOST_PARAMETERS], coef[2], grad[MOST_PARAMETERS], target[MOST_PARAMETERS];
    double factor[MOST_PARAMETERS * MOST_PARAMETERS];
} Slope;

/* Dot products of the residual and of the derivatives, among themselves and with the columns q and side. */
typedef struct {
    double rss, q, side;
    double g[MOST_PARAMETERS], square[MOST_PARAMETERS], a[MOST_PARAMETERS], b[MOST_PARAMETERS];
    double cross[MOST_PARAMETERS * MOST_PARAMETERS];
} Sums;

/* Solution of the linear problem: residual base - slope (side - lean q), and the columns that are free. */
typedef struct {
    const double *base, *side;
    double slope, lean, length; /* (side - lean q) length is the unit vector along what the second column adds */
    int first, second;
} Projection;

INLINE void whiten_row(const Problem *problem, double *row) {
    const Filter *f = &problem->filter;
    if (f->order) NAME(whiten)(problem->points.n, row, f->order, f->ar, f->gain, f->inverse_root);
}

/* Residual r and derivatives d in one pass over the points, and their sums. With two columns, d joins their slopes. */
INLINE void residual_pass(const int s, const int p, const Problem *problem, const Projection *projection,
                          const double *coef, Sums *out) {
    const int64_t size = problem->points.size;
    const double *base = projection->base, *side = projection->side, *q = problem->q, *slopes = problem->slopes;
    double *restrict r = problem->r, *restrict d = problem->d;
    const Lanes slope = all(projection->slope), lean = all(projection->lean), own = all(coef[0]), also = all(coef[1]);
    Lanes rss = all(0.0), rq = rss, rside = rss, g[MOST_PARAMETERS], square[MOST_PARAMETERS], a[MOST_PARAMETERS];
    Lanes b[MOST_PARAMETERS], cross[MOST_PARAMETERS];
    for (int j = 0; j < p; j++) g[j] = square[j] = a[j] = b[j] = cross[j] = all(0.0);
    for (int64_t i = 0; i < size; i += LANES) {
        const Lanes first = load(q + i), second = load(side + i);
        const Lanes value = load(base + i) - slope * (second - lean * first);
        Lanes row[MOST_PARAMETERS];
        store(r + i, value);
        rss += value * value;
        rq += value * first;
        rside += value * second;
        for (int j = 0; j < p; j++) {
            row[j] = load(slopes + j * s * size + i);
            if (s == 2) {
                row[j] = own * row[j] + also * load(slopes + (j * s + 1) * size + i);
                store(d + j * size + i, row[j]);
            }
            g[j] += row[j] * value;
            square[j] += row[j] * row[j];
            a[j] += row[j] * first;
            b[j] += row[j] * second;
        }
        if (p > 1) cross[0] += row[0] * row[1];
        if (p > 2) {
            cross[1] += row[0] * row[2];
            cross[2] += row[1] * row[2];
        }
    }
    out->rss = sum(rss), out->q = sum(rq), out->side = sum(rside);
    for (int j = 0; j < p; j++) {
        out->g[j] = sum(g[j]), out->square[j] = sum(square[j]);
        out->a[j] = sum(a[j]), out->b[j] = sum(b[j]);
    }
    if (p > 1) out->cross[0 * MOST_PARAMETERS + 1] = sum(cross[0]);
    if (p > 2) out->cross[0 * MOST_PARAMETERS + 2] = sum(cross[1]), out->cross[1 * MOST_PARAMETERS + 2] = sum(cross[2]);
}

#define PASSES(DO) DO(1, 0) DO(1, 1) DO(1, 2) DO(1, 3) DO(2, 0) DO(2, 1) DO(2, 2)
#define PASS(s, p)                                                                                                     \
    static __attribute__((noinline)) void residual_pass_##s##_##p(const Problem *problem, const Projection *projection, \
                                                                  const double *coef, Sums *out) {                     \
        residual_pass(s, p, problem, projection, coef, out);                                                           \
    }
PASSES(PASS)
#undef PASS

INLINE void residual_and_sums(const Problem *problem, const Projection *projection, const double *coef, Sums *out) {
    switch ((problem->model.columns == 2 ? 20 : 10) + problem->free) {
#define CASE(s, p)                                              \
    case s * 10 + p:                                            \
        residual_pass_##s##_##p(problem, projection, coef, out); \
        return;
        PASSES(CASE)
#undef CASE
    default:
        __builtin_unreachable();
    }
}

/* Sum of the squares of t - slope v. */
INLINE double rss_of_one(int64_t size, const double *t, double slope, const double *v) {
    Lanes rss = all(0.0);
    for (int64_t i = 0; i < size; i += LANES) {
        const Lanes miss = load(t + i) - all(slope) * load(v + i);
        rss += miss * miss;
    }
    return sum(rss);
}

/* Columns at given parameters and the linear coefficients within their bounds. */
static Projection project(Problem *problem, const double *natural, double *coef) {
    const Model *model = &problem->model;
    const int64_t size = problem->points.size;
    const int s = model->columns, free_first = !(model->bounded & 1), free_second = !(model->bounded & 2);
    double sums[3] = {0.0, 0.0, 0.0}, *v = problem->columns + (s - 1) * size;
    Projection to = {problem->t, problem->t, 0.0, 0.0, 0.0, 0, 0};
    coef[0] = coef[1] = 0.0;
    if (s > 0)
        sweep(model->basis, &problem->points, natural, problem->q, problem->rest, problem->columns, problem->slopes,
              sums);
    if (problem->filter.order) {
        for (int k = 0; k < s; k++) whiten_row(problem, problem->columns + k * size);
        for (int k = 0; k < model->parameters * s; k++) whiten_row(problem, problem->slopes + k * size);
    }
    if (s == 0) { /* a floor only */
        to.first = problem->norm > 0.0 && (problem->along >= 0.0 || free_first);
        if (to.first) to.base = problem->rest, coef[0] = problem->along / problem->norm;
        return to;
    }
    if (!model->floor && s == 1) { /* one column: q and rest are the curve itself */
        double square = sums[1], along = sums[2];
        if (problem->filter.order) square = dot(size, v, v), along = dot(size, v, problem->t);
        to.second = square > 0.0 && (along >= 0.0 || free_first);
        if (to.second) to.side = v, coef[0] = to.slope = along / square, to.length = 1.0 / root_of(square);
        return to;
    }
    if (s == 2) {
        problem->norm = first_column(size, problem->columns, problem->t, problem->q, problem->rest, &problem->along);
        problem->remaining = dot(size, problem->rest, problem->rest);
    }
    double lean = sums[0], vv = sums[1], vt = sums[2];
    if (s == 2 || problem->filter.order)
        lean = dot(size, v, problem->q), vv = dot(size, v, v), vt = dot(size, v, problem->rest);
    const double norm = problem->norm, along = problem->along;
    const int first = norm > 0.0;
    double uu = vv - lean * lean, overlap = lean;
    const double *side = v;
    if (first && !(uu > NEARLY * vv)) { /* nearly parallel columns: the difference has lost digits */
        side = problem->u;
        subtract(size, v, overlap, problem->q, problem->u);
        lean = dot(size, side, problem->q);
        uu = dot(size, side, side) - lean * lean;
        vt = dot(size, side, problem->rest);
        overlap += lean;
    }
    if (first && uu > 1e-28 * vv) {
        const double slope = vt / uu, level = (along - slope * overlap) / norm;
        if ((level >= 0.0 || free_first) && (slope >= 0.0 || free_second)) {
            coef[0] = level, coef[1] = slope;
            return (Projection){problem->rest, side, slope, lean, 1.0 / root_of(uu), 1, 1};
        }
    }
    /* the optimum lies on an edge: the better of the two problems with one column */
    vt = dot(size, v, problem->t);
    const int usable = vv > 0.0 && (vt >= 0.0 || free_second), kept = first && (along >= 0.0 || free_first);
    const double slope = usable ? vt / vv : 0.0;
    if (rss_of_one(size, problem->t, slope, v) < (kept ? problem->remaining : problem->whole)) {
        coef[1] = slope;
        to.side = v, to.slope = slope, to.second = usable, to.length = usable ? 1.0 / root_of(vv) : 0.0;
        return to;
    }
    to.first = kept;
    if (kept) to.base = problem->rest, coef[0] = along / norm;
    return to;
}

/* Factor, target and gradient from the sums alone. Returns 0 where they have lost too many digits. */
static int factor_of_sums(int p, const Projection *projection, const Sums *sums, const double *scales, double faint,
                          Slope *to) {
    const double back = projection->first ? 1.0 : 0.0, more = projection->second ? projection->length : 0.0;
    const double along_q = back * sums->q, along_side = more * (sums->side - projection->lean * sums->q);
    double a[MOST_PARAMETERS], b[MOST_PARAMETERS], *factor = to->factor;
    for (int j = 0; j < p; j++) {
        const double f = scales[j], square = f * f * sums->square[j];
        a[j] = back * f * sums->a[j], b[j] = more * f * (sums->b[j] - projection->lean * sums->a[j]);
        to->grad[j] = f * sums->g[j] - a[j] * along_q - b[j] * along_side;
        const int empty = square <= faint; /* else its direction, which is noise, would bend those of the others */
        if (empty) a[j] = b[j] = to->grad[j] = 0.0;
        double left = empty ? 0.0 : square - a[j] * a[j] - b[j] * b[j], along = to->grad[j];
        for (int k = 0; k < j; k++) {
            const double head = factor[k * p + k];
            double both = scales[k] * f * sums->cross[k * MOST_PARAMETERS + j] - a[k] * a[j] - b[k] * b[j];
            for (int i = 0; i < k; i++) both -= factor[i * p + k] * factor[i * p + j];
            both = head > 0.0 && !empty ? both / head : 0.0;
            factor[k * p + j] = both, factor[j * p + k] = 0.0;
            left -= both * both;
            along -= both * to->target[k];
        }
        if (!empty && !(left > COLLINEAR * square)) return 0;
        factor[j * p + j] = empty ? 0.0 : root_of(left);
        to->target[j] = empty ? 0.0 : along / factor[j * p + j];
    }
    return 1;
}

/* The same point by point: the rows of derivatives are projected and made orthogonal one after the other. */
static void factor_of_rows(Problem *problem, const Projection *projection, const Sums *sums, const double *scales,
                           Slope *to) {
    const int p = problem->free;
    const int64_t size = problem->points.size;
    const double back = projection->first ? 1.0 : 0.0, more = projection->second ? projection->length : 0.0;
    double *d = problem->d, *factor = to->factor;
    for (int j = 0; j < p; j++) {
        double *row = d + j * size;
        const double f = scales[j];
        if (f * f * sums->square[j] <= problem->faint) {
            for (int k = 0; k <= j; k++) factor[j * p + k] = factor[k * p + j] = 0.0;
            for (int64_t i = 0; i < size; i++) row[i] = 0.0;
            to->grad[j] = to->target[j] = 0.0;
            continue;
        }
        const double b = more * more * f * (sums->b[j] - projection->lean * sums->a[j]);
        const double a = back * f * sums->a[j] - b * projection->lean;
        Lanes square = all(0.0), along_r = square;
        for (int64_t i = 0; i < size; i += LANES) {
            const Lanes value = all(f) * load(row + i) - all(a) * load(problem->q + i) - all(b) * load(projection->side + i);
            store(row + i, value);
            square += value * value;
            along_r += value * load(problem->r + i);
        }
        double h = sum(square), g = sum(along_r);
        to->grad[j] = g;
        for (int k = 0; k < j; k++) factor[j * p + k] = factor[k * p + j] = 0.0;
        for (int again = 0; again < 2; again++) {
            const double before = h;
            for (int k = 0; k < j; k++) {
                const double head = factor[k * p + k], squared = head * head;
                const double along = squared > 0.0 ? dot(size, row, d + k * size) / squared : 0.0;
                factor[k * p + j] += along * head;
                subtract(size, row, along, d + k * size, row);
            }
            if (j > 0) h = dot(size, row, row);
            if (h > 0.01 * before) break; /* else the derivatives are nearly parallel: digits are lost */
        }
        factor[j * p + j] = h > 0.0 ? root_of(h) : 0.0;
        if (j > 0) g = dot(size, row, problem->r);
        to->target[j] = h > 0.0 ? g / factor[j * p + j] : 0.0;
    }
}

/* RSS at the parameters `to->theta`, infinite where it is not finite; fills the rest of `to`. */
static double terms(Problem *problem, Slope *to) {
    const Model *model = &problem->model;
    const int p = problem->free;
    double natural[MOST_PARAMETERS], scales[MOST_PARAMETERS];
    natural_of(model, to->theta, natural);
    const Projection projection = project(problem, natural, to->coef);
    Sums sums;
    residual_and_sums(problem, &projection, to->coef, &sums);
    const double own = model->columns == 2 ? 1.0 : to->coef[model->floor ? 1 : 0];
    for (int j = 0; j < p; j++) scales[j] = own * (model->logs >> j & 1 ? natural[j] : 1.0);
    if (!factor_of_sums(p, &projection, &sums, scales, problem->faint, to))
        factor_of_rows(problem, &projection, &sums, scales, to);
    return is_finite(sums.rss) ? sums.rss : INFINITE;
}

/* Replace the factor and the target at `here` by those of the full Hessian, from differences of the gradient. */
static void bend(Problem *problem, const double *upper, Slope *here) {
    const int p = problem->free;
    double curved[MOST_PARAMETERS * MOST_PARAMETERS];
    for (int j = 0; j < p; j++) {
        const double step = here->theta[j] + DIFFERENCE < upper[j] ? DIFFERENCE : -DIFFERENCE;
        Slope beside;
        memcpy(beside.theta, here->theta, sizeof beside.theta);
        beside.theta[j] += step;
        terms(problem, &beside);
        for (int i = 0; i < p; i++) curved[i * p + j] = (here->grad[i] - beside.grad[i]) / step;
    }
    root_of_matrix(p, curved, here->grad, here->factor, here->target);
}

/* Bring the second-order part of the Hessian, which Gauss-Newton leaves out, up to date after a step from `old` to `new`.
 *
 * The update of Dennis, Gay & Welsch (1981, ACM Trans. Math. Softw. 7:348): the least change that makes the Hessian agree
 * with the change of the gradient along the step. Where residuals are large, steps then converge as fast as those of a
 * secant method instead of at a rate.
 */
static void update_second_order(int p, const Slope *old, const Slope *new, double *second) {
    double step[MOST_PARAMETERS], change[MOST_PARAMETERS], missing[MOST_PARAMETERS], along[MOST_PARAMETERS];
    double wanted = 0.0, has = 0.0, curvature = 0.0, length = 0.0;
    for (int i = 0; i < p; i++) {
        step[i] = new->theta[i] - old->theta[i];
        change[i] = old->grad[i] - new->grad[i];
    }
    for (int i = 0; i < p; i++) { /* R step */
        along[i] = 0.0;
        for (int j = i; j < p; j++) along[i] += new->factor[i * p + j] * step[j];
    }
    for (int i = 0; i < p; i++) {
        double gauss_newton = 0.0, other = 0.0;
        for (int j = 0; j <= i; j++) gauss_newton += new->factor[j * p + i] * along[j];
        for (int j = 0; j < p; j++) other += second[i * p + j] * step[j];
        missing[i] = change[i] - gauss_newton;
        wanted += step[i] * missing[i], has += step[i] * other;
        curvature += step[i] * change[i], length += step[i] * step[i];
    }
    if (!(length > 0.0) || !is_finite(wanted)) return;
    /* what was learnt where the second-order part was larger is scaled down */
    const double sized = __builtin_fabs(has) > __builtin_fabs(wanted) ? __builtin_fabs(wanted / has) : 1.0;
    const double *v = curvature > 0.0 ? change : step, product = curvature > 0.0 ? curvature : length;
    double total = 0.0;
    for (int i = 0; i < p * p; i++) second[i] *= sized;
    for (int i = 0; i < p; i++) {
        for (int j = 0; j < p; j++) missing[i] -= second[i * p + j] * step[j];
        total += missing[i] * step[i];
    }
    for (int i = 0; i < p; i++)
        for (int j = 0; j < p; j++)
            second[i * p + j] += (missing[i] * v[j] + v[i] * missing[j]) / product - total * v[i] * v[j] / (product * product);
}

/* Whether the second-order part foretold the decrease of the RSS by a step better than Gauss-Newton did. */
static int second_order_explains(int p, const Slope *old, const Slope *new, const double *second, double decrease) {
    double step[MOST_PARAMETERS], foretold = 0.0, more = 0.0;
    for (int i = 0; i < p; i++) step[i] = new->theta[i] - old->theta[i];
    for (int i = 0; i < p; i++) {
        double along = 0.0, other = 0.0;
        for (int j = i; j < p; j++) along += old->factor[i * p + j] * step[j];
        for (int j = 0; j < p; j++) other += second[i * p + j] * step[j];
        foretold += 2.0 * step[i] * old->grad[i] - along * along;
        more -= step[i] * other;
    }
    return more != 0.0 && __builtin_fabs(decrease - foretold - more) < __builtin_fabs(decrease - foretold);
}

/* Factor and target with the second-order part. Returns 0 where that Hessian is not safely positive definite. */
static int factor_with_second_order(int p, const Slope *here, const double *second, double *factor, double *target) {
    for (int j = 0; j < p; j++) {
        double along = here->grad[j], whole = 0.0;
        for (int k = 0; k <= j; k++) {
            double both = second[k * p + j], gauss_newton = 0.0;
            for (int i = 0; i <= k; i++) gauss_newton += here->factor[i * p + k] * here->factor[i * p + j];
            both += gauss_newton;
            if (k == j) whole = gauss_newton;
            for (int i = 0; i < k; i++) both -= factor[i * p + k] * factor[i * p + j];
            if (k < j) {
                factor[k * p + j] = both / factor[k * p + k], factor[j * p + k] = 0.0;
                along -= factor[k * p + j] * target[k];
            } else {
                if (!(both > SAFELY * whole)) return 0;
                factor[j * p + j] = root_of(both);
            }
        }
        target[j] = along / factor[j * p + j];
    }
    return 1;
}

/* Where a descent may go, and when it ends. */
typedef struct {
    double lower[MOST_PARAMETERS], upper[MOST_PARAMETERS];
    double tolerance; /* relative decrease of the RSS below which it has converged */
    int64_t iterations;
} Limits;

/* One start of many of a curve. */
typedef struct {
    Slope slope;
    double value;
    int64_t at;
    uint8_t done;
} Start;

/* What is known of the other starts: an RSS that is not wanted, and those that have ended. */
typedef struct {
    double hopeless, hope; /* how many times its last decrease a descent is thought to have before it */
    int64_t others;
    Start *const *ended;
} Race;

/* Whether a step ends where another start has ended, with the RSS that it promises; then takes its solution and RSS. */
static int comes_to_another(int p, const Race *race, const double *theta, double promised, double value, double *rss, Slope *here,
                            uint8_t *done) {
    for (int64_t k = 0; k < race->others; k++) {
        const Start *other = race->ended[k];
        double apart = 0.0;
        for (int j = 0; j < p; j++) apart = larger(apart, __builtin_fabs(theta[j] - other->slope.theta[j]));
        const double lower = value - other->value, miss = __builtin_fabs(lower - promised);
        if (!other->done || apart > SAME_PLACE || !(lower >= 0.0) || miss > 0.1 * lower) continue;
        *rss = other->value, *here = other->slope, *done = 1;
        return 1;
    }
    return 0;
}

/* Put `here` inside the box. Returns the RSS there. */
INLINE double begin_descent(Problem *problem, const Limits *limits, Slope *here) {
    for (int j = 0; j < problem->model.parameters; j++)
        here->theta[j] = smaller(larger(here->theta[j], limits->lower[j]), limits->upper[j]);
    return terms(problem, here);
}

/* Decrease of the RSS that a Gauss-Newton step promises. */
static double gauss_newton_promise(int p, const Slope *at, double damping, const Limits *limits) {
    double promised, out[MOST_PARAMETERS];
    damped_step(p, at->theta, at->factor, at->target, at->grad, damping, limits->lower, limits->upper, out, &promised);
    return promised;
}

/* Descend from `here`, where the RSS is `value` and which becomes the solution. Returns the RSS.
 *
 * Among others, it is given up where several times its last decrease would not bring it down to `hopeless`, and where its
 * next step ends where another has ended: it takes that one's solution.
 */
static double descend_from(Problem *problem, const Limits *limits, const Race *race, double curvature, double value,
                           Slope *here, uint8_t *done) {
    const int p = problem->free;
    const double tolerance = limits->tolerance;
    double damping = FIRST_DAMPING, second[MOST_PARAMETERS * MOST_PARAMETERS] = {0.0};
    double decrease = 0.0; /* by the last step that was taken */
    int learnt = p == 1 && curvature > 0.0; /* whether the second-order part is to be used */
    if (learnt) second[0] = curvature - here->factor[0] * here->factor[0], damping = 1e-12;
    *done = p == 0;
    if (!(value < INFINITE)) return value;
    for (int64_t iteration = 0; iteration < limits->iterations && !*done; iteration++) {
        Slope trial = {.theta = {0.0}};
        double promised, factor[MOST_PARAMETERS * MOST_PARAMETERS], target[MOST_PARAMETERS];
        if (iteration >= PATIENCE) bend(problem, limits->upper, here); /* large residuals: Gauss-Newton crawls */
        int bent = learnt && iteration < PATIENCE && factor_with_second_order(p, here, second, factor, target);
        memcpy(trial.theta, here->theta, sizeof trial.theta);
        double moved = damped_step(p, here->theta, bent ? factor : here->factor, bent ? target : here->target, here->grad,
                                   damping, limits->lower, limits->upper, trial.theta, &promised);
        double enough = PROMISE * tolerance * value;
        if (bent && promised <= enough) { /* a secant may be far too steep: Gauss-Newton must see no more to gain, either */
            moved = damped_step(p, here->theta, here->factor, here->target, here->grad, damping, limits->lower,
                                limits->upper, trial.theta, &promised);
            bent = 0, enough *= 100.0;
        }
        *done = promised <= enough && damping <= NEAR_DAMPING;
        if (*done) break;
        const int64_t trials = decrease > 0.0 ? TRIALS : REFUSALS;
        if (iteration >= trials && value - race->hope * decrease > race->hopeless) break;
        if (race->others && comes_to_another(p, race, trial.theta, promised, value, &value, here, done)) break;
        const double new = terms(problem, &trial);
        const int better = new < value;
        const int small = better && value - new <= tolerance * value && damping <= NEAR_DAMPING &&
                          (!bent || gauss_newton_promise(p, &trial, damping, limits) <= tolerance * new);
        learnt = 0;
        if (better) {
            learnt = p == 1 || (value - new <= NEAR_MINIMUM * value &&
                                second_order_explains(p, here, &trial, second, value - new));
            if (iteration < PATIENCE) update_second_order(p, here, &trial, second);
            decrease = value - new;
            value = new, *here = trial;
        }
        damping = better ? larger(damping * 0.2, 1e-12) : damping * 8.0;
        const int stuck = !better && (damping > 1e8 || promised <= tolerance * value);
        *done = (moved < 1e-12 && !bent) || small || stuck || value <= problem->nothing;
    }
    return value;
}

/* Rows of a problem in the workspace. */
static Problem problem_in(double *work, int64_t room, Model model, Filter filter) {
    Problem out = {.model = model, .filter = filter};
    work = aligned(work);
    out.points = (Points){0, 0, work, work + room, work + 2 * room, 1, 0, 0, 0, 0};
    out.t = work + 3 * room, out.q = work + 4 * room, out.rest = work + 5 * room, out.u = work + 6 * room;
    out.r = work + 7 * room, out.columns = work + 8 * room, out.slopes = out.columns + MOST_COLUMNS * room;
    out.d = model.columns == 2 ? out.slopes + MOST_PARAMETERS * MOST_COLUMNS * room : out.slopes;
    return out;
}

/* Make a problem ready for the curve of which it has the points. */
static void take_curve(Problem *problem, const Bundle *c, int64_t curve, double *q, double *rest) {
    const int64_t size = problem->points.size;
    fill_target(c, curve, &problem->points, problem->t);
    problem->whole = dot(size, problem->t, problem->t);
    problem->nothing = 1e-30 * problem->whole, problem->faint = FAINT * problem->whole;
    if (problem->filter.order) {
        whiten_row(problem, problem->t);
        problem->whole = dot(size, problem->t, problem->t);
    }
    problem->q = problem->rest = problem->t; /* with neither a floor nor a second column: no more than the curve */
    if (problem->model.floor || problem->model.columns == 2) problem->q = q, problem->rest = rest;
    if (!problem->model.floor) return;
    memcpy(problem->columns, problem->points.w, (size_t)size * sizeof(double));
    whiten_row(problem, problem->columns);
    problem->norm = first_column(size, problem->columns, problem->t, q, rest, &problem->along);
    problem->remaining = dot(size, rest, rest);
}

/* kernels.py makes room for so much */
_Static_assert(DESCENT_ROWS == 19 && sizeof(Start) <= 23 * sizeof(double), "the room in kernels.py");

/* Bring starts in the order of their RSS (Shell's sort; of equal ones the first stays first). */
static void sort_starts(int64_t count, Start **starts) {
    for (int64_t gap = count / 2; gap > 0; gap /= 2)
        for (int64_t i = gap; i < count; i++) {
            Start *one = starts[i];
            int64_t k = i;
            for (; k >= gap && (starts[k - gap]->value > one->value ||
                                (starts[k - gap]->value == one->value && starts[k - gap]->at > one->at)); k -= gap)
                starts[k] = starts[k - gap];
            starts[k] = one;
        }
}

/* Hold a parameter at its value at a start, or all that are held by the box: the last ones cost nothing then. */
INLINE void hold(Problem *problem, Limits *limits, int64_t parameter, const double *theta) {
    if (parameter >= 0) limits->lower[parameter] = limits->upper[parameter] = theta[parameter];
    problem->free = problem->model.parameters;
    while (problem->free > 0 && limits->lower[problem->free - 1] == limits->upper[problem->free - 1]) problem->free--;
}

/* Levenberg-Marquardt from every start of the curves begin ... end - 1.
 *
 * low and high (axes, p) are the box; held (curves, p) holds parameters at a value where it is a number (a null pointer:
 * none), and each start holds the parameter `location` where it stands (-1: none); ar (order), gain (n, order),
 * inverse_root (n) are the filter that whitens the errors (order 0: none). theta (curves, most, p) are the starts and
 * become the solutions; only the first counts (curves) of them are used. Where there are more than `wanted`, those that
 * will not be among the `wanted` lowest with `hope` times their last decrease are given up. Filled: coef (curves, most, 2), rss (curves, most; infinite where
 * nothing is finite), done (curves, most). work: room for DESCENT_ROWS rows of the longest curve, padded, 8 numbers, and
 * START_SIZE numbers for each of the `most` starts.
 */
void NAME(descend)(int64_t basis, int64_t floor, int64_t bounded, int64_t logs, const double *x, const double *log_x,
                   const int64_t *x_at, const int64_t *axis, const double *y, const int64_t *y_at, const double *root,
                   const int64_t *w_at, const double *share, int64_t nodes, int64_t stride, int64_t begin,
                   int64_t end, const double *low, const double *high,
                   const double *held, const double *curvature, int64_t location, int64_t order, const double *ar, const double *gain,
                   const double *inverse_root, double tolerance, int64_t iterations, int64_t wanted, double hope,
                   int64_t most, int64_t longest, double *theta, const int64_t *counts, double *coef, double *rss, uint8_t *done,
                   double *work) {
    const unsigned before = flush_subnormals();
    const Model model = model_of(basis, floor, bounded, logs);
    const Bundle c = {x, log_x, x_at, axis, y, y_at, root, w_at, share, nodes, stride};
    const int p = model.parameters;
    const int64_t room = padded(longest);
    Problem problem = problem_in(work, room, model, (Filter){order, ar, gain, inverse_root});
    double *const q = problem.q, *const rest = problem.rest, *lowest = aligned(work) + DESCENT_ROWS * room;
    Start **sorted = (Start **)(lowest + most), *starts = (Start *)(lowest + 2 * most);
    Limits limits = {.tolerance = tolerance, .iterations = iterations};
    const Race alone = {INFINITE, 0.0, 0, sorted};
    for (int64_t b = begin, last = -1; b < end; b++) {
        const int64_t mine = b - begin, ax = axis[b], count = counts[mine], first = mine * most;
        if (count == 0) continue;
        if (last < 0 || !same_points(&c, last, b)) fill_points(&c, b, &problem.points);
        last = b;
        take_curve(&problem, &c, b, q, rest);
        for (int j = 0; j < p; j++) {
            limits.lower[j] = low[ax * p + j], limits.upper[j] = high[ax * p + j];
            if (held && held[mine * p + j] == held[mine * p + j]) limits.lower[j] = limits.upper[j] = held[mine * p + j];
        }
        const int is_race = count > wanted;
        for (int64_t i = 0; i < count; i++) {
            Start *start = is_race ? starts + i : starts;
            const int64_t at = first + i;
            memcpy(start->slope.theta, theta + at * p, (size_t)p * sizeof(double));
            hold(&problem, &limits, location, start->slope.theta);
            start->value = begin_descent(&problem, &limits, &start->slope), start->at = at;
            sorted[i] = start;
            if (is_race) continue;
            const double bend = curvature ? curvature[at] : 0.0;
            rss[at] = descend_from(&problem, &limits, &alone, bend, start->value, &start->slope, done + at);
            memcpy(theta + at * p, start->slope.theta, (size_t)p * sizeof(double));
            memcpy(coef + 2 * at, start->slope.coef, 2 * sizeof(double));
        }
        if (!is_race) continue;
        sort_starts(count, sorted); /* the best first: the others are given up the earlier */
        for (int64_t i = 0; i < count; i++) {
            Start *start = sorted[i];
            const int64_t at = start->at;
            const double bend = curvature ? curvature[at] : 0.0;
            hold(&problem, &limits, location, start->slope.theta);
            const Race race = {i < wanted ? INFINITE : lowest[wanted - 1], hope, location < 0 ? i : 0, sorted};
            start->done = 0;
            if (location >= 0 || i < CHANCES * wanted) /* beyond, starts were hardly ever seen to win */
                start->value = descend_from(&problem, &limits, &race, bend, start->value, &start->slope, &start->done);
            const double value = start->value;
            rss[at] = value, done[at] = start->done;
            memcpy(theta + at * p, start->slope.theta, (size_t)p * sizeof(double));
            memcpy(coef + 2 * at, start->slope.coef, 2 * sizeof(double));
            int64_t k = i < wanted ? i : wanted - 1;
            if (i >= wanted && !(value < lowest[k])) continue;
            for (; k > 0 && lowest[k - 1] > value; k--) lowest[k] = lowest[k - 1];
            lowest[k] = value;
        }
    }
    set_rounding(before);
}

#endif
