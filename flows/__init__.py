"""The Prefect shell around the loop."""
