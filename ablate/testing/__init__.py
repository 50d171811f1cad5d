"""Contract suites that entries from outside run as well."""
