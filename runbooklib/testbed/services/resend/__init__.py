"""Resend as the testbed has it."""
