r"""The table: what a command answers on docker-mailserver 15.1.0.

From the transcripts (T§n), the contract (§n), or read in its source at that tag and not seen on the real one (read).
"""

from dataclasses import dataclass

from fidelity_world import CONFIG, PASSWORD

STAMP = r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\+00:00 "
ACCOUNTS, VIRTUAL = f"{CONFIG}/postfix-accounts.cf", f"{CONFIG}/postfix-virtual.cf"
RELAYMAP, LOGINS = f"{CONFIG}/postfix-relaymap.cf", f"{CONFIG}/postfix-sasl-password.cf"
RELOADS = "grep -c 'postfix/master.*: reload' /var/log/mail/mail.log"
LATER = 60  # seconds, on a busy machine, for what the server does by and by


@dataclass(frozen=True)
class Case:
    """One command on one server and what it answers; expectations are patterns, searched for in the text."""

    name: str
    ref: str
    server: str
    command: str
    stdout: str = ""
    stderr: str = ""
    status: int | None = 0
    absent: str = ""
    prepare: str = ""
    within: float = 0
    """Seconds in which the command, asked again and again, has to answer so."""


def error(script: str, message: str) -> str:
    """The two lines a `setup` command fails with."""
    return rf"\A{STAMP}ERROR {script}: {message}\n{STAMP}ERROR {script}: Aborting\n\Z"


def send(sender: str, recipient: str, subject: str) -> str:
    """Hand a message to the server's own sendmail."""
    message = rf"From: {sender}\nTo: {recipient}\nSubject: {subject}\n\nhello\n"
    return f"printf '{message}' | sendmail -f {sender} {recipient}"


def swaks(target: str, sender: str, recipient: str, subject: str, more: str = "") -> str:
    """Send with swaks, from the client or from inside."""
    return (
        f"swaks --server {target} --helo mail.birch.example --from {sender} --to {recipient}"
        f" --header 'Subject: {subject}' --body hello --timeout 25s {more}"
    )


def login(user: str, password: str = PASSWORD) -> str:
    """The swaks options of a submission."""
    return f"--auth PLAIN --auth-user {user} --auth-password {password}"


def subjects(user: str) -> str:
    """The subjects of a mailbox's messages."""
    return f"doveadm fetch -u {user} hdr.subject mailbox INBOX all"


LOG = "cat /var/log/mail/mail.log"
SMTP = "grep -E 'postfix/smtp\\[' /var/log/mail/mail.log"
OVERVIEW = (
    r"\ASETUP\(1\)\n\nNAME\n    setup - 'docker-mailserver' Administration & Configuration CLI\n[\s\S]*"
    r"config dkim command, showing what arguments can be passed and what they do.\n\n\Z"
)
INVALID = r"\AThe command '{}' is invalid.\nUse `setup help` to get an overview of all commands.\n\Z"

SETUP = [
    Case("usage without a command", "T§12", "main", "setup", OVERVIEW),
    Case("usage on help", "T§12", "main", "setup help", OVERVIEW),
    Case("unknown command", "T§12", "main", "setup nope", stderr=INVALID.format("nope"), status=2, absent="."),
    Case("command without subcommand", "T§12", "main", "setup email", stderr=INVALID.format("email"), status=2),
    Case("unknown subcommand", "T§8g", "main", "setup relay foo", stderr=INVALID.format("relay foo"), status=2),
    Case("usage of a subcommand", "§2", "main", "setup email add help", r"\Aaddmailuser\(8\)\n\nUSAGE\n"),
    Case("usage where arguments are missing", "§2", "main", "setup email add", r"\Aaddmailuser\(8\)", status=1),
    Case(
        "account that is there",
        "T§2",
        "main",
        "setup email add admin@alder.example pw12345",
        stderr=error("addmailuser", "'admin@alder.example' already exists"),
        status=1,
    ),
    Case(
        "account without a domain",
        "T§2",
        "main",
        "setup email add noat Secret",
        stdout=r"\Aaddmailuser\(8\)\n\nUSAGE\n    ./setup.sh email add <MAIL ACCOUNT> \[<PASSWORD>\]\n[\s\S]*exit "
        r"early with exit status 1.\n\n\Z",
        stderr=error("addmailuser", r"'noat' should include the domain \(eg: user@example.com\)"),
        status=1,
    ),
    Case(
        "account in capitals",
        "T§2",
        "main",
        f"setup email add Cap@Alder.example pw12345 && grep -c '^cap@alder.example|{{SHA512-CRYPT}}$6' {ACCOUNTS}",
        stdout=r"\A1\n\Z",
        stderr=rf"\A{STAMP}WARN  addmailuser: Mail account 'Cap@Alder.example' has uppercase letters and will be "
        r"normalized to 'cap@alder.example'\n\Z",
    ),
    Case(
        "password twice on standard input",
        "T§2",
        "main",
        "printf 'from-stdin\\nfrom-stdin\\n' | setup email add stdin@alder.example && sleep 0.1;"
        f"grep -c '^stdin@alder.example|' {ACCOUNTS}",
        stdout=r"\A\n\n1\n\Z",
    ),
    Case(
        "the password given on standard input works",
        "§2",
        "main",
        "doveadm auth test stdin2@alder.example 'a b\\c$d'",
        stdout="auth succeeded",
        prepare="printf ' a b\\\\c$d \\n a b\\\\c$d\\n' | setup email add stdin2@alder.example",
        within=LATER,
    ),
    Case(
        "password once on standard input",
        "T§2",
        "main",
        "printf 'once\\n' | setup email add dave@alder.example",
        stderr=error("addmailuser", "Passwords do not match!"),
        status=1,
    ),
    Case(
        "two different passwords",
        "T§2",
        "main",
        "printf 'a\\nb\\n' | setup email add dave@alder.example",
        stderr=error("addmailuser", "Passwords do not match!"),
        status=1,
    ),
    Case(
        "no standard input",
        "T§2",
        "main",
        "setup email add dave@alder.example",
        stderr=error("addmailuser", "Password must not be empty"),
        status=1,
    ),
    Case(
        "update of an unknown account",
        "T§6b",
        "main",
        "setup email update zed@alder.example pw",
        stderr=error("updatemailuser", "'zed@alder.example' does not exist"),
        status=1,
    ),
    Case(
        "update",
        "T§6b",
        "main",
        "doveadm auth test update@alder.example second-pw",
        stdout="auth succeeded",
        prepare="setup email add update@alder.example first-pw; setup email update update@alder.example second-pw",
        within=LATER,
    ),
    Case(
        "deletion of an unknown account",
        "T§6b",
        "main",
        "setup email del -y zed@alder.example",
        stderr=error("delmailuser", "'zed@alder.example' does not exist"),
        status=1,
    ),
    Case(
        "deletion that keeps the mail",
        "T§6b",
        "main",
        "echo n | setup email del keep@alder.example",
        stdout=rf"\A{STAMP}INFO  delmailuser: The mailbox data will not be deleted.\n{STAMP}INFO  delmailuser: "
        r"'keep@alder.example' and associated data \(aliases, quotas\) deleted\n\Z",
        prepare="setup email add keep@alder.example pw12345",
    ),
    Case(
        "deletion takes the address from all aliases",
        "T§6b",
        "main",
        f"setup email del -y gone@alder.example >/dev/null; cat {VIRTUAL}",
        stdout=r"^both@alder.example bob@alder.example\n",
        absent="gone@|only@",
        prepare="setup email add gone@alder.example pw12345;"
        "setup alias add both@alder.example gone@alder.example; setup alias add both@alder.example bob@alder.example;"
        "setup alias add only@alder.example gone@alder.example",
    ),
    Case(
        "alias, with a second recipient",
        "T§5",
        "main",
        f"grep ^two@ {VIRTUAL}",
        stdout=r"\Atwo@alder.example admin@alder.example,bob@alder.example\n\Z",
        prepare="setup alias add two@alder.example admin@alder.example;"
        "setup alias add two@alder.example bob@alder.example",
    ),
    Case(
        "alias that is there",
        "T§5",
        "main",
        "setup alias add dup@alder.example admin@alder.example",
        stderr=error("addalias", "'dup@alder.example' is already an alias for recipient: 'admin@alder.example'"),
        status=1,
        prepare="setup alias add dup@alder.example admin@alder.example",
    ),
    Case(
        "alias of an account's name",
        "T§5",
        "main",
        "setup alias add admin@alder.example bob@alder.example",
        stderr=error("addalias", "'admin@alder.example' is already defined as an account"),
        status=1,
    ),
    Case(
        "alias to itself",
        "T§6b",
        "main",
        "setup alias add bob@alder.example bob@alder.example",
        stderr=error("addalias", "'bob@alder.example' is already defined as an account"),
        status=1,
    ),
    Case(
        "alias that is the beginning of an account",
        "T§5",
        "main",
        "setup alias add adm bob@alder.example",
        stderr=error("addalias", "'adm' is already defined as an account"),
        status=1,
    ),
    Case(
        "account of an alias's name",
        "T§5",
        "main",
        "setup email add taken@alder.example pw",
        stderr=error("addmailuser", "'taken@alder.example' is already defined as an alias"),
        status=1,
        prepare="setup alias add taken@alder.example admin@alder.example",
    ),
    Case("deletion of an unknown alias", "T§6b", "main", "setup alias del no@alder.example bob@alder.example", r"\A\Z"),
    Case(
        "deletion of an alias",
        "§2",
        "main",
        f"grep -c ^del@ {VIRTUAL}",
        stdout=r"\A0\n",
        status=1,
        prepare="setup alias add del@alder.example bob@alder.example;"
        "setup alias del del@alder.example bob@alder.example",
    ),
    Case(
        "list of aliases",
        "T§5",
        "catch-all",
        "setup alias list",
        stdout=r"\A\* info@alder.example admin@alder.example,bob@alder.example\n\n"
        r"\* @alder.example admin@alder.example",
    ),
    Case(
        "no aliases to list",
        "T§3",
        "plain",
        "setup alias list",
        stderr=error("listalias", f"'{VIRTUAL}' does not exist"),
        status=1,
    ),
    Case(
        "list of accounts",
        "T§3",
        "plain",
        "setup email list",
        stdout=r"\A\* admin@alder.example \( 0 / ~ \) \[0%\]\n\n\* bob@alder.example \( 0 / ~ \) \[0%\]",
    ),
    Case(
        "list of accounts with their aliases",
        "T§6b",
        "catch-all",
        "setup email list",
        stdout=r"\A\* admin@alder.example \( \S+ / ~ \) \[0%\]\n    \[ aliases -> info@alder.example, @alder.example ",
    ),
    Case(
        "quota",
        "T§12",
        "main",
        "setup email list",
        stdout=r"\* carol@alder.example \( 0 / 5.0G \) \[0%\]",
        prepare="setup quota set carol@alder.example 5G",
        within=LATER,
    ),
    Case(
        "quota in an unknown unit",
        "T§12",
        "main",
        "setup quota set admin@alder.example 5GB",
        stdout=r"\Asetquota\(8\)\n\nUSAGE\n    ./setup.sh quota set <MAIL ACCOUNT> \[<QUOTA>\]\n",
        stderr=error(
            "setquota",
            r"Invalid quota format. e.g. 302M \(B \(byte\), k \(kibibyte\), M \(mebibyte\), G \(gibibyte\) or "
            r"T \(tebibyte\)\)",
        ),
        status=1,
    ),
    Case(
        "fail2ban is off", "T§12", "main", "setup fail2ban", stderr=error("fail2ban", "Fail2ban not running"), status=1
    ),
    Case("debug login", "T§12", "main", "setup debug login 'postconf mail_version'", r"\Amail_version = 3\.7\.\d+\n\Z"),
    Case("debug login loses further words", "T§12", "main", "setup debug login echo lost", r"\A\n\Z"),
    # Dovecot's first line is lost where it starts before rsyslog listens.
    Case("debug show-mail-logs", "T§12", "main", "setup debug show-mail-logs", r"mail dovecot: master: \w"),
    Case(
        "restriction of a sender",
        "T§12",
        "plain",
        "setup email restrict list send; setup email restrict del send bob@alder.example",
        stdout=r"\Abob@alder.example\s+REJECT\n",
        prepare="setup email restrict add send bob@alder.example",
    ),
]

SIGNING = [
    Case(
        "key that is there is kept, whatever size is asked for",
        "T§4",
        "main",
        "cd /tmp/docker-mailserver/opendkim/keys/alder.example; sha256sum mail.private >/tmp/before;"
        "setup config dkim keysize 1024; echo $?; sha256sum --check --quiet /tmp/before",
        stdout=r"\A0\n\Z",
        prepare="true",
    ),
    Case(
        "selector and domains",
        "T§4",
        "plain",
        "setup config dkim selector s2026 domain other.example,alder.example;"
        "cat /tmp/docker-mailserver/opendkim/KeyTable /tmp/docker-mailserver/opendkim/SigningTable"
        " /tmp/docker-mailserver/opendkim/TrustedHosts",
        stdout="".join(
            rf"{STAMP}INFO  open-dkim: Creating DKIM private key \S+/keys/{domain}/s2026.private\'\n"
            for domain in ("alder.example", "other.example")
        )
        + r"s2026._domainkey.alder.example alder.example:s2026:/etc/opendkim/keys/alder.example/s2026.private\n"
        r"s2026._domainkey.other.example other.example:s2026:/etc/opendkim/keys/other.example/s2026.private\n"
        r"\*@alder.example s2026._domainkey.alder.example\n"
        r"\*@other.example s2026._domainkey.other.example\n"
        r"127.0.0.1\nlocalhost\n\Z",
    ),
    Case(
        "unknown option",
        "T§4",
        "main",
        "setup config dkim foo bar | tail -1",
        stdout=r"\A\n\Z",
        stderr=error("open-dkim", r"Unknown option\(s\) foo bar"),
    ),
    Case("unknown option's status", "§2", "main", "setup config dkim foo bar", stderr="Aborting", status=1),
    Case(
        "size that cannot be made: empty key, rows, status 0",
        "T§4",
        "main",
        "cd /tmp/docker-mailserver/opendkim; setup config dkim keysize 123 selector bad1 domain badsize.example;"
        "echo $?; ls keys/badsize.example; wc -c <keys/badsize.example/bad1.private; grep -c badsize KeyTable",
        stdout=r"Creating DKIM private key '\S+/badsize.example/bad1.private'\n0\nbad1.private\n0\n1\n\Z",
        stderr="openssl exited with status",
    ),
    Case(
        "public half as a zone-file record in several strings",
        "T§4",
        "main",
        "cat /tmp/docker-mailserver/opendkim/keys/alder.example/mail.txt",
        stdout=r'\Amail._domainkey\tIN\tTXT\t\( "v=DKIM1; h=sha256; k=rsa; "\n\t  "p=[\w+/]+"\n\t  "[\w+/]+=*" \)  ; '
        r"----- DKIM key mail for alder.example\n\Z",
    ),
    Case(
        "keys are copied for OpenDKIM alone",
        "T§7",
        "main",
        "stat -c '%U %a %n' /etc/opendkim /etc/opendkim/keys /etc/opendkim/keys/alder.example/mail.private",
        stdout=r"\Aopendkim 755 /etc/opendkim\nopendkim 700 /etc/opendkim/keys\nopendkim 700 \S+/mail.private\n\Z",
    ),
    Case(
        "a key made on a running server is not live",
        "T§4",
        "plain",
        "setup config dkim >/dev/null; ls /etc/opendkim/keys; wc -c </etc/opendkim/KeyTable",
        stdout=r"\A0\n\Z",
    ),
    Case(
        "local mail is signed, relaxed/simple, without what relays rewrite",
        "T§18",
        "main",
        "doveadm fetch -u carol@alder.example hdr mailbox INBOX subject signed",
        stdout=r"DKIM-Signature: v=1; a=rsa-sha256; c=relaxed/simple; d=alder.example;\s+s=mail;\s+t=\d+;\s+bh=\S+;\s+"
        r"h=From:To:Subject;",
        prepare=send("bob@alder.example", "carol@alder.example", "signed"),
        within=LATER,
    ),
    Case(
        "mail of a domain without key",
        "T§13",
        "main",
        "grep opendkim /var/log/mail/mail.log",
        stdout=r"no signing table match for 'me@nokey.example'[\s\S]*no signature data",
        prepare=send("me@nokey.example", "carol@alder.example", "unsigned"),
        within=LATER,
    ),
    Case(
        "opendkim-testkey without a record",
        "T§12",
        "main",
        "opendkim-testkey -d alder.example -s nope -k /etc/opendkim/keys/alder.example/mail.private -vvv",
        stderr="'nope._domainkey.alder.example' record not found",
        status=69,
    ),
]

STATE = [
    Case(
        "services",
        "T§3",
        "main",
        "supervisorctl status | grep -v 'Not started'",
        stdout="".join(
            rf"^{name} +RUNNING   pid \d+, uptime \d:\d\d:\d\d\n"
            for name in (
                *("changedetector", "cron", "dovecot", "mailserver", "opendkim", "opendmarc", "postfix", "rsyslog"),
            )
        )
        + r"\Z",
    ),
    *(
        Case(
            f"listener {address}",
            "T§3",
            "main",
            "ss -ltn | awk '{print $4}'",
            stdout=rf"^{re_address}$",
        )
        for address, re_address in (
            *((f"0.0.0.0:{port}", rf"0\.0\.0\.0:{port}") for port in (25, 143, 465, 587, 993)),
            *((f"[::]:{port}", rf"\[::\]:{port}") for port in (25, 143, 465, 587, 993)),
            ("127.0.0.1:65265", r"127\.0\.0\.1:65265"),
            ("127.0.0.1:8891", r"127\.0\.0\.1:8891"),
            ("127.0.0.1:8893", r"127\.0\.0\.1:8893"),
        )
    ),
    Case("no IMAP over TLS without SSL_TYPE", "T§3", "plain", "ss -ltn", stdout=":143 ", absent=":993 "),
    Case("healthcheck", "T§3", "main", 'ss --listening --ipv4 --tcp | grep --silent ":smtp" || exit 1'),
    Case(
        "table of mailboxes",
        "T§3",
        "plain",
        "cat /etc/postfix/vmailbox /etc/postfix/vhost",
        stdout=r"\A# WARNING: this file is auto-generated. Modify /tmp/docker-mailserver/postfix-accounts.cf to edit "
        r"the user list.\nadmin@alder.example alder.example/admin/\nbob@alder.example alder.example/bob/\n"
        r"alder.example\n\Z",
    ),
    Case(
        "Dovecot's users, one of them the catch-all",
        "T§5",
        "catch-all",
        "cat /etc/dovecot/userdb",
        stdout=r"^admin@alder.example:(\{SHA512-CRYPT\}\S+):5000:5000::/var/mail/alder.example/admin/home::\n"
        r"[\s\S]*^@alder.example:\1:5000:5000::/var/mail/alder.example/admin/home::\n",
        absent="^info@",
    ),
    Case("the catch-all is a user", "T§12", "catch-all", "doveadm user '*'", stdout=r"^@alder.example$"),
    Case("unknown user", "T§12", "main", "doveadm user nobody@alder.example", status=67),
    Case("right password", "T§12", "main", "doveadm auth test bob@alder.example Secret123pw", stdout="auth succeeded"),
    Case("wrong password", "T§12", "main", "doveadm auth test bob@alder.example bad", stdout="auth failed", status=77),
    Case(
        "mailboxes",
        "T§12",
        "main",
        "doveadm mailbox list -u admin@alder.example | sort",
        stdout=r"\ADrafts\nINBOX\nJunk\nSent\nTrash\n\Z",
    ),
    Case(
        "Postfix's parameters",
        "T§3",
        "main",
        "postconf -n",
        stdout="".join(
            rf"(?=[\s\S]*^{line}$)"
            for line in (
                r"message_size_limit = 10240000",
                r"mydestination = \$myhostname, localhost.\$mydomain, localhost",
                r"mydomain = alder.example",
                r"myhostname = mail.alder.example",
                r"mynetworks =\s*",
                r"recipient_delimiter = \+",
                r"relayhost = \[smtp.cedar.example\]:587",
                r"sender_dependent_relayhost_maps = texthash:/etc/postfix/relayhost_map",
                r"smtp_sasl_auth_enable = yes",
                r"smtp_sasl_password_maps = texthash:/etc/postfix/sasl_passwd",
                r"smtp_sasl_security_options = noanonymous",
                r"smtp_sender_dependent_authentication = yes",
                r"smtp_tls_CApath = /etc/ssl/certs",
                r"smtp_tls_security_level = encrypt",
                r"smtpd_milters = \$dkim_milter \$dmarc_milter",
                r"non_smtpd_milters = \$dkim_milter",
                r"virtual_alias_maps = texthash:/etc/postfix/virtual",
                r"virtual_mailbox_domains = /etc/postfix/vhost",
                r"virtual_mailbox_maps = texthash:/etc/postfix/vmailbox",
                r"virtual_transport = lmtp:unix:/var/run/dovecot/lmtp",
                r"smtpd_recipient_restrictions = permit_sasl_.*unix:private/policyd-spf, .*inet:localhost:65265",
            )
        ),
    ),
    Case(
        "postfix-main.cf, postfix-master.cf, dovecot.cf and user-patches.sh are applied",
        "§8",
        "main",
        "postconf -h smtp_tls_policy_maps smtpd_client_port_logging;"
        "postconf -P submission/inet/smtpd_client_message_rate_limit; doveconf mail_max_userip_connections",
        stdout=r"secure match=smtp.cedar.example[\s\S]*\nyes\n.*rate_limit = 77\nmail_max_userip_connections = 77\n",
    ),
    Case(
        "relay tables are for root alone",
        "T§3",
        "main",
        "stat -c '%a %s' /etc/postfix/relayhost_map; stat -c %a /etc/postfix/sasl_passwd; cat /etc/postfix/sasl_passwd",
        stdout=r"\A600 0\n600\n\[smtp.cedar.example\]:587 friend@cedar.example:Secret123pw\n\Z",
    ),
    Case(
        "state lies on its volume",
        "T§3",
        "main",
        "ls /var/mail-state; readlink /var/spool/postfix",
        stdout=r"\Alib-dovecot\nlib-logrotate\nlib-postfix\nspool-postfix\n/var/mail-state/spool-postfix\n\Z",
    ),
    Case("mail log in RFC 3339 stamps", "§7", "main", LOG, r"\A\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}\+00:00 mail \w+"),
    Case("tools", "T§12", "main", "which swaks dig openssl curl nc mail", r"\A(/usr/bin/\w+\n){6}\Z"),
]

DELIVERY = [
    Case(
        "EHLO without TLS",
        "T§6",
        "client",
        swaks("plain:25", "s@birch.example", "bob@alder.example", "ehlo", "--quit-after EHLO"),
        stdout=r"<-  250-mail.alder.example\n<-  250-PIPELINING\n<-  250-SIZE 10240000\n<-  250-ETRN\n"
        r"<-  250-ENHANCEDSTATUSCODES\n<-  250-8BITMIME\n<-  250 CHUNKING\n",
    ),
    Case(
        "mail to a foreign domain",
        "T§6",
        "client",
        swaks("catch-all:25", "s@birch.example", "x@nowhere.example", "relay"),
        stdout="554 5.7.1 <x@nowhere.example>: Relay access denied",
        status=24,
    ),
    Case(
        "mail to an unknown address",
        "T§21",
        "client",
        swaks("main:25", "s@birch.example", "nobody@alder.example", "unknown"),
        stdout="550 5.1.1 <nobody@alder.example>: Recipient address rejected: User unknown in virtual mailbox table",
        status=24,
    ),
    Case(
        "mail from a domain that does not exist",
        "T§21",
        "client",
        swaks("catch-all:25", "s@nodomain.invalid", "admin@alder.example", "nodomain"),
        stdout="450 4.1.8 <s@nodomain.invalid>: Sender address rejected: Domain not found",
        status=24,
    ),
    Case(
        "the catch-all swallows a real mailbox's mail",
        "T§6",
        "catch-all",
        f"{subjects('admin@alder.example')}; echo ==; {subjects('bob@alder.example')}",
        stdout=r"hdr.subject: swallowed[\s\S]*==\n\Z",
        prepare=send("s@birch.example", "bob@alder.example", "swallowed"),
        within=LATER,
        status=None,
    ),
    Case(
        "the catch-all takes what nobody owns",
        "T§6",
        "catch-all",
        subjects("admin@alder.example"),
        stdout="hdr.subject: made up",
        prepare=send("s@birch.example", "nobody@alder.example", "made up"),
        within=LATER,
    ),
    Case(
        "pipemap: a real mailbox keeps its mail, tags and aliases too",
        "T§17",
        "pipemap",
        f"{subjects('admin@alder.example')}; echo ==; {subjects('bob@alder.example')}",
        stdout=r"(?=[\s\S]*unknown[\s\S]*==)(?=[\s\S]*==[\s\S]*tag)(?=[\s\S]*==[\s\S]*sales)[\s\S]*==[\s\S]*own",
        absent=r"subject: (own|tag|sales)[\s\S]*==",
        prepare=";".join(
            send("s@birch.example", f"{local}@alder.example", subject)
            for local, subject in (("bob", "own"), ("bob+x", "tag"), ("sales", "sales"), ("nobody", "unknown"))
        ),
        within=LATER,
    ),
    Case(
        "pipemap: an account added later is safe at once",
        "T§17",
        "pipemap",
        subjects("later@alder.example"),
        stdout="hdr.subject: for later",
        prepare="setup email add later@alder.example pw12345; sleep 6;"
        + send("s@birch.example", "later@alder.example", "for later"),
        within=LATER,
    ),
    Case(
        "plain text login without SSL_TYPE",
        "T§7",
        "plain",
        swaks("127.0.0.1:587", "bob@alder.example", "admin@alder.example", "plain", login("bob@alder.example")),
        stdout="235 2.7.0 Authentication successful",
        absent="STARTTLS",
    ),
    Case(
        "submission needs STARTTLS first",
        "T§8",
        "main",
        swaks("127.0.0.1:587", "bob@alder.example", "carol@alder.example", "early", login("bob@alder.example")),
        stdout="250-STARTTLS",
        absent="235 ",
        status=28,
    ),
    Case(
        "submission with STARTTLS",
        "T§18",
        "main",
        swaks("127.0.0.1:587", "bob@alder.example", "carol@alder.example", "587", f"-tls {login('bob@alder.example')}"),
        stdout=r"235 2.7.0 Authentication successful[\s\S]*250 2.0.0 Ok: queued as [0-9A-F]+\n",
    ),
    Case(
        "submission with TLS from the start",
        "T§8",
        "main",
        swaks(
            "127.0.0.1:465", "bob@alder.example", "carol@alder.example", "465", f"-tlsc {login('bob@alder.example')}"
        ),
        stdout=r"235 2.7.0 Authentication successful[\s\S]*250 2.0.0 Ok: queued as [0-9A-F]+\n",
    ),
    Case(
        "submission without a login",
        "§8",
        "main",
        swaks("127.0.0.1:587", "bob@alder.example", "carol@alder.example", "anonymous", "-tls"),
        stdout="554 5.7.1 .*Client host rejected: Access denied",
        status=24,
    ),
    Case(
        "wrong submission password",
        "T§21",
        "main",
        swaks(
            "127.0.0.1:587", "bob@alder.example", "bob@alder.example", "x", f"-tls {login('bob@alder.example', 'no')}"
        ),
        stdout=r"535 5.7.8 Error: authentication failed: \(reason unavailable\)",
        status=28,
    ),
    Case(
        "what a wrong password logs",
        "T§21",
        "main",
        LOG,
        stdout=r"dovecot: auth: passwd-file\(bob@alder.example,127.0.0.1\): Password mismatch \(SHA1 of given "
        r"password: [0-9a-f]{6}\)",
        within=LATER,
    ),
    Case(
        "what submission and local delivery log",
        "T§8",
        "main",
        LOG,
        stdout=r"(?=[\s\S]*postfix/submission/smtpd\[\d+\]: [0-9A-F]+: client=localhost\[127.0.0.1\](:\d+)?, "
        r"sasl_method=PLAIN, sasl_username=bob@alder.example)"
        r"(?=[\s\S]*postfix/submissions/smtpd\[\d+\]: [0-9A-F]+: client=)"
        r"[\s\S]*postfix/lmtp\[\d+\]: [0-9A-F]+: to=<carol@alder.example>, "
        r"relay=mail.alder.example\[/var/run/dovecot/lmtp\], .* dsn=2.0.0, status=sent \(250 2.0.0 "
        r"<carol@alder.example> \S+ Saved\)",
        within=LATER,
    ),
    *(
        Case(
            f"SPOOF_PROTECTION: {sender}",
            "T§13",
            "catch-all",
            swaks("127.0.0.1:587", sender, "dora@hazel.example", "spoof", f"-tls {login('admin@alder.example')}"),
            stdout="250 2.0.0 Ok"
            if allowed
            else f"553 5.7.1 <{sender}>: Sender address rejected: not owned by user admin@alder.example",
            status=0 if allowed else 24,
        )
        for sender, allowed in (
            ("admin@alder.example", True),
            ("info@alder.example", True),
            ("bob@alder.example", False),
            ("anything@alder.example", False),
            ("x@foreign.example", False),
        )
    ),
]

RELAYING = [
    Case(
        "the relay's certificate is verified where postfix-main.cf asks for it",
        "T§8c",
        "main",
        SMTP,
        stdout=r"Verified TLS connection established to smtp.cedar.example\[[\s\S]*to=<friend@cedar.example>, "
        r"relay=smtp.cedar.example\[[\d.]+\]:587, .*status=sent \(250 2.0.0 Ok: queued as",
        prepare=send("bob@alder.example", "friend@cedar.example", "relayed"),
        within=LATER,
    ),
    Case(
        "any sender goes through DEFAULT_RELAY_HOST",
        "§3",
        "main",
        SMTP,
        stdout=r"to=<stranger@cedar.example>, relay=smtp.cedar.example\[[\d.]+\]:587",
        prepare=send("root@mail.alder.example", "stranger@cedar.example", "foreign"),
        within=LATER,
    ),
    Case(
        "the relay holds mail of an unverified domain back",
        "T§8a",
        "main",
        SMTP,
        stdout=r"to=<friend@cedar.example>, .*status=deferred \(host smtp.cedar.example\[[\d.]+\] said: 450 4.7.1 .*"
        r"not verified",
        prepare=send("me@unverified.example", "friend@cedar.example", "unverified"),
        within=LATER,
    ),
    Case(
        "the relay refuses a domain",
        "T§8a",
        "main",
        SMTP,
        stdout=r"status=bounced \(host smtp.cedar.example\[[\d.]+\] said: 550 5.7.1 .*not allowed",
        prepare=send("me@reject.example", "friend@cedar.example", "rejected"),
        within=LATER,
    ),
    Case(
        "the header against reactions goes where Message-Id is spelt so",
        "T§8a",
        "main",
        SMTP,
        stdout="prepend: header Message-Id: <.*>: X-MS-Reactions: disallow",
        within=LATER,
    ),
    Case(
        "wrong relay password: deferred",
        "T§8a",
        "wrong-login",
        SMTP,
        stdout=r"Untrusted TLS connection[\s\S]*dsn=4.7.8, status=deferred \(SASL authentication failed; server "
        r"smtp.cedar.example\[[\d.]+\] said: 535 5.7.8 ",
        prepare=send("bob@alder.example", "friend@cedar.example", "wrong login"),
        within=LATER,
    ),
    Case(
        "the queue tells why",
        "T§8a",
        "wrong-login",
        "postqueue -j",
        stdout=r'"queue_name": "deferred".*"delay_reason": "SASL authentication failed; .*535 5.7.8',
        within=LATER,
    ),
    Case(
        "no login: plain text is allowed",
        "T§8j",
        "no-login",
        "postconf smtp_tls_security_level smtp_sasl_auth_enable",
        stdout=r"\Asmtp_tls_security_level = may\nsmtp_sasl_auth_enable = no\n\Z",
    ),
    Case(
        "relay without TLS where a login is configured",
        "T§8j",
        "no-relay-tls",
        SMTP,
        stdout=r"dsn=4.7.4, status=deferred \(TLS is required, but was not offered by host plain.cedar.example\[",
        prepare=send("bob@alder.example", "friend@cedar.example", "no TLS"),
        within=LATER,
    ),
    Case(
        "implicit TLS needs smtp_tls_wrappermode",
        "T§8b",
        "implicit-tls",
        SMTP,
        stdout=r"relay=smtp.cedar.example\[[\d.]+\]:465, .*status=sent",
        prepare=send("bob@alder.example", "friend@cedar.example", "implicit"),
        within=LATER,
    ),
    Case(
        "implicit TLS without it",
        "§3.1",
        "password-file",
        SMTP,
        stdout=r'SMTPS wrappermode \(TCP port 465\) requires setting "smtp_tls_wrappermode = yes"',
        prepare="postconf -e 'relayhost = [smtp.cedar.example]:465'; postfix reload; sleep 2;"
        + send("bob@alder.example", "friend@cedar.example", "no wrapper"),
        within=LATER,
    ),
    Case(
        "RELAY_HOST: settings",
        "T§8d",
        "relay-host",
        "postconf -h relayhost smtp_sender_dependent_authentication; cat /etc/postfix/relayhost_map"
        " /etc/postfix/sasl_passwd",
        stdout=r"\A\nno\n@alder.example    \[smtp.cedar.example\]:587\n\[smtp.cedar.example\]:587    "
        r"friend@cedar.example:Secret123pw\n\Z",
    ),
    Case(
        "RELAY_HOST: own domains are relayed",
        "T§8d",
        "relay-host",
        SMTP,
        stdout=r"to=<friend@cedar.example>, relay=smtp.cedar.example\[[\d.]+\]:587, .*status=sent",
        prepare=send("bob@alder.example", "friend@cedar.example", "own"),
        within=LATER,
    ),
    Case(
        "RELAY_HOST: others go to the MX",
        "T§8d",
        "relay-host",
        SMTP,
        stdout=r"to=<far@birch.example>, relay=none, .*status=deferred \(connect to mail.birch.example\[[\d.]+\]:25: "
        r"Connection refused\)",
        prepare=send("root@mail.alder.example", "far@birch.example", "direct"),
        within=LATER,
    ),
    Case(
        "both relays: the login is for the wrong one",
        "T§8e",
        "both-relays",
        "postconf -h relayhost; cat /etc/postfix/relayhost_map /etc/postfix/sasl_passwd",
        stdout=r"\A\[plain.cedar.example\]:587\n@alder.example    \[smtp.cedar.example\]:587\n"
        r"\[plain.cedar.example\]:587    friend@cedar.example:Secret123pw\n\Z",
    ),
    Case(
        "both relays: mail is lost",
        "T§8e",
        "both-relays",
        SMTP,
        stdout=r"relay=smtp.cedar.example\[[\d.]+\]:587, .*status=bounced",
        prepare=send("bob@alder.example", "friend@cedar.example", "lost"),
        within=LATER,
    ),
    Case(
        "secure in postfix-main.cf holds mail back",
        "T§8c",
        "secure",
        SMTP,
        stdout=r"dsn=4.7.5, status=deferred \(Server certificate not verified\)",
        prepare=send("bob@alder.example", "friend@cedar.example", "secure"),
        within=LATER,
    ),
    Case(
        "a new account sets it back to encrypt",
        "T§8c",
        "secure",
        "postconf -h smtp_tls_security_level; grep -c ^smtp_tls_security_level /etc/postfix/main.cf",
        stdout=r"\Aencrypt\n1\n\Z",
        prepare="setup email add tmp1@alder.example pw12345",
        within=LATER,
    ),
    Case(
        "exclude-domain changes nothing with DEFAULT_RELAY_HOST",
        "T§8h",
        "excluded",
        "postconf -h relayhost sender_dependent_relayhost_maps smtp_sender_dependent_authentication;"
        "cat /etc/postfix/relayhost_map",
        stdout=r"\A\[smtp.cedar.example\]:587\ntexthash:/etc/postfix/relayhost_map\nno\n\Z",
    ),
    Case(
        "no relay configured",
        "T§8g",
        "plain",
        "postconf -h relayhost sender_dependent_relayhost_maps smtp_sasl_auth_enable smtp_sasl_password_maps"
        " smtp_tls_security_level; ls /etc/postfix/relayhost_map /etc/postfix/sasl_passwd",
        stdout=r"\A\n\nno\n\n",
        status=2,
    ),
    Case(
        "a login alone is no relay",
        "T§8g",
        "plain",
        "postconf -h smtp_sasl_auth_enable; ls /etc/postfix/sasl_passwd",
        stdout=r"\Ano\n\Z",
        status=2,
        prepare="setup relay add-auth alder.example friend@cedar.example Secret123pw; sleep 6",
    ),
    Case(
        "the login's file", "T§8g", "plain", f"cat {LOGINS}", r"\A@alder.example friend@cedar.example:Secret123pw\n\Z"
    ),
    Case("the login's file can be read by all", "§2", "plain", f"stat -c %a {LOGINS}", r"\A644\n\Z"),
    Case(
        "add-domain is live without a restart",
        "T§8g",
        "plain",
        "postconf -h relayhost sender_dependent_relayhost_maps smtp_sasl_auth_enable smtp_tls_security_level"
        " smtp_sender_dependent_authentication; cat /etc/postfix/relayhost_map /etc/postfix/sasl_passwd",
        stdout=r"\A\ntexthash:/etc/postfix/relayhost_map\nyes\nencrypt\nyes\n"
        r"@alder.example \[smtp.cedar.example\]:587\n@alder.example friend@cedar.example:Secret123pw\n\Z",
        prepare="setup relay add-domain alder.example smtp.cedar.example 587",
        within=LATER,
    ),
    Case(
        "and it works",
        "T§8g",
        "plain",
        SMTP,
        stdout=r"to=<friend@cedar.example>, relay=smtp.cedar.example\[[\d.]+\]:587, .*status=sent",
        prepare=send("bob@alder.example", "friend@cedar.example", "by map"),
        within=LATER,
    ),
    Case(
        "exclude-domain replaces the line; the login's settings stay",
        "T§8g",
        "plain",
        f"cat {RELAYMAP}; wc -c </etc/postfix/relayhost_map; postconf -h smtp_sasl_auth_enable smtp_tls_security_level",
        stdout=r"\A@alder.example \n0\nyes\nencrypt\n\Z",
        prepare="setup relay exclude-domain alder.example",
        within=LATER,
    ),
    Case(
        "add-domain: port 25 by default, the line replaced, brackets doubled",
        "T§8g",
        "catch-all",
        f"setup relay add-domain alder.example relay.example; cat {RELAYMAP};"
        f"setup relay add-domain alder.example '[relay.example]' 587; cat {RELAYMAP}; rm {RELAYMAP}",
        stdout=r"\A@alder.example \[relay.example\]:25\n@alder.example \[\[relay.example\]\]:587\n\Z",
    ),
    Case(
        "add-domain without a host",
        "T§8g",
        "main",
        "setup relay add-domain x",
        stdout=r"\Aaddrelayhost\(8\)\n\nUSAGE\n    ./setup.sh relay add-domain <SENDER DOMAIN> <RELAY HOST> ",
        status=1,
    ),
    Case(
        "add-auth asks twice",
        "T§8g",
        "main",
        "printf 'one\\ntwo\\n' | setup relay add-auth alder.example u",
        stdout=r"\A\n\n\Z",
        stderr=error("addsaslpassword", "Passwords do not match!"),
        status=1,
    ),
    Case(
        "add-auth cannot replace a login by one with a backslash",
        "T§8i",
        "pipemap",
        rf"setup relay add-auth o.example u 'x\1y'; echo $?; cat {LOGINS}",
        stdout=r"\A1\n@o.example u:first\n\Z",
        stderr=r"sed: -e expression #1, char \d+: invalid reference \\1 on `s' command's RHS",
        prepare="setup relay add-auth o.example u first",
    ),
    Case(
        "RELAY_PASSWORD__FILE",
        "T§8i",
        "password-file",
        "cat /etc/postfix/sasl_passwd",
        stdout=r"\A\[smtp.cedar.example\]:587    friend@cedar.example:Secret123pw\n\Z",
    ),
    Case(
        "RELAY_PASSWORD__FILE is unknown to the change detector",
        "T§8i",
        "password-file",
        "cat /var/log/supervisor/changedetector.log; cat /etc/postfix/sasl_passwd",
        stdout=rf"{STAMP}WARN  check-for-changes.sh: Missing relay-host mapped credentials provided via ENV, or from "
        rf"{LOGINS}\n[\s\S]*\[smtp.cedar.example\]:587    friend@cedar.example:Secret123pw\n\Z",
        prepare="setup alias add zz@alder.example admin@alder.example",
        within=LATER,
    ),
    Case(
        "RELAY_PASSWORD__FILE beside add-auth: the default login is lost",
        "T§8i",
        "password-file",
        "cat /etc/postfix/sasl_passwd",
        stdout=r"\A@other.example u:pw\n\Z",
        prepare="setup relay add-auth other.example u pw",
        within=LATER,
    ),
    Case(
        "the login is rotated by rewriting its file",
        "T§20",
        "main",
        "cat /etc/postfix/sasl_passwd",
        stdout=r"\A\[smtp.cedar.example\]:587 friend@cedar.example:rotated\n\Z",
        prepare=f"{RELOADS} >/tmp/reloads; printf '[smtp.cedar.example]:587 friend@cedar.example:rotated\\n' >{LOGINS}",
        within=LATER,
    ),
    Case(
        "the rotated login is used",
        "T§20",
        "main",
        SMTP,
        stdout=r"to=<rotated@cedar.example>, .*status=deferred \(SASL authentication failed",
        # Whoever delivers has read the old login; it goes with the reload, which comes after the file.
        prepare=f"until [ $({RELOADS}) -gt $(cat /tmp/reloads) ]; do sleep 0.2; done; sleep 2; "
        + send("bob@alder.example", "rotated@cedar.example", "rotated"),
        within=LATER,
    ),
]

CHANGES = [
    Case(
        "self-aliases give each mailbox its mail back; Dovecot is not told twice",
        "T§6b",
        "catch-all",
        subjects("bob@alder.example") + "; cat /var/log/supervisor/changedetector.log",
        stdout=r"hdr.subject: back again[\s\S]*WARN  check-for-changes.sh: Alias 'bob@alder.example' will not be added "
        r"to '/etc/dovecot/userdb' twice",
        prepare="printf 'admin@alder.example admin@alder.example\\nbob@alder.example bob@alder.example\\n'"
        f" >>{VIRTUAL};"
        "sleep 6;" + send("s@birch.example", "bob@alder.example", "back again"),
        within=LATER,
    ),
    Case(
        "a deleted alias file leaves the aliases live",
        "T§21",
        "catch-all",
        "tail -1 /var/log/supervisor/changedetector.log; cat /etc/postfix/virtual",
        stdout=r"\A.*INFO  check-for-changes.sh: Change detected\n[\s\S]*^@alder.example admin@alder.example\n",
        prepare=f"rm {VIRTUAL}; sleep 6",
    ),
    Case(
        "an emptied one does not",
        "T§21",
        "catch-all",
        "postmap -q @alder.example texthash:/etc/postfix/virtual; cat /etc/postfix/virtual",
        stdout=r"\A\n\Z",
        prepare=f"echo >{VIRTUAL}",
        within=LATER,
    ),
    Case(
        "a change reloads Postfix and Dovecot",
        "T§5",
        "catch-all",
        LOG,
        stdout=r"postfix/master\[\d+\]: reload -- version 3\.7[\s\S]*dovecot: master: Warning: SIGHUP received - "
        r"reloading configuration",
    ),
]

REWRITTEN = r"SRS0=[\w+/]{4}=[A-Z2-7]{2}=birch.example=s@mail.alder.example"
# Steps smaller than the tenth of grace, so that the last one taken fills it.
FILL = "for i in $(seq 25); do printf 'Subject: filling\\n\\n' | sendmail -f s@birch.example bob@alder.example; done"

REWRITING = [
    Case(
        "SRS asks PostSRSd about every envelope sender and recipient",
        "read",
        "srs",
        "postconf -h sender_canonical_maps sender_canonical_classes recipient_canonical_maps"
        " recipient_canonical_classes; supervisorctl status postsrsd",
        stdout=r"\Atcp:localhost:10001\nenvelope_sender\ntcp:localhost:10002\nenvelope_recipient, ?header_recipient\n"
        r"postsrsd +RUNNING",
    ),
    Case(
        "SRS rewrites a stranger's address",
        "read",
        "srs",
        "postmap -q s@birch.example tcp:localhost:10001",
        stdout=rf"\A{REWRITTEN}\n\Z",
    ),
    Case(
        "SRS leaves an excluded domain's",
        "read",
        "srs",
        "postmap -q bob@alder.example tcp:localhost:10001",
        stdout=r"\A\Z",
        status=1,
    ),
    Case(
        "SRS reads its own addresses back",
        "read",
        "srs",
        "postmap -q $(postmap -q s@birch.example tcp:localhost:10001) tcp:localhost:10002",
        stdout=r"\As@birch.example\n\Z",
    ),
    Case(
        "the SRS secret lies on the state volume, for root alone",
        "read",
        "srs",
        "readlink -m /etc/postsrsd.secret; stat -L -c %a /etc/postsrsd.secret; ls -d /var/mail-state/lib-postsrsd",
        stdout=r"\A/var/mail-state/etc/postsrsd.secret\n600\n/var/mail-state/lib-postsrsd\n\Z",
    ),
    Case(
        "a forward leaves under the server's own name",
        "read",
        "srs",
        LOG,
        stdout=rf"postfix/qmgr\[\d+\]: ([0-9A-F]+): from=<{REWRITTEN}>, [\s\S]*postfix/smtp\[\d+\]: \1: "
        r"to=<far@birch.example>, orig_to=<away@alder.example>",
        prepare=send("s@birch.example", "away@alder.example", "sent on"),
        within=LATER,
    ),
    Case(
        "what stays here is rewritten, too",
        "read",
        "srs",
        "doveadm fetch -u admin@alder.example hdr.return-path mailbox INBOX subject 'sent on'",
        stdout=rf"hdr.return-path: <{REWRITTEN}>",
        within=LATER,
    ),
    Case(
        "a full mailbox refuses at RCPT",
        "read",
        "srs",
        swaks("127.0.0.1:25", "s@birch.example", "bob@alder.example", "full", "--quit-after RCPT"),
        stdout=r"552 5.2.2 <bob@alder.example>: Recipient address rejected: Mailbox is full",
        status=24,
        prepare=FILL,
        within=LATER,
    ),
    Case(
        "an alias of it does not: quota is counted in a folder of the alias's own name",
        "read",
        "srs",
        swaks("127.0.0.1:25", "s@birch.example", "bobby@alder.example", "full", "--quit-after RCPT"),
        stdout=r"RCPT TO:<bobby@alder.example>\n<-  250 2.1.5 Ok",
    ),
    Case(
        "a message that is too large is refused when it is announced",
        "read",
        "srs",
        "python3 -c \"import smtplib; c = smtplib.SMTP('127.0.0.1', 25, 'mail.birch.example', timeout=25); c.ehlo();"
        " print(*c.docmd('MAIL', 'FROM:<s@birch.example> SIZE=10240001'))\"",
        stdout="552 b'5.3.4 Message size exceeds fixed limit",
    ),
]

CASES = [*SETUP, *SIGNING, *STATE, *DELIVERY, *RELAYING, *CHANGES, *REWRITING]
