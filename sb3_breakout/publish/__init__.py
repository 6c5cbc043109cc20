"""Publishing trained agents: strip, evaluate, describe and upload them."""
