"""Audits and plans: what is simulated, what is kept, and that verdicts are those of a fit."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

import cogfit
from cogfit.curves.arrays import array_curve
from cogfit.curves.curve import Curve
from cogfit.designing import LogPlan
from cogfit.errors import InputError
from cogfit.fitting import Judge, Options, judge_curve, judge_like
from cogfit.formulas.registry import get_form
from cogfit.inference.rates import VERDICTS, Audit, Rates
from cogfit.logs.model import Source
from cogfit.planning.campaign import FEW, MANY, Campaign
from cogfit.planning.records import Design, Need
from cogfit.planning.simulation import Simulator, Task
from cogfit.planning.situation import Law
from cogfit.show import page
from cogfit.show.tables import audit_table, to_plain

POWER = Law(get_form("power"), {"A": 1.0, "gamma": 0.43})
OTHER = Law(get_form("exponential"), {"A": 1.0, "r": 0.2})
SMALL = LogPlan(n=20, sd=0.05)


def by_last(curve: Curve, rng: np.random.Generator) -> str:
    """Stands for the verdict: a curve that ends high counts as a power law."""
    return "supported" if curve.y[-1] > 0.15 else "not_supported"


def undecided(curve: Curve, rng: np.random.Generator) -> str:
    return "supported" if rng.random() < 0.5 else "not_distinguishable"


def by_points(curve: Curve, rng: np.random.Generator) -> str:
    return "supported" if rng.random() < curve.x.size / 100.0 else "not_distinguishable"


def campaign(judge, progress=None, **options) -> Campaign:
    return Campaign(Simulator(judge), SMALL.situation(POWER), POWER, OTHER, 0, progress, **options)


def test_an_audit_that_is_clear_ends_early():
    audit = campaign(by_last).audit()
    assert audit.power_law.counts["supported"] == FEW
    assert audit.rival is not None
    assert audit.rival.counts["not_supported"] == FEW
    assert audit.statement == (
        f"on curves simulated with this log's errors: supported {FEW} of {FEW} when power is true, 0 of {FEW} when "
        "exponential is true"
    )
    assert audit.statement.numbers["true_curves"] == FEW


def test_an_audit_that_leaves_the_answer_open_goes_on():
    reports: list[tuple[int, int]] = []
    audit = campaign(undecided, lambda done, total, _: reports.append((done, total))).audit()
    assert audit.rival is not None
    assert audit.power_law.curves == audit.rival.curves == MANY
    assert audit.is_complete
    assert reports[-1] == (2 * MANY, 2 * MANY)
    assert all(done <= total for done, total in reports)


def test_what_goes_on_is_what_many_at_once_would_be():
    one = campaign(undecided).audit()
    assert one == campaign(undecided).try_laws(MANY)


def test_an_interruption_keeps_what_is_done():
    def interrupt(done: int, total: int, what: str) -> None:
        if done == 13:
            raise KeyboardInterrupt

    audit = campaign(undecided, interrupt).audit()
    assert not audit.is_complete
    assert audit.power_law.curves == 13
    assert audit.rival is not None
    assert audit.rival.curves == 0
    design = campaign(undecided, interrupt).plan(20, 0.8, {})
    assert design.is_interrupted
    assert not design.is_complete
    assert design.needs == ()
    assert "of 13" in str(design)


def test_no_time_is_said_to_be_none():
    design = campaign(undecided, until=0.0).plan(20, 0.8, {})
    assert not design.is_complete
    assert not design.is_interrupted
    assert design.headline() == "Nothing was simulated."


def test_a_plan_finds_how_many_points_would_do():
    log = LogPlan(n=30, sd=0.05)
    design = Campaign(Simulator(by_points), log.situation(POWER), POWER, OTHER, 3).plan(200, 0.8, log.setting())
    needs = {need.lever: need for need in design.needs}
    assert set(needs) == {"points", "range", "runs"}
    assert needs["points"].amount == pytest.approx(80.0, rel=0.15)
    assert needs["points"].low < 80.0 / 30.0 < needs["points"].high
    assert needs["range"].amount == pytest.approx(80.0, rel=0.15)  # as many points, x = 1 ... 80
    assert not needs["runs"].is_reachable  # the verdict here knows nothing of errors
    assert "not even 100 times as much" in str(needs["runs"])
    assert Design.from_json(design.to_json()) == design


def test_what_is_enough_needs_no_more():
    design = campaign(by_last).plan(40, 0.8, {})
    assert design.needs == ()
    assert "That is enough to decide." in design.headline()


@pytest.mark.long
def test_curves_do_not_depend_on_the_number_of_processes():
    task = Task(SMALL.situation(POWER), POWER, (7, 0))
    judge = judge_like(Options(np.random.default_rng(0)))
    found = []
    for workers in (1, 2):
        with Simulator(judge, workers) as simulator:
            found.append(list(simulator.verdicts(task, range(5), lambda _: None)))
    assert found[0] == found[1]
    assert len(found[0]) == 5


def curves() -> dict[str, tuple[Curve, Options]]:
    rng = np.random.default_rng(11)
    x = np.arange(1.0, 61.0)
    own = Options(np.random.default_rng(0))
    y = x**-0.43
    hits = rng.binomial(40, y) / 40.0
    groups = np.repeat(np.arange(12), 20)
    many = np.tile(x[:20], 12)
    noisy = many**-0.5 + rng.normal(0, 0.05, many.size)
    return {
        "power law": (array_curve(x, y + rng.normal(0, 0.002, 60)), own),
        "noise": (array_curve(x, 1.0 + rng.normal(0, 0.1, 60)), own),
        "counts": (array_curve(x, hits, trials=np.full(60, 40)), replace(own, discrete=True)),
        "groups": (array_curve(many, noisy, groups=groups), own),
        "constant": (array_curve(x, np.ones(60)), own),
        "four points": (array_curve(x[:4], y[:4]), own),
    }


@pytest.mark.parametrize("name", curves())
def test_the_verdict_is_that_of_a_fit(name):
    from cogfit.fitting import fit_curve

    curve, options = curves()[name]
    whole = fit_curve(curve, Source("", "arrays", curve.x.size), replace(options, rng=np.random.default_rng(1)))
    found = judge_curve(curve, replace(options, rng=np.random.default_rng(1)))
    assert found.power_law == whole.verdict.power_law
    assert whole.verdict.reasons[: len(found.reasons)] == found.reasons


def test_a_judge_can_be_sent_to_another_process():
    import pickle

    judge = judge_like(Options(np.random.default_rng(0), progress=print))
    assert isinstance(pickle.loads(pickle.dumps(judge)), Judge)


def test_rates_have_the_limits_of_a_score_test():
    from scipy.stats import binomtest

    for hits, curves_judged in ((0, 20), (3, 50), (31, 50), (200, 200)):
        verdicts = ["supported"] * hits + ["not_supported"] * (curves_judged - hits)
        rates = Rates.of_verdicts("power", "power", {}, verdicts)
        expected = binomtest(hits, curves_judged).proportion_ci(method="wilson")
        assert rates.limits() == pytest.approx((expected.low, expected.high), abs=1e-9)
        assert sorted(rates.verdicts) == sorted(verdicts)


@pytest.mark.parametrize(
    "counts", [{}, {"supported": 1}, dict.fromkeys(VERDICTS, -1), {**dict.fromkeys(VERDICTS, 1), "other": 1}]
)
def test_damaged_counts_are_refused(counts):
    document = Rates.of_verdicts("power", "power", {}, []).to_json()
    with pytest.raises(InputError):
        Rates.from_json({**document, "counts": counts})


def test_an_audit_stands_in_the_fit_and_its_document():
    x = np.arange(1.0, 13.0)
    fit = cogfit.fit(x, x**-0.5 + np.random.default_rng(0).normal(0, 0.02, 12))
    own = Rates.of_verdicts("power", "power", {"A": 1.0, "gamma": 0.5}, ["supported"] * 31 + ["not_supported"] * 19)
    rival = Rates.of_verdicts("exponential", "exponential", {"A": 1.0, "r": 0.1}, ["supported"] * 2)
    audited = replace(fit, audit=Audit(own, rival))
    again = cogfit.FitResult.from_json(audited.to_json())
    assert again.audit == audited.audit
    assert any("supported 31 of 50 when power is true, 2 of 2" in text for text in again.findings)
    assert "audit" not in fit.to_json()
    table = to_plain(audit_table(again.audit))
    assert "31 of 50 (48–74 %)" in table
    assert "exponential true" in table
    assert "How far to trust the verdict" in page._audit(again)
    assert "31 of 50" in page._audit(again)
    assert page._audit(fit) == ""


def test_an_audit_needs_a_verdict():
    x = np.arange(1.0, 13.0)
    with pytest.raises(InputError, match="audit"):
        cogfit.fit(x, x**-0.5, form="power", audit=True)
    constant = cogfit.fit(x, np.ones(12), audit=True)
    assert constant.audit is None
    assert any("no audit" in text for text in constant.warnings)


def test_needs_are_told_in_words():
    assert str(Need("points", 3.04, 2.4, 3.9, 912.0)) == "910 points in the same range (3 times; 2.4 to 3.9)"
    assert str(Need("range", 13.2, 9.0, 20.0, 3960.0)) == "x up to 4,000 (13 times; 9 to 20)"
    assert str(Need("runs", 2.2, 1.5, 3.1, 7.0)) == "7 runs (2.2 times; 1.5 to 3.1)"
