"""ElastiCache and MemoryDB in front of real Redis or Valkey servers, with AWS's states and delays."""
