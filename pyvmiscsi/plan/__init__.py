"""Plans and the engine that executes, rewinds and previews them."""
