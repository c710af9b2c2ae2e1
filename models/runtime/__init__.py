"""Where models run: placement, the cache that holds them, the jobs that use them."""
