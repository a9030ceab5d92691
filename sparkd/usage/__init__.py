"""What happened: finished requests, changes of models' states and measurements, kept in an SQLite file."""
