"""The request for reverse DNS: whoever owns an address sets its PTR record, so the provider of the server is asked.

The words are those of providers' panels: reverse DNS, rDNS, PTR record, 反向解析.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from runbooklib.records.agreement import stands
from runbooklib.records.comparison import compare
from runbooklib.records.observed import Observed
from runbooklib.records.wanted import Desired, Wanted, reversed_address
from runbooklib.results import Shown, Table

ENGLISH = """Hello,

please set the reverse DNS (rDNS, PTR record) of the addresses of my server:

{addresses}

{forward} It is a mail server: receivers check that the name of an address leads back to that address.

If I can set this myself in your panel (reverse DNS, rDNS or PTR), please tell me where.

Thank you"""
CHINESE = """您好！

请为我的服务器的以下 IP 地址设置反向解析（rDNS，即 PTR 记录）：

{addresses}

{forward}这是一台邮件服务器，收件方会核对 IP 地址的反向解析与域名的正向解析是否一致。

如果可以在控制面板中自行设置（反向解析、反向 DNS、rDNS 或 PTR 记录），请告诉我在哪里操作。

谢谢！"""
PANEL = (
    "look beside the address for reverse DNS, rDNS, PTR or 反向解析 before you write: many panels let you set it; "
    "enter the host name whole, for IPv6 at the one address and not at its network"
)


@dataclass(frozen=True)
class Lacking:
    """An address whose name is missing or another; `forward`: the name leads to it already."""

    address: str
    host: str
    now: str
    forward: bool


@dataclass(frozen=True)
class Ticket(Shown):
    """The text of a support ticket in English and Chinese; empty is falsy."""

    lacking: tuple[Lacking, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.lacking)

    def texts(self) -> tuple[tuple[str, str, str], ...]:
        """Language, subject and text."""
        listed = ", ".join(item.address for item in self.lacking)
        chinese = "、".join(item.address for item in self.lacking)
        return (
            ("English", f"Reverse DNS (PTR record) for {listed}", self._english()),
            ("中文", f"请为 {chinese} 设置反向解析（PTR 记录）", self._chinese()),
        )

    def _english(self) -> str:
        lines = (f"{i.address} → {i.host} (now: {i.now or 'none'})" for i in self.lacking)
        ready = all(item.forward for item in self.lacking)
        hosts = " and ".join(dict.fromkeys(item.host for item in self.lacking))
        leads = "leads to these addresses already" if ready else "will lead to these addresses"
        forward = f"{hosts} {leads} (A and AAAA records)."
        more = "" if ready else " If your system checks that first, please tell me."
        return ENGLISH.format(addresses="\n".join(lines), forward=forward + more)

    def _chinese(self) -> str:
        lines = (f"{i.address} → {i.host}（当前：{i.now or '未设置'}）" for i in self.lacking)
        hosts = "、".join(dict.fromkeys(item.host for item in self.lacking))
        forward = f"{hosts} 的正向解析（A、AAAA 记录）已指向上述地址。"
        if not all(item.forward for item in self.lacking):
            forward = f"{hosts} 的正向解析（A、AAAA 记录）即将指向上述地址；如果需要先完成正向解析，请告知。"
        return CHINESE.format(addresses="\n".join(lines), forward=forward)

    def parts(self) -> tuple[str, Sequence[str], Sequence[Sequence[str]]]:
        rows = [*self.texts(), ("", "first", PANEL)] if self else []
        return "what to ask the provider of the server", ("language", "subject", "text"), rows

    def __str__(self) -> str:
        if not self:
            return "reverse DNS: nothing to ask for"
        return "\n\n".join([PANEL, *(f"{subject}\n\n{text}" for _, subject, text in self.texts())])

    def data(self) -> dict[str, Any]:
        title, columns, rows = self.parts()
        return Table(title, tuple(columns), tuple(tuple(r) for r in rows)).data()


def ticket(want: Desired, seen: Observed) -> Ticket:
    """The request for each PTR record that resolvers show to be missing or another one."""
    return Ticket(tuple(_lacking(want, seen)))


def _lacking(want: Desired, seen: Observed) -> Iterator[Lacking]:
    for wanted in want:
        heard = [a for a in seen.at_resolvers(wanted) if a.heard]
        wrong = next((a for a in heard if not compare(wanted, a).good), None) if wanted.kind == "ptr" else None
        if wrong:
            address, host = reversed_address(wanted.name), wanted.values[0]
            yield Lacking(address, host, ", ".join(wrong.values), _leads(host, address, want, seen))


def _leads(host: str, address: str, want: Desired, seen: Observed) -> bool:
    """Whether the name leads to the address at every authoritative server."""
    forward: list[Wanted] = [w for w in want if w.name == host and w.kind == "address" and address in w.values]
    return any(stands(w, seen) for w in forward)
