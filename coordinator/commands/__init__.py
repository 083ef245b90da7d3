"""Commands that come with Task Monitor."""
