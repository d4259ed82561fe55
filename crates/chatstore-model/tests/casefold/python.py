#!/usr/bin/env python3
"""Makes python.txt: `python3 python.py > python.txt`. What Python makes of every character it knows."""
import platform
import sys
import unicodedata


def key(name):
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", name.strip()).casefold())


def hexadecimal(text):
    return " ".join(f"{ord(character):04X}" for character in text)


def is_assigned(code):
    return unicodedata.category(chr(code)) not in ("Cn", "Cs")


print(f"# Python {platform.python_version()}, Unicode {unicodedata.unidata_version}. Made by python.py.")
print("# FIRST..LAST: assigned code points, surrogates left out.")
print("# CODE;FOLDED;KEY: str.casefold and NFKC(casefold(NFKC(strip))), where one of them is another text.")

first = None
for code in range(sys.maxunicode + 2):
    assigned = code <= sys.maxunicode and is_assigned(code)
    if assigned and first is None:
        first = code
    if not assigned and first is not None:
        print(f"{first:04X}..{code - 1:04X}")
        first = None

for code in filter(is_assigned, range(sys.maxunicode + 1)):
    character = chr(code)
    folded, whole = character.casefold(), key(character)
    if folded != character or whole != character:
        print(f"{code:04X};{hexadecimal(folded)};{hexadecimal(whole)}")
