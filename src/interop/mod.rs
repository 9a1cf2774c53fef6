//! Formats of other tools: NPY arrays, edge lists and coordinate tables.
