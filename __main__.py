"""Entry point of the Pulumi program."""

import program
import settings

program.declare(settings.load())
