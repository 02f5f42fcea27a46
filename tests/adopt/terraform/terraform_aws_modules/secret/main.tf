# The resources, addresses and arguments that terraform-aws-modules' module gives a secret; it has a version of
# its own for rotation, because lifecycle arguments take no variables.

variable "name" { type = string }

variable "description" {
  type    = string
  default = null
}

variable "tags" {
  type    = map(string)
  default = {}
}

variable "recovery_window_in_days" {
  type    = number
  default = null
}

variable "secret_string" {
  type    = string
  default = null
}

# Generates the value, which no state then has.
variable "generated" {
  type    = bool
  default = false
}

# Rotates the secret if it is given.
variable "function" {
  type    = string
  default = null
}

data "aws_caller_identity" "current" {}

ephemeral "random_password" "this" {
  count            = var.generated ? 1 : 0
  length           = 32
  special          = true
  override_special = "!@#$%&*()-_=+[]{}<>:?"
}

locals {
  written = var.generated ? ephemeral.random_password.this[0].result : null
  version = var.generated ? 0 : null
}

resource "aws_secretsmanager_secret" "this" {
  count                          = 1
  name                           = var.name
  description                    = var.description
  force_overwrite_replica_secret = null
  kms_key_id                     = null
  recovery_window_in_days        = var.recovery_window_in_days
  tags                           = var.tags
}

data "aws_iam_policy_document" "this" {
  count = 1

  statement {
    sid       = "read"
    actions   = ["secretsmanager:GetSecretValue"]
    resources = ["*"]

    principals {
      type        = "AWS"
      identifiers = ["arn:aws:iam::${data.aws_caller_identity.current.account_id}:root"]
    }
  }
}

resource "aws_secretsmanager_secret_policy" "this" {
  count               = 1
  secret_arn          = aws_secretsmanager_secret.this[0].arn
  block_public_policy = true
  policy              = data.aws_iam_policy_document.this[0].json
}

resource "aws_secretsmanager_secret_version" "this" {
  count                    = var.function == null ? 1 : 0
  secret_id                = aws_secretsmanager_secret.this[0].id
  secret_string            = var.secret_string
  secret_string_wo         = local.written
  secret_string_wo_version = local.version
}

resource "aws_secretsmanager_secret_version" "ignore_changes" {
  count                    = var.function == null ? 0 : 1
  secret_id                = aws_secretsmanager_secret.this[0].id
  secret_string            = var.secret_string
  secret_string_wo         = local.written
  secret_string_wo_version = local.version

  lifecycle {
    ignore_changes = [secret_string, secret_binary, version_stages]
  }
}

resource "aws_secretsmanager_secret_rotation" "this" {
  count               = var.function == null ? 0 : 1
  secret_id           = aws_secretsmanager_secret.this[0].id
  rotation_lambda_arn = var.function
  rotate_immediately  = true

  rotation_rules {
    duration            = "3h"
    schedule_expression = "rate(10 days)"
  }
}
