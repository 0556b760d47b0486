"""The eager engine: Values, sweeps, copies."""
