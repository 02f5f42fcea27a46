# Two resources a secret, its value generated and write-only.

ephemeral "aws_secretsmanager_random_password" "value" {
  count               = var.secrets
  password_length     = 32
  exclude_punctuation = true
}

resource "aws_secretsmanager_secret" "secret" {
  count                   = var.secrets
  name                    = "terraform-aws-modules/secret-${count.index}"
  description             = count.index == 0 && var.first != null ? var.first : var.description
  recovery_window_in_days = 0
}

resource "aws_secretsmanager_secret_version" "version" {
  count     = var.secrets
  secret_id = aws_secretsmanager_secret.secret[count.index].id

  secret_string_wo = jsonencode({
    SECRET_KEY_BASE = ephemeral.aws_secretsmanager_random_password.value[count.index].random_password
  })
  secret_string_wo_version = 1
}
