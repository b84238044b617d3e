"""What the stand-ins do: argument parsing and exit statuses; their texts are in `texts`."""
