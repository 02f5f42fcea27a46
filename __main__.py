"""Entry point of the Pulumi program."""

import sys

import pulumi

import program
import settings

# Tells the language host that the operator has been told what is wrong.
EXIT_AFTER_MESSAGE = 32

try:
    checked = settings.load()
except settings.SettingsError as mistakes:
    pulumi.log.error(str(mistakes))
    sys.exit(EXIT_AFTER_MESSAGE)
program.declare(checked)
