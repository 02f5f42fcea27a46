# One secret with two generated keys.

module "app" {
  source      = "./thoughtbot/random_secret"
  name        = var.prefix
  description = "Secrets of the app"
  tags        = { team = "web" }

  keys = {
    SECRET_KEY_BASE = { length = 64 }
    SIGNING_KEY     = { length = 32, special = true }
  }
}
