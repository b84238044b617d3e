"""Every parser of what others wrote, given what nobody would write: `make fuzz`, and in short with every test run."""
