"""Channels: sending a text to a robot, mailbox or webhook, and saying what became of it from the transport's facts."""
