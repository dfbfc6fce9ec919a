"""Simulations that tell what a log can show, and how much more would decide."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from cogfit.inference.rates import Audit, Rates
from cogfit.planning.records import Design, Need
from cogfit.planning.search import RisingRate, Trial
from cogfit.planning.simulation import Simulator, Task
from cogfit.planning.situation import Law, Situation
from cogfit.progress import Progress

MOST_TIMES = 100.0
"""How many times as much is tried at most."""

FEW, MANY = 50, 200
"""Curves of an audit for each law: so many at first, and so many where they leave the answer open."""

_BATCHES = 4  # in which the curves are simulated that look for a factor
_MISSES = 0.06  # by which the rate may miss the goal and still be taken for it: 100 curves leave as much open


@dataclass
class Campaign:
    """Simulations of one log.

    Attributes
    ----------
    simulator : Simulator
    situation : Situation
    power_law : Law
    rival : Law or None
    seed : int
    progress : Progress or None
        Called with the curves judged, and those that are planned.
    until : float
        Time (:func:`time.monotonic`) after which no further batch begins.
    is_interrupted : bool
        Whether there was a Ctrl-C: what had been done is kept.
    """

    simulator: Simulator
    situation: Situation
    power_law: Law
    rival: Law | None
    seed: int
    progress: Progress | None = None
    until: float = math.inf
    is_interrupted: bool = False
    _done: int = field(default=0, init=False)
    _planned: int = field(default=0, init=False)

    @property
    def is_over(self) -> bool:
        """Whether no further batch may begin."""
        return self.is_interrupted or time.monotonic() > self.until

    def audit(self) -> Audit:
        """Try the verdict on both laws.

        On :data:`FEW` curves of each, and on :data:`MANY` where these leave open under which law a power law is
        supported more often.
        """
        first = self.try_laws(FEW)
        rival = first.rival
        if rival is None or not first.is_complete or first.power_law.limits()[0] > rival.limits()[1]:
            return first
        return self.try_laws(MANY, first)

    def try_laws(self, curves: int, known: Audit | None = None) -> Audit:
        """Judge curves of both laws.

        Parameters
        ----------
        curves : int
            For each of them.
        known : Audit, optional
            What the first of these curves gave.
        """
        laws = [law for law in (self.power_law, self.rival) if law is not None]
        before = [] if known is None else [known.power_law, *([known.rival] if known.rival is not None else [])]
        self._planned += sum(curves - rates.curves for rates in before) or curves * len(laws)
        found = []
        for number, law in enumerate(laws):
            done = before[number].verdicts if before else []
            task = Task(self.situation, law, (self.seed, number))
            verdicts = [*done, *self._judge(task, len(done), curves)]
            found.append(Rates.of_verdicts(law.form.name, law.form.title, law.params, verdicts))
        own, rival = found[0], found[1] if len(found) > 1 else None
        return Audit(own, rival, all(rates.curves == curves for rates in found))

    def _judge(self, task: Task, begin: int, end: int) -> list[str]:
        """Verdicts on curves of some numbers, fewer where it is interrupted."""
        out: list[str] = []
        if self.is_over:
            return out
        try:
            out.extend(self.simulator.verdicts(task, range(begin, end), self._report))
        except KeyboardInterrupt:
            self.is_interrupted = True
        return out

    def _report(self, curves: int) -> None:
        self._done += curves
        if self.progress is not None:
            self.progress(min(self._done, self._planned), self._planned, "curves judged")

    def plan(self, curves: int, goal: float, setting: Mapping[str, Any]) -> Design:
        """Find what the log can show, and what would decide.

        Parameters
        ----------
        curves : int
            For each law, and for each thing there could be more of.
        goal : float
            Share of "supported" to reach.
        setting : mapping of str
            What the log is, for the record.
        """
        levers = self.situation.levers
        self._planned = curves * len(levers)
        audit = self.try_laws(curves)
        own = audit.power_law
        wanted = levers if own.curves and own.share() < goal - _MISSES else ()
        found = (self._find_need(lever, own, curves, goal) for lever in wanted)
        needs = [need for need in found if need is not None]
        is_complete = audit.is_complete and len(needs) == len(wanted)
        return Design(dict(setting), own, audit.rival, goal, tuple(needs), self.seed, is_complete, self.is_interrupted)

    def _find_need(self, lever: str, own: Rates, curves: int, goal: float) -> Need | None:
        """Find how much more of one thing would decide.

        Every batch is simulated where all batches before it put the goal. None where the time was over before the last.
        """
        rate = RisingRate(goal, [Trial(1.0, own.counts["supported"], own.curves)])
        most = min(MOST_TIMES, self.situation.most_times(lever))
        batch = max(1, curves // _BATCHES)
        for number in range(_BATCHES):
            if self.is_over:
                return None
            factor = rate.next_factor(most)
            key = (self.seed, 2 + self.situation.levers.index(lever), number)
            verdicts = self._judge(Task(self.situation.grown(lever, factor), self.power_law, key), 0, batch)
            if len(verdicts) < batch:
                return None
            rate.trials.append(Trial(factor, verdicts.count("supported"), batch))
        return self._describe(lever, rate, most)

    def _describe(self, lever: str, rate: RisingRate, most: float) -> Need:
        """What the simulations say of one thing."""
        name = self.situation.scatter.unit if lever == "repetitions" else lever
        trials = tuple(
            {
                "factor": trial.factor,
                "amount": self._amount(lever, trial.factor),
                "supported": float(trial.hits),
                "curves": float(trial.curves),
            }
            for trial in rate.trials
        )
        factor, low, high = (max(value, 1.0) for value in (rate.factor(), *rate.limits()))
        if factor > most:
            return Need(name, math.inf, min(low, most), math.inf, math.inf, trials)
        return Need(name, factor, low, high if high <= most else math.inf, self._amount(lever, factor), trials)

    def _amount(self, lever: str, factor: float) -> float:
        """Points, largest x, or number of repetitions."""
        if lever == "repetitions":
            return float(math.ceil(self.situation.scatter.repetitions * factor - 1e-9))
        grown = self.situation.grown(lever, factor)
        return float(grown.template.x.size if lever == "points" else grown.template.x[-1])
