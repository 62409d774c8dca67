"""`inv bench.sync`: what synchronisation costs, each figure beside the least it can be in the same run."""
