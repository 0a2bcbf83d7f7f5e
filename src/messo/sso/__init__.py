"""Messo as an OpenID provider: institutions' sites sign citizens on, with what those agree to.

Owns: sso.client, .signing_key, .access, .consent, .launch, .code, .assertion, .logout.
Runs: sso.logout; periodics sso.keys and sso.forget.

Read `authorize` (what a site asks), `decision` (what happens then), `codes` and `provider_routes`
(what it gets), in this order; pages are in the inbox, which shows what these decide. `messages` uses
`known_sites`, the worker `keys`, `logout_step` and `upkeep`, commands `registration` and `keys`.
"""
