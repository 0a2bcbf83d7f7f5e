"""For institutions that send messages with Messo.

`messo_client.remote` serves remote content: texts and attachments that stay at the institution.
`messo_client.notices` makes and checks the numbers of payment notices.
"""
