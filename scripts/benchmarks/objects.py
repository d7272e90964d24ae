#!/usr/bin/env python3
"""Fills an etcd with objects until its database has about BYTES. The same on every run.

Usage: objects.py URL CERTIFICATES BYTES        CERTIFICATES as scripts/testbed/certificates makes them
Keys are named as an API server names them; half of each value is text as in an API object, half is base64 of random
bytes, as in secrets and certificates. Prints the number of keys and their bytes as JSON.
"""

import base64
import json
import random
import socket
import ssl
import struct
import sys
import urllib.parse

from text import Text

SEED = 20261121
TRANSACTION_BYTES = 1_000_000  # etcd takes 1.5 MiB at once.
# What a database holds of values when it was filled in one go; the rest is page headers and space left in pages.
VALUE_SHARE = 0.87


class Connection:
    """As much of gRPC as one call at a time needs: etcd's JSON gateway would take ten times as long."""

    DATA, HEADERS, RESET, SETTINGS, PING, GOAWAY, WINDOW = 0, 1, 3, 4, 6, 7, 8
    ACKNOWLEDGED, END_STREAM, END_HEADERS = 1, 1, 4

    def __init__(self, url, certificates):
        address = urllib.parse.urlsplit(url)
        context = ssl.create_default_context(cafile=f"{certificates}/ca.crt")
        context.load_cert_chain(f"{certificates}/client.crt", f"{certificates}/client.key")
        context.set_alpn_protocols(["h2"])
        plain = socket.create_connection((address.hostname, address.port), timeout=60)
        plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.socket = context.wrap_socket(plain, server_hostname=address.hostname)
        self.authority, self.stream, self.window, self.first_window = address.netloc, -1, 65535, 65535
        self.socket.sendall(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + self.frame(self.SETTINGS, 0, 0))

    @staticmethod
    def frame(kind, flags, stream, payload=b""):
        return struct.pack(">IBI", len(payload) << 8 | kind, flags, stream) + payload

    @staticmethod
    def literal(text):
        return bytes([len(text)]) + text.encode()

    def call(self, path, message):
        """Sends one message and waits until the call has ended."""
        self.stream += 2
        # Literal fields without an index, which every decoder has to take.
        fields = ((":method", "POST"), (":scheme", "https"), (":path", path), (":authority", self.authority),
                  ("content-type", "application/grpc"), ("te", "trailers"))
        block = b"".join(b"\0" + self.literal(name) + self.literal(value) for name, value in fields)
        self.socket.sendall(self.frame(self.HEADERS, self.END_HEADERS, self.stream, block))
        self.stream_window, self.answered, self.ended = self.first_window, False, False
        rest = memoryview(struct.pack(">BI", 0, len(message)) + message)
        while rest and not self.ended:
            size = min(len(rest), 16384, self.window, self.stream_window)
            if size <= 0:
                self.receive()
                continue
            flags = self.END_STREAM if size == len(rest) else 0
            self.socket.sendall(self.frame(self.DATA, flags, self.stream, bytes(rest[:size])))
            rest, self.window, self.stream_window = rest[size:], self.window - size, self.stream_window - size
        while not self.ended:
            self.receive()
        if not self.answered:
            raise OSError(f"etcd refused a call of {path}; its log says why")

    def receive(self):
        head = self.exactly(9)
        length, kind, flags = int.from_bytes(head[:3], "big"), head[3], head[4]
        stream, payload = int.from_bytes(head[5:], "big"), self.exactly(length)
        if kind == self.SETTINGS and not flags & self.ACKNOWLEDGED:
            for name, value in struct.iter_unpack(">HI", payload):
                if name == 4:  # the window that a new stream starts with
                    self.first_window = value
            self.socket.sendall(self.frame(self.SETTINGS, self.ACKNOWLEDGED, 0))
        elif kind == self.PING and not flags & self.ACKNOWLEDGED:
            self.socket.sendall(self.frame(self.PING, self.ACKNOWLEDGED, 0, payload))
        elif kind == self.WINDOW:
            more = int.from_bytes(payload, "big")
            if stream == 0:
                self.window += more
            elif stream == self.stream:
                self.stream_window += more
        elif kind == self.GOAWAY:
            raise OSError(f"etcd closes the connection: {payload[8:]!r}")
        elif stream == self.stream and kind in (self.DATA, self.HEADERS, self.RESET):
            self.answered |= kind == self.DATA  # A refusal has a status and no message.
            self.ended |= kind == self.RESET or bool(flags & self.END_STREAM)
            if kind == self.DATA and payload:
                self.socket.sendall(self.frame(self.WINDOW, 0, 0, struct.pack(">I", length)))

    def exactly(self, size):
        data = b""
        while len(data) < size:
            piece = self.socket.recv(size - len(data))
            if not piece:
                raise OSError("etcd closed the connection")
            data += piece
        return data


def field(number, data):
    """A length-delimited field of a protobuf message."""
    size, length = bytearray(), len(data)
    while length > 0x7F:
        size.append(length & 0x7F | 0x80)
        length >>= 7
    size.append(length)
    return bytes([number << 3 | 2]) + bytes(size) + data


def fill(url, certificates, wanted):
    connection, text, shape = Connection(url, certificates), Text(SEED), random.Random(SEED)
    keys = total = 0
    while total < wanted * VALUE_SHARE:
        puts, length = [], 0
        while length < TRANSACTION_BYTES:
            size = min(300_000, max(200, int(shape.lognormvariate(8.2, 1.1))))
            value = text.make("api_object", size // 2) + base64.b64encode(shape.randbytes(size * 3 // 8))
            kind = shape.choice(("pods", "configmaps", "secrets", "events", "replicasets", "leases"))
            key = f"/registry/{kind}/{text.words()}/{text.words()}-{keys:07}".encode()
            # TxnRequest.success › RequestOp.request_put › PutRequest.key, .value
            puts.append(field(2, field(2, field(1, key) + field(2, value))))
            length += len(value)
            keys += 1
        connection.call("/etcdserverpb.KV/Txn", b"".join(puts))
        total += length
    return {"keys": keys, "bytes": total}


if __name__ == "__main__":
    if len(sys.argv) != 4:
        sys.exit(__doc__)
    try:
        print(json.dumps(fill(sys.argv[1], sys.argv[2], int(sys.argv[3]))))
    except OSError as error:
        sys.exit(f"objects.py: {error}")
