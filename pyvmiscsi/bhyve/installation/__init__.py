"""How a guest gets its system: the store of ISO images, and the seed of cloud-init."""
