"""The spiders: which pages are asked for, in which order, and when to stop."""
