"""Tapes as C: a program as statements, statements as text, text as compiled code."""
