"""What runs inside the stand-in: `setup`, the start script and the change detector (standard library only)."""
