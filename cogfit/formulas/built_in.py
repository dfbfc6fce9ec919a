r"""The forms a learning curve may take, as data: one frozen record each.

A built-in form is *separable*: :math:`f(x) = c + \sum_i a_i\,\varphi_i(x;\theta)` with linear coefficients
(amplitudes :math:`a_i`, floor :math:`c`) and at most three non-linear ones. Its record names the basis function
that returns :math:`\varphi` and :math:`\partial\varphi/\partial\theta`; value and Jacobian of the form follow from
it, so that a formula is written once. A user's own form may be any function.

:mod:`cogfit.formulas.registry` looks them up and adds others.
"""

from __future__ import annotations

from cogfit.formulas.form import Form, Parameter


def _amplitude(meaning: str, symbol: str = "A", name: str = "A") -> Parameter:
    return Parameter(name, symbol, meaning, "y", "amplitude", lower=0.0)


def _floor(meaning: str = "asymptote: what is left after unlimited practice") -> Parameter:
    return Parameter("c", "c", meaning, "y", "floor", lower=0.0)


def _exponent(
    meaning: str = "power-law exponent", lower: float = 1e-4, *, by_log: bool = False,
    grid: tuple[float, float, int] = (0.02, 4.0, 24),
) -> Parameter:  # fmt: skip
    return Parameter("gamma", r"\gamma", meaning, "1", "shape", lower, 12.0, grid=grid, by_log=by_log)


_SHIFT = Parameter("b", "b", "shift: x from which the decay is a power law", "x", "shape", 1e-8, 1e4, True, (0.3, 3, 9))
_RATE = Parameter("r", "r", "rate of the exponential decay", "1/x", "shape", 1e-4, 40.0, True, (0.1, 3.0, 24))
_STRETCH = (
    Parameter("tau", r"\tau", "x at which the decay has reached 1/e", "x", "shape", 1e-4, 1e4, True, (0.1, 30.0, 24)),
    Parameter("beta", r"\beta", "stretching: 1 is the exponential", "1", "shape", 0.05, 10.0, True, (0.2, 4.0, 8)),
)

_SHIFTED = (
    "that form is a power law of x + {b:.3g}, not of x; a shift near 1 means that x should be counted from 1 "
    "(for exposures: convention 'inclusive')"
)
_TRANSITION = "the curve is a transition: half of the drop is done at x = {x50:.5g}, steepness s = {s:.3g}"

HEATHCOTE = "Heathcote, Brown & Mewhort 2000, Psychon. Bull. Rev. 7:185–207"
NEWELL = "Newell & Rosenbloom 1981, in Anderson (ed.), Cognitive Skills and their Acquisition"

BUILT_IN = (
    Form(
        "constant", "constant", r"c", "c",
        (Parameter("c", "c", "level", "y", "floor"),),
        positive_x=False, reference="null form", basis="constant",
    ),
    Form(
        "power", "power", r"A\,x^{-\gamma}", "A*x**(-gamma)",
        (_amplitude("value at x = 1"), Parameter("gamma", r"\gamma", "power-law exponent", "1", "shape", -4.0, 12.0,
                                                 grid=(-1.0, 4.0, 40))),
        gamma="gamma", reference=NEWELL, power_law=True, scout=True, basis="power",
    ),
    Form(
        "power_floor", "power + floor", r"c + A\,x^{-\gamma}", "c + A*x**(-gamma)",
        (_amplitude("height above the floor at x = 1"), _exponent(), _floor()),
        gamma="gamma", contains=("constant", "power"), reference=NEWELL, power_law=True, basis="power",
    ),
    Form(
        "shifted_power", "shifted power", r"A\,(1 + x/b)^{-\gamma}", "A*(1 + x/b)**(-gamma)",
        (_amplitude("value at x = 0"), _exponent("exponent of the tail, x ≫ b", by_log=True), _SHIFT),
        gamma="gamma", positive_x=False, contains=("power", "exponential", "hyperbolic"),
        reference="Wickelgren 1974; the average of exponentials with Gamma(γ, b) rates (theory T7)",
        remark=_SHIFTED, basis="shifted_power",
    ),
    Form(
        "shifted_power_floor", "shifted power + floor", r"c + A\,(1 + x/b)^{-\gamma}", "c + A*(1 + x/b)**(-gamma)",
        (_amplitude("height above the floor at x = 0"), _exponent("exponent of the tail, x ≫ b", by_log=True), _SHIFT,
         _floor()),
        gamma="gamma", positive_x=False,
        contains=("constant", "power", "power_floor", "shifted_power", "exponential", "exponential_floor",
                  "hyperbolic"),
        reference=NEWELL + " (their general power law)", scout=True, remark=_SHIFTED, basis="shifted_power",
    ),
    Form(
        "exponential", "exponential", r"A\,e^{-r x}", "A*exp(-r*x)",
        (_amplitude("value at x = 0"), _RATE),
        positive_x=False, reference=HEATHCOTE, basis="exponential",
    ),
    Form(
        "exponential_floor", "exponential + floor", r"c + A\,e^{-r x}", "c + A*exp(-r*x)",
        (_amplitude("height above the floor at x = 0"), _RATE, _floor()),
        positive_x=False, contains=("constant", "exponential"), reference=HEATHCOTE, basis="exponential",
    ),
    Form(
        "apex_floor", "APEX + floor", r"c + A\,x^{-\gamma} e^{-r x}", "c + A*x**(-gamma)*exp(-r*x)",
        (_amplitude("scale above the floor"), _exponent("exponent of the power factor", lower=0.0), _RATE, _floor()),
        gamma="gamma", contains=("constant", "power", "power_floor", "exponential", "exponential_floor"),
        reference=HEATHCOTE + ", Eq. 6", basis="apex",
    ),
    Form(
        "stretched_exponential", "stretched exponential", r"A\,e^{-(x/\tau)^\beta}", "A*exp(-(x/tau)**beta)",
        (_amplitude("value at x = 0"), *_STRETCH),
        positive_x=False, contains=("exponential",), reference="Kohlrausch 1854; Rubin & Wenzel 1996",
        basis="stretched",
    ),
    Form(
        "stretched_exponential_floor", "stretched exponential + floor", r"c + A\,e^{-(x/\tau)^\beta}",
        "c + A*exp(-(x/tau)**beta)", (_amplitude("height above the floor at x = 0"), *_STRETCH, _floor()),
        positive_x=False, contains=("constant", "exponential", "exponential_floor", "stretched_exponential"),
        reference="Kohlrausch 1854; Rubin & Wenzel 1996", basis="stretched",
    ),
    Form(
        "logarithmic", "logarithmic", r"a - A \ln x", "a - A*log(x)",
        (Parameter("A", "A", "loss per e-fold of x", "y", "amplitude"),
         Parameter("a", "a", "value at x = 1", "y", "floor")),
        contains=("constant",), reference="Woodworth 1938; Rubin & Wenzel 1996", example={"A": 0.12},
        basis="logarithmic",
    ),
    Form(
        "hyperbolic", "hyperbolic", r"A / (1 + x/b)", "A/(1 + x/b)",
        (_amplitude("value at x = 0"),
         Parameter("b", "b", "x at which half is left", "x", "shape", 1e-4, 1e4, True, (0.05, 30.0, 32))),
        positive_x=False, reference="Mazur & Hastie 1978, Psychol. Bull. 85:1256", basis="hyperbolic",
    ),
    Form(
        "log_logistic_step", "log-logistic step", r"c + \frac{A}{1 + (x/x_{50})^{s}}", "c + A/(1 + (x/x50)**s)",
        (_amplitude("height of the drop"),
         Parameter("x50", "x_{50}", "x at which half of the drop is done", "x", "shape", 0.3, 3.0, True,
                   (1.0, 1.0, 80)),
         Parameter("s", "s", "steepness on the log axis", "1", "shape", 0.3, 2000.0, True, (0.7, 400.0, 9)),
         _floor("level after the transition")),
        positive_x=False, contains=("constant",), reference="a transition in log x; statistics of dose response",
        scout=True, remark=_TRANSITION, basis="step",
    ),
    Form(
        "broken_power", "two-segment power",
        r"A\,(x/x_b)^{-\gamma},\ \gamma = \gamma_1\ (x \le x_b),\ \gamma_2\ (x > x_b)",
        "Piecewise((A*(x/xb)**(-gamma1), x <= xb), (A*(x/xb)**(-gamma2), True))",
        (_amplitude("value at the break"),
         Parameter("gamma1", r"\gamma_1", "exponent before the break", "1", "shape", -4.0, 12.0, grid=(-0.3, 3.0, 7)),
         Parameter("gamma2", r"\gamma_2", "exponent after the break", "1", "shape", -4.0, 12.0, grid=(-0.3, 5.0, 7)),
         Parameter("xb", "x_b", "where the exponent changes", "x", "shape", 1.0, 1.0, True, (1.0, 1.0, 80),
                   interior=True)),
        contains=("power",), reference="segmented regression in log–log; Rickard 1997 across a strategy shift",
        example={"A": 0.4},
        basis="broken_power",
    ),
    Form(
        "truncated_zipf", "truncated Zipf",
        r"A \sum_{k \le K} p_k (1 - p_k)^x,\ p_k \propto k^{-s}", "",
        (_amplitude("attention when every pattern is new"),
         Parameter("s", "s", "Zipf exponent of the pattern frequencies; γ = 1 − 1/s for K → ∞", "1", "shape",
                   0.0, 8.0, grid=(0.3, 3.5, 12)),
         Parameter("K", "K", "number of patterns", "patterns", "shape", 2.0, 1e7, True, (4.0, 1e6, 12))),
        positive_x=False, axes=("stream",),
        reference="missing mass of Zipf-distributed patterns (theory T4): attention against stream length",
        basis="truncated_zipf",
    ),
    Form(
        "beta_geometric", "beta-geometric", r"A\,\mathrm{B}(\gamma, b + x) / \mathrm{B}(\gamma, b)",
        "A*gamma_function(b + x)*gamma_function(gamma + b)/(gamma_function(b)*gamma_function(gamma + b + x))",
        (_amplitude("value at x = 0"),
         _exponent("exponent of the tail: index of the rates' law at 0", 1e-2, by_log=True),
         Parameter("b", "b", "second shape of the Beta law of consolidation rates", "1", "shape", 1e-2, 1e5, True,
                   (0.1, 1e4, 9))),
        gamma="gamma", positive_x=False, axes=("exposure", "repetition"),
        reference="each exposure consolidates with its own Beta-distributed probability (theory T7)",
        basis="beta_geometric",
    ),
    Form(
        "two_process", "compute/retrieve mixture",
        r"T_a e^{-r x} + (1 - e^{-r x})\,T_r\,x^{-\gamma}", "Ta*exp(-r*x) + (1 - exp(-r*x))*Tr*x**(-gamma)",
        (_amplitude("time of the algorithm", "T_a", "Ta"), _amplitude("time of retrieval at x = 1", "T_r", "Tr"),
         Parameter("r", "r", "rate at which the algorithm is given up", "1/x", "shape", 1e-3, 20.0, True,
                   (0.02, 10.0, 28)),
         _exponent("exponent of the speed-up of retrieval", grid=(0.04, 4.0, 34))),  # γ = 1 is a valley for small r
        gamma="gamma", measures=("latency",), contains=("power",),
        reference="Logan 1988; Rickard 1997, J. Exp. Psychol. Gen. 126:288", basis="two_process",
    ),
)  # fmt: skip
