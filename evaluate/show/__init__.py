"""Reads records and shows them. Never torch: a table prints at once."""
