/* What an exponential costs on this machine at best: the yardstick of the benchmark.
 *
 * A plain loop without branches: exp(x) = 2^k exp(r) with |r| <= log(2)/2, and a polynomial of degree 12 for exp(r).
 * Good to 1e-15 for |x| < 700; there is no care for anything beyond. */
#include <string.h>

static inline double probe_exponential(double x)
{
    static const double to_integer = 0x1.8p52; /* adding it leaves the nearest integer in the low bits */
    double shifted = x * 0x1.71547652b82fep0 + to_integer;
    int64_t bits;
    memcpy(&bits, &shifted, sizeof bits);
    double k = shifted - to_integer;
    double r = (x - k * 0x1.62e42fee00000p-1) - k * 0x1.a39ef35793c76p-33;
    double p = 1.0 / 479001600.0;
    p = p * r + 1.0 / 39916800.0;
    p = p * r + 1.0 / 3628800.0;
    p = p * r + 1.0 / 362880.0;
    p = p * r + 1.0 / 40320.0;
    p = p * r + 1.0 / 5040.0;
    p = p * r + 1.0 / 720.0;
    p = p * r + 1.0 / 120.0;
    p = p * r + 1.0 / 24.0;
    p = p * r + 1.0 / 6.0;
    p = p * r + 0.5;
    p = p * r + 1.0;
    p = p * r + 1.0;
    bits = (int64_t)(((uint64_t)bits + 1023u) << 52);
    double power;
    memcpy(&power, &bits, sizeof power);
    return p * power;
}

/* Fill `out` with the n exponentials of `x`, as often as asked. */
void NAME(probe)(const double *restrict x, double *restrict out, int64_t n, int64_t repeats)
{
    for (int64_t t = 0; t < repeats; t++) {
        for (int64_t i = 0; i < n; i++)
            out[i] = probe_exponential(x[i]);
        __asm__ volatile("" : : "r"(x), "r"(out) : "memory"); /* keeps every repetition */
    }
}
