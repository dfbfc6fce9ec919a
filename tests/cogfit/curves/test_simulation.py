"""Simulated logs: what was asked for is what is in them, in every format."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import cogfit
from cogfit.logs.export import write_log


@pytest.mark.parametrize("form", [name for name, f in cogfit.forms().items() if f.basis is not None])
def test_without_noise_the_log_is_the_curve(form: str) -> None:
    from cogfit.curves.simulation import default_params

    record = cogfit.forms()[form]
    log = cogfit.simulate(form, n=40, sigma=0.0)
    np.testing.assert_allclose(
        log["attention_utilization"], record.evaluate(np.arange(1.0, 41.0), default_params(record))
    )


def test_noise_has_the_spread_and_correlation_asked_for() -> None:
    truth = {"c": 0.5}
    error = cogfit.simulate("constant", truth, n=20_000, sigma=0.05, rho=0.8, rng=1)["attention_utilization"] - 0.5
    assert error.std() == pytest.approx(0.05, rel=0.05)
    assert np.corrcoef(error[1:], error[:-1])[0, 1] == pytest.approx(0.8, abs=0.02)
    log = np.log(
        cogfit.simulate("constant", {"c": 0.2}, n=20_000, noise="lognormal", sigma=0.1, rng=1)["attention_utilization"]
    )
    assert log.std() == pytest.approx(0.1, rel=0.03)
    y = cogfit.simulate("constant", truth, n=5000, noise="binomial", trials=20, rng=1)["attention_utilization"]
    assert y.var() == pytest.approx(0.25 / 20, rel=0.08)
    np.testing.assert_allclose(np.rint(y * 20), y * 20, atol=1e-9)


def test_a_routing_log_has_the_curve_as_its_p_episodic() -> None:
    log = cogfit.simulate("power", {"A": 0.9, "gamma": 0.43}, kind="routing", n=60, patterns=400, rng=2)
    assert len(log) == 61 * 400
    assert log.groupby("pattern")["exposure"].max().eq(60).all()
    mean = log.groupby("exposure")["attended"].mean().to_numpy()[1:]
    truth = 0.9 * np.arange(1.0, 61.0) ** -0.43
    assert np.abs((mean - truth) / np.sqrt(truth * (1 - truth) / 400)).max() < 4.5


@pytest.mark.parametrize("name", ["log.csv", "log.tsv", "log.jsonl", "log.parquet", "events"])
@pytest.mark.parametrize("kind", ["utilization", "routing"])
def test_every_format_reads_back_the_same(tmp_path: Path, name: str, kind: str) -> None:
    frame = cogfit.simulate("power", n=50, kind=kind, patterns=7, rng=3)  # type: ignore[arg-type]
    path = tmp_path / name
    if (kind, name) == ("routing", "events"):
        with pytest.raises(cogfit.InputError, match="write a routing log as Parquet"):
            write_log(frame, path)
        return
    write_log(frame, path)
    log = cogfit.read_log(path)
    if kind == "utilization":
        assert log.utilization is not None
        back = log.utilization.frame
        rel = 1e-6 if name == "events" else 1e-12  # TensorBoard stores single precision
        np.testing.assert_allclose(back["attention_utilization"], frame["attention_utilization"], rtol=rel)
        np.testing.assert_array_equal(back["step"], frame["step"])
    else:
        assert log.routing is not None
        back = log.routing.frame
        np.testing.assert_array_equal(back["exposure"], frame["exposure"])
        np.testing.assert_array_equal(back["attended"], frame["attended"])
        np.testing.assert_allclose(back["p_episodic"], frame["p_episodic"], rtol=1e-12)
        names = np.array(log.routing.pattern_names)[back["pattern"]]
        np.testing.assert_array_equal(names.astype(int), frame["pattern"])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"noise": "poison"}, "choose from|did you mean"),
        ({"n": 1}, "`n` must be at least 2"),
        ({"rho": 1.0}, "`rho` must lie"),
        ({"sigma": -1.0}, "`sigma` must be"),
        ({"params": {"A": 3.0}}, "the curve itself leaves"),
        ({"params": {"g": 3.0}}, "no parameter 'g'"),
        ({"sigma": 2.0}, "lower sigma"),
        ({"kind": "both"}, "unknown kind"),
        ({"form": "powr"}, "did you mean 'power'"),
    ],
)
def test_what_cannot_be_simulated_is_refused(options: dict[str, object], message: str) -> None:
    with pytest.raises(cogfit.InputError, match=message):
        cogfit.simulate(**{"form": "power", **options})  # type: ignore[arg-type]


def test_unknown_formats_are_refused(tmp_path: Path) -> None:
    frame = cogfit.simulate(n=5)
    with pytest.raises(cogfit.InputError, match="cannot be told from '.xlsx'"):
        write_log(frame, tmp_path / "log.xlsx")
    with pytest.raises(cogfit.InputError, match="unknown format"):
        write_log(frame, tmp_path / "log.csv", "excel")
    with pytest.raises(cogfit.InputError, match="create the folder first"):
        write_log(frame, tmp_path / "missing" / "log.csv")
