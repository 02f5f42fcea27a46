"""A headless Chromium, driven by the DevTools protocol over a pipe: no driver, no package."""

import base64
import contextlib
import itertools
import json
import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tools.localcloud.files import exclusive

_PROGRAMS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
_MAC = "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome"


def find_or_install() -> str | None:
    """Return the path of a Chromium: CHROMIUM, one on this machine, or (as root) Debian's package."""
    named = os.environ.get("CHROMIUM")
    if named:
        return named
    found = _found()
    if found is None and os.geteuid() == 0 and shutil.which("apt-get"):
        with exclusive(Path(tempfile.gettempdir(), "install-chromium.lock"), lambda: None):
            found = _found() or _installed()
    return found


def _found() -> str | None:
    candidates = [*(shutil.which(program) for program in _PROGRAMS), _MAC]
    return next((path for path in candidates if path and _starts(path)), None)


def _starts(path: str) -> bool:
    """Return whether the program runs: Ubuntu's package is a script that only refers to the snap."""
    try:
        done = subprocess.run([path, "--version"], capture_output=True, check=False, timeout=30)
    except OSError:
        return False
    return done.returncode == 0


def _installed() -> str | None:
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    for arguments in (["update"], ["install", "--yes", "--no-install-recommends", "chromium"]):
        done = subprocess.run(
            ["apt-get", "-qq", "-o", "DPkg::Lock::Timeout=300", *arguments],
            capture_output=True,
            check=False,
            env=environment,
            start_new_session=True,
        )
        if done.returncode != 0:
            return None
    return _found()


class Browser:
    """One tab."""

    def __init__(self, to: int, answers: int) -> None:
        self._to, self._answers, self._numbers = to, answers, itertools.count(1)
        self._read, self._session = b"", ""
        self.events: list[dict[str, Any]] = []
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        self._session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Network", "Log", "Runtime"):
            self.call(f"{domain}.enable")

    def call(self, method: str, **parameters: Any) -> dict[str, Any]:
        """Run a command of the protocol and return its result; events go to `events`."""
        number = next(self._numbers)
        message = {"id": number, "method": method, "params": parameters}
        if self._session:
            message["sessionId"] = self._session
        os.write(self._to, json.dumps(message).encode() + b"\0")
        while (found := self._next()).get("id") != number:
            self.events.append(found)
        assert "error" not in found, found
        result: dict[str, Any] = found["result"]
        return result

    def _next(self) -> dict[str, Any]:
        while b"\0" not in self._read:
            more = os.read(self._answers, 1 << 20)
            assert more, "the browser ended"
            self._read += more
        message, _, self._read = self._read.partition(b"\0")
        found: dict[str, Any] = json.loads(message)
        return found

    def open(self, page: Path, *, width: int = 1200, scheme: str = "light", script: bool = True) -> None:
        """Open a page and wait until it has loaded."""
        self.events.clear()
        self.call(
            "Emulation.setDeviceMetricsOverride", width=width, height=900, deviceScaleFactor=1, mobile=False
        )
        self.call("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])
        self.call("Emulation.setScriptExecutionDisabled", value=not script)
        self.call("Page.navigate", url=page.as_uri())
        while not any(event.get("method") == "Page.loadEventFired" for event in self.events):
            self.events.append(self._next())

    def value(self, expression: str) -> Any:
        """Return the value of a JavaScript expression in the page."""
        found = self.call("Runtime.evaluate", expression=expression, returnByValue=True)
        assert "exceptionDetails" not in found, found
        return found["result"].get("value")

    def screenshot(self) -> bytes:
        """Return the whole page as PNG."""
        found = self.call("Page.captureScreenshot", format="png", captureBeyondViewport=True)
        return base64.b64decode(found["data"])

    def named(self, method: str) -> list[dict[str, Any]]:
        """Return the parameters of all events with this name since the page was opened."""
        return [event["params"] for event in self.events if event.get("method") == method]


@contextlib.contextmanager
def browser(program: str) -> Iterator[Browser]:
    """Start a browser with a profile of its own; end all its processes afterwards."""
    commands, to = os.pipe()
    answers, results = os.pipe()

    def wire() -> None:
        # Chromium reads commands from descriptor 3 and answers on 4
        kept_commands, kept_results = os.dup(commands), os.dup(results)
        os.dup2(kept_commands, 3)
        os.dup2(kept_results, 4)

    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        process = subprocess.Popen(
            [
                program,
                "--headless=new",
                "--remote-debugging-pipe",
                "--no-sandbox",  # as root it has none; it opens the tests' own pages only
                "--disable-gpu",
                "--disable-dev-shm-usage",
                "--hide-scrollbars",
                f"--user-data-dir={profile}",
            ],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            preexec_fn=wire,  # noqa: PLW1509  no other thread forks here
            close_fds=False,
            start_new_session=True,
        )
        os.close(commands)
        os.close(results)
        try:
            yield Browser(to, answers)
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            os.close(to)
            os.close(answers)
