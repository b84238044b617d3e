"""What kind of image it is, by its head and its foot, and what its header says. Pure."""
