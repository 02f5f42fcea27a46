"""Run a command of this project in this process."""

import json
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pytest


@dataclass(frozen=True)
class Done:
    code: int
    out: str
    err: str

    def document(self) -> Any:
        """Return standard output as one JSON document; standard error is empty."""
        assert self.err == ""
        return json.loads(self.out)


@dataclass(frozen=True)
class CommandLine:
    """Capture the output of `main`."""

    main: Callable[[Sequence[str]], int]
    monkeypatch: pytest.MonkeyPatch
    capfd: pytest.CaptureFixture[str]

    def run(self, arguments: Sequence[str], environment: Mapping[str, str]) -> Done:
        with self.monkeypatch.context() as patched:
            patched.setattr(os, "environ", dict(environment))
            self.capfd.readouterr()  # such as gRPC's warning about a fork of the test
            code = self.main(arguments)
        return Done(code, *self.capfd.readouterr())
