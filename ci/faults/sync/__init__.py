"""The table of synchronisation: every step of it met by every fault, on real PostgreSQL and real hosts.

Here lives what plays two ends or five (`nodes`), what does one piece of their work in a process that may
die anywhere (`worker`), a link that can be cut (`wire`), and what looks at it all when it is quiet (`seen`).
"""
