"""`sparkctl client`: configurations of client programs, printed or merged into their files."""
