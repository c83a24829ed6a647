"""The servers the fidelity cases look at. The relays are stand-ins, whatever the image under test is."""

from fidelity_world import CONFIG, PASSWORD, RELAY_NAME, Profile

TLS = {"SSL_TYPE": "manual", "SSL_CERT_PATH": "/certs/mail.pem", "SSL_KEY_PATH": "/certs/mail.key"}
RELAY = f"[{RELAY_NAME}]:587"
PLAIN_RELAY = "[plain.cedar.example]:587"
LOGIN = {"RELAY_USER": "friend@cedar.example", "RELAY_PASSWORD": PASSWORD}
ALDER = ("admin@alder.example", "bob@alder.example")

REFUSALS = """\
mua_sender_restrictions = check_sender_access inline:{{unverified.example = 450 4.7.1 The domain is not verified}, \
{reject.example = 550 5.7.1 sender domain not allowed}}, permit
"""
SECURE = f"""\
smtp_tls_CAfile = /certs/ca.pem
smtp_tls_policy_maps = inline:{{ {{ {RELAY} = secure match={RELAY_NAME} }} }}
"""
PIPEMAP = (
    "virtual_alias_maps = pipemap:{texthash:/etc/postfix/vmailbox, pcre:/tmp/docker-mailserver/vmailbox-self.pcre} "
    "texthash:/etc/postfix/virtual\n"
)

PROFILES = {
    # These take longest or are judged last.
    "no-account": Profile(ready=False),
    "late-account": Profile(env=TLS, ready=False),
    "relay": Profile(("friend@cedar.example",), {"postfix-main.cf": REFUSALS}, env=TLS, hostname=RELAY_NAME),
    "plain-relay": Profile(("friend@cedar.example",), hostname="plain.cedar.example"),
    "main": Profile(
        (*ALDER, "carol@alder.example"),
        {
            "postfix-sasl-password.cf": f"{RELAY} {LOGIN['RELAY_USER']}:{PASSWORD}\n",
            "postfix-main.cf": SECURE,
            "postfix-master.cf": "submission/inet/smtpd_client_message_rate_limit=77\n",
            "dovecot.cf": "mail_max_userip_connections = 77\n",
            "user-patches.sh": "postconf -e 'smtpd_client_port_logging = yes'\n",
        },
        seeds=(("config", "dkim"),),
        env=TLS | {"DEFAULT_RELAY_HOST": RELAY},
    ),
    "plain": Profile(ALDER),
    "catch-all": Profile(
        (*ALDER, "dora@hazel.example"),
        {
            "postfix-virtual.cf": "info@alder.example admin@alder.example,bob@alder.example\n"
            "@alder.example admin@alder.example\n"
        },
        env=TLS | {"SPOOF_PROTECTION": "1"},
    ),
    "pipemap": Profile(
        ALDER,
        {
            "postfix-virtual.cf": "@alder.example admin@alder.example\nsales@alder.example bob@alder.example\n",
            "postfix-main.cf": PIPEMAP,
            "vmailbox-self.pcre": "/^([^\\/]+)\\/([^\\/]+)\\/$/  $2@$1\n",
        },
        env=TLS,
    ),
    "srs": Profile(
        ALDER,
        {
            "postfix-virtual.cf": "away@alder.example admin@alder.example,far@birch.example\n"
            "bobby@alder.example bob@alder.example\n",
            "dovecot-quotas.cf": "bob@alder.example:10k\n",
        },
        env=TLS
        | {
            "ENABLE_SRS": "1",
            "SRS_DOMAINNAME": "mail.alder.example",
            "SRS_EXCLUDE_DOMAINS": "mail.alder.example,alder.example",
        },
    ),
    "relay-host": Profile(ALDER, env=TLS | LOGIN | {"RELAY_HOST": RELAY_NAME, "RELAY_PORT": "587"}),
    "both-relays": Profile(
        ALDER,
        env=TLS | LOGIN | {"DEFAULT_RELAY_HOST": PLAIN_RELAY, "RELAY_HOST": RELAY_NAME, "RELAY_PORT": "587"},
    ),
    "password-file": Profile(
        ALDER,
        {"relay-password": PASSWORD + "\n"},
        env=TLS
        | {
            "DEFAULT_RELAY_HOST": RELAY,
            "RELAY_USER": LOGIN["RELAY_USER"],
            "RELAY_PASSWORD__FILE": f"{CONFIG}/relay-password",
        },
    ),
    "no-login": Profile(ALDER, env=TLS | {"DEFAULT_RELAY_HOST": PLAIN_RELAY}),
    "no-relay-tls": Profile(ALDER, env=TLS | LOGIN | {"DEFAULT_RELAY_HOST": PLAIN_RELAY}),
    "wrong-login": Profile(
        ALDER, env=TLS | {"DEFAULT_RELAY_HOST": RELAY, "RELAY_USER": "friend@cedar.example", "RELAY_PASSWORD": "wrong"}
    ),
    "implicit-tls": Profile(
        ALDER,
        {"postfix-main.cf": "smtp_tls_wrappermode = yes\nsmtp_tls_security_level = encrypt\n"},
        env=TLS | LOGIN | {"DEFAULT_RELAY_HOST": f"[{RELAY_NAME}]:465"},
    ),
    "secure": Profile(
        ALDER,
        {"postfix-main.cf": "smtp_tls_security_level = secure\n"},
        env=TLS | LOGIN | {"DEFAULT_RELAY_HOST": RELAY},
    ),
    "excluded": Profile(
        ALDER, {"postfix-relaymap.cf": "@alder.example \n"}, env=TLS | LOGIN | {"DEFAULT_RELAY_HOST": RELAY}
    ),
    "short-name": Profile(hostname="mail", ready=False),
    "no-certificate": Profile(
        ALDER, env={"SSL_TYPE": "manual", "SSL_CERT_PATH": "/nope/c.pem", "SSL_KEY_PATH": "/nope/k.pem"}, ready=False
    ),
    "no-letsencrypt": Profile(ALDER, env={"SSL_TYPE": "letsencrypt"}, ready=False),
    "no-self-signed": Profile(ALDER, env={"SSL_TYPE": "self-signed"}, ready=False),
    "no-interface": Profile(ALDER, env={"NETWORK_INTERFACE": "eth7"}, ready=False),
}
