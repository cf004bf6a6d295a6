"""Reads an audit trail as any reader of C2SP logs would, with a Merkle tree and an Ed25519 that are not
ours: the signed head, every entry, and the consistency of the head with an older one.

usage: trail.py LEDGER KEY OLDER_HEAD
"""

import base64
import json
import sys
import urllib.request

from nacl.signing import VerifyKey
from pymerkle import InmemoryTree, verify_consistency, verify_inclusion


def get(ledger, path):
    with urllib.request.urlopen(ledger + path) as answer:
        return answer.read()


def opened(note, key):
    """The origin, size and root of a note that the key signed."""
    name, _, public = key.split("+", 2)
    text, signatures = note.rsplit("\n\n", 1)
    stamps = [line.split(" ")[2] for line in signatures.splitlines() if line.split(" ")[1] == name]
    verifier = VerifyKey(base64.b64decode(public)[1:])
    verifier.verify((text + "\n").encode(), base64.b64decode(stamps[0])[4:])
    origin, size, root = text.split("\n")[:3]
    return origin, int(size), base64.b64decode(root)


def entries(bundle):
    while bundle:
        length = int.from_bytes(bundle[:2], "big")
        yield bundle[2 : 2 + length]
        bundle = bundle[2 + length :]


def main():
    ledger, key, older = sys.argv[1:]
    origin, size, root = opened(get(ledger, "/audit/checkpoint").decode(), key)
    tree = InmemoryTree(algorithm="sha256")
    bundle = get(ledger, f"/audit/tile/entries/000.p/{size}")
    for entry in entries(bundle):
        tree.append_entry(entry)
    assert tree.get_size() == size, "the bundle has another number of entries"
    assert tree.get_root() == root, "the entries have another root than was signed"
    with open(older, encoding="utf-8") as file:
        _, old_size, old_root = opened(file.read(), key)
    verify_consistency(old_root, root, tree.prove_consistency(old_size, size))
    leaf = tree.get_leaf(size)
    verify_inclusion(leaf, root, tree.prove_inclusion(size, size))
    hashes = get(ledger, f"/audit/tile/0/000.p/{size}")
    assert hashes == b"".join(tree.get_leaf(at + 1) for at in range(size)), "the tile differs"
    actions = [json.loads(entry)["action"] for entry in entries(bundle)]
    print(json.dumps({"origin": origin, "size": size, "actions": actions}))


main()
