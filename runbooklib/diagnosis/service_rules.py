"""Rules about what runs in docker-mailserver's container: services, Postfix's settings, mailboxes, queue.

Most are what its users ran into; DMS#n names their issue.
"""

from runbooklib.diagnosis import container_symptoms as container
from runbooklib.diagnosis import postfix_symptoms, symptoms, trust_symptoms
from runbooklib.diagnosis.rules import Rule, Sureness, Symptom
from runbooklib.results import Status

EVERY_WAY = (Symptom.CANNOT_SEND, Symptom.CANNOT_RECEIVE, Symptom.CLIENT)
MEND = "01-bootstrap#apply"
EXEC = "docker exec mailserver"
# From whichever compose.yaml the container was made.
UP = """docker compose -f "$(docker inspect -f '{{index .Config.Labels "com.docker.compose.project.config_files"}}' """
UP += 'mailserver)" up -d'
RECREATE = f"{UP} --force-recreate"
UNSET = f"{EXEC} sed -i '/^[[:space:]]*{{}}[[:space:]]*=/d' /tmp/docker-mailserver/postfix-main.cf"
LISTENING = ("listener-missing", "port-closed")  # what follows where nobody listens

SERVICE_RULES = (
    Rule(
        id="postfix-down",
        cause="Postfix has stopped inside the container",
        needs=("services",),
        match=container.service_down("postfix"),
        fix="start it again; its last lines in the mail log say why it stopped",
        ref="supervisord",
        explains=("tls",),
        entails=(*LISTENING, "container-unhealthy", "service-rests"),
        command=f"{EXEC} supervisorctl restart postfix",
        symptoms=EVERY_WAY,
    ),
    Rule(
        id="dovecot-down",
        cause="Dovecot has stopped: nobody reads mail or logs in, and what arrives waits in the queue",
        needs=("services",),
        match=container.service_down("dovecot"),
        # Postfix's master starts no smtpd for a minute after one that found no login service.
        fix="start it again, and Postfix after it; its last lines in the mail log say why it stopped",
        ref="supervisord, master(8) throttling",
        explains=("tls", "quotas"),
        entails=(*LISTENING, "service-rests", "port-silent"),
        command=f"{EXEC} supervisorctl restart dovecot && {EXEC} supervisorctl restart postfix",
        symptoms=EVERY_WAY,
    ),
    Rule(
        id="service-down",
        cause="a service inside the mail server has stopped",
        needs=("services",),
        match=container.other_service_down,
        fix="start it again; its last lines in the mail log, or in /var/log/supervisor, say why it stopped",
        ref="supervisord",
        command=f"{EXEC} supervisorctl restart {{about}}",
        symptoms=(*EVERY_WAY, Symptom.JUNK),
    ),
    Rule(
        id="listener-missing",
        cause="a mail port has no listener, though the services run",
        needs=("listeners",),
        match=symptoms.not_listening,
        fix="make the container anew, so that it has the services of its image and of config/postfix-master.cf again",
        ref="master(5)",
        explains=("port", "tls"),
        entails=("container-unhealthy",),
        command=RECREATE,
        sureness=Sureness.LIKELY,
        observe="`docker exec mailserver postconf -M` for Postfix's ports, `doveconf service` for Dovecot's",
        symptoms=EVERY_WAY,
    ),
    Rule(
        id="service-rests",
        cause="a service of Postfix died as it began; it then rests for 60 s, and its port says nothing",
        needs=("log",),
        match=symptoms.resting,
        fix="mend what the line names (for SASL see that Dovecot runs), then start Postfix again, or wait a minute",
        ref="master(8) throttling",
        explains=("tls",),
        entails=("port-silent",),
        command=f"{EXEC} supervisorctl restart postfix",
        sureness=Sureness.LIKELY,
        observe="`docker exec mailserver supervisorctl status dovecot`",
        symptoms=(Symptom.CANNOT_SEND, Symptom.CLIENT, Symptom.CANNOT_RECEIVE),
    ),
    Rule(
        id="hostname-is-domain",
        cause="the host name is a mail domain too, so Postfix looks for system users instead of mailboxes",
        needs=("postfix",),
        match=symptoms.domain_as_hostname,
        fix="run stage 01, which names the host as server.hostname says; that must be another name, mail.DOMAIN",
        ref="DMS#2515, DMS#1731",
        cell=MEND,
        symptoms=(Symptom.CANNOT_RECEIVE, Symptom.BOUNCED),
    ),
    Rule(
        id="hostname-wrong",
        cause="the mail server calls itself by another name than MX, certificate and PTR bear",
        needs=("postfix",),
        match=symptoms.other_hostname,
        fix="run stage 01: it writes server.hostname into compose.yaml and makes the container anew",
        ref="RFC 5321 4.1.4, DMS#689",
        cell=MEND,
        symptoms=(Symptom.JUNK, Symptom.BOUNCED),
    ),
    Rule(
        id="docker-permitted",
        cause="PERMIT_DOCKER lets Docker's networks send without a login, and with them whoever its gateway stands for",
        needs=("environment", "postfix"),
        match=container.permits_neighbours,
        fix="run stage 01: it sets PERMIT_DOCKER=none",
        ref="DMS#1405, DMS#3478",
        cell=MEND,
        symptoms=(Symptom.JUNK,),
    ),
    Rule(
        id="open-relay",
        cause="Postfix trusts strangers' networks: whoever comes from there may send to anyone without a login",
        needs=("postfix",),
        match=container.by_hand(trust_symptoms.trusts_strangers),
        fix="take mynetworks out of config/postfix-main.cf and make the container anew",
        ref="DMS#1405, postconf(5) mynetworks",
        command=f"{UNSET.format('mynetworks')}; {RECREATE}",
        symptoms=(Symptom.JUNK,),
    ),
    Rule(
        id="neighbours-trusted",
        cause="Postfix lets neighbours send to anyone without a login, and with them whoever a gateway stands for",
        needs=("postfix",),
        match=container.by_hand(trust_symptoms.trusts_neighbours),
        fix="take out of mynetworks in config/postfix-main.cf what need not send without a login, and make the "
        "container anew",
        ref="DMS#1405, postconf(5) mynetworks",
        status=Status.WARN,
        sureness=Sureness.LIKELY,
        observe="who is in these networks, and whether Docker shows strangers under an address of theirs (`connect "
        "from` in the mail log)",
        symptoms=(Symptom.JUNK,),
    ),
    Rule(
        id="catch-all-swallows",
        cause="a catch-all takes the mail of real mailboxes, since aliases are asked before mailboxes",
        needs=("diverted",),
        match=container.swallowed,
        fix="run stage 01: it has each mailbox answered with itself first; mail already taken is in the other mailbox",
        ref="DMS#1454, DMS#3751, ADDRESS_REWRITING_README",
        cell=MEND,
        symptoms=(Symptom.CANNOT_RECEIVE,),
    ),
    Rule(
        id="quota-full",
        cause="a mailbox is full, so mail for it is refused",
        needs=("quotas",),
        match=container.quota(container.QUOTA_FULL),
        fix="have its owner delete mail, or raise its quota (params, then stage 01); lifting the limit helps at once",
        ref="RFC 3463 3.3 (X.2.2)",
        entails=("queue-limit", "bounced-limit"),
        command=f"{EXEC} setup quota del {{about}}",
        symptoms=(Symptom.CANNOT_RECEIVE, Symptom.BOUNCED),
    ),
    Rule(
        id="quota-filling",
        cause="a mailbox is nearly full",
        needs=("quotas",),
        match=container.quota(container.QUOTA_FILLING, container.QUOTA_FULL),
        fix="have its owner delete mail, or raise its quota in params and run stage 01",
        ref="RFC 3463 3.3 (X.2.2)",
        status=Status.WARN,
        symptoms=(Symptom.CANNOT_RECEIVE,),
    ),
    Rule(
        id="queue-held",
        cause="messages are on hold: Postfix never tries them by itself",
        needs=("queue",),
        match=postfix_symptoms.held,
        fix="release them, unless somebody keeps them back on purpose; a HOLD in an access table holds the next ones",
        ref="postsuper(1), access(5)",
        command=f"{EXEC} postsuper -H ALL",
        symptoms=(Symptom.CANNOT_SEND, Symptom.CANNOT_RECEIVE, Symptom.SLOW),
    ),
    Rule(
        id="queue-deferred",
        cause="Postfix is told to keep back all mail of a transport, as one does for maintenance",
        needs=("postfix",),
        match=postfix_symptoms.deferring,
        fix="take defer_transports out, in config/postfix-main.cf too, and have the queue tried",
        ref="postconf(5) defer_transports",
        command=f"{UNSET.format('defer_transports')}; "
        f"{EXEC} sh -c 'postconf -X defer_transports && postfix reload && postqueue -f'",
        symptoms=(Symptom.CANNOT_SEND, Symptom.CANNOT_RECEIVE, Symptom.SLOW),
    ),
)
