"""The aircraft's side of the hangar: it says how it is, hears what is due, and synchronises.

`beat` puts a heartbeat together, `hangar` sends it, `pace` says when the next one goes, `running`
keeps a synchronisation going beside the heartbeats, `loop` is all of them as a service, `sync_now`
the same synchronisation as a command. How data moves is `sync`'s business. Only this room talks to a
host outside the aircraft.
"""
