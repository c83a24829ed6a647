"""Rules about any mail server: certificate, resources.

Many are what docker-mailserver's users ran into; DMS#n names their issue.
"""

from runbooklib.diagnosis import symptoms
from runbooklib.diagnosis.rules import Rule, Symptom
from runbooklib.results import Status

# Of what else is found much is told by a clock, so it is looked at first.
CLOCK_WRONG = Rule(
    id="clock-wrong",
    cause="the clocks here and on the server differ; certificates, TSIG and Date headers go wrong",
    needs=("clock",),
    match=symptoms.clock_skew,
    fix="compare both with a third, and switch on time synchronisation where the clock is wrong (`timedatectl "
    "set-ntp true`)",
    ref="RFC 8945 5.2.3",
    entails=("certificate-early", "certificate-expired"),
    symptoms=(Symptom.JUNK, Symptom.CLIENT),
)
SERVER_RULES = (
    Rule(
        id="disk-full",
        cause="the disk is full: nothing is accepted or delivered any more",
        needs=("disk",),
        match=symptoms.disk_full,
        fix="free space: old logs, large mailboxes, Docker images that nothing uses",
        ref="postconf(5) queue_minfree",
        explains=("disk",),
        entails=("queue-limit", "bounced-limit", "queue-other"),
        symptoms=(Symptom.CANNOT_RECEIVE, Symptom.CANNOT_SEND, Symptom.CLIENT),
    ),
    Rule(
        id="disk-filling",
        cause="the disk fills up",
        needs=("disk",),
        match=symptoms.disk_filling,
        fix="free space before it is full: old logs, large mailboxes, Docker images that nothing uses",
        ref="postconf(5) queue_minfree, df(1)",
        status=Status.WARN,
        symptoms=(Symptom.CANNOT_RECEIVE,),
    ),
    Rule(
        id="memory-low",
        cause="memory is short; the kernel will kill what grows",
        needs=("memory",),
        match=symptoms.memory_low,
        fix="stop what is not needed, or add memory or swap",
        ref="proc(5), MemAvailable",
        status=Status.WARN,
        symptoms=(Symptom.SLOW,),
    ),
)
