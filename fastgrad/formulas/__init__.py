"""Formulas: functions of rows, made of the table's operations; users find them in functional."""
