"""Real servers of the engines next to PostgreSQL: MariaDB, MySQL, Redis and Valkey."""
