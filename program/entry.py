"""The program's only entry, for a checkout's `__main__.py` and for a service's inline program."""

from collections.abc import Iterator
from contextlib import contextmanager

import pulumi

from components.visible import visible_lines
from program import deploy
from program.runtime_tuning import no_stack_traces, tune
from stack_file import SettingsError, loading
from stack_file.mistakes import located
from stack_file.mistakes_file import report_mistakes


@contextmanager
def in_included_files(settings: loading.Settings) -> Iterator[None]:
    """Add the included file to the paths of mistakes that only AWS's answers show."""
    try:
        yield
    except SettingsError as error:
        raise SettingsError(pulumi.get_stack(), located(error.mistakes, settings.included)) from None


def run() -> None:
    """Declare the stack, with the process tuned for thousands of resources.

    Raises:
        pulumi.RunError: with a message for the operator that is safe to print; Pulumi prints it without a
            traceback.
    """
    tune()
    try:
        settings = loading.load()
        with no_stack_traces(), in_included_files(settings):
            deploy.declare(settings)
    except (pulumi.RunError, SettingsError) as error:
        if isinstance(error, SettingsError):
            report_mistakes(error.mistakes)
        raise pulumi.RunError(visible_lines(str(error))) from None
