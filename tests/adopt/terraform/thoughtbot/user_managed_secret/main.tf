# thoughtbot's user-managed-secret module: keys with empty values.

variable "name" { type = string }

variable "keys" { type = list(string) }

module "secret" {
  source = "../secret"
  name   = var.name
  value  = jsonencode({ for key in var.keys : key => "" })
}
