# thoughtbot's random-secret module: a password for each key, and the secret in a module below.

variable "name" { type = string }

variable "description" {
  type    = string
  default = null
}

variable "tags" {
  type    = map(string)
  default = {}
}

variable "keys" {
  type = map(object({
    length  = optional(number, 32)
    special = optional(bool, false)
  }))
}

resource "random_password" "this" {
  for_each    = var.keys
  length      = each.value.length
  lower       = true
  min_lower   = 0
  min_numeric = 0
  min_special = 0
  min_upper   = 0
  numeric     = true
  special     = each.value.special
  upper       = true

  # the module's default is this boolean, which Terraform makes a text of
  override_special = false
}

module "secret" {
  source      = "../secret"
  name        = var.name
  description = var.description
  tags        = var.tags
  value       = jsonencode({ for key, password in random_password.this : key => password.result })
}
