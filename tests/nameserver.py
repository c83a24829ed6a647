"""A real name server on loopback for tests: UDP and TCP, TSIG, RFC 2136 updates of one zone, faults on order."""

from __future__ import annotations

import socketserver
import struct
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Self

import dns.exception
import dns.flags
import dns.message
import dns.name
import dns.rcode
import dns.rdataclass
import dns.rdatatype
import dns.tsig
import dns.update
import dns.zone

TSIG_ERRORS = {"BADTIME": 18, "BADSIG": 16, "BADKEY": 17, "BADTRUNC": 22, "BADMODE": 19}


@dataclass
class Nameserver:
    """Answers from `text`, lets `key` update it; `fault` names what goes wrong."""

    apex: str
    text: str
    key: dns.tsig.Key
    fault: str = ""
    seen: list[str] = field(default_factory=list)
    granted: set[str] | None = None  # names and types the key may write, as BIND's update-policy has it; None: all
    meanwhile: Callable[[Nameserver], None] | None = None  # what someone else does just before the next update

    def __post_init__(self) -> None:
        self.zone = dns.zone.from_text(self.text, self.apex, relativize=False, check_origin=False)
        self.servers: list[socketserver.BaseServer] = []

    def __enter__(self) -> Self:
        tcp, udp = self._bound()
        self.port = tcp.server_address[1]
        for server in (tcp, udp):
            server.nameserver = self
            threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        self.servers = [tcp, udp]
        return self

    def _bound(self) -> tuple[_Tcp, _Udp]:
        """Both on one port: what is free for TCP another test may hold for UDP."""
        tcp = _Tcp(("127.0.0.1", 0), _TcpHandler)
        try:
            return tcp, _Udp(("127.0.0.1", tcp.server_address[1]), _UdpHandler)
        except OSError:
            other = self._bound()
            tcp.server_close()
            return other

    def __exit__(self, *_: object) -> None:
        for server in self.servers:
            server.shutdown()
            server.server_close()

    def values(self, name: str, kind: str) -> list[str]:
        """What stands now."""
        found = self.zone.get_rdataset(dns.name.from_text(name), kind)
        return sorted(r.to_text() for r in found or ())

    @property
    def serial(self) -> int:
        return int(self.zone.find_rdataset(self.zone.origin, "SOA")[0].serial)

    def reply(self, wire: bytes, *, datagram: bool) -> bytes | None:
        """The answer to a request; None is silence."""
        if self.fault == "silent":
            return None
        try:
            query = dns.message.from_wire(wire, keyring={self.key.name: self.key})
        except (dns.tsig.BadSignature, dns.message.UnknownTSIGKey) as error:
            return self._signature_refused(wire, "BADSIG" if isinstance(error, dns.tsig.BadSignature) else "BADKEY")
        self.seen.append(f"{'udp' if datagram else 'tcp'} {dns.opcode.to_text(query.opcode())}")
        if isinstance(query, dns.update.UpdateMessage) and self.fault in TSIG_ERRORS:
            return self._signature_refused(wire, self.fault)
        answer = dns.message.make_response(query)
        if isinstance(query, dns.update.UpdateMessage):
            answer.set_rcode(self._updated(query))
        else:
            self._answered(query, answer, datagram=datagram)
        if query.had_tsig and self.fault == "unsigned":
            answer.keyring = answer.tsig = None
            answer.want_tsig_sign = False
        return None if self.fault == "mute" else answer.to_wire()

    def _signature_refused(self, wire: bytes, error: str) -> bytes:
        query = dns.message.from_wire(wire, keyring=False, continue_on_error=True)
        answer = dns.message.make_response(query)
        answer.set_rcode(dns.rcode.NOTAUTH)
        answer.use_tsig(self.key, tsig_error=TSIG_ERRORS[error])
        answer.request_mac = query.mac
        return answer.to_wire()

    def _answered(self, query: dns.message.Message, answer: dns.message.Message, *, datagram: bool) -> None:
        if self.fault == "formerr" and query.edns >= 0:
            answer.set_rcode(dns.rcode.FORMERR)
            return
        if self.fault == "truncated" and datagram:
            answer.flags |= dns.flags.TC
            return
        question = query.question[0]
        if not question.name.is_subdomain(self.zone.origin):
            answer.set_rcode(dns.rcode.REFUSED)
            return
        answer.flags |= dns.flags.AA
        found = self.zone.get_rrset(question.name, question.rdtype)
        if found:
            answer.answer.append(found)
        else:
            answer.authority.append(self.zone.find_rrset(self.zone.origin, "SOA"))
            answer.set_rcode(dns.rcode.NOERROR if question.name in self.zone.nodes else dns.rcode.NXDOMAIN)

    def _updated(self, update: dns.update.UpdateMessage) -> dns.rcode.Rcode:
        if self.fault in {"REFUSED", "NOTAUTH", "NOTZONE", "SERVFAIL"} or not update.had_tsig:
            return dns.rcode.from_text(self.fault or "REFUSED")
        if self.meanwhile:
            self.meanwhile(self)
        refusal = next((r for r in map(self._unmet, _whole(update.prerequisite)) if r), None)
        if refusal:
            return refusal
        if self.granted is not None and any(f"{r.name} {r.rdtype.name}" not in self.granted for r in update.update):
            return dns.rcode.REFUSED
        with self.zone.writer() as writer:
            for rrset in update.update:
                if rrset.deleting == dns.rdataclass.NONE:
                    writer.delete(rrset.name, *rrset)  # no error where it is not there (RFC 2136 3.4.2.4)
                else:
                    writer.add(rrset.name, rrset.ttl, *rrset)
            if writer.changed():
                writer.update_serial(name=self.zone.origin)
        return dns.rcode.NOERROR

    def _unmet(self, rrset: dns.rrset.RRset) -> dns.rcode.Rcode | None:
        """RFC 2136 3.2."""
        stands = self.zone.get_rdataset(rrset.name, rrset.rdtype) if rrset.rdtype != dns.rdatatype.ANY else None
        if rrset.deleting == dns.rdataclass.NONE:
            if rrset.rdtype == dns.rdatatype.ANY:
                return dns.rcode.YXDOMAIN if rrset.name in self.zone.nodes else None
            return dns.rcode.YXRRSET if stands else None
        if rrset.deleting == dns.rdataclass.ANY:
            return None if stands else dns.rcode.NXRRSET
        return None if stands and set(stands) == set(rrset) else dns.rcode.NXRRSET


def _whole(section: list[dns.rrset.RRset]) -> list[dns.rrset.RRset]:
    """The records of a prerequisite section gathered into rrsets: a message carries them one by one."""
    gathered: dict[tuple[object, ...], dns.rrset.RRset] = {}
    for rrset in section:
        gathered.setdefault((rrset.name, rrset.rdtype, rrset.deleting), rrset).update(rrset)
    return list(gathered.values())


class _Tcp(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True
    nameserver: Nameserver


class _Udp(socketserver.ThreadingUDPServer):
    daemon_threads = True
    nameserver: Nameserver


class _TcpHandler(socketserver.StreamRequestHandler):
    server: _Tcp

    def handle(self) -> None:
        while head := self.rfile.read(2):
            reply = self.server.nameserver.reply(self.rfile.read(struct.unpack("!H", head)[0]), datagram=False)
            if reply is None:
                return
            self.wfile.write(struct.pack("!H", len(reply)) + reply)


class _UdpHandler(socketserver.DatagramRequestHandler):
    server: _Udp

    def handle(self) -> None:
        reply = self.server.nameserver.reply(self.rfile.read(), datagram=True)
        if reply is not None:
            self.socket.sendto(reply, self.client_address)

    def finish(self) -> None:
        """The reply, if any, is sent already."""
