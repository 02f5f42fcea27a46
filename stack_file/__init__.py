"""The stack file: its models, checks and errors, without an engine and without AWS.

`load`, in `stack_file.loading`, is the one function that reads the configuration from the engine.
"""

from stack_file.checking import Checked, Configuration, check
from stack_file.documents import parsed
from stack_file.mistakes import Mistake, SettingsError
from stack_file.secrets import Secret
from stack_file.top_level import StackFile

__all__ = [
    "Checked",
    "Configuration",
    "Mistake",
    "Secret",
    "SettingsError",
    "StackFile",
    "check",
    "parsed",
]
