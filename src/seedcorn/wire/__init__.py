"""Documents people write and read, to and from domain values, versioned."""
