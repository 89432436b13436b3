"""What a DFT job computes, and the engines that compute it."""
