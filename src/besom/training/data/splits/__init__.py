"""Which examples are held out for validation, and which are set aside for the test."""
