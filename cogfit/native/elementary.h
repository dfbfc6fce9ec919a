/* Exponentials, logarithms and the gamma function's kin, a vector at a time.
 *
 * A call of the C library would take one number at a time, and its results differ from system to system.
 */
#ifndef COGFIT_ELEMENTARY_H
#define COGFIT_ELEMENTARY_H

#include "lanes.h"

#define ROUND 6755399441055744.0 /* 1.5 * 2^52: adding it rounds to a whole number, which stands in the lowest bits */
#define LN2_HIGH 0.6931471803691238 /* with 20 trailing zero bits */
#define LN2_LOW 1.9082149292705877e-10
#define UNDERFLOW_AT (-708.3)
#define OVERFLOW_AT 709.7

/* exp(v) = 2^k (1 + p): k, and p = expm1 of the remainder, |remainder| <= ln 2 / 2. What is not a number stays so. */
INLINE Lanes reduced(Lanes v, double least, double most, Lanes *shifted) {
    const Lanes inside = lesser(greater(v, all(least)), all(most));
    *shifted = inside * all(1.4426950408889634) + all(ROUND); /* k stands in its lowest bits */
    const Lanes k = *shifted - all(ROUND);
    const Lanes r = (inside - k * all(LN2_HIGH)) - k * all(LN2_LOW);
    /* the series up to r^13 / 13!, in pairs: short chains; its remainder is below 2^-55 */
    const Lanes r2 = r * r, r4 = r2 * r2;
    const Lanes a = all(1.6666666666666666e-01) * r + all(0.5);
    const Lanes b = all(8.333333333333333e-03) * r + all(4.1666666666666664e-02);
    const Lanes c = all(1.984126984126984e-04) * r + all(1.3888888888888889e-03);
    const Lanes d = all(2.7557319223985893e-06) * r + all(2.48015873015873e-05);
    const Lanes e = all(2.505210838544172e-08) * r + all(2.755731922398589e-07);
    const Lanes f = all(1.6059043836821613e-10) * r + all(2.08767569878681e-09);
    const Lanes series = ((f * r4 + (e * r2 + d)) * r4 + (c * r2 + b)) * r2 + a;
    return series * r2 + r;
}

INLINE Lanes power_of_two(Lanes shifted) { return (Lanes)(((Bits)shifted << 52) + 4607182418800017408ULL); }

/* Exponential to 1 ulp; 0 below -708.3 (at the level with an instruction for it, -746), infinite above 709.7. */
INLINE Lanes exponential_of(Lanes v) {
    Lanes shifted;
#if LANES == 8
    const Lanes p = reduced(v, -746.0, 710.0, &shifted);
    return (Lanes)_mm512_scalef_pd((__m512d)(p + all(1.0)), (__m512d)(shifted - all(ROUND)));
#else
    const Lanes p = reduced(v, UNDERFLOW_AT, OVERFLOW_AT, &shifted), scale = power_of_two(shifted);
    return select(v > all(OVERFLOW_AT), all(INFINITE), keep(~(v < all(UNDERFLOW_AT)), scale * p + scale));
#endif
}

/* Exponential, and exp(v) - 1 without loss of digits near 0, at the price of one. */
INLINE Lanes exponential_and_less_one(Lanes v, Lanes *less_one) {
    Lanes shifted;
    const Lanes p = reduced(v, UNDERFLOW_AT, OVERFLOW_AT, &shifted), scale = power_of_two(shifted);
    const Whole over = v > all(OVERFLOW_AT);
    *less_one = select(over, all(INFINITE), scale * p + (scale - all(1.0)));
    return select(over, all(INFINITE), keep(~(v < all(UNDERFLOW_AT)), scale * p + scale));
}

/* The second of the two alone: the compiler leaves the first out. */
INLINE Lanes exponential_less_one(Lanes v) {
    Lanes less_one;
    (void)exponential_and_less_one(v, &less_one);
    return less_one;
}

/* (artanh(s) / s - 1) / z with z = s^2: 1/3 + z/5 + ... + z^7/17 + z^8 p. */
INLINE Lanes artanh_series(Lanes p, Lanes z) {
    p = p * z + all(0.058823529411764705);
    p = p * z + all(0.06666666666666667);
    p = p * z + all(0.07692307692307693);
    p = p * z + all(0.09090909090909091);
    p = p * z + all(0.1111111111111111);
    p = p * z + all(0.14285714285714285);
    p = p * z + all(0.2);
    return p * z + all(0.3333333333333333);
}

/* Natural logarithm to 2 ulp of a positive normal number; -inf at 0, not a number below. */
INLINE Lanes logarithm(Lanes v) {
    const Whole k = ((Whole)v - 4604544271217802189LL) >> 52; /* mantissa in [sqrt(1/2), sqrt 2) */
    const Lanes m = (Lanes)((Bits)v - ((Bits)k << 52));
    const Lanes exponent = (Lanes)(k + (int64_t)0x4338000000000000LL) - all(ROUND);
    const Lanes s = (m - all(1.0)) / (m + all(1.0)), z = s * s;
    Lanes p = all(0.043478260869565216); /* 1/23, ...: 2 artanh(s) */
    p = p * z + all(0.047619047619047616);
    p = p * z + all(0.05263157894736842);
    p = artanh_series(p, z);
    Lanes value = exponent * all(LN2_HIGH) + (all(2.0) * s + (all(2.0) * s * z * p + exponent * all(LN2_LOW)));
    value = select(v == all(0.0), all(-INFINITE), value);
    value = select(v == all(INFINITE), v, value);
    return select(v >= all(0.0), value, all(NOT_A_NUMBER));
}

/* log(1 + v) without loss of digits near 0, for v > -1. */
INLINE Lanes logarithm_of_one_plus(Lanes v) {
    const Lanes u = all(1.0) + v, lost = (v - (u - all(1.0))) / u; /* what rounding took away */
    return logarithm(u) + keep(u < all(1e300), lost);
}

#define STIRLING_FROM 12.0 /* from where Stirling's series is exact to rounding */

/* Log Gamma(z) - ((z - 1/2) log z - z + 1/2 log 2 pi), for z >= 12. */
INLINE Lanes stirling(Lanes z) {
    const Lanes u = all(1.0) / (z * z);
    Lanes tail = ((all(-0.0019175269175269176) * u + all(8.417508417508417e-04)) * u - all(5.952380952380953e-04)) * u;
    tail = ((tail + all(7.936507936507937e-04)) * u - all(0.002777777777777778)) * u + all(0.08333333333333333);
    return tail / z;
}

/* Log Gamma(z + a) - log Gamma(z) for positive z and a: no cancellation where z is large. */
static Lanes log_gamma_ratio(Lanes z, Lanes a) {
    Lanes ratio = all(1.0);
    for (Whole low = z < all(STIRLING_FROM); any(low); low = z < all(STIRLING_FROM)) {
        ratio = select(low, ratio * (z / (z + a)), ratio);
        z = select(low, z + all(1.0), z);
    }
    const Lanes rest = (z - all(0.5)) * logarithm_of_one_plus(a / z) + a * (logarithm(z + a) - all(1.0));
    return rest + (stirling(z + a) - stirling(z)) + logarithm(ratio);
}

/* D log Gamma(z) / dz for positive z. */
static Lanes digamma(Lanes z) {
    Lanes total = all(0.0);
    for (Whole low = z < all(STIRLING_FROM); any(low); low = z < all(STIRLING_FROM)) {
        total = select(low, total - all(1.0) / z, total);
        z = select(low, z + all(1.0), z);
    }
    const Lanes u = all(1.0) / (z * z);
    Lanes tail = ((all(0.021092796092796094) * u - all(0.007575757575757576)) * u + all(0.004166666666666667)) * u;
    tail = ((tail - all(0.003968253968253968)) * u + all(0.008333333333333333)) * u - all(0.08333333333333333);
    return total + logarithm(z) - all(0.5) / z + tail * u;
}

/* The same of one number. */
INLINE double exponential_of_one(double v) { return exponential_of(all(v))[0]; }
INLINE double logarithm_of(double v) { return logarithm(all(v))[0]; }
INLINE double logarithm_of_one_plus_one(double v) { return logarithm_of_one_plus(all(v))[0]; }
INLINE double root_of(double v) { return __builtin_sqrt(v); }

#endif
