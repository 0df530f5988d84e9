"""Protocol faults: mail hosts and partners that misbehave, through whole nights, and the truth that they keep."""
