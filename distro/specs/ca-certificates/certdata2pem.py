#!/usr/bin/python3
"""Mozilla's certdata.txt to one PEM file: the roots that may vouch for servers.

usage: certdata2pem.py CERTDATA SECONDS > BUNDLE

A root that Mozilla stopped trusting for certificates issued after some date is left out once every such
certificate has expired: SECONDS (since 1970) minus 398 days, the longest life of a server certificate, lies after it.
"""

import base64
import datetime
import hashlib
import re
import sys

LONGEST_LIFE = 398 * 24 * 3600


def objects(lines):
    """Each object of the file: attribute name -> text or bytes."""
    current = {}
    lines = iter(lines)
    for line in lines:
        line = line.strip()
        if line.startswith("#") or line == "BEGINDATA":
            continue
        if not line:
            if current:
                yield current
            current = {}
            continue
        name, kind, *value = line.split(None, 2)
        if kind == "MULTILINE_OCTAL":
            octal = ""
            for line in lines:
                if line.strip() == "END":
                    break
                octal += line.strip()
            current[name] = bytes(int(o, 8) for o in re.findall(r"\\([0-7]{3})", octal))
        else:
            current[name] = value[0] if value else ""
    if current:
        yield current


def distrusted_since(value):
    """`YYMMDDhhmmssZ` as seconds since 1970; None if the root has no such date."""
    if not isinstance(value, bytes):
        return None
    date = datetime.datetime.strptime(value.decode("ascii"), "%y%m%d%H%M%SZ")
    return date.replace(tzinfo=datetime.timezone.utc).timestamp()


def main(path, now):
    certificates, trusted = {}, set()
    with open(path, encoding="utf-8") as file:
        for item in objects(file):
            key = (item.get("CKA_ISSUER"), item.get("CKA_SERIAL_NUMBER"))
            kind = item.get("CKA_CLASS")
            if kind == "CKO_CERTIFICATE":
                certificates[key] = item
            elif kind == "CKO_NSS_TRUST" and item.get("CKA_TRUST_SERVER_AUTH") == "CKT_NSS_TRUSTED_DELEGATOR":
                trusted.add(key)

    blocks, left_out = [], []
    for key in trusted:
        item = certificates[key]
        label = item["CKA_LABEL"].strip('"').encode().decode("unicode_escape").encode("latin-1").decode("utf-8")
        since = distrusted_since(item.get("CKA_NSS_SERVER_DISTRUST_AFTER"))
        if since is not None and since + LONGEST_LIFE < now:
            left_out.append(label)
            continue
        der = item["CKA_VALUE"]
        text = base64.b64encode(der).decode("ascii")
        body = "\n".join(text[i : i + 64] for i in range(0, len(text), 64))
        pem = f"# {label}\n-----BEGIN CERTIFICATE-----\n{body}\n-----END CERTIFICATE-----\n"
        blocks.append((label.casefold(), hashlib.sha256(der).digest(), pem))
    if len(blocks) < 100:
        sys.exit(f"error: {path}: only {len(blocks)} trusted roots found")
    for label in sorted(left_out):
        print(f"left out, no longer trusted for servers: {label}", file=sys.stderr)
    sys.stdout.write("\n".join(pem for _, _, pem in sorted(blocks)))


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
