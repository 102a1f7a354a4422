"""What `raftkafka balance` asks and shows: who carries how much, what the controller would move, and why.

`asking` asks the active controller (or, where nobody knows the request, the metadata), `pages` makes sections of rows of what it says,
`printing` prints them: aligned plain lines in a pipe, a coloured page on a terminal.
"""
