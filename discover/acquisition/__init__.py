"""What to compute next."""
