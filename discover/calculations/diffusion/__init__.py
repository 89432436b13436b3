"""The parts of the kind `transport`: cells, resumable dynamics, and what follows from trajectories."""
