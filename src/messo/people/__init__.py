"""People of institutions and operators: their logins, what they may do where, and invitations.

Owns: people.member, people.invitation, people.session. Others may call what its files say.

Pages use `staff_login` (the flow, `log_in`), `staff_web.StaffWeb` (cookies, who asks, the token of
forms), `members.memberships_of` and `invitations.look` and `accept`. API routes of people
authenticate with `authenticate.AuthenticatePeople`. Nothing is imported here, so that a login
needs no routes.
"""
