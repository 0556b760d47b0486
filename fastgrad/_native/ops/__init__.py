"""Generated from the table of operations."""
