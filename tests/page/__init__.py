"""The owner's page in a real browser."""
