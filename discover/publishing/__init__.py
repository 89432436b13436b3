"""A campaign as a data set that can be published, and back."""
