"""The console: pages for institutions' people and for operators, at /console.

Owns: no tables. Others may call: nothing; `site` is put together in `messo.app`.
"""
