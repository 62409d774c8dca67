"""What flags that many commands have mean; it is said alike in the help of each."""

TARGET = "hosts, groups or all, with commas; !name leaves one out"
LIMIT = "of the target only these: hosts, groups, patterns, with commas; !name leaves one out"
INVENTORY = "inventory file; else FLEET_INVENTORY, else the running lab's"
JSON = "one JSON object per host on standard output"
