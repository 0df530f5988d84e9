"""What happened, for good: tables, recording, search, and the raw bytes."""
