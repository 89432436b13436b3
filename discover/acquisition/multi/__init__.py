"""What to compute next where several properties matter at once."""
