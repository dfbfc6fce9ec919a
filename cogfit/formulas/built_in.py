r"""The forms a learning curve may take, as data.

One frozen record each.

A built-in form is *separable*: :math:`f(x) = c + \sum_i a_i\,\varphi_i(x;\theta)` with linear coefficients
(amplitudes :math:`a_i`, floor :math:`c`) and at most three non-linear ones. Its record names the basis function
that returns :math:`\varphi` and :math:`\partial\varphi/\partial\theta`; value and Jacobian of the form follow from
it, so that a formula is written once. A user's own form may be any function.

:mod:`cogfit.formulas.registry` looks them up and adds others.
"""

from __future__ import annotations

from cogfit.formulas.form import Form, Parameter


def _amplitude(meaning: str, symbol: str = "A", name: str = "A", exponent: str = "") -> Parameter:
    return Parameter(name, symbol, meaning, "y", "amplitude", lower=0.0, exponent=exponent)


def _floor(meaning: str = "asymptote: what is left after unlimited practice") -> Parameter:
    return Parameter("c", "c", meaning, "y", "floor", lower=0.0)


def _exponent(
    meaning: str = "power-law exponent",
    *,
    lower: float = 1e-4,
    by_log: bool = False,
    grid: tuple[float, float, int] = (0.02, 4.0, 24),
) -> Parameter:
    return Parameter("gamma", r"\gamma", meaning, "1", "shape", lower, 12.0, grid=grid, by_log=by_log)


_SHIFT = Parameter(
    name="b",
    symbol="b",
    meaning="shift: x from which the decay is a power law",
    unit="x",
    role="shape",
    lower=1e-8,
    upper=1e4,
    log=True,
    grid=(0.3, 3, 9),
)
_RATE = Parameter(
    name="r",
    symbol="r",
    meaning="rate of the exponential decay",
    unit="1/x",
    role="shape",
    lower=1e-4,
    upper=40.0,
    log=True,
    grid=(0.1, 3.0, 24),
)
_STRETCH = (
    Parameter(
        name="tau",
        symbol=r"\tau",
        meaning="x at which the decay has reached 1/e",
        unit="x",
        role="shape",
        lower=1e-4,
        upper=1e4,
        log=True,
        grid=(0.1, 30.0, 24),
    ),
    Parameter(
        name="beta",
        symbol=r"\beta",
        meaning="stretching: 1 is the exponential",
        unit="1",
        role="shape",
        lower=0.05,
        upper=10.0,
        log=True,
        grid=(0.2, 4.0, 8),
    ),
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
        name="constant",
        title="constant",
        formula=r"c",
        expression="c",
        parameters=(
            Parameter(
                name="c",
                symbol="c",
                meaning="level",
                unit="y",
                role="floor",
            ),
        ),
        positive_x=False,
        reference="null form",
        basis="constant",
    ),
    Form(
        name="power",
        title="power",
        formula=r"A\,x^{-\gamma}",
        expression="A*x**(-gamma)",
        parameters=(
            _amplitude("value at x = 1", exponent="gamma"),
            Parameter(
                name="gamma",
                symbol=r"\gamma",
                meaning="power-law exponent",
                unit="1",
                role="shape",
                lower=-4.0,
                upper=12.0,
                grid=(-1.0, 4.0, 40),
            ),
        ),
        gamma="gamma",
        reference=NEWELL,
        power_law=True,
        scout=True,
        basis="power",
    ),
    Form(
        name="power_floor",
        title="power + floor",
        formula=r"c + A\,x^{-\gamma}",
        expression="c + A*x**(-gamma)",
        parameters=(
            _amplitude("height above the floor at x = 1", exponent="gamma"),
            _exponent(),
            _floor(),
        ),
        gamma="gamma",
        contains=("constant", "power"),
        reference=NEWELL,
        power_law=True,
        basis="power",
    ),
    Form(
        name="shifted_power",
        title="shifted power",
        formula=r"A\,(1 + x/b)^{-\gamma}",
        expression="A*(1 + x/b)**(-gamma)",
        parameters=(
            _amplitude("value at x = 0"),
            _exponent("exponent of the tail, x ≫ b", by_log=True),
            _SHIFT,
        ),
        gamma="gamma",
        positive_x=False,
        contains=("power", "exponential", "hyperbolic"),
        reference="Wickelgren 1974; the average of exponentials with Gamma(γ, b) rates (theory T7)",
        remark=_SHIFTED,
        basis="shifted_power",
    ),
    Form(
        name="shifted_power_floor",
        title="shifted power + floor",
        formula=r"c + A\,(1 + x/b)^{-\gamma}",
        expression="c + A*(1 + x/b)**(-gamma)",
        parameters=(
            _amplitude("height above the floor at x = 0"),
            _exponent("exponent of the tail, x ≫ b", by_log=True),
            _SHIFT,
            _floor(),
        ),
        gamma="gamma",
        positive_x=False,
        contains=(
            "constant",
            "power",
            "power_floor",
            "shifted_power",
            "exponential",
            "exponential_floor",
            "hyperbolic",
        ),
        reference=NEWELL + " (their general power law)",
        scout=True,
        remark=_SHIFTED,
        basis="shifted_power",
    ),
    Form(
        name="exponential",
        title="exponential",
        formula=r"A\,e^{-r x}",
        expression="A*exp(-r*x)",
        parameters=(
            _amplitude("value at x = 0"),
            _RATE,
        ),
        positive_x=False,
        reference=HEATHCOTE,
        basis="exponential",
    ),
    Form(
        name="exponential_floor",
        title="exponential + floor",
        formula=r"c + A\,e^{-r x}",
        expression="c + A*exp(-r*x)",
        parameters=(
            _amplitude("height above the floor at x = 0"),
            _RATE,
            _floor(),
        ),
        positive_x=False,
        contains=("constant", "exponential"),
        reference=HEATHCOTE,
        basis="exponential",
    ),
    Form(
        name="apex_floor",
        title="APEX + floor",
        formula=r"c + A\,x^{-\gamma} e^{-r x}",
        expression="c + A*x**(-gamma)*exp(-r*x)",
        parameters=(
            _amplitude("scale above the floor", exponent="gamma"),
            _exponent("exponent of the power factor", lower=0.0),
            _RATE,
            _floor(),
        ),
        gamma="gamma",
        contains=("constant", "power", "power_floor", "exponential", "exponential_floor"),
        reference=HEATHCOTE + ", Eq. 6",
        basis="apex",
    ),
    Form(
        name="stretched_exponential",
        title="stretched exponential",
        formula=r"A\,e^{-(x/\tau)^\beta}",
        expression="A*exp(-(x/tau)**beta)",
        parameters=(
            _amplitude("value at x = 0"),
            *_STRETCH,
        ),
        positive_x=False,
        contains=("exponential",),
        reference="Kohlrausch 1854; Rubin & Wenzel 1996",
        basis="stretched",
    ),
    Form(
        name="stretched_exponential_floor",
        title="stretched exponential + floor",
        formula=r"c + A\,e^{-(x/\tau)^\beta}",
        expression="c + A*exp(-(x/tau)**beta)",
        parameters=(
            _amplitude("height above the floor at x = 0"),
            *_STRETCH,
            _floor(),
        ),
        positive_x=False,
        contains=("constant", "exponential", "exponential_floor", "stretched_exponential"),
        reference="Kohlrausch 1854; Rubin & Wenzel 1996",
        basis="stretched",
    ),
    Form(
        name="logarithmic",
        title="logarithmic",
        formula=r"a - A \ln x",
        expression="a - A*log(x)",
        parameters=(
            Parameter(
                name="A",
                symbol="A",
                meaning="loss per e-fold of x",
                unit="y",
                role="amplitude",
            ),
            Parameter(
                name="a",
                symbol="a",
                meaning="value at x = 1",
                unit="y",
                role="floor",
                slope="A",
            ),
        ),
        contains=("constant",),
        reference="Woodworth 1938; Rubin & Wenzel 1996",
        example={"A": 0.12},
        basis="logarithmic",
    ),
    Form(
        name="hyperbolic",
        title="hyperbolic",
        formula=r"A / (1 + x/b)",
        expression="A/(1 + x/b)",
        parameters=(
            _amplitude("value at x = 0"),
            Parameter(
                name="b",
                symbol="b",
                meaning="x at which half is left",
                unit="x",
                role="shape",
                lower=1e-4,
                upper=1e4,
                log=True,
                grid=(0.05, 30.0, 32),
            ),
        ),
        positive_x=False,
        reference="Mazur & Hastie 1978, Psychol. Bull. 85:1256",
        basis="hyperbolic",
    ),
    Form(
        name="log_logistic_step",
        title="log-logistic step",
        formula=r"c + \frac{A}{1 + (x/x_{50})^{s}}",
        expression="c + A/(1 + (x/x50)**s)",
        parameters=(
            _amplitude("height of the drop"),
            Parameter(
                name="x50",
                symbol="x_{50}",
                meaning="x at which half of the drop is done",
                unit="x",
                role="shape",
                lower=0.3,
                upper=3.0,
                log=True,
                grid=(1.0, 1.0, 80),
            ),
            Parameter(
                name="s",
                symbol="s",
                meaning="steepness on the log axis",
                unit="1",
                role="shape",
                lower=0.3,
                upper=2000.0,
                log=True,
                grid=(0.7, 400.0, 9),
            ),
            _floor("level after the transition"),
        ),
        positive_x=False,
        contains=("constant",),
        reference="a transition in log x; statistics of dose response",
        scout=True,
        remark=_TRANSITION,
        basis="step",
    ),
    Form(
        name="broken_power",
        title="two-segment power",
        formula=r"A\,(x/x_b)^{-\gamma},\ \gamma = \gamma_1\ (x \le x_b),\ \gamma_2\ (x > x_b)",
        expression="Piecewise((A*(x/xb)**(-gamma1), x <= xb), (A*(x/xb)**(-gamma2), True))",
        parameters=(
            _amplitude("value at the break"),
            Parameter(
                name="gamma1",
                symbol=r"\gamma_1",
                meaning="exponent before the break",
                unit="1",
                role="shape",
                lower=-4.0,
                upper=12.0,
                grid=(-0.3, 3.0, 7),
            ),
            Parameter(
                name="gamma2",
                symbol=r"\gamma_2",
                meaning="exponent after the break",
                unit="1",
                role="shape",
                lower=-4.0,
                upper=12.0,
                grid=(-0.3, 5.0, 7),
            ),
            Parameter(
                name="xb",
                symbol="x_b",
                meaning="where the exponent changes",
                unit="x",
                role="shape",
                lower=1.0,
                upper=1.0,
                log=True,
                grid=(1.0, 1.0, 80),
                interior=True,
            ),
        ),
        contains=("power",),
        reference="segmented regression in log–log; Rickard 1997 across a strategy shift",
        example={"A": 0.4},
        basis="broken_power",
    ),
    Form(
        name="truncated_zipf",
        title="truncated Zipf",
        formula=r"A \sum_{k \le K} p_k (1 - p_k)^x,\ p_k \propto k^{-s}",
        expression="",
        parameters=(
            _amplitude("attention when every pattern is new"),
            Parameter(
                name="s",
                symbol="s",
                meaning="Zipf exponent of the pattern frequencies; γ = 1 − 1/s for K → ∞",
                unit="1",
                role="shape",
                lower=0.0,
                upper=8.0,
                grid=(0.3, 3.5, 23),
            ),
            Parameter(
                name="K",
                symbol="K",
                meaning="number of patterns",
                unit="patterns",
                role="shape",
                lower=2.0,
                upper=1e7,
                log=True,
                grid=(4.0, 1e6, 12),
            ),
        ),
        positive_x=False,
        axes=("stream",),
        closed_under=("y",),
        reference="missing mass of Zipf-distributed patterns (theory T4): attention against stream length",
        basis="truncated_zipf",
    ),
    Form(
        name="beta_geometric",
        title="beta-geometric",
        formula=r"A\,\mathrm{B}(\gamma, b + x) / \mathrm{B}(\gamma, b)",
        expression=(
            "A*gamma_function(b + x)*gamma_function(gamma + b)/(gamma_function(b)*gamma_function(gamma + b + x))"
        ),
        parameters=(
            _amplitude("value at x = 0"),
            _exponent("exponent of the tail: index of the rates' law at 0", lower=1e-2, by_log=True),
            Parameter(
                name="b",
                symbol="b",
                meaning="second shape of the Beta law of consolidation rates",
                unit="1",
                role="shape",
                lower=1e-2,
                upper=1e5,
                log=True,
                grid=(0.1, 1e4, 9),
            ),
        ),
        gamma="gamma",
        positive_x=False,
        axes=("exposure", "repetition"),
        closed_under=("y",),
        reference="each exposure consolidates with its own Beta-distributed probability (theory T7)",
        basis="beta_geometric",
    ),
    Form(
        name="two_process",
        title="compute/retrieve mixture",
        formula=r"T_a e^{-r x} + (1 - e^{-r x})\,T_r\,x^{-\gamma}",
        expression="Ta*exp(-r*x) + (1 - exp(-r*x))*Tr*x**(-gamma)",
        parameters=(
            _amplitude("time of the algorithm", "T_a", "Ta"),
            _amplitude("time of retrieval at x = 1", "T_r", "Tr", exponent="gamma"),
            Parameter(
                name="r",
                symbol="r",
                meaning="rate at which the algorithm is given up",
                unit="1/x",
                role="shape",
                lower=1e-3,
                upper=20.0,
                log=True,
                grid=(0.02, 10.0, 28),
            ),
            _exponent("exponent of the speed-up of retrieval", grid=(0.04, 4.0, 34)),  # γ = 1 is a valley for small r
        ),
        gamma="gamma",
        measures=("latency",),
        contains=("power",),
        reference="Logan 1988; Rickard 1997, J. Exp. Psychol. Gen. 126:288",
        basis="two_process",
    ),
)
