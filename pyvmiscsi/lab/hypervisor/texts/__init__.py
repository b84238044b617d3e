"""What the stand-ins print: pure functions from what the kernel knows to text."""
