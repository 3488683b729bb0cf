"""Tables, official files and checkpoints: read without running what they hold.

Imports nothing of spaces: what a file means, the folder of a space says.
"""
