"""Postfix, Dovecot and OpenDKIM on the host itself, without containers."""
