"""Learning from DFT: a campaign's labels, fine-tuning, the held-out check, and committees."""
