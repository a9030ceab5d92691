"""Measures requests beside their way through the gateway: tokens, times, phases; and lists those in flight."""
