"""The feature store ``local``: views over Parquet files, joined by Polars, and SQLite for what is online."""
