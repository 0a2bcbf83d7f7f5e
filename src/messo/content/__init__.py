"""Remote content: which institution serves what from where.

Owns: content.configuration. Others may call: `Configurations`.
"""

from messo.content.configurations import Configurations

__all__ = ["Configurations"]
