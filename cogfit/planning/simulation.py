"""Verdicts on simulated curves, in as many processes as wanted."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from dataclasses import dataclass, field
from multiprocessing import get_context
from types import TracebackType
from typing import Any, Self

import numpy as np

from cogfit.curves.curve import Curve
from cogfit.errors import InputError
from cogfit.planning.situation import Law, Situation

Judge = Callable[[Curve, np.random.Generator], str]
"""Rules on a curve: ``judge(curve, rng)`` returns the name of a verdict. A function of a module, for processes."""

Report = Callable[[int], None]
"""Called with the number of curves judged since the last call."""

_MOST_WORKERS = 1_024
_CURVES = 2  # that a process judges before it reports


@dataclass(frozen=True)
class Task:
    """Curves of one law in one situation.

    Attributes
    ----------
    situation : Situation
    law : Law
    key : tuple of int
        Of the random numbers: a curve depends on it and on its own number, and on nothing else.
    """

    situation: Situation
    law: Law
    key: tuple[int, ...]

    def verdicts(self, numbers: Sequence[int], judge: Judge) -> list[str]:
        """Draw and judge the curves of given numbers."""
        out = []
        for number in numbers:
            rng = np.random.default_rng([*self.key, number])
            out.append(judge(self.situation.draw(self.law, rng), rng))
        return out


@dataclass
class Simulator:
    """Judges curves here or in other processes.

    The verdicts do not depend on how many there are.

    Attributes
    ----------
    judge : callable
    workers : int
        Processes; 1 judges here.
    """

    judge: Judge
    workers: int = 1
    _pool: ProcessPoolExecutor | None = field(default=None, init=False, repr=False)

    def __enter__(self) -> Self:
        if self.workers > 1:
            context = get_context("spawn")  # a forked process would share locks of the engine's threads
            number = context.Value("i", 0)
            self._pool = ProcessPoolExecutor(
                self.workers, mp_context=context, initializer=_begin_worker, initargs=(number,)
            )
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._pool is not None:
            self._pool.shutdown(wait=kind is None, cancel_futures=True)

    def verdicts(self, task: Task, numbers: Sequence[int], report: Report) -> Iterator[str]:
        """Judge curves, and yield what is known so far.

        Yields
        ------
        str
            Verdicts in the order of the numbers. Those after an interruption are missing.
        """
        parts = [numbers[at : at + _CURVES] for at in range(0, len(numbers), _CURVES)]
        if self._pool is None:
            for number in numbers:
                yield from task.verdicts([number], self.judge)
                report(1)
            return
        jobs = {self._pool.submit(task.verdicts, part, self.judge): at for at, part in enumerate(parts)}
        yield from _in_order(jobs, report)


def _in_order(jobs: dict[Future[list[str]], int], report: Report) -> Iterator[str]:
    """Results of jobs in their order, each as soon as those before it are there."""
    waiting, ready, following = set(jobs), dict[int, list[str]](), 0
    while waiting:
        done, waiting = wait(waiting, timeout=0.2, return_when=FIRST_COMPLETED)
        for job in done:
            ready[jobs[job]] = job.result()
            report(len(ready[jobs[job]]))
        if not done:
            report(0)  # who watches may interrupt
        while following in ready:
            yield from ready.pop(following)
            following += 1


def _begin_worker(number: Any) -> None:
    """Give a process one core of its own, and leave Ctrl-C to the process that started it.

    There are as many processes as cores: threads of the engine would only wait for each other.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if hasattr(os, "sched_setaffinity"):
        cores = sorted(os.sched_getaffinity(0))
        with number.get_lock():
            own, number.value = number.value, number.value + 1
        os.sched_setaffinity(0, {cores[own % len(cores)]})


def checked_workers(workers: int | None) -> int:
    """Number of processes.

    By default one for each processor that this process may use.
    """
    if workers is None:
        return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    if not 1 <= workers <= _MOST_WORKERS:
        raise InputError(f"`workers` must lie between 1 and {_MOST_WORKERS:,}, not {workers}")
    return workers
