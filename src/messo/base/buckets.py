"""Which bucket a row lives in: design "Data rules". One bucket unless the database is a cluster."""

import zlib


def bucket_of(key: str, buckets: int) -> int:
    """`crc32(key) mod buckets`, the same on every machine and in every release."""
    return zlib.crc32(key.encode()) % buckets if buckets > 1 else 0
