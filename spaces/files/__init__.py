"""Tables, official files and checkpoints: read without running what they hold."""
