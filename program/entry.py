"""The program's only entry, for a checkout's `__main__.py` and for a service's inline program."""

import pulumi

from components.visible import visible_lines
from program import deploy
from program.runtime_tuning import no_stack_traces, tune
from stack_file import SettingsError, loading
from stack_file.mistakes_file import report_mistakes


def run() -> None:
    """Declare the stack, with the process tuned for thousands of resources.

    Raises:
        pulumi.RunError: with a message for the operator that is safe to print; Pulumi prints it without a
            traceback.
    """
    tune()
    try:
        settings = loading.load()
        with no_stack_traces():
            deploy.declare(settings)
    except (pulumi.RunError, SettingsError) as error:
        if isinstance(error, SettingsError):
            report_mistakes(error.mistakes)
        raise pulumi.RunError(visible_lines(str(error))) from None
