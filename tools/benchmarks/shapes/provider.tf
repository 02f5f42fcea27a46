# The emulator's address, region and credentials come from the environment, as the program's do.

terraform {
  required_providers {
    aws = { source = "hashicorp/aws" }
  }
}

provider "aws" {
  skip_credentials_validation = true
  skip_metadata_api_check     = true
}

variable "secrets" {
  type = number
}

variable "description" {
  type = string
}

# The description of the first secret, where it differs: the change that is measured.
variable "first" {
  type    = string
  default = null
}
