"""Valid files with damaged spots: what a bad disk, a bad program or a bad intent may leave."""

from typing import NamedTuple

from hypothesis import strategies as st

KINDS = ("overwrite", "insert", "delete", "truncate", "repeat", "flip")
# What readers of text and of binary numbers stumble over.
FRAGMENTS = (
    *(b'"', b"'", b",", b":", b"\n", b"\r", b"\t", b"\\", b"{", b"}", b"[", b"]", b"null", b"true", b"-1", b"1e999"),
    *(b"NaN", b"-Infinity", b"9" * 5000, b'"\\ud800"', b"[[[[[[[[", b'{"a":', b"\xef\xbb\xbf", b"\x00", b"\x1b[2J"),
    *(b"\xff", b"\xff\xff\xff\xff", b"\xff\xff\xff\x7f", b"\x00\x00\x00\x80", b"\x80\x80\x80\x80\x10", b"\xc3"),
    *(b"\xff\xff\xff\xff\xff\xff\xff\x7f", b"\x00\x00\x00\x00\x00\x00\x00\x80", b"../../", b"/dev/zero"),
)


class Edit(NamedTuple):
    """One damaged spot; `place` is taken modulo the length."""

    kind: str
    place: int
    payload: bytes


def damage(data: bytes, edits: list[Edit]) -> bytes:
    """The data after the edits, one by one."""
    for kind, place, payload in edits:
        at, size = place % (len(data) + 1), len(payload)
        before, spot, after = data[:at], data[at : at + size], data[at + size :]
        data = {
            "overwrite": before + payload + after,
            "insert": before + payload + spot + after,
            "delete": before + after,
            "truncate": before,
            "repeat": before + spot * 3 + after,
            "flip": before + bytes(byte ^ mask for byte, mask in zip(spot, payload, strict=False)) + after,
        }[kind]
    return data


def edits(*fragments: bytes) -> st.SearchStrategy[list[Edit]]:
    """A few damaged spots; `fragments` of the format are put in, too."""
    payloads = st.sampled_from(FRAGMENTS + fragments) | st.binary(min_size=1, max_size=8)
    return st.lists(st.builds(Edit, st.sampled_from(KINDS), st.integers(0, 1 << 16), payloads), min_size=1, max_size=4)
