"""MXRoute as the testbed has it."""
