"""Who asks, and what came of it: `run` makes records, `show` reads them, and they meet only at records and metrics."""
