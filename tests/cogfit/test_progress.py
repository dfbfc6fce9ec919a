"""Progress of stages as that of the whole."""

from __future__ import annotations

from cogfit.progress import Stages


def test_stages_that_follow_each_other_report_a_whole_that_never_falls_and_ends_at_its_size() -> None:
    reports: list[tuple[int, int, str]] = []
    stages, ended = Stages(lambda *report: reports.append(report), 60), 0
    for size in (10, 20, 30):
        stage = stages.after(ended)
        for done in range(0, size + 1, 5):
            stage(done, size, f"of {size}")
        ended += size
    values = [done for done, _, _ in reports]
    assert values == sorted(values)
    assert (values[0], values[-1]) == (0, 60)
    assert {total for _, total, _ in reports} == {60}
    assert (35, 60, "of 30") in reports  # 10 + 20 have ended, and 5 of the third stage


def test_a_stage_that_overruns_never_reports_more_than_the_whole() -> None:
    reports: list[int] = []
    Stages(lambda done, total, what: reports.append(done), 10).after(8)(5, 5, "")
    assert reports == [10]


def test_nobody_has_to_listen() -> None:
    Stages(None, 10).after(3)(1, 2, "quiet")
