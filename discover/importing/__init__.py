"""Known values brought into a campaign: read, converted, checked row by row, kept with their source."""
