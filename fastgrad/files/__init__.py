"""Files: safetensors, and tapes in them."""
