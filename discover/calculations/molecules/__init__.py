"""The parts of the kind `molecule`: geometries, redox states, the complex with a lithium ion."""
