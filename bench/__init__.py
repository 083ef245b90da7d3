"""How fast it is and what it costs, beside floors measured in the same run (docs/performance.md)."""
