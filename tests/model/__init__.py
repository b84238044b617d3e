"""Long random lives of many guests, with bad luck, against a small model of what must be so after each step."""
