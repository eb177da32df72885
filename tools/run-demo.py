# SPDX-License-Identifier: BSD-3-Clause
"""The small script of `make run`: shows where it runs and does some real work there."""
import hashlib
import json
import os
import platform
import sqlite3
import threading

print(f"Hello from {platform.system()} {platform.release()}: {os.cpu_count()} CPUs, Python {platform.python_version()}")

db = sqlite3.connect(":memory:")
db.execute("create table squares (n integer primary key, square integer)")
db.executemany("insert into squares values (?, ?)", [(n, n * n) for n in range(1000)])
total, = db.execute("select sum(square) from squares").fetchone()

digests = {}


def digest(name):
    digests[name] = hashlib.sha256(name.encode() * 10000).hexdigest()[:16]


threads = [threading.Thread(target=digest, args=(f"thread {i}",)) for i in range(4)]
for t in threads:
    t.start()
for t in threads:
    t.join()
print(json.dumps({"sum of squares": total, "digests": dict(sorted(digests.items()))}, indent=1))
