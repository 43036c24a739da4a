# SPDX-License-Identifier: Apache-2.0
"""Writes as many random pickles of plain data as the first argument says, from
the seed in the second: a line each with the pickle in hexadecimal and a
description of what is in it."""
import datetime
import pickle
import random
import struct
import sys

r = random.Random(int(sys.argv[2]))


def value(depth, shared):
    if shared and r.random() < 0.1:
        return r.choice(shared)
    kinds = 9 if depth > 4 else 13
    kind = r.randrange(kinds)
    if kind == 0:
        return None
    if kind == 1:
        return r.random() < 0.5
    if kind == 2:
        return r.choice([0, 1, -1, 255, 256, 65535, 65536, 2**31 - 1, -2**31, 2**31, 2**63 - 1, -2**63, 2**63, 2**64 - 1]) if r.random() < 0.5 else r.randrange(-2**40, 2**40)
    if kind == 3:
        return text()
    if kind == 4:
        return bytes(r.randrange(256) for _ in range(r.choice([0, 1, 5, 300])))
    if kind == 5:
        return datetime.datetime(r.randrange(1, 10000), r.randrange(1, 13), r.randrange(1, 29), r.randrange(24), r.randrange(60), r.randrange(60), r.randrange(1000000))
    if kind == 6:
        return datetime.timedelta(r.randrange(-100000, 100000), r.randrange(86400), r.randrange(1000000))
    if kind in (7, 8):
        return r.choice([0.0, -1.5, 1e300, r.random()])
    n = r.choice([0, 1, 2, 3, 4, 20])
    if kind == 9:
        v = [value(depth + 1, shared) for _ in range(n)]
    elif kind == 10:
        v = tuple(value(depth + 1, shared) for _ in range(n))
    else:
        v = {r.choice([text, text, text, lambda: r.randrange(1000), lambda: b"k" + bytes([r.randrange(256)])])(): value(depth + 1, shared) for _ in range(n)}
    shared.append(v)
    return v


def text():
    return "".join(chr(r.choice([65, 97, 10, 0, 0xe4, 0x20ac, 0x1f600])) for _ in range(r.choice([0, 1, 8, 300])))


def describe(v):
    if v is None:
        return "none"
    if isinstance(v, bool):
        return str(v).lower()
    if isinstance(v, int):
        return "int:%d" % v
    if isinstance(v, float):
        return "float:" + struct.pack(">d", v).hex()
    if isinstance(v, str):
        return "text:" + v.encode().hex()
    if isinstance(v, bytes):
        return "bytes:" + v.hex()
    if isinstance(v, datetime.datetime):
        return "time:%04d-%02d-%02d %02d:%02d:%02d.%06d" % (v.year, v.month, v.day, v.hour, v.minute, v.second, v.microsecond)
    if isinstance(v, datetime.timedelta):
        return "duration:%d" % (v // datetime.timedelta(microseconds=1))
    if isinstance(v, list):
        return "[" + " ".join(map(describe, v)) + "]"
    if isinstance(v, tuple):
        return "(" + " ".join(map(describe, v)) + ")"
    return "{" + " ".join(sorted(describe(k) + "=" + describe(w) for k, w in v.items())) + "}"


for _ in range(int(sys.argv[1])):
    v = value(0, [])
    print(pickle.dumps(v, r.randrange(3)).hex(), describe(v))
