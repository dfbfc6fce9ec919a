/* Starts of the descents, from a grid. */
#ifndef COGFIT_GRID_H
#define COGFIT_GRID_H

#include "rows.h"

#define BLOCK 32      /* curves that are ranked together: a multiple of any number of lanes */
#define GRID_STARTS 4 /* local minima of a grid */
#define TILE_CURVES 4
#define TILE_COLUMNS (LANES == 8 ? 4 : 2) /* so that the sums of a tile stay in registers */

#define STENCIL 11     /* values through which a polynomial finds the minimum between cells */
#define SMOOTH 0.1    /* share by which such polynomials may differ, in their curvature, and in cells at their minimum */
#define MOST_MOVES 27 /* to a cell and its neighbours, with three parameters */

/* Moves to the neighbours of a cell, diagonal ones too; along `kept` there are none. */
typedef struct {
    int p, count;
    int64_t dims[MOST_PARAMETERS], stride[MOST_PARAMETERS], offset[MOST_MOVES];
    int step[MOST_MOVES][MOST_PARAMETERS];
} Around;

static Around moves_around(int p, const int64_t *dims, int64_t kept) {
    Around out = {.p = p, .count = 0};
    int moves = 1;
    int64_t stride = 1;
    for (int j = p - 1; j >= 0; j--) out.dims[j] = dims[j], out.stride[j] = stride, stride *= dims[j], moves *= 3;
    for (int move = 0; move < moves; move++) {
        int rest = move, stays = 1, leaves = 0;
        int64_t offset = 0;
        for (int j = p - 1; j >= 0; j--, rest /= 3) {
            const int step = rest % 3 - 1;
            out.step[out.count][j] = step;
            offset += step * out.stride[j];
            stays = stays && step == 0;
            leaves = leaves || (j == kept && step != 0);
        }
        if (!stays && !leaves) out.offset[out.count++] = offset;
    }
    return out;
}

/* Go on to the next cell of a grid. */
INLINE void next_cell(const Around *around, int64_t *place) {
    for (int j = around->p - 1; j >= 0; j--) {
        if (++place[j] < around->dims[j]) return;
        place[j] = 0;
    }
}

/* Whether a cell of a grid, which stands at `place`, is no higher than its neighbours. */
INLINE int lowest_around(const double *row, const Around *around, int64_t at, const int64_t *place) {
    if (around->p == 1)
        return !(at > 0 && row[at - 1] < row[at]) && !(at + 1 < around->dims[0] && row[at + 1] < row[at]);
    for (int move = 0; move < around->count; move++) {
        int inside = 1;
        for (int j = 0; j < around->p; j++) {
            const int64_t to = place[j] + around->step[move][j];
            inside = inside && 0 <= to && to < around->dims[j];
        }
        if (inside && row[at + around->offset[move]] < row[at]) return 0;
    }
    return 1;
}

/* The lowest cells for each value of one parameter: the lowest of all, and the second that is a local minimum. */
static int64_t lowest_of_each(int64_t grid, const double *row, const Around *around, int64_t spread, int64_t *chosen) {
    int64_t count = 0, place[MOST_PARAMETERS] = {0};
    const int64_t values = around->dims[spread];
    for (int64_t k = 0; k < 2 * values; k++) chosen[k] = -1;
    for (int64_t g = 0; g < grid; g++, next_cell(around, place)) {
        const int64_t at = place[spread];
        if (chosen[at] < 0 || row[g] < row[chosen[at]]) chosen[at] = g;
    }
    for (int64_t g = 0; g < grid; g++, next_cell(around, place)) { /* after the last cell comes the first */
        const int64_t at = place[spread], second = chosen[values + at];
        const int lower = g != chosen[at] && row[g] < (second < 0 ? INFINITE : row[second]);
        if (lower && lowest_around(row, around, g, place)) chosen[values + at] = g;
    }
    for (int64_t k = 0; k < 2 * values; k++)
        if (chosen[k] >= 0) chosen[count++] = chosen[k];
    return count;
}

/* The lowest local minima of a grid, in order. */
static int64_t lowest_minima(int64_t grid, const double *row, const Around *around, int64_t *chosen) {
    int64_t count = 0, place[MOST_PARAMETERS] = {0};
    for (int64_t g = 0; g < grid; g++, next_cell(around, place)) {
        if (!(row[g] < INFINITE) || (count == GRID_STARTS && row[g] >= row[chosen[count - 1]])) continue;
        if (!lowest_around(row, around, g, place)) continue;
        count = count < GRID_STARTS ? count + 1 : GRID_STARTS;
        int64_t k = count - 1;
        for (; k > 0 && row[chosen[k - 1]] > row[g]; k--) chosen[k] = chosen[k - 1];
        chosen[k] = g;
    }
    if (count == 0) chosen[count++] = 0;
    return count;
}

/* Coordinate from a place on the grid: 0 to 1 between low and high, from there to -1 and 2 at the bounds. */
INLINE double placed(double at, double low, double high, double bottom, double top) {
    if (at < 0.0) return low - (low - bottom) * -at;
    return at > 1.0 ? high + (top - high) * (at - 1.0) : low + (high - low) * at;
}

/* Dot products of `curves` rows with `columns` rows; every sum runs in the same order, whatever the tile. */
INLINE void tile(const int curves, const int columns, int64_t size, const double *const *t, const double *v,
                 int64_t stride, double *out) {
    Lanes total[TILE_CURVES][4];
    for (int k = 0; k < curves; k++)
        for (int g = 0; g < columns; g++) total[k][g] = all(0.0);
    for (int64_t i = 0; i < size; i += LANES) {
        Lanes column[4];
        for (int g = 0; g < columns; g++) column[g] = load(v + g * stride + i);
        for (int k = 0; k < curves; k++) {
            const Lanes value = load(t[k] + i);
            for (int g = 0; g < columns; g++) total[k][g] += column[g] * value;
        }
    }
    for (int k = 0; k < curves; k++)
        for (int g = 0; g < columns; g++) out[g * BLOCK + k] = sum(total[k][g]);
}

/* Table (columns, BLOCK) of the dot products of a block's curves (count, size) with columns (columns, stride). */
static void products(int64_t count, int64_t size, const double *targets, int64_t columns, const double *v,
                     int64_t stride, double *table) {
    const double *t[BLOCK + TILE_CURVES];
    for (int64_t k = 0; k < count + TILE_CURVES; k++) t[k] = targets + (k < count ? k : count - 1) * size;
    int64_t g = 0;
    for (; g + TILE_COLUMNS <= columns; g += TILE_COLUMNS) /* a tile of columns stays in the first-level cache */
        for (int64_t k = 0; k < count; k += TILE_CURVES) {
            const double *column = v + g * stride;
            double *out = table + g * BLOCK + k;
            if (count == 1) tile(1, TILE_COLUMNS, size, t, column, stride, out);
            else tile(TILE_CURVES, TILE_COLUMNS, size, t + k, column, stride, out);
        }
    for (; g < columns; g++)
        for (int64_t k = 0; k < count; k += TILE_CURVES)
            tile(TILE_CURVES, 1, size, t + k, v + g * stride, stride, table + g * BLOCK + k);
}

_Static_assert(BLOCK == 32 && BLOCK % LANES == 0 && GRID_STARTS == 4, "the room in kernels.py");

/* A column of the grid: length and direction of what it adds to the first column. */
typedef struct {
    double norm;         /* of the first column, where the basis has two */
    double lean;         /* part of the second along the first */
    double whole, added; /* squared lengths of the second, and of its part orthogonal to the first */
} GridColumn;

/* RSS of a block's curves at a point of the grid, from dot products. */
INLINE void rank_block(const Model *model, const GridColumn *column, int64_t count, const double *total,
                       const double *along, const double *share, double *out) {
    const Lanes zero = all(0.0), inverse = all(1.0 / column->added), lean = all(column->lean);
    const Whole none = zero != zero, every = ~none;
    const Whole free_first = model->bounded & 1 ? none : every, free_second = model->bounded & 2 ? none : every;
    const Whole both = column->added > 1e-28 * column->whole ? every : none;
    for (int64_t k = 0; k < count; k += LANES) {
        const Lanes tt = load(total + k), part = load(share + k), slope = part * inverse;
        if (!model->floor && model->columns == 1) {
            store(out + k, tt - keep((part > zero) | free_first, part * slope));
            continue;
        }
        const Lanes first = load(along + k), vt = part + lean * first, level = first - slope * lean;
        const Lanes one = keep((first > zero) | free_first, first * first);
        const Lanes other = keep((vt > zero) | free_second, vt * vt * all(1.0 / column->whole));
        const Whole inside = both & ((slope >= zero) | free_second) & ((level >= zero) | free_first);
        store(out + k, tt - select(inside, first * first + part * slope, greater(one, other)));
    }
}

/* Columns of all points of the grid on one axis: what they add to the first column, and with two the first. */
static void grid_columns(const Model *model, const Points *points, int64_t grid, const double *mesh, const double *low,
                         const double *high, const double *bottom, const double *top, const double *q,
                         double *columns, GridColumn *of) {
    const int p = model->parameters, s = model->columns;
    const int64_t size = points->size;
    for (int64_t g = 0; g < grid; g++, columns += s * size, of++) {
        double theta[MOST_PARAMETERS], natural[MOST_PARAMETERS];
        for (int j = 0; j < p; j++) theta[j] = placed(mesh[g * p + j], low[j], high[j], bottom[j], top[j]);
        natural_of(model, theta, natural);
        sweep_columns(model->basis, points, natural, columns);
        double *v = columns + (s - 1) * size;
        const double *first = q;
        *of = (GridColumn){0.0, 0.0, dot(size, v, v), 0.0};
        if (s == 2) {
            of->norm = root_of(dot(size, columns, columns));
            scale(size, columns, 1.0 / of->norm, columns);
            first = columns;
        }
        if (model->floor || s == 2)
            for (int again = 0; again < 2; again++) { /* once loses digits where the columns are nearly parallel */
                const double along = dot(size, first, v);
                subtract(size, v, along, first, v);
                of->lean += along;
            }
        of->added = dot(size, v, v);
    }
}

/* Pieces of the columns on a grid of two parameters, each of which has one piece, and the place where they meet: those
 * of each value of the first and each place, then those of the second, and their squared lengths.
 */
static void grid_pieces(const Model *model, const Points *points, const Around *around, const double *mesh,
                        const double *low, const double *high, const double *bottom, const double *top,
                        double *columns, double *squares) {
    const int64_t size = points->size, places = around->dims[2];
    for (int piece = 0; piece < 2; piece++)
        for (int64_t i = 0; i < around->dims[piece] * places; i++, columns += size, squares++) {
            const double *at = mesh + 3 * (i / places * around->stride[piece] + i % places);
            double theta[3], natural[3];
            for (int j = 0; j < 3; j++) theta[j] = placed(at[j], low[j], high[j], bottom[j], top[j]);
            natural_of(model, theta, natural);
            natural[1 - piece] = natural[piece];
            sweep_columns(model->basis, points, natural, columns);
            const Lanes edge = all(logarithm_of(natural[2]));
            for (int64_t k = 0; k < size; k += LANES) {
                const Whole before = load(points->log_x + k) <= edge;
                store(columns + k, keep(piece == 0 ? before : ~before, load(columns + k)));
            }
            *squares = dot(size, columns, columns);
        }
}

/* RSS of a curve at all points of such a grid, from its dot products with the pieces. */
static void rank_pieces(const Model *model, const Around *around, double total, const double *products,
                        const double *squares, double *row) {
    const int64_t places = around->dims[2], second = around->dims[0] * places;
    const Lanes zero = all(0.0);
    const Whole none = zero != zero, is_free = model->bounded & 1 ? none : ~none;
    for (int64_t i = 0; i < around->dims[0]; i++)
        for (int64_t j = 0; j < around->dims[1]; j++, row += places)
            for (int64_t k = 0; k < places; k += LANES) { /* what is written beyond a row, the next one overwrites */
                const int64_t one = i * places + k, other = second + j * places + k;
                const Lanes part = load(products + one) + load(products + other);
                const Lanes square = load(squares + one) + load(squares + other);
                const Lanes value = all(total) - keep((part > zero) | is_free, part * part / square);
                store(row + k, select(magnitude(value) < all(INFINITE), value, all(INFINITE)));
            }
}

/* Slope and half the second derivative of a polynomial in Newton's form at the places 0, 1, ... */
INLINE void polynomial_at(const int count, const double *d, double at, double *slope, double *curve) {
    double value = d[count - 1];
    *slope = *curve = 0.0;
    for (int k = count - 2; k >= 0; k--) {
        const double beyond = at - k;
        *curve = *curve * beyond + *slope, *slope = *slope * beyond + value, value = value * beyond + d[k];
    }
}

/* Where the parabola through three values at -1, 0, 1 is lowest, at most 1/2 away from 0; 0 where it is not. */
INLINE double vertex_of(double before, double here, double after) {
    const double bend = before - 2.0 * here + after;
    if (!(0.0 < bend && bend < INFINITE)) return 0.0;
    return smaller(larger(0.5 * (before - after) / bend, -0.5), 0.5);
}

/* What a point of a grid takes off the squared length of a curve, without the bounds of the coefficients: with the floor,
 * of which `along` is the part of the curve, or without. */
INLINE double gain_at(const GridColumn *column, int has_floor, double along, double part) {
    if (has_floor) return along * along + part * part / column->added;
    const double whole = part + column->lean * along;
    return whole * whole / column->whole;
}

/* Where, counted in cells from a local minimum of a curve's row, the polynomial through the values around it is lowest,
 * and half its second derivative there, which is 0 where it is not known.
 *
 * Values are those without the coefficients' bounds, or without the floor where the minimum has none: a bound would make a
 * kink. Newton's steps begin at the vertex of the parabola through the neighbours, which is all there is where the polynomial
 * does not fit. The place is 0 at the ends of the even part of the grid, which runs from 0 to 1.
 */
static double lowest_between(const Model *model, const GridColumn *of, double along, const double *share, int64_t grid,
                             const double *mesh, const double *row, int64_t g, double *curvature) {
    *curvature = 0.0;
    if (g == 0 || g == grid - 1 || !(mesh[g - 1] >= 0.0) || !(mesh[g + 1] <= 1.0)) return 0.0;
    const double vertex = vertex_of(row[g - 1], row[g], row[g + 1]);
    int64_t from = g - STENCIL / 2;
    while (from < 0 || mesh[from] < 0.0) from++;
    while (from > 0 && (from + STENCIL > grid || mesh[from + STENCIL - 1] > 1.0)) from--;
    if (from + STENCIL > grid || mesh[from] < 0.0) return vertex;
    const double slope_there = share[g * BLOCK] / of[g].added;
    const int has_floor = model->floor && (along - slope_there * of[g].lean >= 0.0 || !(model->bounded & 1));
    double d[STENCIL]; /* values, then divided differences, at the places 0, 1, ... */
    for (int k = 0; k < STENCIL; k++) d[k] = -gain_at(of + from + k, has_floor, along, share[(from + k) * BLOCK]);
    const int centre = (int)(g - from);
    double at = centre + vertex_of(d[centre - 1], d[centre], d[centre + 1]), slope, curve, other_slope, other_curve;
    for (int order = 1; order < STENCIL; order++)
        for (int k = STENCIL - 1; k >= order; k--) d[k] = (d[k] - d[k - 1]) * (1.0 / order);
    for (int step = 0; step < 2; step++) {
        polynomial_at(STENCIL, d, at, &slope, &curve);
        if (!(curve > 0.0)) return vertex;
        at -= 0.5 * slope / curve;
    }
    /* a polynomial of one value less must say the same: it does not where a coefficient comes to its bound in between */
    polynomial_at(STENCIL - 1, d, at, &other_slope, &other_curve);
    const int is_smooth = __builtin_fabs(other_curve - curve) < SMOOTH * curve &&
                          __builtin_fabs(other_slope) < SMOOTH * curve && __builtin_fabs(at - centre) < 1.0;
    if (!is_smooth) return vertex;
    *curvature = curve;
    return at - centre;
}

/* Starts of the curves begin ... end - 1 from a grid: fills starts (curves, most, p) and counts (curves), and
 * with one parameter curvature (curves, most), half the second derivative of the RSS there, 0 where it is not known.
 *
 * mesh (grid, p) runs from 0 to 1 between low and high (axes, p), and from there to -1 and 2 at bottom and top; dims (p)
 * are the sizes of the grid; spread is a parameter each of whose values gives a start, or -1. The RSS at a point of the
 * grid comes from dot products with columns that curves on one axis with the same weights share, or with pieces of them,
 * of which there are far fewer. Room that is needed,
 * size being that of the longest curve, padded: work (s grid + BLOCK + 4) size + (s + 6) grid + ((s + 1) grid + 2) BLOCK + 96,
 * chosen 2 grid + GRID_STARTS.
 */
void NAME(grid_starts)(int64_t basis, int64_t floor, int64_t bounded, int64_t logs, const double *x,
                       const double *log_x, const int64_t *x_at, const int64_t *axis, const double *y,
                       const int64_t *y_at, const double *root, const int64_t *w_at, const double *share,
                       int64_t nodes, int64_t stride, int64_t begin, int64_t end,
                       int64_t grid, const double *mesh, const int64_t *dims, int64_t spread, const double *low,
                       const double *high, const double *bottom, const double *top, int64_t most, int64_t longest,
                       double *starts, int64_t *counts, double *curvature,
                       double *work, int64_t *chosen) {
    const unsigned before = flush_subnormals();
    const Model model = model_of(basis, floor, bounded, logs);
    const Bundle c = {x, log_x, x_at, axis, y, y_at, root, w_at, share, nodes, stride};
    const int p = model.parameters, s = model.columns;
    const int64_t room = padded(longest);
    const Around around = moves_around(p, dims, spread);
    work = aligned(work);
    Points points = {0, 0, work, work + room, work + 2 * room, 1, 0, 0, 0, 0};
    double *q = work + 3 * room, *targets = work + 4 * room, *columns = targets + BLOCK * room;
    double *table = columns + s * grid * room, *ranks = table + s * grid * BLOCK, *total = ranks + grid * BLOCK;
    double *along = total + BLOCK;
    double *row = along + BLOCK, *squares = row + padded(grid) + LANES;
    GridColumn *of = (GridColumn *)squares;
    /* a point that is an average may lie in both pieces; with a floor, nearly parallel columns need whole ones */
    const int64_t pieces = has_pieces(model.basis) ? (dims[0] + dims[1]) * dims[2] : grid;
    const int is_split = pieces + 2 * LANES < grid && !model.floor && nodes <= 1;
    const int64_t held = is_split ? pieces : s * grid;
    double *mine = squares + padded(pieces) + LANES;
    double spacing = 1.0;
    for (int64_t g = 1; g < grid && p == 1; g++) if (mesh[g - 1] == 0.0) spacing = mesh[g];
    for (int64_t k = 0; k < held * BLOCK; k++) table[k] = 0.0;
    for (int64_t k = 0; k < BLOCK; k++) total[k] = along[k] = 0.0;
    for (int64_t b = begin, last = -1; b < end;) {
        const int64_t ax = axis[b];
        int64_t count = 1;
        while (b + count < end && count < BLOCK && same_points(&c, b, b + count)) count++;
        if (last < 0 || !same_points(&c, last, b)) {
            fill_points(&c, b, &points);
            if (model.floor) {
                const double square = dot(points.size, points.w, points.w);
                scale(points.size, points.w, 1.0 / root_of(square), q);
            }
            const double *from = low + ax * p, *to = high + ax * p, *least = bottom + ax * p, *greatest = top + ax * p;
            if (is_split) grid_pieces(&model, &points, &around, mesh, from, to, least, greatest, columns, squares);
            else grid_columns(&model, &points, grid, mesh, from, to, least, greatest, q, columns, of);
        }
        last = b;
        for (int64_t k = 0; k < count; k++) {
            double *t = targets + k * points.size;
            fill_target(&c, b + k, &points, t);
            total[k] = dot(points.size, t, t);
            if (model.floor) along[k] = dot(points.size, q, t);
        }
        products(count, points.size, targets, held, columns, points.size, table);
        for (int64_t g = 0; g < grid && !is_split; g++) {
            double *share = table + (s * g + s - 1) * BLOCK;
            rank_block(&model, of + g, count, total, s == 2 ? table + s * g * BLOCK : along, share, ranks + g * BLOCK);
        }
        for (int64_t k = 0; k < count; k++) {
            for (int64_t g = 0; g < pieces && is_split; g++) mine[g] = table[g * BLOCK + k];
            if (is_split) rank_pieces(&model, &around, total[k], mine, squares, row);
            for (int64_t g = 0; g < grid && !is_split; g++) {
                const double value = ranks[g * BLOCK + k];
                row[g] = is_finite(value) ? value : INFINITE;
            }
            const int64_t found = spread >= 0 ? lowest_of_each(grid, row, &around, spread, chosen)
                                              : lowest_minima(grid, row, &around, chosen);
            counts[b + k - begin] = found;
            for (int64_t i = 0; i < found; i++) {
                const int64_t g = chosen[i];
                for (int j = 0; j < p; j++) {
                    double at = mesh[g * p + j];
                    if (p == 1) {
                        double *bend = curvature + (b + k - begin) * most + i;
                        const double cell = spacing * (high[ax] - low[ax]);
                        at += lowest_between(&model, of, along[k], table + k, grid, mesh, row, g, bend) * spacing;
                        *bend /= cell * cell;
                    }
                    starts[((b + k - begin) * most + i) * p + j] =
                        placed(at, low[ax * p + j], high[ax * p + j], bottom[ax * p + j], top[ax * p + j]);
                }
            }
        }
        b += count;
    }
    set_rounding(before);
}

#endif
