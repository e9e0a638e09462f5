"""The stacks of the cloud, what runs in them, and what happens when a task is killed."""
