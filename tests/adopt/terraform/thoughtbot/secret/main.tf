# The resources, addresses and arguments that thoughtbot's secret module 0.9 gives a secret.

variable "name" { type = string }

variable "value" { type = string }

variable "description" {
  type    = string
  default = null
}

variable "tags" {
  type    = map(string)
  default = {}
}

data "aws_caller_identity" "this" {}

data "aws_region" "this" {}

locals {
  account = "arn:aws:iam::${data.aws_caller_identity.this.account_id}:root"
  read    = ["secretsmanager:DescribeSecret", "secretsmanager:GetSecretValue"]
  crypt   = ["kms:Encrypt", "kms:Decrypt", "kms:ReEncrypt*", "kms:GenerateDataKey*"]
}

data "aws_iam_policy_document" "key" {
  statement {
    sid         = "AllowAdmin"
    not_actions = local.crypt
    resources   = ["*"]

    principals {
      type        = "AWS"
      identifiers = [local.account]
    }
  }

  statement {
    sid       = "AllowRead"
    actions   = local.crypt
    resources = ["*"]

    principals {
      type        = "AWS"
      identifiers = [local.account]
    }

    condition {
      test     = "StringEquals"
      variable = "kms:ViaService"
      values   = ["secretsmanager.${data.aws_region.this.name}.amazonaws.com"]
    }
  }
}

resource "aws_kms_key" "this" {
  description         = var.name
  enable_key_rotation = true
  policy              = data.aws_iam_policy_document.key.json
  tags                = var.tags
}

resource "aws_kms_alias" "this" {
  name          = "alias/${var.name}"
  target_key_id = aws_kms_key.this.arn
}

resource "aws_secretsmanager_secret" "this" {
  name        = var.name
  description = var.description
  kms_key_id  = aws_kms_key.this.arn
  tags        = var.tags
}

data "aws_iam_policy_document" "secret" {
  statement {
    sid         = "AllowAdmin"
    not_actions = local.read
    resources   = ["*"]

    principals {
      type        = "AWS"
      identifiers = [local.account]
    }
  }

  statement {
    sid       = "AllowRead"
    actions   = local.read
    resources = ["*"]

    principals {
      type        = "AWS"
      identifiers = [local.account]
    }
  }
}

resource "aws_secretsmanager_secret_policy" "this" {
  secret_arn = aws_secretsmanager_secret.this.arn
  policy     = data.aws_iam_policy_document.secret.json
}

resource "aws_secretsmanager_secret_version" "initial" {
  secret_id     = aws_secretsmanager_secret.this.id
  secret_string = var.value

  lifecycle {
    ignore_changes = [secret_string]
  }
}
