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
    Points points;
    Filter filter;
    double *t, *q, *rest, *columns, *u, *r, *slopes, *d;
    double norm, along, whole, remaining; /* whole and remaining: squared lengths of t and, with a floor, of rest */
    double nothing;                       /* an RSS, or the square of a derivative, that is rounding only */
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

#define PASSES(DO) DO(1, 0) DO(1, 1) DO(1, 2) DO(1, 3) DO(2, 2)
#define PASS(s, p)                                                                                                     \
    static __attribute__((noinline)) void residual_pass_##s##_##p(const Problem *problem, const Projection *projection, \
                                                                  const double *coef, Sums *out) {                     \
        residual_pass(s, p, problem, projection, coef, out);                                                           \
    }
PASSES(PASS)
#undef PASS

INLINE void residual_and_sums(const Problem *problem, const Projection *projection, const double *coef, Sums *out) {
    switch ((problem->model.columns == 2 ? 20 : 10) + problem->model.parameters) {
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
static int factor_of_sums(const Model *model, const Projection *projection, const Sums *sums, const double *scales,
                          double nothing, Slope *to) {
    const int p = model->parameters;
    const double back = projection->first ? 1.0 : 0.0, more = projection->second ? projection->length : 0.0;
    const double along_q = back * sums->q, along_side = more * (sums->side - projection->lean * sums->q);
    double a[MOST_PARAMETERS], b[MOST_PARAMETERS], *factor = to->factor;
    for (int j = 0; j < p; j++) {
        const double f = scales[j], square = f * f * sums->square[j];
        a[j] = back * f * sums->a[j], b[j] = more * f * (sums->b[j] - projection->lean * sums->a[j]);
        to->grad[j] = f * sums->g[j] - a[j] * along_q - b[j] * along_side;
        const int empty = square <= nothing; /* else its direction, which is noise, would bend those of the others */
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
    const int p = problem->model.parameters;
    const int64_t size = problem->points.size;
    const double back = projection->first ? 1.0 : 0.0, more = projection->second ? projection->length : 0.0;
    double *d = problem->d, *factor = to->factor;
    for (int j = 0; j < p; j++) {
        double *row = d + j * size;
        const double f = scales[j];
        if (f * f * sums->square[j] <= problem->nothing) {
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
    const int p = model->parameters;
    double natural[MOST_PARAMETERS], scales[MOST_PARAMETERS];
    natural_of(model, to->theta, natural);
    const Projection projection = project(problem, natural, to->coef);
    Sums sums;
    residual_and_sums(problem, &projection, to->coef, &sums);
    const double own = model->columns == 2 ? 1.0 : to->coef[model->floor ? 1 : 0];
    for (int j = 0; j < p; j++) scales[j] = own * (model->logs >> j & 1 ? natural[j] : 1.0);
    if (!factor_of_sums(model, &projection, &sums, scales, problem->nothing, to))
        factor_of_rows(problem, &projection, &sums, scales, to);
    return is_finite(sums.rss) ? sums.rss : INFINITE;
}

/* Replace the factor and the target at `here` by those of the full Hessian, from differences of the gradient. */
static void bend(Problem *problem, const double *upper, Slope *here) {
    const int p = problem->model.parameters;
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

/* Descend from `here`, which becomes the solution. Returns the RSS. */
static double descend_from(Problem *problem, Slope *here, const double *lower, const double *upper, double tolerance,
                           int64_t iterations, uint8_t *done) {
    const int p = problem->model.parameters;
    for (int j = 0; j < p; j++) here->theta[j] = smaller(larger(here->theta[j], lower[j]), upper[j]);
    double value = terms(problem, here), damping = 1e-3;
    *done = p == 0;
    if (p == 0 || !(value < INFINITE)) return value;
    for (int64_t iteration = 0; iteration < iterations && !*done; iteration++) {
        Slope trial;
        double promised;
        if (iteration >= PATIENCE) bend(problem, upper, here); /* large residuals: Gauss-Newton crawls where Newton does not */
        const double moved = damped_step(p, here->theta, here->factor, here->target, here->grad, damping, lower, upper,
                                         trial.theta, &promised);
        if (promised <= PROMISE * tolerance * value && damping <= 1e-2) {
            *done = 1;
            break;
        }
        const double new = terms(problem, &trial);
        const int better = new < value;
        const int small = better && value - new <= tolerance * value && damping <= 1e-2;
        if (better) value = new, *here = trial;
        damping = better ? larger(damping * 0.2, 1e-12) : damping * 8.0;
        const int stuck = !better && (damping > 1e8 || promised <= tolerance * value);
        *done = moved < 1e-12 || small || stuck || value <= problem->nothing;
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

/* Levenberg-Marquardt from every start of the curves begin ... end - 1.
 *
 * low and high (axes, p) are the box; held (curves, p) holds parameters at a value where it is a number (a null pointer:
 * none); ar (order), gain (n, order), inverse_root (n) are the filter that whitens the errors (order 0: none). theta
 * (curves, most, p) are the starts and become the solutions; only the first counts (curves) of them are used. Filled:
 * coef (curves, most, 2), rss (curves, most; infinite where nothing is finite), done (curves, most). work: room for
 * DESCENT_ROWS rows of the longest curve, padded, and 8 numbers.
 */
void NAME(descend)(int64_t basis, int64_t floor, int64_t bounded, int64_t logs, const double *x, const double *log_x,
                   const int64_t *x_at, const int64_t *axis, const double *y, const int64_t *y_at, const double *root,
                   const int64_t *w_at, const double *share,
                   int64_t nodes, int64_t stride, int64_t begin, int64_t end, const double *low, const double *high,
                   const double *held, int64_t order, const double *ar, const double *gain, const double *inverse_root,
                   double tolerance, int64_t iterations, int64_t most, int64_t longest, double *theta,
                   const int64_t *counts, double *coef, double *rss, uint8_t *done, double *work) {
    const Model model = model_of(basis, floor, bounded, logs);
    const Bundle c = {x, log_x, x_at, axis, y, y_at, root, w_at, share, nodes, stride};
    const int p = model.parameters;
    Problem problem = problem_in(work, padded(longest), model, (Filter){order, ar, gain, inverse_root});
    double *const q = problem.q, *const rest = problem.rest;
    for (int64_t b = begin, last = -1; b < end; b++) {
        const int64_t mine = b - begin, ax = axis[b];
        if (counts[mine] == 0) continue;
        if (last < 0 || !same_points(&c, last, b)) fill_points(&c, b, &problem.points);
        last = b;
        const int64_t size = problem.points.size;
        fill_target(&c, b, &problem.points, problem.t);
        problem.whole = dot(size, problem.t, problem.t);
        problem.nothing = 1e-30 * problem.whole;
        if (order) {
            whiten_row(&problem, problem.t);
            problem.whole = dot(size, problem.t, problem.t);
        }
        problem.q = problem.rest = problem.t; /* with neither a floor nor a second column there is nothing but the curve */
        if (model.floor || model.columns == 2) problem.q = q, problem.rest = rest;
        if (model.floor) {
            memcpy(problem.columns, problem.points.w, (size_t)size * sizeof(double));
            whiten_row(&problem, problem.columns);
            problem.norm = first_column(size, problem.columns, problem.t, q, rest, &problem.along);
            problem.remaining = dot(size, rest, rest);
        }
        double lower[MOST_PARAMETERS], upper[MOST_PARAMETERS];
        for (int j = 0; j < p; j++) {
            lower[j] = low[ax * p + j], upper[j] = high[ax * p + j];
            if (held && held[mine * p + j] == held[mine * p + j]) lower[j] = upper[j] = held[mine * p + j];
        }
        for (int64_t i = 0; i < counts[mine]; i++) {
            const int64_t at = mine * most + i;
            Slope here;
            memcpy(here.theta, theta + at * p, (size_t)p * sizeof(double));
            rss[at] = descend_from(&problem, &here, lower, upper, tolerance, iterations, done + at);
            memcpy(theta + at * p, here.theta, (size_t)p * sizeof(double));
            coef[2 * at] = here.coef[0], coef[2 * at + 1] = here.coef[1];
        }
    }
}

#endif
