"""The Pulumi program: `entry.run` reads the stack file and `deploy` declares what it means."""
