"""Rules about the site's names: the zones and who answers for them, then the records that mail needs."""

from runbooklib.diagnosis.receiving_rules import RECEIVING_RULES
from runbooklib.diagnosis.spf_rules import SPF_RULES
from runbooklib.diagnosis.zone_rules import ZONE_RULES

DNS_RULES = (
    *ZONE_RULES,
    *RECEIVING_RULES,
    *SPF_RULES,
)
