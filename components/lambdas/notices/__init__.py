"""The Lambda function that sends a message while secrets need attention."""
