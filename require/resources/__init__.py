"""What can be declared, one noun per file.

A noun's file holds the desired state and a pure plan: what it would mean for a host that looks like
this. It does no I/O. Looking and doing are its twin's, the file of the same name in
`require.remote`. Nothing that only makes sense on one kind of host lives here.
"""
