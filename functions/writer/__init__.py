"""The Lambda function that writes a secret's keys inside the account."""
