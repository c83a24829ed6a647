"""Runbook notebooks for self-hosted mail, and the small library they stand on."""
