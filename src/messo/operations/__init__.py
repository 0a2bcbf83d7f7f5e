"""Who did what, and how we are doing.

Owns: operations.audit, operations.seal, operations.operator, operations.sample.
Step: `operations.sample` (samples.py), periodic. Others may call: `record`.
"""

from messo.operations.audit import record

__all__ = ["record"]
