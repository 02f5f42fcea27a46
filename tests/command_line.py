"""Runs a command line of ours in this process."""

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

    def document(self) -> Any:  # noqa: ANN401  whatever JSON holds
        """Standard output is one JSON document; standard error says nothing."""
        assert self.err == ""
        return json.loads(self.out)


@dataclass(frozen=True)
class CommandLine:
    """Catches what `main` writes."""

    main: Callable[[Sequence[str]], int]
    monkeypatch: pytest.MonkeyPatch
    capfd: pytest.CaptureFixture[str]

    def run(self, arguments: Sequence[str], environment: Mapping[str, str]) -> Done:
        with self.monkeypatch.context() as patched:
            patched.setattr(os, "environ", dict(environment))
            code = self.main(arguments)
        return Done(code, *self.capfd.readouterr())
