"""BLAS has one thread during a fit, and its own number after."""

import os
import threading
import time

import numpy as np
import pytest

import cogfit
from cogfit.native import blas
from cogfit.native.blas import single_threaded

SETTING = blas._setting()


def threads() -> int:
    assert SETTING is not None
    return SETTING[0]()


@pytest.fixture(autouse=True)
def _three_threads():
    if SETTING is None:
        pytest.skip("this BLAS has no setting of its threads")
    before = threads()
    SETTING[1](3)
    yield
    SETTING[1](before)


def test_one_thread_inside_and_what_was_found_outside():
    with single_threaded():
        assert threads() == 1
        with single_threaded():
            assert threads() == 1
        assert threads() == 1
    assert threads() == 3


def test_it_is_restored_after_an_error():
    with pytest.raises(ZeroDivisionError), single_threaded():
        1 / 0  # noqa: B018
    assert threads() == 3


def test_of_overlapping_fits_the_last_restores():
    inside, leave = threading.Event(), threading.Event()

    def overlap() -> None:
        with single_threaded():
            inside.set()
            leave.wait(10)

    other = threading.Thread(target=overlap)
    with single_threaded():
        other.start()
        assert inside.wait(10)
    assert threads() == 1  # the other still runs
    leave.set()
    other.join()
    assert threads() == 3


def test_fits_run_with_one_thread():
    seen = []
    x = np.arange(1.0, 40.0)
    y = x**-0.5 + np.random.default_rng(0).normal(0, 0.01, x.size)
    cogfit.fit(x, y, form="power", progress=lambda *_: seen.append(threads()))
    cogfit.fit_many(x, y[None], progress=lambda *_: seen.append(threads()))
    assert seen
    assert all(found == 1 for found in seen)
    assert threads() == 3


def test_it_costs_less_than_a_millisecond():
    with single_threaded():
        pass
    begin = time.process_time()
    for _ in range(100):
        with single_threaded():
            pass
    assert time.process_time() - begin < 0.1


def test_the_threads_of_numpys_own_wheels_are_found():
    """They are the BLAS of all whom `pip install` gave NumPy."""
    if np.show_config(mode="dicts")["Build Dependencies"]["blas"]["name"] != "scipy-openblas":
        pytest.skip("NumPy has another BLAS")
    assert SETTING is not None
    assert SETTING[0].__name__ == "scipy_openblas_get_num_threads64_"


@pytest.mark.skipif(not hasattr(os, "fork"), reason="nothing is forked here")
@pytest.mark.filterwarnings("ignore:.*multi-threaded, use of fork:DeprecationWarning")
def test_a_forked_process_can_fit():
    """A fork while another thread sets the number of threads finds no lock taken for ever."""
    taken = threading.Event()

    def hold() -> None:
        with blas._lock:
            taken.set()
            time.sleep(0.2)

    other = threading.Thread(target=hold)
    other.start()
    assert taken.wait(10)
    pid = os.fork()
    if pid == 0:
        os._exit(int(blas._lock.locked()))
    other.join()
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
