"""The chaos campaign: a scripted business day, undisturbed and under kills and faults, must end the same."""
