"""The function's contract with its component: environment variables, and a file in its archive.

The file says which secrets the stack declares, and when each value expires or is too old. It comes with the
code, so only who may deploy the function can change it; tags of a secret would be claims of anyone who may
tag it.
"""

DECLARED_FILE = "declared.json"
TOPIC_VARIABLE = "TOPIC_ARN"
WEBHOOK_SECRET_VARIABLE = "WEBHOOK_SECRET"  # noqa: S105  the name of a variable
WEBHOOK_KEY_VARIABLE = "WEBHOOK_KEY"
WEBHOOK_FORMAT_VARIABLE = "WEBHOOK_FORMAT"
REHEARSAL_LOG_VARIABLE = "REHEARSAL_LOG_GROUP"

SLACK = "slack"
TEAMS = "teams"
PAGERDUTY = "pagerduty"
