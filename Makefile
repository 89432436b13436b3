# The README's two commands. Both set up everything they need in .venv.

.PHONY: demo test setup

demo: setup
	.venv/bin/discover init thermal-conductivity demo --exist-ok
	.venv/bin/discover run demo

test: setup
	@deploy/setup.sh test
	.venv/bin/ruff check .
	.venv/bin/ruff format --check .
	.venv/bin/mypy
	OMP_NUM_THREADS=1 .venv/bin/pytest -n 3 --dist loadfile --no-loadscope-reorder

setup:
	@deploy/setup.sh run
