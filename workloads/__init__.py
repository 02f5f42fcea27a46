"""What each platform needs to bring secrets to a workload: plain data from plain data, and no value in it."""
