"""The image starter: a world of flat pictures, its captions, and the models trained on them."""
