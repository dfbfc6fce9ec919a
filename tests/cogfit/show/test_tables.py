"""Tables of a fit: every output writes the same rows, and goes on writing them as it did."""

from __future__ import annotations

import math
import re
from pathlib import Path

import numpy as np
import pytest

import cogfit
from cogfit import cli
from cogfit.engine.estimate import Estimate
from cogfit.inference.form_tests import FormTest
from cogfit.inference.interval import Interval
from cogfit.inference.verdict import Verdict
from cogfit.inference.windows import Window
from cogfit.result import FitResult, FormFit
from cogfit.show import tables
from cogfit.show.exports import to_html

EXPECTED = Path(__file__).parent / "tables"
"""What each output printed before its tables had common rows."""

INF, NAN = math.inf, math.nan


def form_fit(
    name: str,
    params: dict[str, float],
    *,
    limits: tuple[float, float] | None = None,
    delta: tuple[float, float] = (0.0, 0.0),
    p_values: tuple[float, float] | None = None,
    status: str = "ok",
    reason: str = "",
    extrapolation: float = NAN,
    caveat: str = "",
) -> FormFit:
    form = cogfit.forms()[name]
    size = len(params)
    intervals = {} if limits is None else {"gamma": Interval(*limits, 0.95, "profile", "this curve", caveat)}
    estimate = Estimate(
        form=name,
        noise="gaussian",
        params=params,
        stderr=dict.fromkeys(params, 0.1),
        covariance=np.eye(size),
        rss=1234.5678,
        loglik=-10.0,
        n=12,
        k=size + 1,
        status=status,  # type: ignore[arg-type]
        reason=reason,
    )
    return FormFit(
        estimate=estimate,
        intervals=intervals,
        covariance=np.eye(size),
        title=form.title,
        formula=form.formula,
        gamma_name="gamma" if "gamma" in params else None,
        units=dict.fromkeys(params, "none"),
        meanings={parameter.name: parameter.meaning for parameter in form.parameters},
        delta_aicc=delta[0],
        delta_bic=delta[1],
        test=None if p_values is None else FormTest(*p_values, 199),
        extrapolation=extrapolation,
    )


def fit_result(*forms: FormFit, windows: tuple[Window, ...] = ()) -> FitResult:
    x = np.arange(1.0, 13.0)
    return FitResult(
        form=forms[0].name,
        forms=forms,
        verdict=Verdict("not_distinguishable", ("power and exponential fit alike",)),
        axis="step",
        convention="x = 'step' as logged",
        measure="utilization",
        n=12,
        n_effective=12.0,
        noise="gaussian",
        level=0.95,
        source={
            "path": "log.csv",
            "format": "csv",
            "rows_read": 1_234,
            "rows_dropped": {"NaN": 2},
            "notes": ["a note"],
        },
        trajectories=None,
        averaging=None,
        transition=None,
        warnings=("one <warning>",),
        indistinguishable_forms=("power", "exponential"),
        versions={"cogfit": "0", "numpy": "0"},
        x=x,
        y=x**-0.5,
        weights=np.ones(12),
        x_label="step",
        y_label="y",
        windows=windows,
    )


@pytest.fixture(scope="module")
def result() -> FitResult:
    """Every kind of cell: a γ and none, open limits, refused and untested forms, hidden statuses, nothing fitted."""
    nothing = dict.fromkeys(("A", "gamma", "c"), NAN)
    bound = "c at its bound (0): the floor is not needed, and γ is that of the power law"
    return fit_result(
        form_fit("power", {"A": 0.9, "gamma": 0.4321}, limits=(0.4, INF), p_values=(0.66, 0.3), extrapolation=0.01234),
        form_fit("exponential", {"A": 0.9, "r": 123.456}, delta=(1.26, 12345.6), p_values=(0.005, NAN)),
        form_fit(
            "shifted_power",
            {"A": 0.9, "gamma": 12.0, "b": 2e5},
            limits=(-INF, INF),
            delta=(23456.78, 1.0),
            p_values=(0.05, 1.0),
            status="not_identified",
            reason="A and b <run> & away together",
            caveat="few points",
        ),
        form_fit("constant", {"c": 0.25}, delta=(99.96, 3.0), status="at_bound", reason=bound),
        form_fit("power_floor", nothing, delta=(INF, INF), status="failed", reason="no start"),
        windows=(Window(1.0, 6.0, 6, 0.5, 0.1, INF), Window(3.0, 12_000.5, 10_000, NAN, NAN, NAN)),
    )


@pytest.fixture(scope="module")
def untested() -> FitResult:
    """One form, fitted without tests and windows."""
    return fit_result(form_fit("power", {"A": 0.9, "gamma": 0.4}, limits=(0.3, 0.5), delta=(NAN, NAN)))


@pytest.fixture
def log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Log of two runs; of the second there is too little to fit."""
    monkeypatch.chdir(tmp_path)
    rows = [f"{step},{step**-0.5},first" for step in range(1, 40)]
    lines = ["step,attention_utilization,run", *rows, "1,1,second", ""]
    Path("log.csv").write_text("\n".join(lines), encoding="utf-8")
    return Path("log.csv")


def expected(name: str) -> str:
    return (EXPECTED / name).read_text(encoding="utf-8")


def printed(capfd: pytest.CaptureFixture[str], *arguments: object) -> str:
    assert cli.main([str(argument) for argument in arguments]) == 0
    return capfd.readouterr().out


@pytest.mark.parametrize("columns", ["80", "100", "140", "piped"])
def test_a_terminal_shows_what_it_has_room_for(
    columns: str, result: FitResult, log: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("cogfit.fitting.fit", lambda *_, **__: result)
    if columns == "piped":
        monkeypatch.delenv("COLUMNS", raising=False)
    else:
        monkeypatch.setenv("COLUMNS", columns)
    assert printed(capfd, "fit", log, "--windows") == expected(f"terminal-{columns}.txt")


def test_one_form_has_no_column_of_tests(
    untested: FitResult, log: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("cogfit.fitting.fit", lambda *_, **__: untested)
    monkeypatch.setenv("COLUMNS", "100")
    assert printed(capfd, "fit", log) == expected("terminal-untested.txt")


def test_groups_have_a_row_each(
    result: FitResult, log: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    def fit_or_refuse(part: cogfit.Log, **_: object) -> FitResult:
        assert part.utilization is not None
        if len(part.utilization.frame) < 2:
            raise cogfit.InputError("too short")
        return result

    monkeypatch.setattr("cogfit.fitting.fit", fit_or_refuse)
    monkeypatch.setenv("COLUMNS", "100")
    assert printed(capfd, "fit", log, "--by", "run") == expected("groups.txt")


def test_plain_text_and_notebook_show_the_table(result: FitResult, untested: FitResult) -> None:
    assert str(result) == expected("plain.txt")
    assert str(untested) == expected("plain-untested.txt")
    assert to_html(result, has_picture=False) == expected("notebook.html")


def test_the_page_shows_all_rows(result: FitResult, untested: FitResult) -> None:
    from cogfit.show.page import page

    for name, item in (("page.html", result), ("page-untested.html", untested)):
        text = re.sub(r'href="data:[^"]+"', 'href=""', page(item))  # the points, which have tests of their own
        sections = re.findall(r"<section>.*?</section>", text, flags=re.S)
        assert "".join(one for one in sections if "<svg" not in one) == expected(name)


LATEX = r"""
\begin{tabular}{lrlrrl}
\toprule
form & $\gamma$ & 95\% interval & $\Delta$AICc & p & status \\
\midrule
\textbf{power} & \textbf{0.432} & \textbf{[0.4, $\infty$]} & \textbf{0.0} & \textbf{0.66} & \textbf{ok} \\
exponential & -- & -- & 1.3 & (0.005) & ok \\
shifted power & -- & misses the curve & 23,456.8 & (0.05) & not identified \\
constant & -- & -- & 100.0 & -- & at bound \\
power + floor & -- & did not fit & -- & -- & failed \\
\bottomrule
\end{tabular}"""


def test_latex_has_the_rows_of_the_terminal_and_no_sign_of_its_own(result: FitResult) -> None:
    assert "\n" + tables.to_latex(tables.forms_table(result, tables.LATEX)) == LATEX
    special = tables.simple_table(["a & b", "50 %"], [[r"x_1 \to {y}^2 #~$", "<3>"]], numbers=[1])
    assert tables.to_latex(special).splitlines()[2:5:2] == [
        r"a \& b & 50 \% \\",
        r"x\_1 \textbackslash{}to \{y\}\textasciicircum{}2 \#\textasciitilde{}\$ & $<$3$>$ \\",
    ]


def test_square_brackets_are_no_markup(result: FitResult) -> None:
    from rich.console import Console

    console = Console(width=100)
    with console.capture() as capture:
        console.print(tables.to_terminal(tables.groups_table([({"[red]": "[b]first[/b]"}, "no [bold] :smile:")])))
    header, row = capture.get().splitlines()
    assert header.startswith("[red]")
    assert row.startswith("[b]first[/b]")
    assert "no [bold] :smile:" in row


@pytest.mark.parametrize("width", [0, 95, 96, 119, 120])
def test_a_star_stands_for_what_a_narrow_output_hides(width: int, result: FitResult) -> None:
    shown = tables.forms_table(result).at_width(width)
    titles = [column.title for column in shown.columns]
    assert ("status" in titles, "why" in titles) == (width >= 96, width >= 120)
    starred = [row.cells[0].removesuffix(" *") for row in shown.rows if row.cells[0].endswith(" *")]
    assert starred == ([] if width >= 96 else ["shifted power", "constant", "power + floor"])
    assert bool(shown.footnote) == bool(starred)
    assert all(len(row.cells) == len(titles) for row in shown.rows)
