"""Distillation: a small, fast potential taught by a large one on configurations made from nothing."""
