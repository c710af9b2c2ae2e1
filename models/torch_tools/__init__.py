"""What engines on torch share: loading with clear errors, faster linear layers."""
