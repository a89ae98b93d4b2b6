"""Tables: ``data=csv`` and ``data=parquet``, and how columns become inputs and labels."""
