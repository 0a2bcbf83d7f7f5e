"""Which bucket a row lives in: design "Data rules". One bucket unless the database is a cluster."""

import zlib


def short_hash(key: str) -> int:
    """15 bits of a hash: enough to find a key's rows among others', too few to say whose they are."""
    return zlib.crc32(key.encode()) >> 16 & 0x7FFF  # the low bits say the bucket


def bucket_of(key: str, buckets: int) -> int:
    """`crc32(key) mod buckets`, the same on every machine and in every release."""
    return zlib.crc32(key.encode()) % buckets if buckets > 1 else 0
