"""SQLite files: opened, checked, and kept aside if they are damaged."""
