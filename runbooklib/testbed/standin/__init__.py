"""A mail server image that keeps docker-mailserver 15.1.0's documented contract where the real one cannot be had."""
