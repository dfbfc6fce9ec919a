"""A browser for the tests of pages, where there is one."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest


class Browser:
    """Headless Chromium, spoken to over two pipes (Chrome DevTools protocol)."""

    def __init__(self, program: str, profile: Path) -> None:
        read_here, write_there = os.pipe()
        read_there, write_here = os.pipe()

        def connect() -> None:  # the browser reads commands from 3 and answers on 4
            ends = os.dup(read_there), os.dup(write_there)
            for number, end in zip((3, 4), ends, strict=True):
                os.dup2(end, number)

        options = ["--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--remote-debugging-pipe"]
        self._process = subprocess.Popen(
            [program, *options, f"--user-data-dir={profile}"], preexec_fn=connect, close_fds=False,
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        os.close(read_there)
        os.close(write_there)
        self._out, self._in = os.fdopen(write_here, "wb"), os.fdopen(read_here, "rb")
        self._number, self._rest, self.events = 0, b"", list[dict]()
        target = self.ask("Target.createTarget", {"url": "about:blank"})["targetId"]
        self._session = self.ask("Target.attachToTarget", {"targetId": target, "flatten": True})["sessionId"]
        for name in ("Page", "Network", "Log", "Runtime"):
            self.ask(f"{name}.enable")

    _session = ""

    def ask(self, method: str, params: dict | None = None) -> dict:
        """Send a command and wait for its answer; events on the way are kept."""
        self._number += 1
        message = {"id": self._number, "method": method, "params": params or {}}
        self._out.write(json.dumps(message | ({"sessionId": self._session} if self._session else {})).encode() + b"\0")
        self._out.flush()
        while (answer := self._read()).get("id") != self._number:
            self.events.append(answer)
        assert "error" not in answer, answer
        return answer["result"]

    def open(self, path: Path, width: int) -> None:
        """Show a file in a window of some width, and wait until it stands."""
        metrics = {"width": width, "height": 800, "deviceScaleFactor": 1, "mobile": width < 500}
        self.ask("Emulation.setDeviceMetricsOverride", metrics)
        self.events.clear()
        self.ask("Page.navigate", {"url": path.as_uri()})
        self.wait_for("Page.loadEventFired")

    def value(self, expression: str) -> Any:
        """Value of an expression in the page."""
        answer = self.ask("Runtime.evaluate", {"expression": expression, "returnByValue": True})
        assert "exceptionDetails" not in answer, answer
        return answer["result"].get("value")

    def loaded(self) -> list[str]:
        """Addresses that the page asked for; pictures within it are none."""
        sent = [e["params"]["request"]["url"] for e in self.events if e["method"] == "Network.requestWillBeSent"]
        return [url for url in sent if not url.startswith("data:image/png")]

    def complaints(self) -> list[dict]:
        """Errors of scripts, and what the browser refused."""
        return [e for e in self.events if e["method"] in ("Runtime.exceptionThrown", "Log.entryAdded")]

    def wait_for(self, event: str) -> None:
        while not any(one.get("method") == event for one in self.events):
            self.events.append(self._read())

    def _read(self) -> dict:
        while b"\0" not in self._rest:
            part = os.read(self._in.fileno(), 1 << 16)
            assert part, "the browser went away"
            self._rest += part
        message, self._rest = self._rest.split(b"\0", 1)
        return json.loads(message)

    def close(self) -> None:
        self._process.terminate()
        self._process.wait(timeout=20)
        self._out.close()
        self._in.close()


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    found = filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome", "chrome")))
    program = next(found, None)
    if program is None:
        pytest.skip("no Chromium here")
    made = Browser(program, tmp_path_factory.mktemp("profile"))
    yield made
    made.close()
