"""What past runs teach about models, and the database that keeps it."""
