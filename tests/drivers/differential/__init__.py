"""Random statements that must answer as DuckDB does."""
