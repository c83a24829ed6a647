"""mailcow, as far as its API, its Postfix and its Dovecot show themselves to a client."""
